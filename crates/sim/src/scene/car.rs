//! Vehicles: simple bodies with glass, lamps, grille, wheels and a plate, drawn face by face.

use super::canvas::{Frame, Paint, Point, Rgb};
use super::eye::{Eye, Vec3, vec3};
use super::light::Light;
use super::plate::{HEIGHT_M, PlateFace, WIDTH_M};

/// The shape of a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Hatchback,
    Estate,
    Van,
    Lorry,
}

/// What covers the strip between two points of the outline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skin {
    Metal,
    Glass,
    Box,
}

/// A point of the side view: metres behind the front, above the road, half the width there; and what follows it.
type Outline = (f32, f32, f32, Skin);

struct Shape {
    length: f32,
    outline: &'static [Outline],
    /// Glass at the sides begins at this height.
    belt: f32,
    wheel: f32,
    /// Height of the middle of the plate, front and rear.
    plate: (f32, f32),
    /// Heights of lamps, front and rear.
    lamp: (f32, f32),
}

use Skin::{Box as Boxed, Glass, Metal};

const HATCHBACK: Shape = Shape {
    length: 4.1,
    outline: &[
        (0.0, 0.20, 0.84, Metal),
        (0.0, 0.60, 0.88, Metal),
        (0.10, 0.74, 0.87, Metal),
        (0.95, 0.97, 0.82, Glass),
        (1.80, 1.42, 0.60, Metal),
        (3.15, 1.46, 0.58, Glass),
        (3.92, 1.02, 0.72, Metal),
        (4.08, 0.86, 0.86, Metal),
        (4.10, 0.28, 0.86, Metal),
    ],
    belt: 0.97,
    wheel: 0.31,
    plate: (0.44, 0.74),
    lamp: (0.66, 0.88),
};

const ESTATE: Shape = Shape {
    length: 4.6,
    outline: &[
        (0.0, 0.24, 0.88, Metal),
        (0.0, 0.72, 0.92, Metal),
        (0.12, 0.88, 0.91, Metal),
        (1.05, 1.08, 0.86, Glass),
        (1.85, 1.60, 0.66, Metal),
        (4.15, 1.62, 0.64, Glass),
        (4.48, 1.12, 0.78, Metal),
        (4.58, 0.98, 0.90, Metal),
        (4.60, 0.34, 0.90, Metal),
    ],
    belt: 1.08,
    wheel: 0.34,
    plate: (0.48, 0.82),
    lamp: (0.79, 1.02),
};

const VAN: Shape = Shape {
    length: 5.2,
    outline: &[
        (0.0, 0.26, 0.92, Metal),
        (0.0, 0.80, 0.96, Metal),
        (0.10, 1.02, 0.96, Metal),
        (0.75, 1.28, 0.94, Glass),
        (1.35, 2.06, 0.82, Metal),
        (1.75, 2.22, 0.84, Metal),
        (5.18, 2.24, 0.86, Boxed),
        (5.20, 0.40, 0.96, Metal),
    ],
    belt: 1.28,
    wheel: 0.34,
    plate: (0.50, 0.72),
    lamp: (0.90, 1.05),
};

const LORRY: Shape = Shape {
    length: 7.6,
    outline: &[
        (0.0, 0.34, 1.14, Metal),
        (0.0, 1.15, 1.18, Metal),
        (0.03, 1.35, 1.16, Glass),
        (0.22, 2.45, 1.12, Metal),
        (0.45, 2.70, 1.10, Metal),
        (1.75, 2.72, 1.18, Boxed),
        (1.76, 3.30, 1.20, Boxed),
        (7.58, 3.30, 1.20, Boxed),
        (7.60, 0.70, 1.20, Metal),
    ],
    belt: 1.45,
    wheel: 0.46,
    plate: (0.55, 0.85),
    lamp: (0.72, 0.80),
};

impl Body {
    fn shape(self) -> &'static Shape {
        match self {
            Self::Hatchback => &HATCHBACK,
            Self::Estate => &ESTATE,
            Self::Van => &VAN,
            Self::Lorry => &LORRY,
        }
    }

    /// Metres from front to rear.
    pub(super) fn length(self) -> f32 {
        self.shape().length
    }

    /// Height of the middle of the plate that faces the camera, metres.
    pub(super) fn plate_height(self, approaching: bool) -> f32 {
        let (front, rear) = self.shape().plate;
        if approaching { front } else { rear }
    }
}

