//! What the overseer does: data flows with their switch, complaints, data subjects' requests, the annual report.
//!
//! Belongs here: acts of the oversight commission and of data-protection officers. Does not belong here: the log itself and its
//! proofs (`audit`), who may see footage (`policy` and the gate).

pub mod anomaly;
pub mod anomaly_rules;
pub mod cases;
pub mod flows;
pub mod model;
pub mod ports;
pub mod report;
pub mod stills;
