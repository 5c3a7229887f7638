//! Footage behind the magistrate's gate: the decisions that `serve` tells, kept on disk, and the gate as a reader opens it.
//!
//! Belongs here: which hours a decision keeps and until when, and the gate's private half for the life of one opened span. Does not belong
//! here: the cipher (`keys`), moving and destroying (`sweep`), who decided (`serve`).

use std::path::Path;

use keys::{GateSecret, Hour, KeyName, Scope};
use link::message::GatedSpec;
use vms_core::{CameraId, RetentionClass, WallTime};

use crate::kept;
use crate::sweep::key_dies_at;

/// Name of the file in the recorder's folder.
pub const FILE: &str = "gated.json";

/// One decision, read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decided {
    decision: String,
    camera: Option<CameraId>,
    class: RetentionClass,
    from: Hour,
    to: Hour,
    keep_s: u64,
}

impl Decided {
    fn read(spec: &GatedSpec) -> Option<Self> {
        let camera = match &spec.camera {
            Some(camera) => Some(camera.parse().ok()?),
            None => None,
        };
        let (from, to) = (Hour::from_count(spec.from_hour), Hour::from_count(spec.to_hour));
        let class = RetentionClass::parse(&spec.class)?;
        let is_span = from < to && !spec.decision.is_empty();
        is_span.then(|| Self { decision: spec.decision.clone(), camera, class, from, to, keep_s: spec.keep_s })
    }

    fn covers(&self, name: &KeyName) -> bool {
        let is_of = match name.scope {
            Scope::Camera(camera) => self.camera.is_none_or(|wanted| wanted == camera),
            Scope::Reads(_) | Scope::Finding(_) => false,
        };
        is_of && self.class == name.class && self.from <= name.hour && name.hour < self.to
    }
}

/// The decisions that a recorder knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    specs: Vec<GatedSpec>,
    decided: Vec<Decided>,
    is_lost: bool,
}

impl Decisions {
    /// As they were told; what is malformed is left out, and said.
    pub fn new(specs: Vec<GatedSpec>) -> Self {
        let mut decided = Vec::with_capacity(specs.len());
        for spec in &specs {
            match Decided::read(spec) {
                Some(read) => decided.push(read),
                None => tracing::error!(decision = %spec.decision, "a decision of the gate is malformed and left out"),
            }
        }
        Self { specs, decided, is_lost: false }
    }

    /// What was kept; none where nothing was. When the file is damaged nothing is destroyed until `serve` has told them again.
    ///
    /// # Errors
    /// Of the disk.
    pub fn load(path: &Path) -> std::io::Result<Self> {
        match kept::load::<Vec<GatedSpec>>(path) {
            Ok(specs) => Ok(Self::new(specs.unwrap_or_default())),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                tracing::error!(%error, "the kept decisions of the gate are damaged: no key dies until they are told again");
                Ok(Self { is_lost: true, ..Self::default() })
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps them on disk.
    ///
    /// # Errors
    /// Of the disk; what was kept before is then still there.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        kept::save(path, &self.specs)
    }

    /// Whether they are not known: then nothing may be destroyed.
    pub const fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Whether these are the decisions that are kept.
    pub fn has(&self, specs: &[GatedSpec]) -> bool {
        !self.is_lost && self.specs == specs
    }

    /// Until when a decision keeps an hour key; `None` where none does. The latest counts.
    pub fn until(&self, name: &KeyName) -> Option<WallTime> {
        let covering = self.decided.iter().filter(|decided| decided.covers(name));
        covering.map(|decided| key_dies_at(name.hour, decided.keep_s)).max()
    }

    /// The shortest of both terms together, seconds: no key of an hour that began later than so long ago is due.
    pub fn shortest_s(&self) -> Option<u64> {
        self.decided.iter().map(|decided| decided.keep_s).min()
    }

    /// The numbers of the decisions that keep an hour key.
    pub fn of<'a>(&'a self, name: &'a KeyName) -> impl Iterator<Item = &'a str> {
        self.decided.iter().filter(|decided| decided.covers(name)).map(|decided| decided.decision.as_str())
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.decided.is_empty()
    }
}

/// The private halves of the gates, for the life of one opened span: only a capability of a magistrate's decision asks for them.
#[derive(Debug, Default)]
pub struct OpenGate {
    secrets: Vec<GateSecret>,
}

impl OpenGate {
    /// Of these.
    pub const fn new(secrets: Vec<GateSecret>) -> Self {
        Self { secrets }
    }

