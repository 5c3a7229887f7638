//! What the role asks of the program around it: clocks, randomness, decoders.

use media::{AccessUnit, Clocks, ParameterSets};
use vms_core::{MonoTime, WallTime};

use crate::frame::Frame;

/// Clocks and randomness.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Wall time.
    pub wall: fn() -> WallTime,
    /// Monotonic time, the same counter as in [`Clocks`].
    pub mono: fn() -> MonoTime,
    /// Fills with unpredictable bytes.
    pub random: fn(&mut [u8]),
}

/// One decoded picture with the clocks of its access unit.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The picture.
    pub frame: Frame,
    /// As they stood at arrival.
    pub clocks: Clocks,
}

/// A decoder that broke; the caller opens a new one and waits for a key frame.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the decoder failed: {0}")]
pub struct DecodeError(pub String);

/// A decoder of one stream. Used by one thread.
pub trait Decoder: Send {
    /// Takes one unit in decoding order, the first one a key frame. May block while the decoder is full.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn feed(&mut self, unit: &AccessUnit) -> Result<(), DecodeError>;

    /// The next picture in order of display, if one is ready.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn take(&mut self) -> Result<Option<Decoded>, DecodeError>;

    /// No more units come: the pictures still inside.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn finish(&mut self) -> Result<Vec<Decoded>, DecodeError>;
}

/// Makes decoders.
pub trait Decoders: Send + Sync {
    /// A decoder for a stream with these parameter sets.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn open(&self, sets: &ParameterSets) -> Result<Box<dyn Decoder>, DecodeError>;
}
