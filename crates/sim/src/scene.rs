//! A small town with traffic, rendered in software from a seed, with the truth about every passage.
//!
//! One road with four cameras: two gantries of the low-emission zone, one entry of a restricted zone, one overview.
//! Vehicles drive past several of them, and the films of all cameras have one length and one time, so that they can
//! be replayed together in a loop without a seam. Belongs here: drawing and the truth. Does not belong here: encoding,
//! which is the port [`FilmEncoder`].

mod canvas;
mod car;
mod eye;
mod glyph;
mod light;
mod plate;
mod site;
mod street;
mod traffic;

pub use canvas::Frame;
pub use site::SiteKind;
pub use traffic::{FleetRow, LezTruth, TruthRow, VehicleTableError};

use canvas::{Grain, Point, Rgb};
use car::Pose;
use eye::{Eye, Mount};
use light::Light;
use plate::PlateFace;
use site::View;
use traffic::Traffic;

use crate::dice::Dice;
use crate::town::Site;

/// Pixels across of the main film.
pub const WIDTH: usize = 1280;
/// Pixels down of the main film.
pub const HEIGHT: usize = 720;
/// Frames per second.
pub const RATE: u32 = 25;
/// Changes whenever the same settings draw another picture, so that kept films are drawn anew.
pub const VERSION: u32 = 1;

/// What the town is like. Equal settings give equal films and equal truth.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SceneSettings {
    /// Chooses vehicles, plates, times and textures.
    pub seed: u64,
    /// Length of the film, seconds, 20 to 600.
    pub seconds: u32,
    /// By night, with lamps.
    pub night: bool,
    /// Rain and a wet road.
    pub rain: bool,
    /// Passes of softening, 0 to 4: a lens out of focus.
    pub blur: u8,
    /// Degrees by which every camera is turned further from the road's direction.
    pub angle: f32,
    /// Sensor noise, grey levels.
    pub noise: f32,
}

impl Default for SceneSettings {
    fn default() -> Self {
        Self { seed: 1, seconds: 60, night: false, rain: false, blur: 0, angle: 0.0, noise: 1.6 }
    }
}

/// Queues on every lane, for [`Scene::crowded`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crowd {
    /// Metres from a vehicle to the next, 4 to 200; up to half as much more by lot.
    pub gap: f32,
    /// Of a hundred vehicles, how many carry the plate of the one before them but for one character.
    pub twins: u8,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { gap: 14.0, twins: 0 }
    }
}

/// Why a scene cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// A setting is out of its bounds.
    #[error("{field} is out of bounds")]
    Setting {
        /// Which one.
        field: &'static str,
    },
    /// The vehicle table of this crate.
    #[error(transparent)]
    Vehicles(#[from] VehicleTableError),
}

/// Pictures that come one after another.
pub trait FrameSource {
    /// Pictures in the film.
    fn len(&self) -> u32;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Draws picture `index`.
    fn frame(&mut self, index: u32) -> &Frame;
}

/// Takes pictures and makes an Annex B film of them. Implemented where an encoder may be linked.
pub trait FilmEncoder {
    /// Why encoding failed.
    type Error;

    /// Takes the next picture; all have one size.
    ///
    /// # Errors
    /// Whatever the encoder or the disk says.
    fn push(&mut self, frame: &Frame) -> Result<(), Self::Error>;

    /// Ends the film; only after this it is complete on disk.
    ///
    /// # Errors
    /// Whatever the encoder or the disk says.
    fn finish(self) -> Result<(), Self::Error>;
}

/// A planned town.
#[derive(Debug)]
pub struct Scene {
    settings: SceneSettings,
    views: Vec<View>,
    traffic: Traffic,
}

/// The places, turned as the settings say, once these are found good.
fn views_of(settings: &SceneSettings) -> Result<Vec<View>, SceneError> {
    for (field, good) in [
        ("seconds", (20..=600).contains(&settings.seconds)),
        ("blur", settings.blur <= 4),
        ("angle", (-15.0..=15.0).contains(&settings.angle)),
        ("noise", (0.0..=30.0).contains(&settings.noise)),
    ] {
        if !good {
            return Err(SceneError::Setting { field });
        }
    }
    let mut views = site::views(settings.seed);
    for view in &mut views {
        // Turned aside, the camera also hangs further aside, so that it still looks at its read line.
        let turn = settings.angle.to_radians();
        let line = view.lanes.first().map_or(12.0, |lane| lane.line);
        view.mount = Mount { x: view.mount.x - line * turn.tan(), yaw: view.mount.yaw + turn, ..view.mount };
    }
    Ok(views)
}

