//! The motion gate: whether a picture is worth the detector, and which part of it, from brightness on a coarse grid. Pure.

use vms_core::MonoTime;

use crate::frame::{Frame, Layout, full};
use crate::letterbox::Region;
use crate::num;

/// Cells across and down. A plate of 60 pixels in 1280 covers one cell, its vehicle a dozen.
const GRID: (usize, usize) = (48, 27);

/// Samples of one cell across and down.
const SAMPLES: usize = 3;

/// Change of mean brightness of a cell, of 255, that counts: above what noise leaves of nine averaged samples.
const CHANGE_MIN: f32 = 7.0;

/// Cells that must change: one may be a leaf or a raindrop.
const CELLS_MIN: usize = 3;

/// A smaller change since the picture before makes a cell part of what is shown to the detector: too much is only slower.
const PART_CHANGE_MIN: f32 = 4.0;

/// A cell stays a part for this long after it changed: one look more, so that a vehicle that brakes is not lost at once.
const PART_KEPT_US: u64 = 350_000;

/// So many cells around those that changed are shown too: the rest of the vehicle, and where it will be.
const MARGIN: usize = 2;

/// The gate stays open for this long after the last motion, so that a vehicle that stops is read.
const LINGER_US: u64 = 1_200_000;

/// Even a still picture is looked at this often, and the whole of one that moves in parts.
const HEARTBEAT_US: u64 = 2_000_000;

/// The reference follows the picture by this share each time, so that slow light is not motion.
const FOLLOW: f32 = 0.25;

/// Parts are shown instead of the whole when they cost less than this share of it.
const WORTH_PARTING: f32 = 0.85;

/// What the detector's padding and one more run cost, as cells on each side of a part.
const PART_EXTRA: f32 = 2.4;

/// What of a picture the detector should see.
#[derive(Clone, Debug, PartialEq)]
pub enum Glance {
    /// All of it.
    Whole,
    /// These parts.
    Parts(Vec<Region>),
}

/// State of the gate for one camera.
#[derive(Debug, Default)]
pub struct MotionGate {
    reference: Vec<f32>,
    /// The picture before.
    before: Vec<f32>,
    fresh: Vec<f32>,
    /// When each cell changed last, microseconds; 0 before it ever did.
    changed: Vec<u64>,
    size: (usize, usize),
    open_until: u64,
    looked: u64,
    looked_whole: u64,
    started: bool,
}

impl MotionGate {
    /// What the detector should see of this picture, if anything: where it moves, and around the plates that are followed
    /// (`followed`, boxes in pixels).
    pub fn admit(&mut self, now: MonoTime, frame: &Frame, followed: &[[f32; 4]]) -> Option<Glance> {
        let now = now.micros;
        std::mem::swap(&mut self.before, &mut self.fresh);
        self.fresh.clear();
        sample(frame, &mut self.fresh);
        let size = (frame.width(), frame.height());
        if self.size != size || self.reference.len() != self.fresh.len() {
            self.size = size;
            self.reference.clone_from(&self.fresh);
            self.changed = vec![0; self.fresh.len()];
            self.open_until = now.saturating_add(LINGER_US);
            self.started = false;
        } else {
            self.compare(now);
        }
        let due = !self.started || now.saturating_sub(self.looked) >= HEARTBEAT_US;
        if !due && now >= self.open_until {
            return None;
        }
        self.looked = now;
        if due || now.saturating_sub(self.looked_whole) >= HEARTBEAT_US {
            self.started = true;
            self.looked_whole = now;
            return Some(Glance::Whole);
        }
        Some(self.glance(now, followed))
    }

    fn compare(&mut self, now: u64) {
        for ((fresh, before), changed) in self.fresh.iter().zip(&self.before).zip(&mut self.changed) {
            if (fresh - before).abs() > PART_CHANGE_MIN {
                *changed = now;
            }
        }
        let mut moving = 0;
        for (slot, fresh) in self.reference.iter_mut().zip(&self.fresh) {
            moving += usize::from((*fresh - *slot).abs() > CHANGE_MIN);
            *slot += FOLLOW * (*fresh - *slot);
        }
        if moving >= CELLS_MIN {
            self.open_until = now.saturating_add(LINGER_US);
        }
    }

