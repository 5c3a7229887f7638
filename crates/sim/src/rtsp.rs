//! Simulated cameras behind one RTSP port: `/camNNN/main` and `/camNNN/sub`.
//!
//! Belongs here: the protocol, the pace, the faults. Does not belong here: where pictures come from.
//! One task per connection; nothing runs for a camera that nobody watches, since what it would send now is a function
//! of time ([`crate::schedule`]).

mod auth;
mod connection;
mod faults;
mod hostile;
mod message;
mod sdp;
mod server;
mod tls;
mod transport;

pub use auth::Credentials;
pub use faults::{ClockJump, FaultWordError, Faults, Hostile};
pub use message::fuzz_rtsp_request;
pub use server::{CameraConfig, SimConfig, SimError, SimServer, SimStats, StreamStats};
pub use tls::{Identity, IdentityError};
pub use transport::fuzz_transport;