impl Scene {
    /// Plans streets, vehicles and passages.
    ///
    /// # Errors
    /// [`SceneError::Setting`] names the setting that is out of bounds.
    pub fn new(settings: SceneSettings) -> Result<Self, SceneError> {
        let views = views_of(&settings)?;
        let traffic = traffic::plan(&views, settings.seconds as f32, settings.seed)?;
        Ok(Self { settings, views, traffic })
    }

    /// The same streets under far more traffic than they carry in life, to measure plate readers in little time.
    ///
    /// # Errors
    /// [`SceneError::Setting`] names the setting that is out of bounds.
    pub fn crowded(settings: SceneSettings, crowd: Crowd) -> Result<Self, SceneError> {
        for (field, good) in [("gap", (4.0..=200.0).contains(&crowd.gap)), ("twins", crowd.twins <= 100)] {
            if !good {
                return Err(SceneError::Setting { field });
            }
        }
        let views = views_of(&settings)?;
        let traffic = traffic::crowd(&views, settings.seconds as f32, settings.seed, crowd)?;
        Ok(Self { settings, views, traffic })
    }

    /// The settings.
    pub fn settings(&self) -> &SceneSettings {
        &self.settings
    }

    /// Code, kind and place of each camera, in the simulator's numbering from 1.
    pub fn cameras(&self) -> impl Iterator<Item = (&'static str, SiteKind, Site)> {
        self.views.iter().map(|view| (view.code, view.kind, view.place))
    }

    /// What the registry knows: Belgian vehicles that are registered.
    pub fn fleet(&self) -> Vec<FleetRow> {
        self.traffic.vehicles.iter().filter_map(|v| v.lez.fleet.clone()).collect()
    }

    /// Every passage at cameras that read plates, in order of camera and time.
    pub fn truth(&self) -> Vec<TruthRow> {
        let mut rows = Vec::new();
        for ((view, passages), number) in self.views.iter().zip(&self.traffic.passages).zip(1_u32..) {
            if !traffic::is_read(view.kind) {
                continue;
            }
            let eye = Eye::new(&view.mount, WIDTH, HEIGHT);
            for passage in passages {
                rows.extend(self.truth_of(view, number, &eye, passage));
            }
        }
        rows
    }

    fn truth_of(&self, view: &View, number: u32, eye: &Eye, passage: &traffic::Passage) -> Option<TruthRow> {
        let vehicle = self.traffic.vehicles.get(passage.vehicle)?;
        let lane = view.lanes.get(passage.lane)?;
        let places = car::plate_corners(vehicle.body, lane.approaching, lane.x + passage.off, lane.line);
        let corners: Vec<Point> = places.iter().filter_map(|place| eye.project(*place)).collect();
        let [a, b, c, d] = corners.try_into().ok()?;
        let width = ((b.x - a.x).hypot(b.y - a.y) + (c.x - d.x).hypot(c.y - d.y)) / 2.0;
        let tenth = |value: f32| (f64::from(value) * 10.0).round() / 10.0;
        Some(TruthRow {
            plate: vehicle.canonical(),
            country: vehicle.country.to_owned(),
            camera: view.code.to_owned(),
            camera_number: number,
            t_line: (f64::from(passage.t_line) * 1000.0).round() / 1000.0,
            speed_kmh: tenth(passage.speed * 3.6),
            lane: u32::try_from(passage.lane).unwrap_or(0).saturating_add(1),
            direction: if lane.approaching { "approaching" } else { "receding" }.to_owned(),
            plate_px: tenth(width),
            corners: [a, b, c, d].map(|p| [tenth(p.x), tenth(p.y)]),
            lez: vehicle.lez.clone(),
        })
    }

