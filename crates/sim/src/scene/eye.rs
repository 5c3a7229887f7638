//! The pinhole camera: from the street to the picture and back.
//!
//! The street's axes: x to the right, y up, z along the road away from the camera; metres.

use super::canvas::Point;

/// A place or direction in the street.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Vec3 {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) z: f32,
}

pub(super) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    fn minus(self, other: Self) -> Self {
        vec3(self.x - other.x, self.y - other.y, self.z - other.z)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        vec3(self.x + other.x, self.y + other.y, self.z + other.z)
    }

    pub(super) fn times(self, factor: f32) -> Self {
        vec3(self.x * factor, self.y * factor, self.z * factor)
    }
}

/// Where a camera hangs and looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mount {
    /// Metres right of the road's middle, and above it.
    pub(super) x: f32,
    pub(super) height: f32,
    /// Radians: to the right, downwards, and tilted clockwise.
    pub(super) yaw: f32,
    pub(super) pitch: f32,
    pub(super) roll: f32,
    /// Pixels: how large one metre is at one metre's distance.
    pub(super) focal: f32,
}

/// A mounted camera with a picture size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eye {
    pub(super) at: Vec3,
    right: Vec3,
    up: Vec3,
    forward: Vec3,
    focal: f32,
    centre: Point,
}

/// Nothing nearer than this is drawn, metres.
const NEAR: f32 = 0.4;

impl Eye {
    pub(super) fn new(mount: &Mount, width: usize, height: usize) -> Self {
        let (sy, cy) = mount.yaw.sin_cos();
        let (sp, cp) = mount.pitch.sin_cos();
        let (sr, cr) = mount.roll.sin_cos();
        let (right, up) = (vec3(cy, 0.0, -sy), vec3(sy * sp, cp, cy * sp));
        Self {
            at: vec3(mount.x, mount.height, 0.0),
            right: right.times(cr).plus(up.times(sr)),
            up: up.times(cr).plus(right.times(-sr)),
            forward: vec3(sy * cp, -sp, cy * cp),
            focal: mount.focal,
            centre: Point { x: width as f32 / 2.0, y: height as f32 / 2.0 },
        }
    }

    /// Right, up and ahead of the camera.
    fn seen(&self, place: Vec3) -> Vec3 {
        let d = place.minus(self.at);
        vec3(d.dot(self.right), d.dot(self.up), d.dot(self.forward))
    }

    fn flat(&self, seen: Vec3) -> Point {
        let scale = self.focal / seen.z;
        Point { x: self.centre.x + seen.x * scale, y: self.centre.y - seen.y * scale }
    }

    /// Where a place appears; `None` behind or too near.
    pub(super) fn project(&self, place: Vec3) -> Option<Point> {
        let seen = self.seen(place);
        (seen.z > NEAR).then(|| self.flat(seen))
    }

    /// A polygon as seen, cut off at the near plane; empty when all of it is behind.
    pub(super) fn polygon(&self, places: &[Vec3]) -> Vec<Point> {
        let seen: Vec<Vec3> = places.iter().map(|p| self.seen(*p)).collect();
        let mut out = Vec::with_capacity(seen.len() + 2);
        for (a, b) in seen.iter().zip(seen.iter().cycle().skip(1)) {
            if a.z > NEAR {
                out.push(self.flat(*a));
            }
            if (a.z > NEAR) != (b.z > NEAR) {
                let t = (NEAR - a.z) / (b.z - a.z);
                let cut = vec3(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, NEAR);
                out.push(self.flat(cut));
            }
        }
        out
    }

    /// The direction in which a point of the picture looks; not of unit length.
    pub(super) fn ray(&self, at: Point) -> Vec3 {
        let sideways = self.right.times((at.x - self.centre.x) / self.focal);
        self.forward.plus(sideways).plus(self.up.times((self.centre.y - at.y) / self.focal))
    }

    /// Distance ahead of the camera, metres.
    pub(super) fn depth(&self, place: Vec3) -> f32 {
        self.seen(place).z
    }

    /// Pixels of one metre at a place.
    pub(super) fn scale_at(&self, place: Vec3) -> f32 {
        self.focal / self.depth(place).max(NEAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rays_and_projection_agree() {
        let mount = Mount { x: 1.0, height: 4.0, yaw: 0.1, pitch: 0.15, roll: 0.03, focal: 2000.0 };
        let eye = Eye::new(&mount, 1280, 720);
        for place in [vec3(0.0, 0.0, 20.0), vec3(3.0, 0.5, 12.0), vec3(-2.0, 1.0, 40.0)] {
            let ray = eye.ray(eye.project(place).unwrap());
            let t = (place.y - eye.at.y) / ray.y;
            let back = eye.at.plus(ray.times(t));
            assert!((back.x - place.x).abs() < 0.01 && (back.z - place.z).abs() < 0.02, "{back:?}");
        }
        assert!(eye.project(vec3(0.0, 0.0, -3.0)).is_none());
        assert!(eye.polygon(&[vec3(0.0, 0.0, -3.0), vec3(1.0, 0.0, -3.0), vec3(1.0, 1.0, -3.0)]).is_empty());
    }

    #[test]
    fn a_plate_ten_metres_away_is_as_wide_as_the_lens_says() {
        let eye = Eye::new(&Mount { x: 0.0, height: 1.0, yaw: 0.0, pitch: 0.0, roll: 0.0, focal: 2000.0 }, 1280, 720);
        let left = eye.project(vec3(-0.26, 1.0, 10.0)).unwrap();
        let right = eye.project(vec3(0.26, 1.0, 10.0)).unwrap();
        assert!((right.x - left.x - 104.0).abs() < 0.1);
    }
}
