//! The one protocol between roles: length-prefixed frames over a Unix socket with peer credentials.
//!
//! A frame is `u32` big endian (length of what follows, at most [`FRAME_MAX`]), one byte of kind, and a body:
//!
//! | kind | body | who sends it |
//! |---|---|---|
//! | 0 | [`Control`] as JSON | everybody |
//! | 1 | one access unit, see [`unit`] | ingest, recorder, gateway |
//! | 2 | a run of bytes that the last control message announced | recorder, reader |
//! | 3 | one live fragment: 32-byte header and `moof`+`mdat`, see [`LiveFragment`] | recorder, gateway |
//!
//! The first message on every connection, both ways, is [`Control::Hello`]; a peer of another protocol version is refused.
//! Belongs here: framing, messages, connecting and listening. Does not belong here: what a role does with a message.

pub mod codec;
pub mod message;
mod sets;
pub mod socket;
pub mod unit;

pub use codec::{Connection, LinkError, LiveFragment, Message};
pub use message::{
    Assignment, Cause, Control, GapRow, LiveForm, PartRow, ProbeReport, RangeAsk, ReadRow, ReaderCamera, Role,
    SegmentRow, StreamHealth, StreamPhase, StreamSpec, TransportKind, WireParameterSets,
};
pub use socket::{LinkListener, connect};

/// Version of this protocol; both sides must speak the same one.
pub const VERSION: u16 = 1;

/// Longest frame: one access unit of a hostile camera must fit nowhere near this. 16 MiB.
pub const FRAME_MAX: usize = 16 * 1024 * 1024;
