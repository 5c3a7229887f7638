//! One ingest process and what happens when a camera kills it.
//!
//! Before it hands bytes of a camera to the parsers, the process leaves a mark: whose they are ([`mark`]). When it dies of a
//! crash, its keeper reads the mark and counts ([`suspects`]). A camera that was there at three deaths within an hour goes
//! into a process of its own, which waits up to a minute between deaths; the others of the process run on. From then on a
//! relay ([`relay`]) stands between the recorder and the two: to the recorder they are still the one process that it knows.
//!
//! Why a mark, and not halving the list of cameras until the guilty one is found: the mark costs one write when the process
//! turns to another camera, and names the camera at the first death; halving would need five more deaths, with half of the
//! cameras down at each.

pub(crate) mod keeper;
pub(crate) mod mark;
pub(crate) mod relay;
mod suspects;

pub(crate) use keeper::{ShardSpec, keep_shard};
