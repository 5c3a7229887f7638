//! Counts and travel times without people, for the mobility administration (`docs/PRIVACY.md`).
//!
//! Belongs here: which reads may feed them ([`rules`]), where is counted ([`plan`]), how reads reach the accumulator without ever
//! holding up the intake ([`desk`]), and what people and machines may see of it ([`views`]). The arithmetic and its guarantee are in
//! the crate `statistics`.

pub mod desk;
pub mod plan;
pub mod rules;
pub mod views;

pub use desk::{RoundReport, StatisticsDesk};
pub use plan::{Plan, PlanError};
pub use rules::FeedRules;
