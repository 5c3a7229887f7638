//! The motion gate: whether a picture is worth the detector, from brightness on a coarse grid. Pure.

use vms_core::MonoTime;

use crate::frame::Frame;

/// Cells across and down. A plate of 60 pixels in 1280 covers one cell, its vehicle a dozen.
const GRID: (usize, usize) = (48, 27);

/// Samples of one cell across and down.
const SAMPLES: usize = 3;

/// Change of mean brightness of a cell, of 255, that counts: above what noise leaves of nine averaged samples.
const CHANGE_MIN: f32 = 7.0;

/// Cells that must change: one may be a leaf or a raindrop.
const CELLS_MIN: usize = 3;

/// The gate stays open for this long after the last motion, so that a vehicle that stops is read.
const LINGER_US: u64 = 1_200_000;

/// Even a still picture is looked at this often.
const HEARTBEAT_US: u64 = 2_000_000;

/// The reference follows the picture by this share each time, so that slow light is not motion.
const FOLLOW: f32 = 0.25;

/// State of the gate for one camera.
#[derive(Debug, Default)]
pub struct MotionGate {
    reference: Vec<f32>,
    size: (usize, usize),
    open_until: u64,
    looked: u64,
    started: bool,
}

impl MotionGate {
    /// Whether the detector should see this picture.
    pub fn admit(&mut self, now: MonoTime, frame: &Frame) -> bool {
        let grid = grid(frame);
        let size = (frame.width(), frame.height());
        if self.size != size || self.reference.len() != grid.len() {
            self.size = size;
            self.reference = grid;
            self.open_until = now.micros.saturating_add(LINGER_US);
        } else {
            let changed = grid.iter().zip(&self.reference).filter(|(a, b)| (*a - *b).abs() > CHANGE_MIN).count();
            if changed >= CELLS_MIN {
                self.open_until = now.micros.saturating_add(LINGER_US);
            }
            for (slot, fresh) in self.reference.iter_mut().zip(grid) {
                *slot += FOLLOW * (fresh - *slot);
            }
        }
        let due = !self.started || now.micros.saturating_sub(self.looked) >= HEARTBEAT_US;
        let admit = due || now.micros < self.open_until;
        if admit {
            self.looked = now.micros;
            self.started = true;
        }
        admit
    }
}

fn grid(frame: &Frame) -> Vec<f32> {
    let (w, h) = (frame.width(), frame.height());
    let (across, down) = (GRID.0 * SAMPLES, GRID.1 * SAMPLES);
    let mut cells = Vec::with_capacity(GRID.0 * GRID.1);
    for cell_y in 0..GRID.1 {
        for cell_x in 0..GRID.0 {
            let mut sum = 0.0;
            for sample in 0..SAMPLES * SAMPLES {
                let x = (cell_x * SAMPLES + sample % SAMPLES) * w / across;
                let y = (cell_y * SAMPLES + sample / SAMPLES) * h / down;
                sum += frame.luma(x, y);
            }
            cells.push(sum / 9.0);
        }
    }
    cells
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
            if gate.admit(MonoTime { micros: ms * 1000 }, &picture(x)) {
                admitted.push(ms);
            }
        }
        let still: Vec<u64> = admitted.iter().copied().filter(|ms| (1200..6500).contains(ms)).collect();
        assert_eq!(still, [3100, 5100]);
        assert!(admitted.contains(&6500) && admitted.contains(&7000));
    }
}
