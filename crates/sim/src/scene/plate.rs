//! How a number plate looks, and how it lies in the picture.
//!
//! Measures in millimetres after `anpr.md` 4.2 and 4.3: 520 × 110, Euro band at the left, character pitch 50 on Belgian
//! plates, ruby red (RAL 3003) on white; black on yellow in the Netherlands and Luxembourg; a second band in France.

use super::canvas::{Frame, Paint, Point, Rgb, clip};
use super::glyph::{GRID_HEIGHT, GRID_WIDTH, Segment, segments};

/// Width of a plate, metres.
pub(super) const WIDTH_M: f32 = 0.52;
/// Height of a plate, metres.
pub(super) const HEIGHT_M: f32 = 0.11;

const WIDTH_MM: f32 = 520.0;
const HEIGHT_MM: f32 = 110.0;
/// Pixels of the largest texture per millimetre.
const SCALE: f32 = 1.6;
/// Smaller and smaller copies kept for far plates.
const LEVELS: usize = 6;

/// Measures and colours of a country's plates.
#[derive(Clone, Copy, Debug)]
struct Design {
    background: Rgb,
    ink: Rgb,
    /// A band at the right end as in France.
    right_band: bool,
    /// Millimetres from one character to the next, of a hyphen, and of a gap.
    pitch: f32,
    hyphen: f32,
    gap: f32,
    /// Millimetres of a character.
    glyph_width: f32,
    glyph_height: f32,
    stroke: f32,
    /// Discs (seals) in the gaps as in Germany.
    seals: bool,
}

const BAND_BLUE: Rgb = Rgb(20.0, 50.0, 150.0);
const STAR_YELLOW: Rgb = Rgb(235.0, 200.0, 40.0);
const WHITE: Rgb = Rgb(238.0, 238.0, 234.0);
const YELLOW: Rgb = Rgb(244.0, 196.0, 30.0);
const BLACK: Rgb = Rgb(16.0, 16.0, 18.0);
/// RAL 3003.
const RUBY: Rgb = Rgb(134.0, 26.0, 34.0);
/// Millimetres of the Euro band.
const BAND_MM: f32 = 44.0;

fn design(country: &str) -> Design {
    let belgian = Design {
        background: WHITE,
        ink: RUBY,
        right_band: false,
        pitch: 50.0,
        hyphen: 30.0,
        gap: 30.0,
        glyph_width: 34.0,
        glyph_height: 74.0,
        stroke: 9.5,
        seals: false,
    };
    match country {
        "NL" => Design { background: YELLOW, ink: BLACK, pitch: 49.0, stroke: 10.5, glyph_width: 36.0, ..belgian },
        "F" => Design {
            ink: BLACK,
            right_band: true,
            pitch: 46.0,
            hyphen: 24.0,
            glyph_width: 35.0,
            stroke: 10.0,
            ..belgian
        },
        "D" => Design { ink: BLACK, pitch: 48.0, gap: 44.0, stroke: 10.0, glyph_width: 36.0, seals: true, ..belgian },
        "L" => Design { background: YELLOW, ink: BLACK, pitch: 54.0, gap: 40.0, glyph_width: 37.0, ..belgian },
        _ => belgian,
    }
}

/// A drawn plate in several sizes, the largest first.
#[derive(Debug)]
pub(super) struct PlateFace {
    levels: Vec<Frame>,
}

