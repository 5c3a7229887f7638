//! From bytes to meaning and back, without IO: access units, parameter sets, fragments, fMP4 views, the camera session.
//!
//! Belongs here: everything about H.264/H.265 bytes, timestamps and MP4 boxes that is a function of its input.
//! Does not belong here: sockets, files, clocks, tasks. Everything wrapped for a player is a pure view around the same
//! payload bytes, never a transcode (blueprint 2, "One unit stream").

mod bits;
pub mod dts;
pub mod fmp4;
pub mod fragment;
pub mod nal;
pub mod params;
pub mod session;
pub mod unit;

pub use dts::{DtsDeriver, FrameLength, LivePlace, LiveTimeline, RtpUnwrapper, WentBack};
pub use fragment::{Fragment, FragmentBuilder, FragmentLimits, Sample};
pub use params::{ParamError, ParameterTracker};
pub use session::{Action, CameraSession, Health, Input, Limits, LossReason};
pub use unit::{AccessUnit, Clocks, ParamSetId, ParameterSets};
