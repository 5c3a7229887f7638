//! What the use cases need from outside. Implemented in `vms-store` (stores) and by the wiring in `belfry` (the rest).

pub mod media;
pub mod store;

pub use media::{
    Area, FootageFault, LiveControl, LiveEvent, LiveFeed, MediaError, MediaPort, MediaSource, PartnerCatalogue,
    ProbeReport, RangeForm, RangeHandle, RangeInfo, RangePart, RangeParts, StillMask,
};
pub use store::{
    AccountStore, CameraStore, CatalogueStore, EventStore, ExportStore, GrantStore, HoldStore, LeaseStore,
    LegalChangeStore, LogDetailStore, OrgStore, PATTERNS, PartnerStore, PlaybackStore, SessionStore, StoreError,
    Stores,
};

use vms_core::WallTime;

/// The wall clock.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now, UTC.
    fn now(&self) -> WallTime;
}

/// Ids and randomness.
pub trait Ids: Send + Sync + std::fmt::Debug {
    /// A UUID version 7, for the typed ids' `from_uuid`.
    fn uuid(&self) -> uuid::Uuid;
    /// Fills `out` from the operating system's generator.
    fn random(&self, out: &mut [u8]);
}

/// `N` random bytes.
pub fn random_bytes<const N: usize>(ids: &dyn Ids) -> [u8; N] {
    let mut out = [0_u8; N];
    ids.random(&mut out);
    out
}