impl PlateFace {
    /// Draws a plate. `text` is written as on the plate, with hyphens and spaces.
    pub(super) fn new(country: &str, text: &str) -> Self {
        let design = design(country);
        // Belgian plates from before 2010 (`ABC-123`) have no band.
        let band_mm = if country == "B" && text.find('-') == Some(3) { 0.0 } else { BAND_MM };
        let mut face = Frame::new(clip(WIDTH_MM * SCALE, 4096), clip(HEIGHT_MM * SCALE, 4096));
        let ink = if country == "B" { design.ink } else { design.background.times(0.55) };
        rectangle(&mut face, (0.0, 0.0), (WIDTH_MM, HEIGHT_MM), ink);
        rectangle(&mut face, (3.5, 3.5), (WIDTH_MM - 3.5, HEIGHT_MM - 3.5), design.background);
        if band_mm > 0.0 {
            band(&mut face, 0.0, Some(country));
        }
        let right = if design.right_band { BAND_MM } else { 0.0 };
        if design.right_band {
            band(&mut face, WIDTH_MM - BAND_MM, None);
        }
        let width_of = |c: char| match c {
            '-' => design.hyphen,
            ' ' => design.gap,
            _ => design.pitch,
        };
        let width: f32 = text.chars().map(width_of).sum();
        let room = WIDTH_MM - band_mm - right - 16.0;
        // Long texts are set closer, as plate makers do.
        let squeeze = (room / width.max(1.0)).min(1.0);
        let mut x = band_mm + 8.0 + (room - width * squeeze) / 2.0;
        for character in text.chars() {
            let cell = width_of(character) * squeeze;
            let centre = (x + cell / 2.0, HEIGHT_MM / 2.0);
            if character == ' ' && design.seals {
                disc(&mut face, (centre.0, 34.0), 13.0, Rgb(60.0, 110.0, 70.0));
                disc(&mut face, (centre.0, 74.0), 15.0, Rgb(120.0, 120.0, 116.0));
            }
            let (glyph_width, stroke) = match character {
                '-' => (cell * 0.84, design.stroke * 0.8),
                _ => (design.glyph_width * squeeze, design.stroke),
            };
            glyph(&mut face, character, centre, (glyph_width, design.glyph_height), stroke, design.ink);
            x += cell;
        }
        let mut levels = vec![face];
        while levels.len() < LEVELS {
            match levels.last().map(Frame::halved) {
                Some(smaller) => levels.push(smaller),
                None => break,
            }
        }
        Self { levels }
    }

    /// Lays the plate into the picture. Each item of `quads` is the plate at one moment of the exposure: corners from
    /// the top left clockwise. `light` multiplies its colours.
    pub(super) fn draw(&self, frame: &mut Frame, quads: &[[Point; 4]], light: Rgb) {
        let corners: Vec<Point> = quads.iter().flatten().copied().collect();
        let bounds = frame.bounds(&corners);
        let maps: Vec<Unprojection> = quads.iter().filter_map(Unprojection::new).collect();
        let width = quads.first().map_or(1.0, |[a, b, ..]| (b.x - a.x).hypot(b.y - a.y)).max(1.0);
        // Half a pixel of the picture should be about one pixel of the texture.
        let level = (WIDTH_MM * SCALE / (width * 2.0)).log2().max(0.0);
        let Some(face) = self.levels.get(clip(level.round(), LEVELS - 1)) else { return };
        let samples = maps.len() as f32 * 4.0;
        for y in bounds.top..bounds.bottom {
            for x in bounds.left..bounds.right {
                let (mut sum, mut hits) = (Rgb(0.0, 0.0, 0.0), 0.0_f32);
                for map in &maps {
                    for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                        let (u, v) = map.at(x as f32 + dx, y as f32 + dy);
                        if (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) {
                            sum = sum.plus(sample(face, u, v));
                            hits += 1.0;
                        }
                    }
                }
                if hits > 0.0 {
                    frame.blend(x, y, sum.times(1.0 / hits).tinted(light), hits / samples);
                }
            }
        }
    }
}

