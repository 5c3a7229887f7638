//! Day, night, rain and haze: what they do to colours.

use super::canvas::Rgb;
use super::eye::Vec3;
use super::site::View;
use super::street::LAMP_STEP;
use crate::dice::{hash01, noise2};

/// The light of one scene.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Light {
    night: bool,
    rain: bool,
}

impl Light {
    pub(super) fn new(night: bool, rain: bool) -> Self {
        Self { night, rain }
    }

    pub(super) fn is_night(&self) -> bool {
        self.night
    }

    fn haze(&self) -> Rgb {
        match (self.night, self.rain) {
            (false, false) => Rgb(196.0, 206.0, 216.0),
            (false, true) => Rgb(164.0, 170.0, 176.0),
            (true, _) => Rgb(26.0, 26.0, 34.0),
        }
    }

    /// A colour seen through `distance` metres of air.
    pub(super) fn hazed(&self, colour: Rgb, distance: f32) -> Rgb {
        let length = if self.rain { 150.0 } else { 520.0 };
        colour.mixed(self.haze(), 1.0 - (-distance / length).exp())
    }

    /// Daylight on anything, or what is left of it.
    fn ambient(&self) -> Rgb {
        match (self.night, self.rain) {
            (false, false) => Rgb(1.0, 0.99, 0.96),
            (false, true) => Rgb(0.74, 0.76, 0.79),
            (true, _) => Rgb(0.10, 0.11, 0.15),
        }
    }

    /// Light of the street lamps at a place on or near the ground.
    fn lamps(&self, at: Vec3, lamp_x: f32) -> Rgb {
        if !self.night {
            return Rgb(0.0, 0.0, 0.0);
        }
        let along = (at.z - 14.0 + LAMP_STEP / 2.0).rem_euclid(LAMP_STEP) - LAMP_STEP / 2.0;
        let across = at.x - lamp_x;
        let near = 1.0 / (1.0 + (along * along + across * across) / 26.0);
        Rgb(0.52, 0.42, 0.28).times(near)
    }

    pub(super) fn ground(&self, at: Vec3, view: &View) -> Rgb {
        self.ambient().plus(self.lamps(at, view.road_left + 1.1))
    }

    pub(super) fn facade(&self, at: Vec3, view: &View) -> Rgb {
        self.ground(at, view).times(if at.y > 6.0 { 0.8 } else { 1.0 })
    }

    /// Light on something that stands or drives at a place.
    pub(super) fn object(&self, at: Vec3) -> Rgb {
        self.ambient().plus(self.lamps(at, -2.0).times(0.9))
    }

    /// Light on a plate: reflecting foil shines back at an infra-red or lamp-lit camera.
    pub(super) fn plate(&self) -> Rgb {
        match (self.night, self.rain) {
            (false, false) => Rgb(0.97, 0.97, 0.95),
            (false, true) => Rgb(0.80, 0.81, 0.83),
            (true, _) => Rgb(0.86, 0.85, 0.82),
        }
    }

    /// Rain on the road: darker, and the flatter the look the more sky in it.
    pub(super) fn wet(&self, colour: Rgb, ray: Vec3) -> Rgb {
        if !self.rain {
            return colour;
        }
        let flat = 1.0 - (ray.y.abs() / (ray.x * ray.x + ray.y * ray.y + ray.z * ray.z).sqrt()).min(1.0);
        colour.times(0.72).mixed(self.haze(), 0.45 * flat * flat * flat)
    }

    pub(super) fn sky(&self, ray: Vec3, seed: u64) -> Rgb {
        let up = (ray.y / ray.z.max(0.01)).clamp(0.0, 1.0);
        let zenith = if self.night { Rgb(10.0, 11.0, 20.0) } else { Rgb(112.0, 148.0, 196.0) };
        let clear = self.haze().mixed(zenith, (up * 2.2).min(1.0));
        let cloud = 0.6 * noise2(ray.x / (up + 0.12), 1.0 / (up + 0.12), seed)
            + 0.4 * noise2(ray.x * 3.0 / (up + 0.12), 3.0 / (up + 0.12), seed ^ 1);
        let white = if self.night { Rgb(24.0, 24.0, 30.0) } else { Rgb(226.0, 228.0, 230.0) };
        clear.mixed(white, ((cloud - 0.4) * 2.0).clamp(0.0, if self.rain { 1.0 } else { 0.8 }))
    }

    /// The colour of a lit window at night.
    pub(super) fn window(&self, pane: u64) -> Option<Rgb> {
        let lit = self.night && hash01(pane ^ 0x11a) > 0.68;
        lit.then(|| Rgb(216.0, 170.0, 96.0).times(0.5 + 0.5 * hash01(pane ^ 0x11b)))
    }
}
