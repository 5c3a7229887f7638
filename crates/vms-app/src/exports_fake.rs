//! A place of exports under a test's hand: what the test says of a package is what is seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use vms_core::ExportId;

use crate::error::BoxError;
use crate::exports_model::{
    ExportDesk, ExportLimits, ExportProgress, PackageDone, PackageFile, PackageOrder, PackageState,
};

/// One package.
#[derive(Debug)]
struct Package {
    state: PackageState,
    orders: Vec<PackageOrder>,
    capabilities: Vec<String>,
}

/// The place.
#[derive(Debug)]
pub struct FakeDesk {
    packages: Mutex<BTreeMap<ExportId, Package>>,
    free: Mutex<u64>,
    /// What every file of every package holds.
    pub content: Bytes,
}

impl Default for FakeDesk {
    fn default() -> Self {
        let content: Vec<u8> = (0..2_500_000_u32).map(|n| n.to_be_bytes()[3]).collect();
        Self { packages: Mutex::default(), free: Mutex::new(1 << 40), content: content.into() }
    }
}

impl FakeDesk {
    fn packages(&self) -> MutexGuard<'_, BTreeMap<ExportId, Package>> {
        self.packages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where the work on a package stands.
    pub fn say(&self, id: ExportId, state: PackageState) {
        if let Some(package) = self.packages().get_mut(&id) {
            package.state = state;
        }
    }

    /// A package that is there.
    pub fn finish(&self, id: ExportId) {
        let progress = ExportProgress { per_mille: 1_000, bytes: 2_500_000, frames: 1_500 };
        self.say(id, PackageState::Done(PackageDone { progress, manifest_sha256: [7; 32] }));
    }

    /// How much room there is.
    pub fn room(&self, bytes: u64) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    /// What a package was ordered with, each time; none when it is not there.
    pub fn orders(&self, id: ExportId) -> Vec<PackageOrder> {
        self.packages().get(&id).map_or_else(Vec::new, |package| package.orders.clone())
    }

    /// The newest capability of the first camera of a package.
    pub fn capability(&self, id: ExportId) -> Option<String> {
        self.packages().get(&id)?.capabilities.first().cloned()
    }

    /// The newest capabilities of a package.
    pub fn capabilities(&self, id: ExportId) -> Vec<String> {
        self.packages().get(&id).map_or_else(Vec::new, |package| package.capabilities.clone())
    }

    /// As after a kill: everything on the disk, nobody at work.
    pub fn kill(&self) {
        for package in self.packages().values_mut() {
            if matches!(package.state, PackageState::Working(..)) {
                package.state = PackageState::Idle;
            }
        }
    }
}

#[async_trait]
impl ExportDesk for FakeDesk {
    fn limits(&self) -> ExportLimits {
        ExportLimits {
            span_max: Duration::from_secs(12 * 3_600),
            jobs_max: 2,
            waiting_max: 5,
            keep_max: Some(Duration::from_secs(3 * 86_400)),
        }
    }

    fn fingerprint(&self) -> String {
        "ab".repeat(32)
    }

    async fn free_bytes(&self) -> Result<u64, BoxError> {
        Ok(*self.free.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn go(&self, order: PackageOrder) {
        let mut packages = self.packages();
        let (id, capabilities) = (order.export.id, order.capabilities.clone());
        let state = PackageState::Working(ExportProgress::default(), None);
        let package =
            packages.entry(id).or_insert_with(|| Package { state, orders: Vec::new(), capabilities: Vec::new() });
        if package.state == PackageState::Idle {
            package.state = PackageState::Working(ExportProgress::default(), None);
        }
        package.orders.push(order);
        package.capabilities = capabilities;
    }

    fn renew(&self, id: ExportId, capabilities: Vec<String>) {
        if let Some(package) = self.packages().get_mut(&id) {
            package.capabilities = capabilities;
        }
    }

    fn look(&self, id: ExportId) -> PackageState {
        self.packages().get(&id).map_or(PackageState::Idle, |package| package.state.clone())
    }

    async fn halt(&self, id: ExportId) {
        self.say(id, PackageState::Idle);
    }

    async fn discard(&self, id: ExportId) -> Result<(), BoxError> {
        self.packages().remove(&id);
        Ok(())
    }

    async fn on_disk(&self) -> Result<Vec<ExportId>, BoxError> {
        Ok(self.packages().keys().copied().collect())
    }

    async fn files(&self, id: ExportId) -> Result<Vec<PackageFile>, BoxError> {
        let bytes = u64::try_from(self.content.len()).unwrap_or(u64::MAX);
        let is_done = matches!(self.look(id), PackageState::Done(_));
        let names = ["custody.pdf", "footage-001.mp4", "manifest.json"];
        let files = names.into_iter().filter(|_| is_done).map(|name| PackageFile { name: name.to_owned(), bytes });
        Ok(files.collect())
    }

    async fn read(&self, id: ExportId, _file: &str, start: u64, end: u64) -> Result<Option<Bytes>, BoxError> {
        let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(self.content.len());
        let is_done = matches!(self.look(id), PackageState::Done(_));
        Ok(is_done.then(|| self.content.slice(at(start)..at(end))))
    }
}
