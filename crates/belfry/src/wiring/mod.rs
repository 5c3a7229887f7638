//! Where concrete types meet: ports of the use cases and engines on one side, `link`, stores and the real clock on the other.

pub(crate) mod alarms;
pub(crate) mod breached;
pub(crate) mod carrier;
pub(crate) mod convert;
pub(crate) mod copiers;
pub(crate) mod exports;
pub(crate) mod fines;
pub(crate) mod identity;
pub(crate) mod log_notes;
pub(crate) mod log_tasks;
pub(crate) mod log_terms;
pub(crate) mod media_port;
mod media_range;
pub(crate) mod mqtt;
pub(crate) mod read_keys;
pub(crate) mod reads;
pub(crate) mod statistics;
pub(crate) mod system;
pub(crate) mod traffic;
pub(crate) mod witnesses;
