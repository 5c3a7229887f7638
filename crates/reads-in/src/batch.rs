//! The batch: JSON, at most [`READS_MAX`] reads, each good or bad for itself.
//!
//! A field that is not known is an error of its read: who sends it believes that it means something here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use vms_core::{Confidence, Country, Plate, WallTime};

/// Reads, and statements about clocks, of one batch at most.
pub const READS_MAX: usize = 200;
/// Largest picture, bytes: what the store keeps with a read.
pub const PICTURE_MAX: usize = 512 * 1_024;
/// Longest word: ids, sources, numbers of verifications.
pub const WORD_MAX: usize = 64;
/// Countries that a read may name.
const COUNTRIES_MAX: usize = 5;

/// Why nothing of a batch is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchFault {
    /// Not JSON, or not an object with `reads`.
    #[error("the batch is no JSON object with `reads`")]
    Form,
    /// Another version of the contract.
    #[error("`v` is not 1")]
    Version,
    /// More than [`READS_MAX`].
    #[error("more than {READS_MAX} reads or clocks")]
    TooMany,
}

/// Why one read is not taken. The word is part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadFault {
    /// A field is missing, unknown or of the wrong type.
    Form,
    /// `id` is empty, too long or has other characters.
    Id,
    /// `camera` is empty or too long.
    Camera,
    /// `at` is no RFC 3339 instant with offset.
    At,
    /// The text is no plate.
    Plate,
    /// A confidence is not from 0 to 1.
    Confidence,
    /// A country is no distinguishing sign, or there are more than five.
    Country,
    /// A picture is no base64, no JPEG or too large.
    Picture,
    /// The clock's times or words do not read, or contradict each other.
    Clock,
    /// `verification` is empty or too long.
    Verification,
}

impl ReadFault {
    /// The word in answers and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "malformed",
            Self::Id => "id_malformed",
            Self::Camera => "camera_malformed",
            Self::At => "at_malformed",
            Self::Plate => "plate_malformed",
            Self::Confidence => "confidence_malformed",
            Self::Country => "country_malformed",
            Self::Picture => "picture_malformed",
            Self::Clock => "clock_malformed",
            Self::Verification => "verification_malformed",
        }
    }
}

/// What a sender says of the clock that timed a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockClaim {
    /// Its source, in the sender's word: `ptp-gnss`, `ntp`.
    pub source: String,
    /// Locked from here …
    pub locked_from: WallTime,
    /// … until here without a break; `None`: not locked now.
    pub locked_until: Option<WallTime>,
    /// Worst offset against the second source in that time, µs, with its sign.
    pub offset_us: i64,
    /// Uncertainty, µs.
    pub uncertainty_us: u64,
    /// Last synchronised.
    pub synced_at: Option<WallTime>,
}

/// One read. `Debug` hides the plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedRead {
    /// The sender's own key of the passage.
    pub id: String,
    /// Code or id of the camera.
    pub camera: String,
    /// When.
    pub at: WallTime,
    /// The plate.
    pub plate: Plate,
    /// Countries, best first.
    pub countries: Vec<(Country, Confidence)>,
    /// Probability that the whole text is right.
    pub confidence: Confidence,
    /// A character was corrected by a rule.
    pub corrected: bool,
    /// `approaching`, `leaving` or `unknown`.
    pub direction: String,
    /// Looks that were fused.
    pub looks: u32,
    /// Name and version of what read it.
    pub model: String,
    /// Its clock.
    pub clock: Option<ClockClaim>,
    /// When the independent second source timed the passage.
    pub second_at: Option<WallTime>,
    /// Number of the verification of the installation.
    pub verification: Option<String>,
    /// The plate (JPEG); empty when none came.
    pub crop: Bytes,
    /// The vehicle, everything else unrecognisable (JPEG); empty when none came.
    pub overview: Bytes,
}

/// One entry of a batch that could not be read: what it calls itself, where that reads, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its id, when it has one that can be said again.
    pub id: Option<String>,
    /// Why.
    pub fault: ReadFault,
}