/// Bilinear look-up; `u` and `v` from 0 to 1.
fn sample(face: &Frame, u: f32, v: f32) -> Rgb {
    let (x, y) = (u * face.width() as f32 - 0.5, v * face.height() as f32 - 0.5);
    let (x0, y0) = (clip(x.floor(), face.width() - 1), clip(y.floor(), face.height() - 1));
    let (x1, y1) = ((x0 + 1).min(face.width() - 1), (y0 + 1).min(face.height() - 1));
    let (tx, ty) = ((x - x0 as f32).clamp(0.0, 1.0), (y - y0 as f32).clamp(0.0, 1.0));
    let at = |x: usize, y: usize| match face.rgb().get((y * face.width() + x) * 3..) {
        Some([r, g, b, ..]) => Rgb(f32::from(*r), f32::from(*g), f32::from(*b)),
        _ => WHITE,
    };
    at(x0, y0).mixed(at(x1, y0), tx).mixed(at(x0, y1).mixed(at(x1, y1), tx), ty)
}

/// From the picture back to the plate: the inverse of the projective map that takes the unit square to a quad
/// (Heckbert, "Fundamentals of texture mapping", 1989, section 2.2.3).
#[derive(Debug)]
struct Unprojection {
    rows: [[f32; 3]; 3],
}

impl Unprojection {
    fn new(quad: &[Point; 4]) -> Option<Self> {
        let [p0, p1, p2, p3] = *quad;
        let (sx, sy) = (p0.x - p1.x + p2.x - p3.x, p0.y - p1.y + p2.y - p3.y);
        let (dx1, dy1, dx2, dy2) = (p1.x - p2.x, p1.y - p2.y, p3.x - p2.x, p3.y - p2.y);
        let det = dx1 * dy2 - dx2 * dy1;
        if det.abs() < 1e-6 {
            return None;
        }
        let (g, h) = ((sx * dy2 - dx2 * sy) / det, (dx1 * sy - sx * dy1) / det);
        let (a, b, c) = (p1.x - p0.x + g * p1.x, p3.x - p0.x + h * p3.x, p0.x);
        let (d, e, f) = (p1.y - p0.y + g * p1.y, p3.y - p0.y + h * p3.y, p0.y);
        // The adjugate is the inverse up to a factor, which a projective map does not notice.
        Some(Self {
            rows: [
                [e - f * h, c * h - b, b * f - c * e],
                [f * g - d, a - c * g, c * d - a * f],
                [d * h - e * g, b * g - a * h, a * e - b * d],
            ],
        })
    }

    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        let [u, v, w] = self.rows.map(|[a, b, c]| a * x + b * y + c);
        (u / w, v / w)
    }
}

fn rectangle(face: &mut Frame, from: (f32, f32), to: (f32, f32), colour: Rgb) {
    let at = |x: f32, y: f32| Point { x: x * SCALE, y: y * SCALE };
    face.fill(&[at(from.0, from.1), at(to.0, from.1), at(to.0, to.1), at(from.0, to.1)], Paint::Flat(colour), 1.0);
}

fn disc(face: &mut Frame, centre: (f32, f32), radius: f32, colour: Rgb) {
    let rim: Vec<Point> = (0..24_u8)
        .map(|n| {
            let (sin, cos) = (f32::from(n) * std::f32::consts::TAU / 24.0).sin_cos();
            Point { x: (centre.0 + radius * cos) * SCALE, y: (centre.1 + radius * sin) * SCALE }
        })
        .collect();
    face.fill(&rim, Paint::Flat(colour), 1.0);
}

/// A Euro band: twelve stars and the country's sign, or a French department's end.
fn band(face: &mut Frame, left: f32, country: Option<&str>) {
    rectangle(face, (left + 3.0, 3.0), (left + BAND_MM, HEIGHT_MM - 3.0), BAND_BLUE);
    let middle = left + BAND_MM / 2.0 + 1.5;
    match country {
        Some(country) => {
            for n in 0..12_u8 {
                let (sin, cos) = (f32::from(n) * std::f32::consts::TAU / 12.0).sin_cos();
                disc(face, (middle + 13.0 * cos, 34.0 + 13.0 * sin), 2.2, STAR_YELLOW);
            }
            let count = country.chars().count() as f32;
            for (n, c) in country.chars().enumerate() {
                let x = middle + (n as f32 - (count - 1.0) / 2.0) * 17.0;
                glyph(face, c, (x, 80.0), (12.0, 26.0), 4.5, WHITE);
            }
        }
        None => {
            for (n, c) in ['5', '9'].into_iter().enumerate() {
                glyph(face, c, (middle + (n as f32 - 0.5) * 16.0, 80.0), (11.0, 22.0), 4.0, WHITE);
            }
        }
    }
}