    /// The private halves, for whoever opens by itself (the store of reads).
    pub fn into_secrets(self) -> Vec<GateSecret> {
        self.secrets
    }

    /// How many gates are open.
    pub(crate) const fn len(&self) -> usize {
        self.secrets.len()
    }

    /// The private half of one gate; `None` when its medium is not attached.
    pub(crate) fn secret(&self, gate: keys::GateNumber) -> Option<&GateSecret> {
        self.secrets.iter().find(|secret| secret.gate() == gate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(camera: Option<u8>, hours: (u32, u32), keep_s: u64) -> GatedSpec {
        GatedSpec {
            decision: format!("{}-{keep_s}", hours.0),
            camera: camera.map(|camera| CameraId::from_bytes([camera; 16]).to_string()),
            class: "RC-VID-POL".to_owned(),
            from_hour: hours.0,
            to_hour: hours.1,
            keep_s,
        }
    }

    fn name(camera: u8, hour: u32, class: &str) -> KeyName {
        let class = RetentionClass::parse(class).unwrap();
        KeyName { scope: Scope::Camera(CameraId::from_bytes([camera; 16])), class, hour: Hour::from_count(hour) }
    }

    #[test]
    fn decisions_cover_their_hours_and_nothing_else_and_the_latest_counts() {
        const DAY_S: u64 = 86_400;
        let all = Decisions::new(vec![
            spec(Some(1), (10, 20), 365 * DAY_S),
            spec(Some(1), (15, 30), 90 * DAY_S),
            spec(None, (40, 41), 100 * DAY_S),
            spec(Some(1), (20, 20), 365 * DAY_S),
            GatedSpec { camera: Some("cam_".to_owned()), ..spec(None, (0, 99), 365 * DAY_S) },
        ]);
        assert_eq!(all.decided.len(), 3, "what is malformed is left out");
        for (camera, hour, class, days) in [
            (1, 9, "RC-VID-POL", None),
            (1, 10, "RC-VID-POL", Some(365)),
            (1, 19, "RC-VID-POL", Some(365)),
            (1, 20, "RC-VID-POL", Some(90)),
            (1, 30, "RC-VID-POL", None),
            (2, 15, "RC-VID-POL", None),
            (1, 15, "RC-VID-OPEN", None),
            (7, 40, "RC-VID-POL", Some(100)),
        ] {
            let name = name(camera, hour, class);
            let wanted = days.map(|days| key_dies_at(name.hour, days * DAY_S));
            assert_eq!(all.until(&name), wanted, "{camera} {hour} {class}");
            assert_eq!(all.of(&name).next().is_some(), days.is_some());
        }
    }

    #[test]
    fn they_are_kept_and_a_damaged_file_is_no_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert!(Decisions::load(&path).unwrap().is_empty());
        let all = Decisions::new(vec![spec(Some(1), (10, 20), 5)]);
        all.save(&path).unwrap();
        assert_eq!(Decisions::load(&path).unwrap(), all);
        assert!(all.has(&[spec(Some(1), (10, 20), 5)]) && !all.has(&[]));
        std::fs::write(&path, b"[{").unwrap();
        let lost = Decisions::load(&path).unwrap();
        assert!(lost.is_lost() && !lost.has(&[]));
    }
}
