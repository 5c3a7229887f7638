//! Letters and digits of number plates as strokes on a grid 8 wide and 14 high, drawn by ourselves.
//!
//! The shapes follow what is seen on Belgian plates since 2010 (`anpr.md` 4.4): a monoline narrow grotesque of rounded
//! rectangles; "1" with a flag and no foot, "I" a bare bar, spurs at the left of B and D, flat 7, O and 0 almost alike.

/// One corner of a stroke: grid place, and the radius by which it is rounded.
type Corner = (f32, f32, f32);

/// Width of the grid.
pub(super) const GRID_WIDTH: f32 = 8.0;
/// Height of the grid.
pub(super) const GRID_HEIGHT: f32 = 14.0;

/// Straight pieces of a glyph, in grid units.
pub(super) type Segment = ((f32, f32), (f32, f32));

/// The strokes of a character; nothing for one that no plate carries.
pub(super) fn segments(character: char) -> Vec<Segment> {
    let mut out = Vec::new();
    for stroke in strokes(character) {
        flatten(stroke, &mut out);
    }
    if character == '9' {
        // A turned 6.
        for ((ax, ay), (bx, by)) in &mut out {
            (*ax, *ay, *bx, *by) = (GRID_WIDTH - *ax, GRID_HEIGHT - *ay, GRID_WIDTH - *bx, GRID_HEIGHT - *by);
        }
    }
    out
}

const BOWL: &[Corner] =
    &[(4.0, 0.0, 0.0), (8.0, 0.0, 3.6), (8.0, 14.0, 3.6), (0.0, 14.0, 3.6), (0.0, 0.0, 3.6), (4.0, 0.0, 0.0)];
const P_STEM: &[Corner] = &[(0.0, 14.0, 0.0), (0.0, 0.0, 0.0), (8.0, 0.0, 3.6), (8.0, 7.6, 3.6), (0.0, 7.6, 0.0)];
const LEFT_BAR: &[Corner] = &[(0.0, 0.0, 0.0), (0.0, 14.0, 0.0)];

fn strokes(character: char) -> &'static [&'static [Corner]] {
    match character {
        '0'..='9' => digit(character),
        'A'..='M' => first_half(character),
        'N'..='Z' => second_half(character),
        '-' => &[&[(1.6, 7.2, 0.0), (6.4, 7.2, 0.0)]],
        _ => &[],
    }
}

fn digit(character: char) -> &'static [&'static [Corner]] {
    match character {
        '0' => &[BOWL],
        '1' => &[&[(1.8, 3.4, 0.0), (5.2, 0.0, 0.0), (5.2, 14.0, 0.0)]],
        '2' => {
            &[&[(0.2, 4.0, 0.0), (0.2, 0.0, 3.6), (7.8, 0.0, 3.6), (7.8, 6.0, 2.4), (0.2, 14.0, 0.0), (8.0, 14.0, 0.0)]]
        }
        '3' => &[
            &[(0.2, 3.6, 0.0), (0.2, 0.0, 3.4), (7.6, 0.0, 3.4), (7.6, 6.6, 3.0), (2.8, 6.6, 0.0)],
            &[(2.8, 6.6, 0.0), (8.0, 6.6, 3.2), (8.0, 14.0, 3.6), (0.0, 14.0, 3.6), (0.0, 10.4, 0.0)],
        ],
        '4' => &[&[(6.2, 14.0, 0.0), (6.2, 0.0, 0.0), (0.0, 10.6, 0.0), (8.2, 10.6, 0.0)]],
        '5' => &[&[
            (7.6, 0.0, 0.0),
            (0.8, 0.0, 0.0),
            (0.3, 6.4, 0.0),
            (1.8, 5.2, 0.8),
            (8.0, 5.2, 3.4),
            (8.0, 14.0, 3.6),
            (0.0, 14.0, 3.6),
            (0.0, 10.6, 0.0),
        ]],
        '6' | '9' => &[&[
            (7.7, 3.2, 0.0),
            (7.7, 0.0, 3.0),
            (0.0, 0.0, 3.6),
            (0.0, 14.0, 3.6),
            (8.0, 14.0, 3.6),
            (8.0, 5.8, 3.4),
            (0.0, 5.8, 3.0),
            (0.0, 9.0, 0.0),
        ]],
        '7' => &[&[(0.0, 0.0, 0.0), (8.0, 0.0, 0.0), (3.0, 14.0, 0.0)]],
        _ => &[
            &[(4.0, 0.0, 0.0), (7.5, 0.0, 3.0), (7.5, 6.6, 3.0), (0.5, 6.6, 3.0), (0.5, 0.0, 3.0), (4.0, 0.0, 0.0)],
            &[(4.0, 6.6, 0.0), (8.0, 6.6, 3.3), (8.0, 14.0, 3.5), (0.0, 14.0, 3.5), (0.0, 6.6, 3.3), (4.0, 6.6, 0.0)],
        ],
    }
}