    fn glance(&self, now: u64, followed: &[[f32; 4]]) -> Glance {
        let mut marked: Vec<bool> =
            self.changed.iter().map(|at| *at > 0 && now.saturating_sub(*at) < PART_KEPT_US).collect();
        let (w, h) = (num::real(self.size.0.max(1)), num::real(self.size.1.max(1)));
        let cell = |v: f32, of: f32, count: usize| num::index(v * num::real(count) / of, count - 1);
        for [x0, y0, x1, y1] in followed {
            let (left, right) = (cell(*x0, w, GRID.0), cell(*x1, w, GRID.0));
            for row in marked.chunks_exact_mut(GRID.0).take(cell(*y1, h, GRID.1) + 1).skip(cell(*y0, h, GRID.1)) {
                row.iter_mut().take(right + 1).skip(left).for_each(|slot| *slot = true);
            }
        }
        let whole = Block { left: 0, top: 0, right: GRID.0, bottom: GRID.1 };
        let blocks = cover(&marked);
        if blocks.is_empty() || blocks.iter().map(Block::cost).sum::<f32>() > WORTH_PARTING * whole.cost() {
            return Glance::Whole;
        }
        Glance::Parts(blocks.iter().map(|block| block.region(w, h)).collect())
    }
}

/// Cells from `left` and `top` to before `right` and `bottom`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Block {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Block {
    /// Smallest block with all marked cells that lie in this one, and the margin around them.
    fn around(self, marked: &[bool]) -> Option<Self> {
        let mut found: Option<Self> = None;
        for (y, row) in marked.chunks_exact(GRID.0).enumerate().take(self.bottom).skip(self.top) {
            for (x, _) in row.iter().enumerate().take(self.right).skip(self.left).filter(|(_, marked)| **marked) {
                let old = found.unwrap_or(Self { left: x, top: y, right: x, bottom: y });
                found = Some(Self { left: old.left.min(x), top: old.top, right: old.right.max(x + 1), bottom: y + 1 });
            }
        }
        let Self { left, top, right, bottom } = found?;
        Some(Self {
            left: left.saturating_sub(MARGIN),
            top: top.saturating_sub(MARGIN),
            right: (right + MARGIN).min(GRID.0),
            bottom: (bottom + MARGIN).min(GRID.1),
        })
    }

    /// Work for the detector, in cells.
    fn cost(&self) -> f32 {
        (num::real(self.right - self.left) + PART_EXTRA) * (num::real(self.bottom - self.top) + PART_EXTRA)
    }

    fn region(&self, w: f32, h: f32) -> Region {
        let (cell_w, cell_h) = (w / num::real(GRID.0), h / num::real(GRID.1));
        Region {
            x: num::real(self.left) * cell_w,
            y: num::real(self.top) * cell_h,
            w: num::real(self.right - self.left) * cell_w,
            h: num::real(self.bottom - self.top) * cell_h,
        }
    }
}

/// One block, or the two beside or above each other that cost least, around all marked cells.
fn cover(marked: &[bool]) -> Vec<Block> {
    let whole = Block { left: 0, top: 0, right: GRID.0, bottom: GRID.1 };
    let Some(one) = whole.around(marked) else { return Vec::new() };
    let beside = (1..GRID.0).map(|x| (Block { right: x, ..whole }, Block { left: x, ..whole }));
    let above = (1..GRID.1).map(|y| (Block { bottom: y, ..whole }, Block { top: y, ..whole }));
    let pairs = beside.chain(above).filter_map(|(a, b)| Some([a.around(marked)?, b.around(marked)?]));
    let cost = |pair: &[Block; 2]| pair.iter().map(Block::cost).sum::<f32>();
    match pairs.min_by(|a, b| cost(a).total_cmp(&cost(b))) {
        Some(pair) if cost(&pair) < one.cost() => pair.to_vec(),
        Some(_) | None => vec![one],
    }
}