/// A vehicle at one moment.
#[derive(Debug)]
pub(super) struct Pose<'a> {
    pub(super) body: Body,
    pub(super) colour: Rgb,
    /// Middle of the vehicle, metres right of the road's middle.
    pub(super) x: f32,
    /// Distance of the end that faces the camera, metres.
    pub(super) near_end: f32,
    pub(super) approaching: bool,
    /// Metres by which `near_end` changes in the exposure time.
    pub(super) smear: f32,
    pub(super) plate: &'a PlateFace,
}

/// Draws one vehicle; far ones must be drawn before near ones.
pub(super) fn draw(frame: &mut Frame, eye: &Eye, light: &Light, pose: &Pose<'_>) {
    let brush = &mut Brush { frame, eye, light, pose, shape: pose.body.shape() };
    brush.shadow();
    brush.tyres();
    brush.sides();
    brush.strips();
    match pose.approaching {
        true => brush.face(),
        false => brush.back(),
    }
    brush.plate();
    brush.lamps_at_night();
}

struct Brush<'a, 'b> {
    frame: &'a mut Frame,
    eye: &'a Eye,
    light: &'a Light,
    pose: &'a Pose<'b>,
    shape: &'static Shape,
}

impl Brush<'_, '_> {
    /// From the vehicle's own measures to the street: `across` to the right as seen, `behind` the front.
    fn place(&self, across: f32, height: f32, behind: f32) -> Vec3 {
        let from_near = if self.pose.approaching { behind } else { self.shape.length - behind };
        vec3(self.pose.x + across, height, self.pose.near_end + from_near)
    }

    fn lit(&self, colour: Rgb, shade: f32) -> Rgb {
        let at = vec3(self.pose.x, 0.5, self.pose.near_end);
        self.light.hazed(colour.times(shade).tinted(self.light.object(at)), at.z.max(0.0))
    }

    /// A polygon with a colour that fades downwards.
    fn polygon(&mut self, places: &[Vec3], upper: Rgb, lower: Rgb) {
        let points = self.eye.polygon(places);
        let (top, bottom) = points.iter().fold((f32::MAX, f32::MIN), |(t, b), p| (t.min(p.y), b.max(p.y)));
        self.frame.fill(&points, Paint::Vertical { top, from: upper, bottom, to: lower }, 1.0);
    }

    /// Whether a polygon given clockwise as seen from outside faces the camera.
    fn faces(&self, places: &[Vec3]) -> bool {
        let points = self.eye.polygon(places);
        let area: f32 = points.iter().zip(points.iter().cycle().skip(1)).map(|(a, b)| a.x * b.y - b.x * a.y).sum();
        area > 0.0
    }

    fn shadow(&mut self) {
        for (grow, alpha) in [(0.35, 0.16), (0.18, 0.22), (0.02, 0.34)] {
            let (side, end) = (0.86 + grow, self.shape.length + grow);
            let corners = [
                self.place(-side, 0.0, -grow),
                self.place(side, 0.0, -grow),
                self.place(side, 0.0, end),
                self.place(-side, 0.0, end),
            ];
            let points = self.eye.polygon(&corners);
            self.frame.fill(&points, Paint::Flat(Rgb(12.0, 12.0, 14.0)), alpha);
        }
    }

    /// Dark wheels under the near end, and round ones at the visible side.
    fn tyres(&mut self) {
        let rubber = self.lit(Rgb(26.0, 26.0, 28.0), 1.0);
        let (wheel, length) = (self.shape.wheel, self.shape.length);
        let behind = if self.pose.approaching { wheel + 0.25 } else { length - wheel - 0.25 };
        for side in [-1.0, 1.0] {
            let (inner, outer) = (0.58 * side, 0.80 * side);
            let tyre = [
                self.place(inner, 0.0, behind),
                self.place(outer, 0.0, behind),
                self.place(outer, wheel * 1.6, behind),
                self.place(inner, wheel * 1.6, behind),
            ];
            self.polygon(&tyre, rubber, rubber.times(0.7));
        }
    }

