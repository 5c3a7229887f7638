//! Plates by the names of ONVIF Profile M (Analytics Service Specification 26.06, metadata in 5.5, `RuleEngine/Recognition/LicensePlate`;
//! Core Specification for events in JSON): what a camera says of a passage, in XML or JSON, as metadata of a picture or as an event.
//!
//! `UtcTime` is UTC whether a zone stands there or not. A likelihood that is not stated is 0: who does not say that it is sure is not. What
//! ONVIF has no name for (the clock's state, the verification) is not made up: such a read carries neither.

use vms_core::{Confidence, Country, Plate, WallTime};

use crate::batch::ReadFault;
use crate::{onvif_json, onvif_xml};

/// Plates of one message at most.
pub const PLATES_MAX: usize = 200;

/// Which of the two things a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What analytics sees in a picture.
    Metadata,
    /// A rule that fired.
    Event,
}

/// Why nothing of a message is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnvifFault {
    /// Neither XML nor JSON, or not well formed.
    #[error("neither XML nor JSON that reads")]
    Form,
    /// Too deep, or more than [`PLATES_MAX`].
    #[error("too deep, or too many plates")]
    TooMuch,
}

/// One plate. `Debug` hides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnvifPlate {
    /// `ObjectId`, where there is one.
    pub object: Option<String>,
    /// `UtcTime`.
    pub at: WallTime,
    /// `PlateNumber`.
    pub plate: Plate,
    /// Its likelihood.
    pub confidence: Confidence,
    /// `CountryCode` as a sign, with its likelihood.
    pub country: Option<(Country, Confidence)>,
}

/// A plate as the texts that stand there.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawPlate {
    pub(crate) object: Option<String>,
    pub(crate) at: Option<String>,
    pub(crate) number: Option<String>,
    pub(crate) number_odds: Option<f64>,
    pub(crate) country: Option<String>,
    pub(crate) country_odds: Option<f64>,
}

impl RawPlate {
    pub(crate) fn read(self) -> Result<OnvifPlate, ReadFault> {
        let odds = |odds: Option<f64>| {
            odds.map_or(Ok(Confidence::from_millionths(0)), |odds| {
                crate::batch::confidence(odds).ok_or(ReadFault::Confidence)
            })
        };
        let number = self.number.ok_or(ReadFault::Plate)?;
        let country = self.country.as_deref().and_then(|code| crate::country::sign(code.trim()));
        Ok(OnvifPlate {
            object: self.object.filter(|id| !id.is_empty() && id.len() <= crate::batch::WORD_MAX),
            at: self.at.as_deref().and_then(utc).ok_or(ReadFault::At)?,
            plate: Plate::parse(number.trim()).map_err(|_| ReadFault::Plate)?,
            confidence: odds(self.number_odds)?,
            country: country.map(|sign| Ok((sign, odds(self.country_odds)?))).transpose()?,
        })
    }
}

/// `xs:dateTime`; without a zone it is UTC.
fn utc(text: &str) -> Option<WallTime> {
    let text = Some(text.trim()).filter(|text| text.len() <= crate::batch::WORD_MAX)?;
    crate::batch::instant(text).or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        let at = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(WallTime::from_micros(at.timestamp().as_microsecond()))
    })
}

/// Plates of a message, each good or bad for itself; none in a message that is about something else.
pub type Plates = Vec<Result<OnvifPlate, ReadFault>>;

/// Reads a message. XML says itself what it is; JSON is told by its topic, or by its shape.
///
/// # Errors
/// [`OnvifFault`].
pub fn parse(body: &[u8], kind: Option<Kind>) -> Result<Plates, OnvifFault> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace() && **byte != 0xef && **byte != 0xbb && **byte != 0xbf) {
        Some(b'<') => onvif_xml::parse(body),
        Some(b'{') => onvif_json::parse(body, kind),
        _ => Err(OnvifFault::Form),
    }
}

/// Camera and kind of an MQTT topic: `…/CAMERA/onvif-mj/VideoAnalytics/…` or `…/CAMERA/onvif-ej/RuleEngine/Recognition/LicensePlate/…`,
/// the last part of the camera's `TopicPrefix` being its code here. `None` for a topic about something else.
pub fn topic(text: &str) -> Option<(&str, Kind)> {
    for (mark, about, kind) in [
        ("/onvif-mj/", "VideoAnalytics", Kind::Metadata),
        ("/onvif-ej/", "RuleEngine/Recognition/LicensePlate", Kind::Event),
    ] {
        if let Some((prefix, rest)) = text.split_once(mark) {
            let is_about = rest.strip_prefix(about).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            let camera = prefix.rsplit('/').next().filter(|code| !code.is_empty() && code.len() <= 64);
            return camera.filter(|_| is_about).map(|camera| (camera, kind));
        }
    }
    None
}
