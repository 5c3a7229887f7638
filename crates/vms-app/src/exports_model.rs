//! Evidence exports: what is known of one, and the port to where packages are made.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use vms_core::{CameraId, DecisionId, ExportId, Profile, Purpose, SessionId, StreamId, TimeRange};

use crate::error::BoxError;
use crate::model::{Camera, Signature};
use crate::words::{ExportState, Language};

/// How far an export is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportProgress {
    /// Share of the footage, 0 to 1,000.
    pub per_mille: u16,
    /// Bytes of footage written.
    pub bytes: u64,
    /// Frames written.
    pub frames: u64,
}

/// Most cameras of one order.
pub const CAMERAS_MAX: usize = 8;

/// One camera's footage in an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportSource {
    /// Of which camera.
    pub camera: CameraId,
    /// Of which stream.
    pub stream: StreamId,
}

/// One evidence export, from its order to what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Key, also the name of the package's folder.
    pub id: ExportId,
    /// Of which camera: the first of the order.
    pub camera: CameraId,
    /// Of which stream.
    pub stream: StreamId,
    /// The further cameras, of the same owner, in the order that was given.
    pub others: Vec<ExportSource>,
    /// Which footage of each: half-open.
    pub range: TimeRange,
    /// For which purpose.
    pub purpose: Purpose,
    /// Case number.
    pub case_ref: String,
    /// Reference of a magistrate's written decision, where the footage is past its first term.
    pub magistrate_ref: Option<String>,
    /// Why, in the person's own words.
    pub reason: String,
    /// Language of the custody sheet.
    pub language: Language,
    /// The decision under which it was ordered, as it stands in the log.
    pub decision: DecisionId,
    /// Who ordered it.
    pub ordered: Signature,
    /// Under which profile: it runs only while the account has that.
    pub ordered_as: Profile,
    /// In which session.
    pub session: SessionId,
    /// Where it stands.
    pub state: ExportState,
    /// Who approved or refused it, or took it back.
    pub settled: Option<Signature>,
    /// Under which profile.
    pub settled_as: Option<Profile>,
    /// Why it was refused.
    pub answer: Option<String>,
    /// How far it is.
    pub progress: ExportProgress,
    /// Stable word for why it stopped.
    pub failure: Option<String>,
    /// When it came to an end, or its package was there.
    pub ended_at: Option<vms_core::WallTime>,
    /// When its package is removed.
    pub expires_at: Option<vms_core::WallTime>,
    /// SHA-256 of the package's manifest, hexadecimal: what stays of it.
    pub manifest_sha256: Option<String>,
}

impl Export {
    /// Every camera, in order.
    pub fn sources(&self) -> impl Iterator<Item = ExportSource> {
        std::iter::once(ExportSource { camera: self.camera, stream: self.stream }).chain(self.others.iter().copied())
    }
}

/// What the place of the exports allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportLimits {
    /// Longest span of one export.
    pub span_max: Duration,
    /// Packages made at once; the rest waits in the order of its approval.
    pub jobs_max: usize,
    /// Exports that may wait for an approval or for their turn; one more is refused.
    pub waiting_max: usize,
    /// A package is kept no longer than this, however long its class would allow.
    pub keep_max: Option<Duration>,
}

/// Everything that the place of the exports must know to make a package.
#[derive(Clone, Debug)]
pub struct PackageOrder {
    /// The export.
    pub export: Export,
    /// Its cameras in order, each as it is when the work begins.
    pub cameras: Vec<PackageCamera>,
    /// Code of the organisation of whoever ordered it.
    pub ordered_org: String,
    /// Code of the organisation of whoever approved it.
    pub approved_org: String,
    /// Code of the owner of all cameras.
    pub owner: String,
    /// The decision under which the footage of the first camera is read.
    pub decision: DecisionId,
    /// Index of its leaf.
    pub log_index: u64,
    /// Open the span of each camera at the recorder for 15 s, in the cameras' order.
    pub capabilities: Vec<String>,
}

/// A camera of a package.
#[derive(Clone, Debug)]
pub struct PackageCamera {
    /// The camera.
    pub camera: Camera,
    /// Which of its streams.
    pub stream: StreamId,
}

/// A file of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    /// Name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
}

/// What a package came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackageDone {
    /// How much is in it.
    pub progress: ExportProgress,
    /// SHA-256 of its manifest.
    pub manifest_sha256: [u8; 32],
}

/// Word of [`PackageState::Stopped`] for work that was told to stop: it goes on when it is told to.
pub const HALTED: &str = "halted";

/// Where the work on a package stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageState {
    /// Nobody works on it in this process.
    Idle,
    /// Footage is read and written. The word says what it waits for, such as `recorder_unavailable`.
    Working(ExportProgress, Option<&'static str>),
    /// The package is there and has passed its own check.
    Done(PackageDone),
    /// It stopped: stable word. A person can make room and let it go on.
    Stopped(ExportProgress, &'static str),
    /// It can't be made: stable word.
    Failed(&'static str),
}

/// Where packages are made and lie. Calls return at once: the work goes on by itself.
#[async_trait]
pub trait ExportDesk: Send + Sync + std::fmt::Debug {
    /// What it allows.
    fn limits(&self) -> ExportLimits;
    /// SHA-256 of the certificate that signs packages, hexadecimal: what whoever gets one must know by another way.
    fn fingerprint(&self) -> String;
    /// Bytes that exports may still take on their disk.
    ///
    /// # Errors
    /// The disk does not say.
    async fn free_bytes(&self) -> Result<u64, BoxError>;
    /// Begins, or goes on where an earlier process or a pause left it.
    async fn go(&self, order: PackageOrder);
    /// Fresh capabilities for one that works, in its cameras' order.
    fn renew(&self, id: ExportId, capabilities: Vec<String>);
    /// Where it stands.
    fn look(&self, id: ExportId) -> PackageState;
    /// Stops the work at a checkpoint; `go` goes on from there.
    async fn halt(&self, id: ExportId);
    /// Stops the work and removes everything of it, a finished package as well.
    ///
    /// # Errors
    /// The disk.
    async fn discard(&self, id: ExportId) -> Result<(), BoxError>;
    /// Every export of which something lies on the disk.
    ///
    /// # Errors
    /// The disk.
    async fn on_disk(&self) -> Result<Vec<ExportId>, BoxError>;
    /// Files of a finished package, by name; none when there is no package.
    ///
    /// # Errors
    /// The disk.
    async fn files(&self, id: ExportId) -> Result<Vec<PackageFile>, BoxError>;
    /// Bytes `[start, end)` of a file of a finished package, at most 1 MiB; none when there is no such file.
    ///
    /// # Errors
    /// The disk.
    async fn read(&self, id: ExportId, file: &str, start: u64, end: u64) -> Result<Option<Bytes>, BoxError>;
}
