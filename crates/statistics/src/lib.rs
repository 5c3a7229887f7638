//! Counts and travel times for the mobility administration, without people (`docs/PRIVACY.md` states the guarantee).
//!
//! Belongs here: pseudonyms under keys that live 15 minutes ([`pseudonym`]), counts in cells of at least five vehicles
//! ([`counts`]), travel times of at least five vehicles ([`travel`]), the two together over reads as they come
//! ([`accumulator`]), and the two forms in which they leave: the region's counts
//! API ([`counts_api`]) and DATEX II v3 ([`datex`]).
//!
//! Does not belong here: IO, clocks, randomness (keys come in), plates beyond the call that makes a pseudonym of one, any
//! number that is not a sum of published cells.

pub mod accumulator;
pub mod counts;
pub mod counts_api;
pub mod datex;
pub mod pseudonym;
pub mod site;
pub mod travel;

mod time;

pub use accumulator::{Accumulator, Published, Sighting};
pub use counts::{Counter, Figure, Offer, Pass, Sealed, Taken};
pub use pseudonym::{KEY_LIFE, Keyring, Pseudonyms, Token};
pub use site::{Detector, Site, SiteCode};
pub use travel::{Crossing, Route, RouteCode, TravelTime, TravelTimes};

/// Fewest vehicles behind a published number.
pub const VEHICLES_MIN: usize = 5;
