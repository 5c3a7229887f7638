//! The distinct plates of police copies: what a search by pattern or by likeness asks, and the work in the background that keeps it small.

use async_trait::async_trait;
use vms_core::{PlateWish, WallTime};

use crate::gate::Permit;
use crate::gate::action::SearchReads;
use crate::lez_ports::{ReadQuery, StoredRead};
use crate::ports::store::Stored;

/// More plates than this answer no search: it asks who drove, not where one vehicle was.
pub const LIKE_MAX: usize = 200;

/// What a search by pattern or likeness found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LikeReads {
    /// Reads, newest first, and of how many plates of the span.
    Found(Vec<StoredRead>, usize),
    /// More than [`LIKE_MAX`] plates match.
    TooMany,
}

/// What a round of packing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Reads that stand in a block now.
    pub reads: u64,
    /// Blocks of hours that were written.
    pub blocks: u64,
    /// Days whose plates stand once each now.
    pub days: u64,
}

/// Distinct plates of police copies by owner and day, sealed as the reads and erased with them.
#[async_trait]
pub trait PlateIndex: Send + Sync {
    /// Police copies whose plate is what is looked for, newest first, at most `query.limit`.
    async fn read_search_like(
        &self,
        permit: &Permit<SearchReads>,
        wish: &PlateWish,
        query: &ReadQuery,
    ) -> Stored<LikeReads>;
    /// Machine: packs what came since; cheap when there is nothing, and at most some seconds of work.
    async fn plates_pack(&self, now: WallTime) -> Stored<Packed>;
    /// A keyed hash of a search, for the log: under a key of its own, so that it leads to no row. An exact plate has that of
    /// [`crate::lez_ports::LezStore::query_hash`].
    fn wish_hash(&self, wish: &PlateWish) -> String;
    /// The text of a search sealed, hexadecimal, for the log: only who holds the secret of reads opens it.
    fn wish_sealed(&self, wish: &PlateWish) -> Stored<String>;
    /// What [`PlateIndex::wish_sealed`] sealed: the text of the wish.
    fn wish_opened(&self, sealed: &str) -> Stored<String>;
}
