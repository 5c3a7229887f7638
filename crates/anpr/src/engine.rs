//! The two models together: pictures in, plates with readings out.

use std::path::Path;

use crate::ctc::Reading;
use crate::detect::{self, Ask, Detection, Detector};
use crate::frame::Frame;
use crate::fuse::{self, Calibration, Fused, Look};
use crate::grammar::Grammar;
use crate::model::{self, Kind, Model, ModelError, Runtime};
use crate::recognise::Recogniser;
use crate::rectify::Quad;
use vms_core::{MonoTime, WallTime};

/// Input of the detector, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputSize {
    /// Multiple of 32.
    pub width: usize,
    /// Multiple of 32.
    pub height: usize,
}

impl InputSize {
    /// For cameras that see a street: plates from about 45 pixels in 1280.
    pub const NORMAL: Self = Self { width: 640, height: 384 };
    /// For cameras whose purpose is plates far away. Near plates (over about 200 pixels of this input) are taken from a
    /// second look in the normal size, so the work is that of both.
    pub const FINE: Self = Self { width: 1280, height: 736 };

    /// Rounded up to multiples of 32, which the detector's strides need.
    #[must_use]
    pub fn rounded(self) -> Self {
        let round = |v: usize| v.max(32).div_ceil(32) * 32;
        Self { width: round(self.width), height: round(self.height) }
    }
}

/// One plate in one picture.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where.
    pub detection: Detection,
    /// What it may say.
    pub reading: Reading,
    /// Part of it may lie outside the picture.
    pub cut_off: bool,
}

impl Seen {
    /// As a look at a moment.
    pub fn look(&self, mono: MonoTime, at: WallTime) -> Look {
        let Detection { score, quad, .. } = self.detection;
        Look { mono, at, score, quad, reading: self.reading.clone(), cut_off: self.cut_off }
    }
}

/// Detector, reader and formats.
#[derive(Debug)]
pub struct Engine {
    detector: Detector,
    recogniser: Recogniser,
    grammar: Grammar,
    calibration: Calibration,
}

impl Engine {
    /// Opens `plate-detector` and `plate-reader` under `models`.
    ///
    /// # Errors
    /// [`ModelError`] of the first model that is wrong.
    pub fn open(runtime: &Runtime, models: &Path, size: InputSize) -> Result<Self, ModelError> {
        let detector = Model::open(runtime, &models.join(model::DETECTOR), Kind::Detector)?;
        let recogniser = Recogniser::new(Model::open(runtime, &models.join(model::READER), Kind::Reader)?);
        let calibration = Calibration::new(recogniser.card().calibration.clone());
        let detector = Detector::new(detector, size);
        Ok(Self { detector, recogniser, grammar: Grammar::built_in(), calibration })
    }

    /// Names and versions of both models.
    pub fn label(&self) -> String {
        format!("{}, {}", self.detector.label(), self.recogniser.card().label())
    }

    /// Confidence from which reads are right in 99.5 % of cases, where it was measured.
    pub fn threshold(&self) -> Option<f64> {
        self.recogniser.card().confidence_threshold
    }

    /// The formats in use.
    pub const fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// Plates of each picture.
    ///
    /// # Errors
    /// [`ModelError::Runtime`].
    pub fn detect(&mut self, asks: &[Ask<'_>]) -> Result<Vec<Vec<Detection>>, ModelError> {
        self.detector.run(asks)
    }

    /// Readings of plates.
    ///
    /// # Errors
    /// [`ModelError::Runtime`].
    pub fn read(&mut self, plates: &[(&Frame, Quad)]) -> Result<Vec<Reading>, ModelError> {
        self.recogniser.run(plates)
    }

    /// Both: plates of each picture with their readings.
    ///
    /// # Errors
    /// [`ModelError::Runtime`].
    pub fn look(&mut self, asks: &[Ask<'_>]) -> Result<Vec<Vec<Seen>>, ModelError> {
        let found = self.detect(asks)?;
        let plates: Vec<(&Frame, Quad)> =
            asks.iter().zip(&found).flat_map(|(ask, all)| all.iter().map(|d| (ask.frame, d.quad))).collect();
        let mut readings = self.read(&plates)?.into_iter();
        let seen = |(ask, all): (&Ask<'_>, Vec<Detection>)| {
            all.into_iter()
                .map(|detection| Seen {
                    detection,
                    reading: readings.next().unwrap_or_default(),
                    cut_off: detect::touches_edge(ask.frame, &detection.bounds),
                })
                .collect()
        };
        Ok(asks.iter().zip(found).map(seen).collect())
    }

    /// Looks at one plate as one read.
    pub fn fuse(&self, looks: &[Look]) -> Option<Fused> {
        fuse::fuse(looks, &self.grammar, &self.calibration)
    }

    /// A picture that is one plate and little else: found on a grey ground if it can be, else taken as it is.
    ///
    /// # Errors
    /// [`ModelError::Runtime`].
    pub fn read_crop(&mut self, frame: &Frame) -> Result<Reading, ModelError> {
        let width = crate::num::real(frame.width());
        let whole = crate::letterbox::Region::whole(frame);
        let ask = Ask { frame, region: whole, scale_max: CROP_WIDTH / width, size: None };
        let found = self.detect(&[ask])?.into_iter().flatten().next();
        let covers = |d: &Detection| d.bounds[2] - d.bounds[0] > 0.5 * width;
        let whole = detect::quad_of(&[0.0, 0.0, width, whole.h]);
        let quad = found.filter(covers).map_or(whole, |d| d.quad);
        Ok(self.read(&[(frame, quad)])?.into_iter().next().unwrap_or_default())
    }
}

/// Width at which a picture of a plate alone is shown to the detector, pixels of its input.
const CROP_WIDTH: f32 = 200.0;
