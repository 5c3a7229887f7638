//! Tests of the tiers against stores that lie, and against real ones.

#[cfg(test)]
mod day;
#[cfg(test)]
mod lies;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod support;
