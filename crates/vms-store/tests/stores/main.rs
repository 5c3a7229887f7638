//! One suite for both databases: SQLite in a temporary file, PostgreSQL started for the tests.

#[cfg(test)]
mod frozen;
#[cfg(test)]
mod full;
#[cfg(test)]
#[macro_use]
mod suite;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod fines;
#[cfg(test)]
mod gated;
#[cfg(test)]
mod gated_reads;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod permits;
#[cfg(test)]
mod plates;
#[cfg(test)]
mod pushed;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod statistics;
#[cfg(test)]
mod traced;
#[cfg(test)]
mod traffic;
#[cfg(test)]
mod watchlist;
