//! The two models together: pictures in, plates with readings out.

use std::path::Path;

use crate::ctc::Reading;
use crate::detect::{self, Ask, Detection, Detector};
use crate::frame::Frame;
use crate::fuse::{self, Calibration, Fused, Look};
use crate::grammar::Grammar;
use crate::letterbox::Region;
use crate::model::{self, Kind, Model, ModelError, Runtime};
use crate::motion::Glance;
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
    /// What it may say; absent when it was not read, because its track knows enough (see [`crate::track`]).
    pub reading: Option<Reading>,
    /// Part of it may lie outside the picture.
    pub cut_off: bool,
}

impl Seen {
    /// As a look at a moment, if it was read.
    pub fn look(&self, mono: MonoTime, at: WallTime) -> Option<Look> {
        let Detection { score, quad, .. } = self.detection;
        let reading = self.reading.clone()?;
        Some(Look { mono, at, score, quad, reading, cut_off: self.cut_off })
    }
}

/// One picture, and what of it is looked at.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The picture.
    pub frame: &'a Frame,
    /// Its parts; results of all of them are put together.
    pub asks: Vec<Ask<'a>>,
}

impl<'a> View<'a> {
    /// The whole picture in the detector's own input.
    pub fn whole(frame: &'a Frame) -> Self {
        Self { frame, asks: vec![Ask::whole(frame)] }
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

    /// The detector's own input.
    pub const fn size(&self) -> InputSize {
        self.detector.size()
    }

    /// What of a picture the detector is shown: of `whole` (all of it, or the camera's own region) what `glance` says, in
    /// `size` or its own. The fine input, which is two looks in one, always gets all of it.
    pub fn view<'a>(&self, frame: &'a Frame, glance: &Glance, whole: Region, size: Option<InputSize>) -> View<'a> {
        let asks = match glance {
            Glance::Parts(parts) if size.unwrap_or(self.size()) == InputSize::NORMAL => {
                let part = |part: &Region| Some(Ask::part(frame, part.within(whole)?, whole, InputSize::NORMAL));
                parts.iter().filter_map(part).collect()
            }
            Glance::Parts(_) | Glance::Whole => {
                vec![Ask { frame, region: whole, scale_max: detect::ENLARGE_MAX, size }]
            }
        };
        View { frame, asks }
    }

    /// The formats in use.
    pub const fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// Readings of plates.
    ///
    /// # Errors
    /// [`ModelError::Runtime`].
    pub fn read(&mut self, plates: &[(&Frame, Quad)]) -> Result<Vec<Reading>, ModelError> {
        self.recogniser.run(plates)
    }

    /// Plates of each picture, the parts of it put together.
    ///
    /// # Errors
    /// [`ModelError::Runtime`].
    pub fn find(&mut self, views: &[View<'_>]) -> Result<Vec<Vec<Detection>>, ModelError> {
        let asks: Vec<Ask<'_>> = views.iter().flat_map(|view| &view.asks).copied().collect();
        let mut found = self.detector.run(&asks)?.into_iter();
        Ok(views.iter().map(|view| detect::merged(found.by_ref().take(view.asks.len()).collect())).collect())
    }

    /// Both: plates of each picture, and readings of those that are `wanted` (picture by its number, plate).
    ///
    /// # Errors
    /// [`ModelError::Runtime`].
    pub fn look(
        &mut self,
        views: &[View<'_>],
        wanted: impl Fn(usize, &Detection) -> bool,
    ) -> Result<Vec<Vec<Seen>>, ModelError> {
        let found = self.find(views)?;
        self.read_wanted(views, found, wanted)
    }

    /// Reads what was found and is `wanted`.
    ///
    /// # Errors
    /// [`ModelError::Runtime`].
    pub fn read_wanted(
        &mut self,
        views: &[View<'_>],
        found: Vec<Vec<Detection>>,
        wanted: impl Fn(usize, &Detection) -> bool,
    ) -> Result<Vec<Vec<Seen>>, ModelError> {
        let mut seen: Vec<Vec<Seen>> = Vec::with_capacity(found.len());
        let mut plates: Vec<(&Frame, Quad)> = Vec::new();
        let mut places = Vec::new();
        for (picture, (view, all)) in views.iter().zip(found).enumerate() {
            let mut row = Vec::with_capacity(all.len());
            for (place, detection) in all.into_iter().enumerate() {
                if wanted(picture, &detection) {
                    plates.push((view.frame, detection.quad));
                    places.push((picture, place));
                }
                let cut_off = detect::touches_edge(view.frame, &detection.bounds);
                row.push(Seen { detection, reading: None, cut_off });
            }
            seen.push(row);
        }
        for ((picture, place), reading) in places.into_iter().zip(self.read(&plates)?) {
            if let Some(plate) = seen.get_mut(picture).and_then(|row| row.get_mut(place)) {
                plate.reading = Some(reading);
            }
        }
        Ok(seen)
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
        let whole = Region::whole(frame);
        let ask = Ask { frame, region: whole, scale_max: CROP_WIDTH / width, size: None };
        let found = self.detector.run(&[ask])?.into_iter().flatten().next();
        let covers = |d: &Detection| d.bounds[2] - d.bounds[0] > 0.5 * width;
        let whole = detect::quad_of(&[0.0, 0.0, width, whole.h]);
        let quad = found.filter(covers).map_or(whole, |d| d.quad);
        Ok(self.read(&[(frame, quad)])?.into_iter().next().unwrap_or_default())
    }
}

/// Width at which a picture of a plate alone is shown to the detector, pixels of its input.
const CROP_WIDTH: f32 = 200.0;