/// A batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Reads in the order of the batch.
    pub reads: Vec<Result<PushedRead, Refused>>,
    /// Statements about clocks without a read: what carries a lock on. By camera.
    pub clocks: Vec<Result<(String, ClockClaim), ReadFault>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBatch {
    v: u32,
    #[serde(default)]
    reads: Vec<Value>,
    #[serde(default)]
    clocks: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRead {
    id: String,
    camera: String,
    at: String,
    plate: String,
    confidence: f64,
    #[serde(default)]
    countries: Vec<RawCountry>,
    #[serde(default)]
    corrected: bool,
    direction: Option<Direction>,
    looks: Option<u32>,
    model: Option<String>,
    clock: Option<RawClock>,
    second_at: Option<String>,
    verification: Option<String>,
    crop: Option<String>,
    overview: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Approaching,
    Leaving,
    Unknown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCountry {
    sign: String,
    confidence: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClock {
    source: String,
    locked_from: String,
    locked_until: Option<String>,
    offset_us: i64,
    uncertainty_us: u64,
    synced_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatement {
    camera: String,
    clock: RawClock,
}

/// A word that may be said again in an answer.
fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-' | b'/');
    !text.is_empty() && text.len() <= WORD_MAX && text.bytes().all(fits)
}

/// An RFC 3339 instant, µs; what is finer is cut off.
pub(crate) fn instant(text: &str) -> Option<WallTime> {
    let bounded = Some(text).filter(|text| text.len() <= WORD_MAX)?;
    bounded.parse::<jiff::Timestamp>().ok().map(|at| WallTime::from_micros(at.as_microsecond()))
}

/// A probability from 0 to 1.
pub(crate) fn confidence(odds: f64) -> Option<Confidence> {
    if !(0.0..=1.0).contains(&odds) {
        return None;
    }
    // Rounded by its text, since no cast of a float is exact: six decimals are what is kept.
    let text = format!("{odds:.6}");
    let (whole, part) = text.split_once('.')?;
    let millionths = whole.parse::<u32>().ok()?.checked_mul(1_000_000)?.checked_add(part.parse().ok()?)?;
    Some(Confidence::from_millionths(millionths))
}

fn picture(text: Option<&String>) -> Result<Bytes, ReadFault> {
    let Some(text) = text else { return Ok(Bytes::new()) };
    // Four characters are three bytes; looked at before anything is decoded.
    if text.len() > PICTURE_MAX.div_ceil(3) * 4 {
        return Err(ReadFault::Picture);
    }
    let bytes = STANDARD.decode(text).map_err(|_| ReadFault::Picture)?;
    let is_jpeg = bytes.len() <= PICTURE_MAX && bytes.starts_with(&[0xff, 0xd8, 0xff]);
    if is_jpeg { Ok(bytes.into()) } else { Err(ReadFault::Picture) }
}

impl RawClock {
    fn claim(self) -> Result<ClockClaim, ReadFault> {
        let at = |text: &str| instant(text).ok_or(ReadFault::Clock);
        let locked_from = at(&self.locked_from)?;
        let locked_until = self.locked_until.as_deref().map(at).transpose()?;
        let synced_at = self.synced_at.as_deref().map(at).transpose()?;
        let is_sound = is_word(&self.source) && locked_until.is_none_or(|until| locked_from <= until);
        // An offset of more than a day is no offset.
        if !is_sound || self.offset_us.unsigned_abs() > 86_400_000_000 {
            return Err(ReadFault::Clock);
        }
        let (source, offset_us, uncertainty_us) = (self.source, self.offset_us, self.uncertainty_us);
        Ok(ClockClaim { source, locked_from, locked_until, offset_us, uncertainty_us, synced_at })
    }
}

impl RawRead {
    fn read(self) -> Result<PushedRead, ReadFault> {
        if !is_word(&self.id) {
            return Err(ReadFault::Id);
        }
        if !is_word(&self.camera) {
            return Err(ReadFault::Camera);
        }
        let sure = |odds: f64| confidence(odds).ok_or(ReadFault::Confidence);
        if self.countries.len() > COUNTRIES_MAX {
            return Err(ReadFault::Country);
        }
        let country =
            |raw: &RawCountry| Ok((Country::parse(&raw.sign).ok_or(ReadFault::Country)?, sure(raw.confidence)?));
        let direction = match self.direction {
            Some(Direction::Approaching) => "approaching",
            Some(Direction::Leaving) => "leaving",
            Some(Direction::Unknown) | None => "unknown",
        };
        let model = self.model.unwrap_or_default();
        if !model.is_empty() && !is_word(&model) {
            return Err(ReadFault::Form);
        }
        if self.verification.as_ref().is_some_and(|number| !is_word(number)) {
            return Err(ReadFault::Verification);
        }
        Ok(PushedRead {
            at: instant(&self.at).ok_or(ReadFault::At)?,
            plate: Plate::parse(&self.plate).map_err(|_| ReadFault::Plate)?,
            countries: self.countries.iter().map(country).collect::<Result<_, _>>()?,
            confidence: sure(self.confidence)?,
            corrected: self.corrected,
            direction: direction.to_owned(),
            looks: self.looks.unwrap_or(1),
            model,
            clock: self.clock.map(RawClock::claim).transpose()?,
            second_at: self.second_at.as_deref().map(|at| instant(at).ok_or(ReadFault::Clock)).transpose()?,
            verification: self.verification,
            crop: picture(self.crop.as_ref())?,
            overview: picture(self.overview.as_ref())?,
            id: self.id,
            camera: self.camera,
        })
    }
}

fn one(raw: Value) -> Result<PushedRead, Refused> {
    let id = raw.get("id").and_then(Value::as_str).filter(|id| is_word(id)).map(str::to_owned);
    let read = serde_json::from_value::<RawRead>(raw).map_err(|_| ReadFault::Form).and_then(RawRead::read);
    read.map_err(|fault| Refused { id, fault })
}

/// Reads a batch.
///
/// # Errors
/// [`BatchFault`]: nothing of it is taken. What is wrong with single reads stands in their places.
pub fn parse(body: &[u8]) -> Result<Batch, BatchFault> {
    let raw: RawBatch = serde_json::from_slice(body).map_err(|_| BatchFault::Form)?;
    if raw.v != 1 {
        return Err(BatchFault::Version);
    }
    if raw.reads.len() > READS_MAX || raw.clocks.len() > READS_MAX {
        return Err(BatchFault::TooMany);
    }
    let statement = |raw: Value| {
        let raw: RawStatement = serde_json::from_value(raw).map_err(|_| ReadFault::Form)?;
        if is_word(&raw.camera) { Ok((raw.camera, raw.clock.claim()?)) } else { Err(ReadFault::Camera) }
    };
    let clocks = raw.clocks.into_iter().map(statement).collect();
    Ok(Batch { reads: raw.reads.into_iter().map(one).collect(), clocks })
}