    /// The film of one camera, numbered from 1, in full size.
    pub fn film(&self, camera: usize) -> Option<CameraFilm<'_>> {
        self.film_shrunk(camera, 1)
    }

    /// The same with `WIDTH / shrink` × `HEIGHT / shrink` pixels, for quick looks. `None` also for a shrink of 0.
    pub fn film_shrunk(&self, camera: usize, shrink: u8) -> Option<CameraFilm<'_>> {
        let index = camera.checked_sub(1)?;
        let (view, passages) = (self.views.get(index)?, self.traffic.passages.get(index)?);
        let divisor = usize::from(shrink);
        let (width, height) = (WIDTH.checked_div(divisor)?, HEIGHT.checked_div(divisor)?);
        let mount = Mount { focal: view.mount.focal / f32::from(shrink), ..view.mount };
        let eye = Eye::new(&mount, width, height);
        let light = Light::new(self.settings.night, self.settings.rain);
        let mut empty = Frame::new(width, height);
        street::paint(&mut empty, &eye, view, &light);
        let faces = passages
            .iter()
            .map(|p| self.traffic.vehicles.get(p.vehicle).map(|v| PlateFace::new(v.country, &v.text)))
            .collect();
        let grain = Grain::new(view.seed);
        Some(CameraFilm { scene: self, view, passages, eye, light, frame: empty.clone(), empty, faces, grain })
    }
}

/// Draws the pictures of one camera.
#[derive(Debug)]
pub struct CameraFilm<'a> {
    scene: &'a Scene,
    view: &'a View,
    passages: &'a [traffic::Passage],
    eye: Eye,
    light: Light,
    empty: Frame,
    frame: Frame,
    faces: Vec<Option<PlateFace>>,
    grain: Grain,
}

/// Vehicles further away than this are not drawn, metres.
const DRAW_FAR: f32 = 230.0;
/// The shutter is open for this long, seconds.
const EXPOSURE: f32 = 1.0 / 250.0;

impl FrameSource for CameraFilm<'_> {
    fn len(&self) -> u32 {
        self.scene.settings.seconds.saturating_mul(RATE)
    }

    fn frame(&mut self, index: u32) -> &Frame {
        // Taken out for the time of drawing, since the poses borrow the rest.
        let mut frame = std::mem::replace(&mut self.frame, Frame::new(0, 0));
        frame.copy_from(&self.empty);
        let mut poses = self.poses(index as f32 / RATE as f32);
        poses.sort_by(|a, b| b.near_end.total_cmp(&a.near_end));
        for pose in &poses {
            car::draw(&mut frame, &self.eye, &self.light, pose);
        }
        let settings = &self.scene.settings;
        if settings.rain {
            rain(&mut frame, settings.night, self.view.seed ^ u64::from(index));
        }
        frame.soften(settings.blur);
        if settings.noise > 0.0 {
            let night = if settings.night { 2.2 } else { 1.0 };
            frame.add_noise(&self.grain, self.view.seed ^ u64::from(index), settings.noise * night);
        }
        self.frame = frame;
        &self.frame
    }
}

impl CameraFilm<'_> {
    fn poses(&self, time: f32) -> Vec<Pose<'_>> {
        let seconds = self.scene.settings.seconds as f32;
        let mut poses = Vec::new();
        for (passage, face) in self.passages.iter().zip(&self.faces) {
            let vehicle = self.scene.traffic.vehicles.get(passage.vehicle);
            let (Some(vehicle), Some(lane), Some(plate)) = (vehicle, self.view.lanes.get(passage.lane), face) else {
                continue;
            };
            // Seconds since the plate was at the line, on the loop: from minus half to half its length.
            let since = (time - passage.t_line + seconds / 2.0).rem_euclid(seconds) - seconds / 2.0;
            let ahead = if lane.approaching { -passage.speed } else { passage.speed };
            let near_end = lane.line + since * ahead;
            if near_end > DRAW_FAR || near_end + vehicle.body.length() < 1.0 {
                continue;
            }
            poses.push(Pose {
                body: vehicle.body,
                colour: vehicle.colour,
                x: lane.x + passage.off,
                near_end,
                approaching: lane.approaching,
                smear: ahead * EXPOSURE,
                plate,
            });
        }
        poses
    }
}

/// Falling streaks, other ones in every picture.
fn rain(frame: &mut Frame, night: bool, seed: u64) {
    let mut dice = Dice::new(seed ^ 0x4a1);
    let colour = if night { Rgb(120.0, 124.0, 134.0) } else { Rgb(216.0, 220.0, 226.0) };
    for _ in 0..260 {
        let from = Point { x: dice.between(-20.0, WIDTH as f32), y: dice.between(-40.0, HEIGHT as f32) };
        let length = dice.between(10.0, 46.0);
        let to = Point { x: from.x + length * 0.12, y: from.y + length };
        frame.streak(from, to, colour, dice.between(0.10, 0.34));
    }
}
