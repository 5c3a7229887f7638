//! What the hammer and the end-to-end tests share: reading recorded footage back and counting its frames exactly.

pub mod frames;
pub mod process;
