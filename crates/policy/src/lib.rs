//! Who may do what: the role matrix, decisions with reasons, and capabilities. Pure: no look-ups, no clock, no IO.
//!
//! Belongs here: `(request, matrix) → decision`, and what a matrix may never say. Does not belong here: finding out who owns
//! a camera or which grants are in force; the gate in `vms-app` resolves that before it asks. How the matrix is written and
//! changed: `docs/MATRIX.md`.

pub mod capability;
pub mod compile;
pub mod condition;
pub mod decide;
pub mod diff;
pub mod explain;
pub mod groups;
pub mod matrix;
pub mod separation;
pub mod table;

pub use capability::{Audience, Capability, CapabilityError, CapabilitySigner, CapabilityVerifier, Scope};
pub use condition::{Condition, cell_text};
pub use decide::{Decision, DenyReason, Obligations, Request, Requirement, decide};
pub use diff::{CameraFact, CellChange, Diff, People, Turn, diff};
pub use explain::{Ability, Checked, Explanation, simulate};
pub use matrix::Matrix;
pub use separation::{Rule, Violation};
pub use table::{MatrixError, Table};

/// The matrix under its earlier name.
pub type RoleTable = Matrix;
