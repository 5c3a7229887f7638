//! All tables of average-speed control together, with one version.

use std::time::Duration;

use vms_core::WallTime;

use super::TrajectoryCode;
use super::certificate::Certificates;
use super::parameters::ParameterTable;
use super::road::{self, Road};
use crate::day::Day;
use crate::seed::{RuleSetVersion, SeedError, seed_texts};

seed_texts!("trajectory": trajectories = "trajectories.toml", parameters = "parameters.toml", certificates = "certificates.toml");

impl SeedTexts<'static> {
    /// As [`SeedTexts::embedded`], with made-up certificates for the demonstration.
    pub const fn demonstration() -> Self {
        Self { certificates: include_str!("../../../../seed/trajectory/demo-certificates.toml"), ..Self::embedded() }
    }
}

/// The tables of average-speed control.
#[derive(Clone, Debug)]
pub struct RuleSet {
    pub(crate) roads: Vec<Road>,
    pub(crate) parameters: ParameterTable,
    pub(crate) certificates: Certificates,
    version: RuleSetVersion,
}

impl RuleSet {
    /// Reads tables.
    ///
    /// # Errors
    /// [`SeedError`] names the file, the entry, and the problem.
    pub fn load(texts: SeedTexts<'_>) -> Result<Self, SeedError> {
        let roads = road::load(texts.trajectories)?;
        let codes: Vec<TrajectoryCode> = roads.iter().map(|road| road.code.clone()).collect();
        let parameters = ParameterTable::load(texts.parameters)?;
        let version = texts.version();
        let certificates = Certificates::load(texts.certificates, &codes, &parameters)?;
        Ok(Self { roads, parameters, certificates, version })
    }

    /// Every trajectory.
    pub fn roads(&self) -> &[Road] {
        &self.roads
    }

    /// The certificates.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// The trajectory with this code.
    pub fn road(&self, code: &TrajectoryCode) -> Option<&Road> {
        self.roads.iter().find(|road| road.code == *code)
    }

    /// First instant at which no exit can be paired with an entry any more: from then on nothing of an entry may stay.
    /// `None` without a certificate or parameters of that day: then nothing is paired at all.
    pub fn pairing_ends(&self, code: &TrajectoryCode, entered_at: WallTime) -> Option<WallTime> {
        let day = Day::at(entered_at);
        let distance = self.certificates.distance(code, day)?;
        let parameters = self.parameters.on(day)?;
        let slowest = (u64::from(distance.certified.0) * 3_600).checked_div(u64::from(parameters.plausible_kmh_min))?;
        let span = Duration::from_micros(slowest.saturating_add(1));
        Some(entered_at.plus(span.min(Duration::from_secs(u64::from(parameters.pairing_seconds_max)))))
    }
}

/// Reads any bytes as each of the tables: never panics. For fuzzing.
pub fn fuzz_tables(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let good = SeedTexts::demonstration();
    for texts in [
        SeedTexts { trajectories: &text, ..good },
        SeedTexts { parameters: &text, ..good },
        SeedTexts { certificates: &text, ..good },
    ] {
        drop(RuleSet::load(texts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_tables_have_every_trajectory_and_no_certificate() {
        let set = RuleSet::embedded();
        let codes: Vec<_> = set.roads().iter().map(|road| road.code.as_str()).collect();
        assert_eq!(
            codes.join(" "),
            "TRJ-LEO3-C TRJ-LEO3-A TRJ-STE TRJ-HAL-1 TRJ-HAL-2 TRJ-LEO2-1 TRJ-LEO2-2 TRJ-MARIE TRJ-DEMETS TRJ-BORDET"
        );
        assert!(set.certificates().distances.is_empty() && set.certificates().sites.is_empty());
        let cordy = set.road(&TrajectoryCode::new("TRJ-LEO2-1")).unwrap();
        let on = |day: &str| cordy.limit_on(day.parse().unwrap());
        assert_eq!((on("2015-12-31"), on("2016-01-01")), (Some(70), Some(50)));
        assert_eq!(RuleSet::load(SeedTexts::demonstration()).unwrap().certificates().sites.len(), 2);
    }

    #[test]
    fn entries_wait_no_longer_than_a_run_can_last() {
        let demo = SeedTexts::demonstration();
        let entered = WallTime::from_secs(1_795_345_200);
        // 600 m at 5 km/h are 432 s; 870 m would be 626.4 s, longer than an entry may be kept.
        for (metres, micros) in [("600.0", 432_000_001), ("870.0", 600_000_000)] {
            let certificates = demo.certificates.replace("870.0", metres);
            let set = RuleSet::load(SeedTexts { certificates: &certificates, ..demo }).unwrap();
            let ends = set.pairing_ends(&TrajectoryCode::new("TRJ-STE"), entered).unwrap();
            assert_eq!(ends.micros_since(entered), micros);
            assert_eq!(set.pairing_ends(&TrajectoryCode::new("TRJ-HAL-1"), entered), None);
        }
    }

    #[test]
    fn a_bad_table_is_named_with_its_entry() {
        let good = SeedTexts::demonstration();
        for (from, to, wanted) in [
            ("\"870.0\"", "\"870,0\"", "`certificates.toml`, entry `DEMO-DISTANCE-1`: the distance is no length"),
            ("\"0.2\"", "\"0.871\"", "entry `DEMO-DISTANCE-1`: the uncertainty is above"),
            ("\"TRJ-STE\"", "\"TRJ-NONE\"", "entry `DEMO-DISTANCE-1`: there is no such trajectory"),
            ("2027-12-31", "2028-01-01", "entry `DEMO-VERIFICATION-1`: the term is longer"),
            ("certified_on = 2026-01-01", "certified_on = 2026-01-02", "the survey is not after the first day"),
            ("\"entry\"", "\"middle\"", "unknown variant `middle`"),
        ] {
            let text = good.certificates.replacen(from, to, 1);
            let error = RuleSet::load(SeedTexts { certificates: &text, ..good }).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        for (from, to, wanted) in [
            ("\"0.5\"", "\"x\"", "`parameters.toml`, entry `2018-12-01`: the distance's uncertainty is no length"),
            ("truncate_subtract_truncate\"", "half_up\"", "unknown variant `half_up`"),
            ("margin_percent = 6", "margin_percent = 8", "the margin makes a lower speed out of a higher one"),
            ("plausible_kmh_min = 5", "plausible_kmh_min = 0", "the plausible speeds are none"),
        ] {
            let text = good.parameters.replacen(from, to, 1);
            let error = RuleSet::load(SeedTexts { parameters: &text, ..good }).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        for (from, to, wanted) in [
            ("\"TRJ-LEO3-A\"", "\"TRJ-LEO3-C\"", "`trajectories.toml`, entry `TRJ-LEO3-C`: the code stands twice"),
            ("valid_from = 2016-01-01", "valid_from = 2015-01-01", "entry `TRJ-LEO2-1`: two limits share a day"),
        ] {
            let text = good.trajectories.replacen(from, to, 1);
            let error = RuleSet::load(SeedTexts { trajectories: &text, ..good }).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        let corpus: [&[u8]; 5] = [
            b"",
            b"\xff\xfe",
            b"[[distance]]\ncertified_m = 1.0",
            b"[[trajectory]]\n",
            b"[[parameters]]\nrounding = 3",
        ];
        for data in corpus {
            fuzz_tables(data);
        }
    }
}