fn first_half(character: char) -> &'static [&'static [Corner]] {
    match character {
        'A' => &[
            &[(-0.2, 14.0, 0.0), (3.4, 0.0, 0.6), (4.6, 0.0, 0.6), (8.2, 14.0, 0.0)],
            &[(1.2, 9.8, 0.0), (6.8, 9.8, 0.0)],
        ],
        'B' => &[
            &[(1.0, 0.0, 0.0), (1.0, 14.0, 0.0)],
            &[(-0.5, 0.0, 0.0), (7.4, 0.0, 3.0), (7.4, 6.6, 3.0), (1.0, 6.6, 0.0)],
            &[(1.0, 6.6, 0.0), (8.0, 6.6, 3.2), (8.0, 14.0, 3.4), (-0.5, 14.0, 0.0)],
        ],
        'C' => &[&[
            (8.0, 3.8, 0.0),
            (8.0, 0.0, 3.6),
            (0.0, 0.0, 3.6),
            (0.0, 14.0, 3.6),
            (8.0, 14.0, 3.6),
            (8.0, 10.2, 0.0),
        ]],
        'D' => &[
            &[(1.0, 0.0, 0.0), (1.0, 14.0, 0.0)],
            &[(-0.5, 0.0, 0.0), (8.0, 0.0, 4.0), (8.0, 14.0, 4.0), (-0.5, 14.0, 0.0)],
        ],
        'E' => &[
            &[(7.8, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 14.0, 0.0), (7.8, 14.0, 0.0)],
            &[(0.0, 6.8, 0.0), (6.6, 6.8, 0.0)],
        ],
        'F' => &[&[(7.8, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 14.0, 0.0)], &[(0.0, 6.8, 0.0), (6.6, 6.8, 0.0)]],
        'G' => &[&[
            (8.0, 3.6, 0.0),
            (8.0, 0.0, 3.6),
            (0.0, 0.0, 3.6),
            (0.0, 14.0, 3.6),
            (8.0, 14.0, 3.6),
            (8.0, 7.4, 0.0),
            (4.6, 7.4, 0.0),
        ]],
        'H' => &[LEFT_BAR, &[(8.0, 0.0, 0.0), (8.0, 14.0, 0.0)], &[(0.0, 6.8, 0.0), (8.0, 6.8, 0.0)]],
        'I' => &[&[(4.0, 0.0, 0.0), (4.0, 14.0, 0.0)]],
        'J' => &[&[(7.2, 0.0, 0.0), (7.2, 14.0, 3.4), (0.2, 14.0, 3.4), (0.2, 10.4, 0.0)]],
        'K' => &[LEFT_BAR, &[(7.8, 0.0, 0.0), (0.4, 8.2, 0.0)], &[(2.8, 5.6, 0.0), (8.2, 14.0, 0.0)]],
        'L' => &[&[(0.2, 0.0, 0.0), (0.2, 14.0, 0.0), (7.8, 14.0, 0.0)]],
        _ => &[&[(0.0, 14.0, 0.0), (0.0, 0.0, 0.0), (4.0, 8.4, 0.0), (8.0, 0.0, 0.0), (8.0, 14.0, 0.0)]],
    }
}

