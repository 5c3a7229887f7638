//! The four places of the town: what each camera looks at.

use super::eye::Mount;
use crate::town::Site;

/// What a camera is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// Gantry of the low-emission zone.
    Lez,
    /// Entry of a zone with restricted access.
    Zbt,
    /// Overview; plates are too small to read.
    Overview,
}

impl SiteKind {
    /// The word in the camera list.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lez => "lez",
            Self::Zbt => "zbt",
            Self::Overview => "overview",
        }
    }
}

/// One traffic lane of a view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lane {
    /// Middle of the lane, metres right of the road's middle.
    pub(super) x: f32,
    /// Towards the camera; else away from it.
    pub(super) approaching: bool,
    /// Distance of the read line from the camera, metres.
    pub(super) line: f32,
}

/// A camera and its stretch of street.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) place: Site,
    pub(super) code: &'static str,
    pub(super) kind: SiteKind,
    pub(super) mount: Mount,
    pub(super) lanes: Vec<Lane>,
    pub(super) road_left: f32,
    pub(super) road_right: f32,
    /// Distance of the zebra crossing, metres.
    pub(super) zebra: f32,
    /// Metres along the inbound road from the first camera.
    pub(super) along: f32,
    /// Usual speed here, metres per second.
    pub(super) speed: f32,
    pub(super) seed: u64,
}

/// The road into town: first gantry, overview, second gantry, restricted zone.
pub(super) fn views(seed: u64) -> Vec<View> {
    let lane = |x, approaching, line| Lane { x, approaching, line };
    let place = |code, name_nl, name_fr, owner, lat, lon| Site { code, name_nl, name_fr, owner, lat, lon };
    vec![
        View {
            place: place("R-KKL", "Keizer Karellaan", "Avenue Charles-Quint", "5340", 50.8655, 4.2930),
            code: "LEZ-R-KKL-A01-IN",
            kind: SiteKind::Lez,
            mount: Mount { x: -3.0, height: 3.7, yaw: 0.0, pitch: 0.152, roll: 0.0, focal: 2350.0 },
            lanes: vec![lane(-4.7, true, 12.0), lane(-1.5, true, 12.0), lane(1.9, false, 21.0)],
            road_left: -6.6,
            road_right: 3.9,
            zebra: 46.0,
            along: 0.0,
            speed: 13.2,
            seed: seed ^ 0xa1,
        },
        View {
            place: place("T-ANC-W", "Annie Cordytunnel west", "Tunnel Annie Cordy ouest", "5340", 50.8664, 4.3150),
            code: "LEZ-T-ANC-W-A02-IN",
            kind: SiteKind::Lez,
            mount: Mount { x: 1.2, height: 4.1, yaw: -0.15, pitch: 0.158, roll: 0.02, focal: 2700.0 },
            lanes: vec![lane(-1.75, true, 14.5), lane(1.75, false, 17.0)],
            road_left: -3.8,
            road_right: 3.8,
            zebra: 60.0,
            along: 330.0,
            speed: 12.0,
            seed: seed ^ 0xa2,
        },
        View {
            place: place(
                "Z-XL-N",
                "Elsensesteenweg Naamsepoort",
                "Chaussée d'Ixelles Porte de Namur",
                "5339",
                50.8385,
                4.3620,
            ),
            code: "ZBT-Z-XL-N-A03-IN",
            kind: SiteKind::Zbt,
            mount: Mount { x: -1.0, height: 2.9, yaw: 0.02, pitch: 0.155, roll: -0.015, focal: 3400.0 },
            lanes: vec![lane(-1.6, true, 11.5), lane(1.6, false, 19.0)],
            road_left: -3.3,
            road_right: 3.3,
            zebra: 36.0,
            along: 520.0,
            speed: 7.8,
            seed: seed ^ 0xa3,
        },
        View {
            place: place("S-SIMONIS", "Simonis", "Simonis", "5340", 50.863645, 4.328980),
            code: "S-SIMONIS-V04",
            kind: SiteKind::Overview,
            mount: Mount { x: 5.2, height: 7.4, yaw: -0.16, pitch: 0.12, roll: 0.0, focal: 900.0 },
            lanes: vec![lane(-4.7, true, 25.0), lane(-1.5, true, 25.0), lane(1.9, false, 25.0)],
            road_left: -6.6,
            road_right: 3.9,
            zebra: 30.0,
            along: 160.0,
            speed: 12.6,
            seed: seed ^ 0xa4,
        },
    ]
}
