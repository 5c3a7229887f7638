//! What stands still: road, kerbs, houses, sky, lamps and trees, painted once per camera.

use super::canvas::{Frame, Paint, Point, Rgb};
use super::eye::{Eye, Vec3, vec3};
use super::light::Light;
use super::site::View;
use crate::dice::{Dice, hash01, noise2};

/// Street front of a house, metres.
const HOUSE_WIDTH: f32 = 6.4;
/// One floor, metres.
const FLOOR: f32 = 3.1;
/// Pavement on each side, metres.
const PAVEMENT: f32 = 3.2;
/// The street ends in haze here, metres.
const FAR: f32 = 420.0;
/// Distance of street lamps, metres.
pub(super) const LAMP_STEP: f32 = 24.0;

/// Plaster, brick and stone of Brussels row houses.
const FRONTS: [Rgb; 7] = [
    Rgb(146.0, 84.0, 66.0),
    Rgb(196.0, 182.0, 158.0),
    Rgb(214.0, 208.0, 196.0),
    Rgb(158.0, 104.0, 78.0),
    Rgb(176.0, 170.0, 162.0),
    Rgb(128.0, 72.0, 60.0),
    Rgb(202.0, 190.0, 150.0),
];

/// Paints the empty street.
pub(super) fn paint(frame: &mut Frame, eye: &Eye, view: &View, light: &Light) {
    let street = Street { eye, view, light };
    frame.paint(|x, y| {
        let mut sum = Rgb(0.0, 0.0, 0.0);
        for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
            let ray = eye.ray(Point { x: x as f32 + dx, y: y as f32 + dy });
            sum = sum.plus(street.colour(ray));
        }
        sum.times(0.25)
    });
    for n in (0..9_u8).rev() {
        let z = 20.0 + f32::from(n) * 17.0;
        tree(frame, eye, light, vec3(view.road_right + 2.3, 0.0, z + 6.0), u64::from(n) ^ view.seed);
        lamp(frame, eye, light, vec3(view.road_left - 0.7, 0.0, 14.0 + f32::from(n) * LAMP_STEP));
    }
}

struct Street<'a> {
    eye: &'a Eye,
    view: &'a View,
    light: &'a Light,
}

impl Street<'_> {
    fn colour(&self, ray: Vec3) -> Rgb {
        let at = self.eye.at;
        let ground = if ray.y < -1e-5 { -at.y / ray.y } else { f32::MAX };
        for (side, wall) in [(0_u8, self.view.road_left - PAVEMENT), (1, self.view.road_right + PAVEMENT)] {
            let t = (wall - at.x) / ray.x;
            if !(t > 0.0 && t < ground && t * ray.z < FAR) {
                continue;
            }
            let hit = at.plus(ray.times(t));
            if let Some(colour) = self.front(side, hit) {
                return self.light.hazed(colour, hit.z.max(0.0));
            }
        }
        let hit = at.plus(ray.times(ground.min(1e6)));
        if ground < f32::MAX && hit.z < FAR {
            let colour = self.floor(hit).tinted(self.light.ground(hit, self.view));
            return self.light.hazed(self.light.wet(colour, ray), hit.z.max(0.0));
        }
        self.light.sky(ray, self.view.seed)
    }

    /// Road, kerb, pavement.
    fn floor(&self, at: Vec3) -> Rgb {
        let (view, seed) = (self.view, self.view.seed);
        // What is finer than a pixel far away would only flicker.
        let near = (1.0 - at.z / 45.0).clamp(0.0, 1.0);
        let outside = (view.road_left - at.x).max(at.x - view.road_right);
        if outside > 0.3 {
            let slab = hash01(seed ^ bits(at.x / 0.45) ^ bits(at.z / 0.45).rotate_left(21));
            let joint = edge(at.x / 0.45, 0.05) || edge(at.z / 0.45, 0.05);
            let tone = 150.0 + near * (slab - 0.5) * 22.0 - if joint { 34.0 * near } else { 0.0 };
            return Rgb(tone, tone * 0.985, tone * 0.95);
        }
        if outside > 0.0 {
            let tone = if edge(at.z, 0.03) { 130.0 } else { 168.0 };
            return Rgb(tone, tone, tone * 0.98);
        }
        let coarse = noise2(at.x * 0.7, at.z * 0.22, seed) - 0.5;
        let fine = noise2(at.x * 14.0, at.z * 14.0, seed ^ 77) - 0.5;
        let mut tone = 92.0 + coarse * 16.0 + fine * 26.0 * near;
        for lane in &view.lanes {
            // Wheels polish two tracks in every lane.
            let off = ((at.x - lane.x).abs() - 0.75).abs();
            tone -= 7.0 * (1.0 - off / 0.4).clamp(0.0, 1.0);
        }
        let crack = noise2(at.x * 0.9 + 40.0, at.z * 0.5, seed ^ 5);
        if (crack - 0.5).abs() < 0.006 {
            tone -= 20.0 * near;
        }
        let asphalt = Rgb(tone, tone, tone * 1.02);
        if self.is_marked(at) { asphalt.mixed(Rgb(222.0, 222.0, 214.0), 0.86 - 0.2 * (fine + 0.5)) } else { asphalt }
    }

    fn is_marked(&self, at: Vec3) -> bool {
        let view = self.view;
        let zebra = (view.zebra..view.zebra + 3.2).contains(&at.z) && at.x.rem_euclid(1.0) < 0.5;
        let at_edge = (at.x - view.road_left - 0.3).abs() < 0.06 || (at.x - view.road_right + 0.3).abs() < 0.06;
        let dashed = at.z.rem_euclid(5.0) < 2.2;
        let divider = view.lanes.iter().zip(view.lanes.iter().skip(1)).any(|(a, b)| {
            let between = (at.x - (a.x + b.x) / 2.0).abs() < 0.065;
            // Opposite directions are parted by a line without gaps.
            between && (dashed || a.approaching != b.approaching)
        });
        zebra || at_edge || divider
    }

    /// A house front; `None` above the eaves.
    fn front(&self, side: u8, at: Vec3) -> Option<Rgb> {
        let number = bits(at.z / HOUSE_WIDTH) ^ (u64::from(side) << 40) ^ self.view.seed;
        let floors = 2.0 + (hash01(number) * 3.0).floor();
        let height = (floors + 1.0) * FLOOR + 0.6;
        if at.y > height || at.y < 0.0 {
            return None;
        }
        let across = at.z.rem_euclid(HOUSE_WIDTH);
        let index = (hash01(number ^ 9) * FRONTS.len() as f32).floor();
        let base =
            FRONTS.iter().zip(0_u8..).find(|(_, n)| f32::from(*n) == index).map_or(Rgb(160.0, 150.0, 140.0), |f| *f.0);
        let grain = noise2(at.z * 2.5, at.y * 2.5, number) - 0.5;
        let mut colour = base.times(0.92 + 0.16 * grain - if side == 0 { 0.18 } else { 0.0 });
        let lit = self.light.facade(at, self.view);
        if at.y > height - 0.5 || !(0.12..HOUSE_WIDTH - 0.12).contains(&across) {
            return Some(colour.times(0.78).tinted(lit));
        }
        let (column, row) = ((across - 0.2) / 2.0, at.y / FLOOR);
        let (u, v) = (column - column.floor(), row - row.floor());
        let shop = row < 1.0 && hash01(number ^ 3) > 0.55;
        let opening = if shop {
            (0.05..0.95).contains(&u) && (0.12..0.8).contains(&v)
        } else {
            (0.25..0.75).contains(&u) && (0.2..0.78).contains(&v)
        };
        let frame = !shop && (0.2..0.8).contains(&u) && (0.15..0.83).contains(&v);
        if opening {
            let pane = number ^ bits(column) ^ bits(row).rotate_left(17);
            if let Some(glow) = self.light.window(pane) {
                return Some(glow);
            }
            colour = Rgb(58.0, 68.0, 80.0).times(0.8 + 0.5 * v + 0.3 * hash01(pane));
        } else if frame {
            colour = Rgb(206.0, 202.0, 194.0);
        } else if row.floor() >= 1.0 && v < 0.05 {
            colour = colour.times(0.86);
        }
        Some(colour.tinted(lit))
    }
}