/// Mean brightness of each cell, row by row.
fn sample(frame: &Frame, cells: &mut Vec<f32>) {
    let (w, h) = (frame.width(), frame.height());
    let (across, down) = (GRID.0 * SAMPLES, GRID.1 * SAMPLES);
    let columns: Vec<usize> = (0..across).map(|i| i * w / across).collect();
    let mut sums = vec![0.0_f32; GRID.0];
    for cell_y in 0..GRID.1 {
        sums.fill(0.0);
        for sample_y in 0..SAMPLES {
            let y = (cell_y * SAMPLES + sample_y) * h / down;
            let cells = sums.iter_mut().zip(columns.as_chunks::<SAMPLES>().0);
            match frame.layout() {
                Layout::Rgb(_) => cells.for_each(|(sum, at)| *sum += at.iter().map(|x| frame.luma(*x, y)).sum::<f32>()),
                Layout::I420 { planes: [plane, ..], full_range } => {
                    let row = frame.row(plane, y, w);
                    let raw = |x: &usize| f32::from(row.get(*x).copied().unwrap_or(0));
                    cells.for_each(|(sum, at)| *sum += at.iter().map(|x| full(raw(x), full_range)).sum::<f32>());
                }
            }
        }
        cells.extend(sums.iter().map(|sum| sum / 9.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// 96×54 grey with a white block at `x`.
    fn picture(x: usize) -> Frame {
        let pixel =
            |i: usize| if (x..x + 16).contains(&(i % 96)) && (20..36).contains(&(i / 96)) { 250 } else { 90_u8 };
        Frame::from_rgb(96, 54, Bytes::from_iter((0..96 * 54).flat_map(|i| [pixel(i); 3]))).unwrap()
    }

    #[test]
    fn a_still_picture_is_looked_at_now_and_then_and_motion_at_once() {
        let mut gate = MotionGate::default();
        let mut admitted = Vec::new();
        for ms in (0..8000_u64).step_by(100) {
            let x = if ms == 6500 { 40 } else { 0 };
            if let Some(glance) = gate.admit(MonoTime { micros: ms * 1000 }, &picture(x), &[]) {
                admitted.push((ms, glance));
            }
        }
        let still: Vec<u64> = admitted.iter().map(|(ms, _)| *ms).filter(|ms| (1200..6500).contains(ms)).collect();
        assert_eq!(still, [3100, 5100]);
        assert!(admitted.iter().any(|(ms, _)| *ms == 7000));
        // Where it was and where it is, two pixels a cell: columns 0 to 7 and 20 to 27, rows 10 to 17, two more around.
        let (_, first) = admitted.iter().find(|(ms, _)| *ms == 6500).unwrap();
        let region = |x, w| Region { x, y: 16.0, w, h: 24.0 };
        assert_eq!(*first, Glance::Parts(vec![region(0.0, 20.0), region(36.0, 24.0)]));
        assert!(matches!(admitted.first(), Some((0, Glance::Whole))));
    }

    #[test]
    fn parts_cover_what_moves_and_what_is_followed() {
        let grid = |cells: &[(usize, usize)]| {
            let mut marked = vec![false; GRID.0 * GRID.1];
            cells.iter().for_each(|(x, y)| marked[y * GRID.0 + x] = true);
            marked
        };
        let block = |left, top, right, bottom| Block { left, top, right, bottom };
        for (cells, wanted) in [
            (&[][..], vec![]),
            (&[(10, 10)], vec![block(8, 8, 13, 13)]),
            (&[(10, 10), (14, 12)], vec![block(8, 8, 17, 15)]),
            (&[(0, 0), (47, 26)], vec![block(0, 0, 3, 3), block(45, 24, 48, 27)]),
            (&[(20, 1), (20, 25)], vec![block(18, 0, 23, 4), block(18, 23, 23, 27)]),
        ] {
            assert_eq!(cover(&grid(cells)), wanted, "{cells:?}");
        }
        let mut gate = MotionGate::default();
        let at = |ms: u64| MonoTime { micros: 1_000_000 + ms * 1000 };
        assert_eq!(gate.admit(at(0), &picture(0), &[]), Some(Glance::Whole));
        assert_eq!(gate.admit(at(100), &picture(0), &[]), Some(Glance::Whole), "nothing is marked yet");
        let followed = [[60.0, 40.0, 63.0, 41.0]];
        let wanted = Region { x: 56.0, y: 36.0, w: 12.0, h: 10.0 };
        assert_eq!(gate.admit(at(200), &picture(0), &followed), Some(Glance::Parts(vec![wanted])));
        assert_eq!(gate.admit(at(2300), &picture(0), &followed), Some(Glance::Whole), "a heartbeat");
    }
}