    fn sides(&mut self) {
        // Only the side towards the camera can be seen.
        let side = if self.eye.at.x < self.pose.x { -1.0 } else { 1.0 };
        let body: Vec<Vec3> = self.outline_up_to(side, self.shape.belt);
        let (upper, lower) = (self.lit(self.pose.colour, 0.80), self.lit(self.pose.colour, 0.52));
        self.polygon(&body, upper, lower);
        let cabin: Vec<Vec3> = self
            .shape
            .outline
            .iter()
            .filter(|(_, height, _, skin)| *height >= self.shape.belt - 0.06 && *skin != Boxed)
            .map(|(behind, height, half, _)| self.place(side * half, *height, *behind))
            .collect();
        self.shoulder(side);
        if cabin.len() >= 3 {
            let (metal, glass) = (self.lit(self.pose.colour, 0.7), self.lit(Rgb(44.0, 52.0, 60.0), 1.0));
            self.polygon(&cabin, metal, metal);
            let middle = cabin.iter().fold(vec3(0.0, 0.0, 0.0), |sum, p| sum.plus(p.times(1.0 / cabin.len() as f32)));
            let pane: Vec<Vec3> = cabin.iter().map(|p| p.times(0.84).plus(middle.times(0.16))).collect();
            self.polygon(&pane, glass.times(1.25), glass);
        }
        if self.pose.body == Body::Lorry {
            let boxed = [(1.76, 0.8), (7.6, 0.8), (7.6, 3.3), (1.76, 3.3)].map(|(l, y)| self.place(side * 1.2, y, l));
            let (upper, lower) = (self.lit(Rgb(206.0, 206.0, 200.0), 0.8), self.lit(Rgb(190.0, 190.0, 186.0), 0.62));
            self.polygon(&boxed, upper, lower);
        }
        for behind in [0.82, self.shape.length - 0.82] {
            self.wheel(side, behind);
        }
    }

    /// The ledge between the body and the narrower cabin.
    fn shoulder(&mut self, side: f32) {
        let belt = self.shape.belt;
        let mut cabin =
            self.shape.outline.iter().filter(|(_, height, _, skin)| *height >= belt - 0.06 && *skin != Boxed);
        let (Some(first), Some(last)) = (cabin.next(), cabin.next_back()) else { return };
        let widest = self.half_width() * 0.97;
        let ledge = [
            self.place(side * widest, belt, first.0),
            self.place(side * widest, belt, last.0),
            self.place(side * last.2, last.1, last.0),
            self.place(side * first.2, first.1, first.0),
        ];
        let colour = self.lit(self.pose.colour, 0.95);
        self.polygon(&ledge, colour, colour);
    }

    fn outline_up_to(&self, side: f32, limit: f32) -> Vec<Vec3> {
        // The cabin stands further in: up to the belt the body keeps the width it has below.
        let widest = self.half_width() * 0.97;
        let whole = self.shape.outline.iter();
        whole
            .map(|(behind, height, half, _)| {
                let across = if *height > limit { widest } else { *half };
                self.place(side * across, height.min(limit), *behind)
            })
            .collect()
    }

    fn wheel(&mut self, side: f32, behind: f32) {
        for (radius, grey) in
            [(self.shape.wheel + 0.05, 14.0), (self.shape.wheel, 28.0), (self.shape.wheel * 0.58, 128.0)]
        {
            let colour = self.lit(Rgb(grey, grey, grey * 1.03), 1.0);
            let rim: Vec<Vec3> = (0..18_u8)
                .map(|n| {
                    let (sin, cos) = (f32::from(n) * std::f32::consts::TAU / 18.0).sin_cos();
                    self.place(side * 0.885, self.shape.wheel + radius * sin, behind + radius * cos)
                })
                .collect();
            self.polygon(&rim, colour, colour);
        }
    }

