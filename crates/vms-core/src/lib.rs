//! The words of the domain: ids, instants, plates, confidences, purposes, profiles, retention classes.
//!
//! Belongs here: types that several crates name, with their invariants and their arithmetic.
//! Does not belong here: IO, async, serde, clocks, randomness. JSON lives in `vms-api`, rows in `vms-store`,
//! wire messages in `link`; each converts at its own edge.

pub mod id;
pub mod media_kind;
pub mod plate;
pub mod plate_wish;
pub mod retention;
pub mod right;
pub mod time;

pub use id::{
    CameraId, CaptureId, DecisionId, ExportId, FindingId, GrantId, HoldId, IdError, LeaseId, OrgId, PermitId, ReadId,
    SegmentId, SessionId, StreamId, UserId,
};
pub use media_kind::{Codec, Rendition, StreamUse};
pub use plate::{Confidence, Country, Plate, PlateError};
pub use plate_wish::{PlatePattern, PlateWish, WishError};
pub use retention::{RetentionClass, RetentionTerm};
pub use right::{Profile, Purpose, Relation, Right};
pub use time::{MediaTime, MonoTime, SyncState, TimeRange, WallTime};
