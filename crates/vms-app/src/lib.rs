//! Use cases, their ports, and the gate: decide, write the leaf, permit.
//!
//! Belongs here: what the program does for a person, in terms of ports. Does not belong here: HTTP, SQL, sockets, the
//! `link` protocol, reading a clock.
//!
//! How a use case is added (traffic rules and reads do it this way):
//! 1. its store methods: a trait in a file of its own (`lez_ports.rs`), methods noun first, `async_trait`, every method
//!    that returns personal data or pictures takes a `&Permit<A>`;
//! 2. its struct (`lez.rs`): holds `Arc<dyn ItsStore>`, `Arc<Gate>`, `Arc<dyn Clock>`, `Arc<EventHub>`; every method takes
//!    `&Actor`, asks the gate first, and returns `Result<_, UseCaseError>`;
//! 3. a field in [`cases::Extensions`], so that `vms-api` reaches it from its state.

pub mod accounts;
pub mod assignment;
pub mod camera_import;
pub mod camera_rules;
pub mod cameras;
pub mod cases;
pub mod catalogue;
pub mod catalogue_fault;
pub mod clock_ports;
pub mod erasure_ports;
pub mod error;
pub mod events;
pub mod exports;
#[cfg(any(test, feature = "fakes"))]
pub mod exports_fake;
pub mod exports_fetch;
pub mod exports_model;
pub mod exports_run;
#[cfg(any(test, feature = "fakes"))]
pub mod fakes;
pub mod finding_ports;
pub mod fines;
mod fines_damaged;
mod fines_fate;
mod fines_lines;
pub mod fines_passes;
mod fines_pictures;
pub mod fines_ports;
pub mod gate;
pub mod gated;
pub mod gated_read_ports;
pub mod gated_reads;
pub mod grants;
pub mod health;
pub mod holder_ports;
pub mod holds;
pub mod identity;
pub mod legal_changes;
pub mod lez;
pub mod lez_ports;
pub mod lez_registry;
pub mod lez_tally;
pub mod live;
pub mod login;
pub mod matrix_edits;
pub mod matrix_ports;
pub mod model;
pub mod oversight;
pub mod partners;
pub mod pass_ports;
pub mod passwords;
pub mod plate_ports;
pub mod playback;
pub mod ports;
pub mod rate;
pub mod seed;
pub mod sharing;
pub mod sight;
pub mod statistics;
pub mod statistics_ports;
pub mod traffic_ports;
pub mod watchlist;
pub mod watchlist_ports;
pub mod words;

pub use cases::{Parts, Settings, UseCases};
pub use error::{BoxError, Conflict, Entity, FieldProblem, UseCaseError};
