//! Traffic rules as pure functions over dated tables.
//!
//! Belongs here: the low-emission zone ([`lez`]), the grammars of number plates ([`grammar`]), and what every rule family
//! shares: civil days of Brussels ([`day`]), the version of a set of tables ([`seed::RuleSetVersion`]). Restricted-access
//! zones and average-speed control take their place beside [`lez`] with the same shape: tables loaded from seed texts, an
//! input that serialises whole, `decide(rules, input) -> outcome`, the outcome naming the rule, coded reasons, the version
//! of the tables and the hash of the input.
//!
//! Does not belong here: IO, clocks, randomness, plate texts in an input (a decision needs a plate's kind, not its text),
//! amounts or dates in code. The tables are embedded at build time; reading others from disk is the caller's work.

pub mod day;
pub mod grammar;
pub mod lez;
pub mod pattern;
pub mod seed;
pub mod word;

pub use day::Day;
pub use grammar::{GrammarId, PlateBook, PlateKind, plate_type};
pub use seed::{RuleSetVersion, SeedError};