/// Draws one character around `centre`; all measures in millimetres.
fn glyph(face: &mut Frame, character: char, centre: (f32, f32), size: (f32, f32), stroke: f32, ink: Rgb) {
    // Strokes are centred on the grid lines; the outside measure includes half a stroke at each side.
    let (sx, sy) = ((size.0 - stroke).max(1.0) / GRID_WIDTH, (size.1 - stroke).max(1.0) / GRID_HEIGHT);
    let place = |(x, y): (f32, f32)| (centre.0 + (x - GRID_WIDTH / 2.0) * sx, centre.1 + (y - GRID_HEIGHT / 2.0) * sy);
    let pieces: Vec<Segment> = segments(character).into_iter().map(|(a, b)| (place(a), place(b))).collect();
    let reach = (size.0 / 2.0 + stroke, size.1 / 2.0 + stroke);
    let (left, right) =
        (clip((centre.0 - reach.0) * SCALE, face.width()), clip((centre.0 + reach.0) * SCALE, face.width()));
    let (top, bottom) =
        (clip((centre.1 - reach.1) * SCALE, face.height()), clip((centre.1 + reach.1) * SCALE, face.height()));
    for y in top..bottom {
        for x in left..right {
            let at = ((x as f32 + 0.5) / SCALE, (y as f32 + 0.5) / SCALE);
            let distance = pieces.iter().map(|piece| distance_to(at, *piece)).fold(f32::MAX, f32::min);
            let covered = ((stroke / 2.0 - distance) * SCALE + 0.5).clamp(0.0, 1.0);
            if covered > 0.0 {
                face.blend(x, y, ink, covered);
            }
        }
    }
}

fn distance_to((px, py): (f32, f32), ((ax, ay), (bx, by)): Segment) -> f32 {
    let (dx, dy) = (bx - ax, by - ay);
    let t = (((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy).max(1e-6)).clamp(0.0, 1.0);
    (px - ax - t * dx).hypot(py - ay - t * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quad_maps_back_to_the_unit_square() {
        let p = |x: f32, y: f32| Point { x, y };
        let quad = [p(10.0, 20.0), p(110.0, 24.0), p(105.0, 60.0), p(12.0, 50.0)];
        let map = Unprojection::new(&quad).unwrap();
        for (point, (u, v)) in quad.iter().zip([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]) {
            let got = map.at(point.x, point.y);
            assert!((got.0 - u).abs() < 1e-3 && (got.1 - v).abs() < 1e-3, "{got:?}");
        }
        assert!(Unprojection::new(&[p(0.0, 0.0); 4]).is_none());
    }

    #[test]
    fn belgian_ink_is_red_and_dutch_ground_is_yellow() {
        let mean = |country: &str, text: &str| {
            let face = PlateFace::new(country, text);
            let small = face.levels.last().unwrap();
            let sum = |channel: usize| {
                let values: Vec<f32> = small.rgb().iter().skip(channel).step_by(3).map(|v| f32::from(*v)).collect();
                values.iter().sum::<f32>() / values.len() as f32
            };
            (sum(0), sum(1), sum(2))
        };
        let (r, g, _) = mean("B", "1-ABC-234");
        assert!(r > g + 10.0);
        let (r, _, b) = mean("NL", "AB-123-C");
        assert!(r > b + 60.0);
    }
}