    /// The strips over the whole width, far ones first.
    fn strips(&mut self) {
        let pairs: Vec<(Outline, Outline)> =
            self.shape.outline.iter().zip(self.shape.outline.iter().skip(1)).map(|(a, b)| (*a, *b)).collect();
        let ordered: Box<dyn Iterator<Item = &(Outline, Outline)>> =
            if self.pose.approaching { Box::new(pairs.iter().rev()) } else { Box::new(pairs.iter()) };
        for ((al, ah, aw, skin), (bl, bh, bw, _)) in ordered.copied() {
            let mut quad =
                [self.place(-aw, ah, al), self.place(-bw, bh, bl), self.place(bw, bh, bl), self.place(aw, ah, al)];
            if !self.pose.approaching {
                quad.reverse();
            }
            if !self.faces(&quad) {
                continue;
            }
            // The flatter a strip lies, the more sky it mirrors.
            let flatness = (bl - al).abs() / ((bl - al).hypot(bh - ah)).max(0.01);
            let shade = 0.78 + 0.34 * flatness;
            match skin {
                Metal => {
                    let (a, b) = (self.lit(self.pose.colour, shade * 1.06), self.lit(self.pose.colour, shade * 0.92));
                    self.polygon(&quad, a, b);
                }
                Boxed => {
                    let white = Rgb(212.0, 212.0, 206.0);
                    let white = if self.pose.body == Body::Van { self.pose.colour } else { white };
                    let (a, b) = (self.lit(white, shade), self.lit(white, shade * 0.85));
                    self.polygon(&quad, a, b);
                }
                Glass => self.glass(&quad, (aw, ah, al), (bw, bh, bl)),
            }
        }
    }

    fn glass(&mut self, quad: &[Vec3; 4], a: (f32, f32, f32), b: (f32, f32, f32)) {
        let post = self.lit(self.pose.colour, 0.72);
        self.polygon(quad, post, post);
        let (dark, bright) = (self.lit(Rgb(30.0, 36.0, 42.0), 1.0), self.lit(Rgb(104.0, 120.0, 134.0), 1.0));
        let inset = |across: f32, up: f32| {
            let mix = |p: f32, q: f32| p + (q - p) * up;
            self.place(across * (mix(a.0, b.0) - 0.07), mix(a.1, b.1), mix(a.2, b.2))
        };
        let pane = [inset(-1.0, 0.06), inset(-1.0, 0.94), inset(1.0, 0.94), inset(1.0, 0.06)];
        // A band of mirrored sky across the pane.
        let gleam = [inset(0.15, 0.06), inset(-0.25, 0.94), inset(0.25, 0.94), inset(0.6, 0.06)];
        self.polygon(&pane, bright.mixed(dark, 0.35), dark);
        let points = self.eye.polygon(&gleam);
        self.frame.fill(&points, Paint::Flat(bright), 0.22);
    }

    /// A rectangle lying on the near end.
    fn panel(&mut self, across: (f32, f32), height: (f32, f32), upper: Rgb, lower: Rgb) {
        let behind = if self.pose.approaching { -0.012 } else { self.shape.length + 0.012 };
        let quad = [
            self.place(across.0, height.1, behind),
            self.place(across.1, height.1, behind),
            self.place(across.1, height.0, behind),
            self.place(across.0, height.0, behind),
        ];
        self.polygon(&quad, upper, lower);
    }

    fn half_width(&self) -> f32 {
        self.shape.outline.iter().map(|(_, _, half, _)| *half).fold(0.0, f32::max)
    }

    fn face(&mut self) {
        let (half, lamp, plate) = (self.half_width(), self.shape.lamp.0, self.shape.plate.0);
        let (black, grey) = (self.lit(Rgb(22.0, 23.0, 25.0), 1.0), self.lit(Rgb(58.0, 60.0, 64.0), 1.0));
        let low = self.shape.outline.first().map_or(0.2, |o| o.1);
        // Grille above the plate with bars, intake below it, a seam where bumper and bonnet meet.
        let grille = (plate + 0.075, lamp + 0.02);
        self.panel((-half * 0.56, half * 0.56), grille, grey, black);
        for bar in [0.3, 0.65] {
            let y = grille.0 + (grille.1 - grille.0) * bar;
            self.panel((-half * 0.54, half * 0.54), (y - 0.008, y + 0.008), grey.times(1.9), grey.times(1.6));
        }
        self.panel((-0.06, 0.06), (grille.1 - 0.09, grille.1), grey.times(2.6), grey.times(2.0));
        self.panel((-half * 0.72, half * 0.72), (low + 0.03, plate - 0.09), black, black);
        let bright =
            if self.light.is_night() { Rgb(255.0, 250.0, 232.0) } else { self.lit(Rgb(214.0, 220.0, 226.0), 1.0) };
        for side in [-1.0_f32, 1.0] {
            let (inner, outer) = (side * half * 0.60, side * half * 0.97);
            let (left, right) = (inner.min(outer), inner.max(outer));
            self.panel((left, right), (lamp - 0.085, lamp + 0.075), black, grey);
            self.panel((left + 0.03, right - 0.03), (lamp - 0.06, lamp + 0.055), bright, bright.times(0.82));
            let fog = side * half * 0.80;
            self.panel((fog - 0.07, fog + 0.07), (low + 0.06, low + 0.14), grey.times(1.6), grey);
        }
    }

