//! The manifest: what the folder holds, where it comes from, who asked and why. JSON with one spelling.
//!
//! Canonical form: UTF-8, two spaces of indentation, fields in the order of the types below, one line feed at the end. Whoever reads
//! and writes a manifest must get the same bytes; [`Manifest::parse`] refuses any other spelling.

use serde::{Deserialize, Serialize};

use crate::proof::LogProof;
use crate::times::Utc;

/// Value of `format`.
pub(crate) const FORMAT: &str = "belfry-export/1";

/// Longest manifest that is read, bytes: 400,000 gaps or segments.
pub(crate) const MANIFEST_MAX: u64 = 128 * 1024 * 1024;

/// The language of the papers that people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Dutch.
    Nl,
    /// French.
    Fr,
    /// English.
    En,
}

/// Who exports: the installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportingUnit {
    /// Name of the installation.
    pub name: String,
    /// Its address, or empty.
    pub url: String,
    /// Physical address of the machine, or empty.
    pub mac: String,
}

/// A person, by what the log knows of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// `usr_…`.
    pub id: String,
    /// Profile of the role matrix under which they acted, such as `P04`.
    pub role: String,
    /// Organisation.
    pub organisation: String,
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// Code of the purpose.
    pub code: String,
    /// The person's justification, in their words.
    pub justification: String,
}

/// On what ground the camera films.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// Document.
    pub document: String,
    /// Its date, `2024-03-01`.
    pub date: String,
    /// Advice it rests on, or empty.
    pub advice: String,
}

/// Where the camera looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Street address or crossing.
    pub name: String,
    /// Degrees north, in millionths.
    pub latitude_e6: Option<i32>,
    /// Degrees east, in millionths.
    pub longitude_e6: Option<i32>,
}

/// One camera of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraFacts {
    /// `cam_…`.
    pub camera: String,
    /// `str_…`.
    pub stream: String,
    /// Call-up number.
    pub number: String,
    /// Name.
    pub name: String,
    /// Address without credentials, or empty.
    pub url: String,
    /// Physical address, or empty.
    pub mac: String,
    /// Organisation that owns it.
    pub owner: String,
    /// Where it looks.
    pub place: Place,
    /// Legal basis.
    pub basis: Basis,
    /// Retention class, such as `RC-VID-OPEN`.
    pub retention_class: String,
}

/// What is to be exported, for whom and why: everything that was decided before the first byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Id of the export; also the name of its folder.
    pub export_id: String,
    /// Program and version.
    pub product: String,
    /// When the export began.
    pub started_at: Utc,
    /// Language of the papers.
    pub language: Language,
    /// The installation.
    pub exporting_unit: ExportingUnit,
    /// Start of the span asked for.
    pub from: Utc,
    /// First instant after it.
    pub to: Utc,
    /// Case number.
    pub case_number: String,
    /// Why.
    pub purpose: Purpose,
    /// Who asked.
    pub requested_by: Person,
    /// The second person, where one was needed.
    pub approved_by: Option<Person>,
    /// `dec_…` of the gate.
    pub decision: Option<String>,
    /// The cameras.
    pub cameras: Vec<CameraFacts>,
    /// Proof that the decision stands in the log.
    pub log: Option<LogProof>,
}

/// A hole of the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// Where it begins.
    pub from: Utc,
    /// Where it ends.
    pub to: Utc,
    /// The recorder's word for the cause; `not_noted` where the recorder noted none.
    pub cause: String,
}

/// A digest and what made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// Such as `sha256`, `blake3`, or the recorder's name for the digest of a segment.
    pub algorithm: String,
    /// Lower-case hexadecimal.
    pub value: String,
}

/// A segment of the recorder that frames were taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentFact {
    /// `seg_…`.
    pub id: String,
    /// Arrival of its first unit.
    pub from: Utc,
    /// End of its last unit.
    pub to: Utc,
    /// Its digests as the recorder wrote them when it closed.
    pub digests: Vec<Digest>,
}

/// What was delivered of one camera.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraReport {
    /// The camera.
    pub facts: CameraFacts,
    /// First frame delivered: a key frame, at or before the start asked for where there is one.
    pub delivered_from: Option<Utc>,
    /// End of the last frame delivered.
    pub delivered_to: Option<Utc>,
    /// Every hole of over 200 ms in the span asked for.
    pub gaps: Vec<Gap>,
    /// Where the frames come from.
    pub segments: Vec<SegmentFact>,
}

