//! Sharing between organisations: what holds around a request at this moment, events, emergency access, wishes for a share,
//! notices, police-supervised stations.
//!
//! Belongs here: who may see more than the bare matrix gives, for how long, and who is told. Does not belong here: the
//! matrix itself (`policy`), the grants' own life ([`crate::grants`]), data flows ([`crate::oversight`]).

pub mod board;
pub mod emergency;
pub mod events;
pub mod model;
pub mod notices;
pub mod ports;
pub mod requests;
pub mod rules;
pub mod seconds;
pub mod stations;