/// A whole number of steps as bits.
fn bits(value: f32) -> u64 {
    u64::from((value.floor() + 0.0).to_bits())
}

/// Near a whole number.
fn edge(value: f32, width: f32) -> bool {
    value.rem_euclid(1.0) < width
}

fn tree(frame: &mut Frame, eye: &Eye, light: &Light, foot: Vec3, seed: u64) {
    let mut dice = Dice::new(seed ^ 0x7ee);
    let tint = light.object(foot);
    let trunk = [
        vec3(foot.x - 0.14, 0.0, foot.z),
        vec3(foot.x + 0.14, 0.0, foot.z),
        vec3(foot.x + 0.10, 3.4, foot.z),
        vec3(foot.x - 0.10, 3.4, foot.z),
    ];
    let bark = light.hazed(Rgb(74.0, 62.0, 52.0).tinted(tint), foot.z);
    frame.fill(&eye.polygon(&trunk), Paint::Flat(bark), 1.0);
    for _ in 0..90 {
        let (a, h) = (dice.between(-1.5, 1.5), dice.between(2.7, 6.2));
        let size = dice.between(0.22, 0.55);
        let shade = dice.between(0.55, 1.15) * (0.75 + 0.08 * (h - 3.0));
        let centre = vec3(foot.x + a * (1.25 - (h - 4.3).abs() * 0.3), h, foot.z + dice.between(-1.0, 1.0));
        let leaf = light.hazed(Rgb(88.0, 104.0, 52.0).times(shade).tinted(tint), foot.z);
        if let Some(middle) = eye.project(centre) {
            let radius = size * eye.scale_at(centre);
            let rim: Vec<Point> = (0..9_u8)
                .map(|n| {
                    let (sin, cos) = (f32::from(n) * std::f32::consts::TAU / 9.0).sin_cos();
                    let r = radius * dice.between(0.7, 1.1);
                    Point { x: middle.x + r * cos, y: middle.y + r * sin }
                })
                .collect();
            frame.fill(&rim, Paint::Flat(leaf), 0.9);
        }
    }
}

fn lamp(frame: &mut Frame, eye: &Eye, light: &Light, foot: Vec3) {
    let metal = light.hazed(Rgb(70.0, 74.0, 78.0).tinted(light.object(foot)), foot.z);
    let bar = |from: Vec3, to: Vec3, wide: Vec3| {
        [from.plus(wide.times(-1.0)), from.plus(wide), to.plus(wide), to.plus(wide.times(-1.0))]
    };
    let top = vec3(foot.x, 7.2, foot.z);
    let head = vec3(foot.x + 1.8, 7.5, foot.z);
    frame.fill(&eye.polygon(&bar(foot, top, vec3(0.07, 0.0, 0.0))), Paint::Flat(metal), 1.0);
    frame.fill(&eye.polygon(&bar(top, head, vec3(0.0, 0.05, 0.0))), Paint::Flat(metal), 1.0);
    if let (true, Some(at)) = (light.is_night(), eye.project(head)) {
        frame.glow(at, 0.9 * eye.scale_at(head), Rgb(255.0, 220.0, 150.0));
    }
}
