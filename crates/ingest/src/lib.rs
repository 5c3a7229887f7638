//! Camera streams in: RTSP sessions to access units, handed to the recorder.
//!
//! ```text
//! camera ─► Transport (retina here, GStreamer in belfry-media) ─► depacketize ─► unit ─► ring ─► recorder.sock
//!              ▲ guard: pinned address     ▲ drive obeys media::session::CameraSession
//! ```
//!
//! One process serves at most 25 cameras on one thread; [`role::run`] is its whole life. A slow recorder fills rings and
//! delays no camera; a dead one gets everything again from the last acknowledged unit on.
//!
//! Belongs here: sockets to cameras, supervision of sessions, the ring, the camera URL guard, the sandbox.
//! Does not belong here: what a NAL unit or a session state means (`media`), disks, who may see what.
//! Sound is never set up, received or passed on.

pub mod board;
pub mod clock;
mod crew;
pub mod depacketize;
pub mod drive;
pub mod guard;
pub mod memory;
pub mod ports;
pub mod probe;
pub mod ring;
pub mod role;
pub mod rtp;
pub mod rtsp;
pub mod sandbox;
pub mod sdp;
pub mod transport;
pub mod unit;
mod wire;

pub use guard::{Refusal, Resolver, SystemResolver, UrlGuard};
pub use memory::Memory;
pub use ports::{Clock, Ports, Random, TransportFactory};
pub use role::{IngestConfig, run, runtime};
pub use rtsp::RetinaTransport;
pub use sandbox::{Confinement, confine};
pub use transport::{Credentials, Dial, Event, Failure, SessionInfo, Transport};
