//! Traffic rules as pure functions over dated tables.
//!
//! Belongs here: the low-emission zone ([`lez`]), zones with restricted access ([`zbt`]), average-speed control
//! ([`trajectory`]), the grammars of number plates ([`grammar`]), and what every rule family shares: civil days of Brussels
//! ([`day`]), weekly schedules and holidays ([`calendar`]), the version of a set of tables ([`seed::RuleSetVersion`]). Every
//! family has one shape: tables loaded from seed texts, an input that serialises whole, `decide(rules, input) -> outcome`,
//! the outcome naming the rule, coded reasons, the version of the tables and the hash of the input.
//!
//! Does not belong here: IO, clocks, randomness, plate texts in an input (a decision needs a plate's kind, not its text),
//! amounts or dates in code. The tables are embedded at build time; reading others from disk is the caller's work.

pub mod calendar;
pub mod day;
pub mod grammar;
pub mod lez;
pub mod pattern;
pub mod reading;
pub mod seed;
pub mod trajectory;
pub mod word;
pub mod zbt;

mod snapshot_hash;

pub use day::Day;
pub use grammar::{GrammarId, PlateBook, PlateKind, plate_type};
pub use reading::PlateReading;
pub use seed::{RuleSetVersion, SeedError};
