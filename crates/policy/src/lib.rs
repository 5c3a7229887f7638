//! Who may do what: the role table, decisions with reasons, and capabilities. Pure: no look-ups, no clock, no IO.
//!
//! Belongs here: `(request, table) → decision`. Does not belong here: finding out who owns a camera or which grants are
//! in force; the gate in `vms-app` resolves that before it asks.

pub mod capability;
pub mod decide;
pub mod table;

pub use capability::{Audience, Capability, CapabilityError, CapabilitySigner, CapabilityVerifier, Scope};
pub use decide::{Decision, DenyReason, Request, Requirement, decide};
pub use table::{Condition, RoleTable, TableError};