    fn back(&mut self) {
        let (half, lamp, plate) = (self.half_width(), self.shape.lamp.1, self.shape.plate.1);
        let (black, metal) = (self.lit(Rgb(24.0, 25.0, 27.0), 1.0), self.lit(self.pose.colour, 0.66));
        let low = self.shape.outline.last().map_or(0.3, |o| o.1);
        self.panel((-half * 0.98, half * 0.98), (low, low + 0.18), black, black);
        self.panel((-0.42, 0.42), (plate - 0.10, plate + 0.11), metal, metal.times(0.9));
        let red = if self.light.is_night() { Rgb(235.0, 40.0, 30.0) } else { self.lit(Rgb(168.0, 24.0, 26.0), 1.0) };
        for side in [-1.0_f32, 1.0] {
            let (inner, outer) = (side * half * 0.70, side * half * 0.98);
            let (left, right) = (inner.min(outer), inner.max(outer));
            self.panel((left, right), (lamp - 0.14, lamp + 0.12), red, red.times(0.7));
            self.panel(
                (left + 0.03, right - 0.03),
                (lamp - 0.05, lamp - 0.01),
                red.mixed(Rgb(235.0, 220.0, 210.0), 0.5),
                red,
            );
        }
        if matches!(self.pose.body, Body::Van | Body::Lorry) {
            let seam = self.lit(Rgb(60.0, 62.0, 64.0), 1.0);
            let top = self.shape.outline.iter().map(|o| o.1).fold(0.0, f32::max);
            self.panel((-0.012, 0.012), (plate + 0.2, top - 0.1), seam, seam);
        }
    }

    fn plate(&mut self) {
        let quads: Vec<[Point; 4]> =
            [-0.5, 0.0, 0.5].iter().filter_map(|t| self.plate_quad(*t * self.pose.smear)).collect();
        if quads.len() == 3 {
            let shade = self.light.plate();
            self.pose.plate.draw(self.frame, &quads, shade);
        }
    }

    fn plate_quad(&self, ahead: f32) -> Option<[Point; 4]> {
        plate_corners(self.pose.body, self.pose.approaching, self.pose.x, self.pose.near_end + ahead)
            .map(|corner| self.eye.project(corner))
            .into_iter()
            .collect::<Option<Vec<Point>>>()?
            .try_into()
            .ok()
    }

    fn lamps_at_night(&mut self) {
        if !self.light.is_night() {
            return;
        }
        let half = self.half_width() * 0.8;
        for side in [-1.0, 1.0] {
            let (behind, height, colour, size) = if self.pose.approaching {
                (0.0, self.shape.lamp.0, Rgb(250.0, 245.0, 225.0), 0.42)
            } else {
                (self.shape.length, self.shape.lamp.1, Rgb(190.0, 20.0, 12.0), 0.30)
            };
            let at = self.place(side * half, height, behind);
            if let Some(point) = self.eye.project(at) {
                let size = (size * self.eye.scale_at(at)).max(3.0);
                self.frame.glow(point, size, colour.times(0.9));
                self.frame.glow(point, size * 3.0, colour.times(0.16));
            }
        }
    }
}

/// Corners of the plate that faces the camera, from the top left clockwise as seen.
pub(super) fn plate_corners(body: Body, approaching: bool, x: f32, near_end: f32) -> [Vec3; 4] {
    let (y, z) = (body.plate_height(approaching), near_end - 0.03);
    let (half, up) = (WIDTH_M / 2.0, HEIGHT_M / 2.0);
    [vec3(x - half, y + up, z), vec3(x + half, y + up, z), vec3(x + half, y - up, z), vec3(x - half, y - up, z)]
}
