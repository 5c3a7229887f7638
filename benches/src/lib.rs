//! What the hammer and the end-to-end tests share: reading recorded footage back and counting its frames exactly.

pub mod films;
pub mod frames;
pub mod log;
pub mod process;
pub mod recorder_link;