/// What the clocks said.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockReport {
    /// Frames while the camera's clock agreed with the recorder's.
    pub agrees: u64,
    /// Frames while it differed.
    pub differs: u64,
    /// Frames without word of the camera's clock.
    pub unknown: u64,
    /// Smallest camera time minus arrival, microseconds.
    pub offset_min_us: Option<i64>,
    /// Largest.
    pub offset_max_us: Option<i64>,
}

/// One film.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilmReport {
    /// The MP4.
    pub file: String,
    /// Its table of fragments.
    pub index: String,
    /// Its wall-clock subtitles.
    pub subtitles: String,
    /// Which camera, counted from 0.
    pub camera: usize,
    /// RFC 6381 codec string.
    pub codec: String,
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// Pictures.
    pub frames: u64,
    /// Rows of the index.
    pub fragments: u32,
    /// Length of the timeline, 1/90,000 s, holes included.
    pub ticks: u64,
    /// Instant of media time 0.
    pub origin: Utc,
    /// Arrival of the first frame.
    pub starts: Utc,
    /// End of the last frame.
    pub ends: Utc,
    /// RTP packets known lost.
    pub lost_packets: u64,
    /// Clocks.
    pub clock: ClockReport,
    /// Where the ONVIF signature stands in the file, bytes from its start.
    pub seal_offset: u64,
    /// How long it is, bytes.
    pub seal_bytes: u32,
}

/// A file and its digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    /// Name in the folder.
    pub file: String,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// BLAKE3, hexadecimal.
    pub blake3: String,
}

/// Where the decision stands in the log; the proof itself is a file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// The leaf's line.
    pub leaf: String,
    /// Its index.
    pub index: u64,
    /// Name of the log.
    pub origin: String,
    /// Its public key, in the form of signed notes.
    pub verifier_key: String,
    /// The proof, C2SP tlog-proof.
    pub proof: String,
}

/// Whose seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerReport {
    /// `ecdsa-p256-sha256`.
    pub algorithm: String,
    /// Subject of the certificate.
    pub subject: String,
    /// SHA-256 of the DER certificate, hexadecimal: what is pinned.
    pub certificate_sha256: String,
}

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `belfry-export/1`.
    pub format: String,
    /// Id of the export.
    pub export_id: String,
    /// Program and version.
    pub product: String,
    /// When the export began.
    pub started_at: Utc,
    /// Language of the papers.
    pub language: Language,
    /// The installation.
    pub exporting_unit: ExportingUnit,
    /// Start of the span asked for.
    pub requested_from: Utc,
    /// First instant after it.
    pub requested_to: Utc,
    /// Case number.
    pub case_number: String,
    /// Why.
    pub purpose: Purpose,
    /// Who asked.
    pub requested_by: Person,
    /// The second person.
    pub approved_by: Option<Person>,
    /// `dec_…`.
    pub decision: Option<String>,
    /// Camera by camera.
    pub cameras: Vec<CameraReport>,
    /// Film by film.
    pub films: Vec<FilmReport>,
    /// Every other file of the folder but the certificate, the list of sums and the signature.
    pub files: Vec<FileDigest>,
    /// The log.
    pub log: Option<LogEntry>,
    /// The signer.
    pub signer: SignerReport,
}

impl Manifest {
    /// The one spelling.
    pub fn to_bytes(&self) -> Vec<u8> {
        // INVARIANT: plain structs of strings and numbers; serde_json has nothing to refuse.
        let mut out = serde_json::to_vec_pretty(self).expect("a manifest should be writable as JSON");
        out.push(b'\n');
        out
    }

    /// Reads a manifest in its one spelling; `None` for anything else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(bytes).ok()?;
        (manifest.format == FORMAT && manifest.to_bytes() == bytes).then_some(manifest)
    }

    /// `sha256sum -c` reads this: one line per file of [`Manifest::files`].
    pub fn sums(&self) -> String {
        self.files.iter().map(|file| format!("{}  {}\n", file.sha256, file.file)).collect()
    }
}
