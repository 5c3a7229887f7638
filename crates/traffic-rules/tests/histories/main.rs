//! Generated histories against an independent, slow reference.
//!
//! The references ([`lez`], [`zbt`], [`trajectory`]) are written from the tables of `domain.md` A, B and C, not from the
//! seed files, with a calendar of their own ([`civil`]); they share no code with the engine. Each test prints its seed;
//! `BELFRY_HISTORIES` sets the number of histories (the full count is 100,000), `BELFRY_HISTORIES_SEED` the seed.

#[cfg(test)]
mod civil;
#[cfg(test)]
mod draw;
#[cfg(test)]
mod lez;
#[cfg(test)]
mod lez_draw;
#[cfg(test)]
mod trajectory;
#[cfg(test)]
mod zbt;
#[cfg(test)]
mod zbt_draw;