fn second_half(character: char) -> &'static [&'static [Corner]] {
    match character {
        'N' => &[&[(0.0, 14.0, 0.0), (0.0, 0.0, 0.0), (8.0, 14.0, 0.0), (8.0, 0.0, 0.0)]],
        'O' => &[BOWL],
        'P' => &[P_STEM],
        'Q' => &[BOWL, &[(4.8, 10.2, 0.0), (8.4, 14.8, 0.0)]],
        'R' => &[P_STEM, &[(4.0, 7.6, 0.0), (8.2, 14.0, 0.0)]],
        'S' => &[&[
            (7.9, 3.6, 0.0),
            (7.9, 0.0, 3.6),
            (0.1, 0.0, 3.6),
            (0.1, 6.8, 3.2),
            (8.0, 6.8, 3.2),
            (8.0, 14.0, 3.6),
            (0.0, 14.0, 3.6),
            (0.0, 10.4, 0.0),
        ]],
        'T' => &[&[(0.0, 0.0, 0.0), (8.0, 0.0, 0.0)], &[(4.0, 0.0, 0.0), (4.0, 14.0, 0.0)]],
        'U' => &[&[(0.0, 0.0, 0.0), (0.0, 14.0, 3.6), (8.0, 14.0, 3.6), (8.0, 0.0, 0.0)]],
        'V' => &[&[(0.0, 0.0, 0.0), (4.0, 14.0, 0.0), (8.0, 0.0, 0.0)]],
        'W' => &[&[(-0.3, 0.0, 0.0), (2.0, 14.0, 0.0), (4.0, 3.4, 0.0), (6.0, 14.0, 0.0), (8.3, 0.0, 0.0)]],
        'X' => &[&[(0.0, 0.0, 0.0), (8.0, 14.0, 0.0)], &[(8.0, 0.0, 0.0), (0.0, 14.0, 0.0)]],
        'Y' => &[&[(0.0, 0.0, 0.0), (4.0, 7.2, 0.0), (8.0, 0.0, 0.0)], &[(4.0, 7.2, 0.0), (4.0, 14.0, 0.0)]],
        _ => &[&[(0.2, 0.0, 0.0), (8.0, 0.0, 0.0), (0.0, 14.0, 0.0), (8.0, 14.0, 0.0)]],
    }
}

/// Straight pieces in a rounded corner.
const ARC_STEPS: u8 = 6;

/// Turns a stroke with rounded corners into straight pieces (corners as quadratic curves).
fn flatten(stroke: &[Corner], out: &mut Vec<Segment>) {
    let mut points: Vec<(f32, f32)> = Vec::new();
    let before = std::iter::once(None).chain(stroke.iter().map(Some));
    let after = stroke.iter().skip(1).map(Some).chain(std::iter::once(None));
    for ((corner, before), after) in stroke.iter().zip(before).zip(after) {
        let (x, y, radius) = *corner;
        let (Some(before), Some(after), true) = (before, after, radius > 0.0) else {
            points.push((x, y));
            continue;
        };
        let (from, to) = (towards(corner, before), towards(corner, after));
        for step in 0..=ARC_STEPS {
            let t = f32::from(step) / f32::from(ARC_STEPS);
            let bend = |a: f32, b: f32, c: f32| (1.0 - t) * (1.0 - t) * a + 2.0 * t * (1.0 - t) * b + t * t * c;
            points.push((bend(from.0, x, to.0), bend(from.1, y, to.1)));
        }
    }
    out.extend(points.iter().zip(points.iter().skip(1)).map(|(a, b)| (*a, *b)));
}

/// The point at the corner's radius on the way to a neighbour, at most half-way when that is rounded too.
fn towards(corner: &Corner, neighbour: &Corner) -> (f32, f32) {
    let (dx, dy) = (neighbour.0 - corner.0, neighbour.1 - corner.1);
    let distance = dx.hypot(dy).max(0.01);
    let limit = if neighbour.2 > 0.0 { distance / 2.0 } else { distance };
    let share = corner.2.min(limit) / distance;
    (corner.0 + dx * share, corner.1 + dy * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_strokes_inside_its_grid() {
        for character in ('0'..='9').chain('A'..='Z').chain(['-']) {
            let pieces = segments(character);
            assert!(!pieces.is_empty(), "{character}");
            for ((ax, ay), (bx, by)) in pieces {
                for (x, y) in [(ax, ay), (bx, by)] {
                    assert!((-0.6..=8.6).contains(&x) && (-0.1..=15.0).contains(&y), "{character} {x} {y}");
                }
            }
        }
        assert!(segments('é').is_empty());
    }

    #[test]
    fn all_characters_differ() {
        let all: Vec<char> = ('0'..='9').chain('A'..='Z').filter(|c| *c != 'O').collect();
        for (n, a) in all.iter().enumerate() {
            for b in all.iter().skip(n + 1) {
                assert_ne!(segments(*a), segments(*b), "{a} {b}");
            }
        }
    }
}
