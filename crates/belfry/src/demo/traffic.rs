//! A zone with restricted access and a stretch with average speed for the simulated town: operator's files that say they are made up.
//!
//! The town's road passes two gantries and then the zone at the Naamsepoort. The stretch lies between the gantries, under the code of one that the
//! tables have; the drawn road is 330 m long, and the made-up certificate says more, so that the fastest vehicles of the film are too fast.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Config;
use crate::keys::write_durably;

/// The time service's word is written so often; the reader takes one for two minutes and a half.
const WORD_EVERY: Duration = Duration::from_secs(30);

const PLACES: &str = r#"# DEMONSTRATION ONLY: where the cameras of the simulated town stand.

[[zone]]
camera = "ZBT-Z-XL-N-A03-IN"
zone = "ZBT-XL-A"
end = "entry"
authority = "ELSENE"

[[trajectory]]
camera = "LEZ-R-KKL-A01-IN"
trajectory = "TRJ-STE"
end = "entry"
authority = "5340"

[[trajectory]]
camera = "LEZ-T-ANC-W-A02-IN"
trajectory = "TRJ-STE"
end = "exit"
authority = "5340"
"#;

/// Metres: the drawn road has 330.
const DISTANCE: &str = "475.0";

fn certificates() -> String {
    let mut text = "# DEMONSTRATION ONLY: made-up certificates for the simulated town. They say nothing about any real measuring site.\n"
        .to_owned();
    write!(
        text,
        "\n[[distance]]\ntrajectory = \"TRJ-STE\"\ncertified_m = \"{DISTANCE}\"\nuncertainty_m = \"0.2\"\nsurveyor = \"demonstration\"\n\
         certified_on = 2026-01-01\nvalid_from = 2026-01-01\ndocument = \"DEMO-DISTANCE-TOWN\"\n"
    )
    .ok();
    for (number, end) in [(1, "entry"), (2, "exit")] {
        write!(
            text,
            "\n[[site]]\ntrajectory = \"TRJ-STE\"\nend = \"{end}\"\nserial = \"DEMO-000{number}\"\napproval = \"DEMO-MODEL\"\n\
             verified_on = 2026-01-01\nvalid_to = 2027-12-31\ndocument = \"DEMO-VERIFICATION-{number}\"\n"
        )
        .ok();
    }
    text
}

/// The file that stands in for a time service's timer.
fn tracking(dir: &Path) -> PathBuf {
    dir.join("traffic/tracking.csv")
}

/// Writes the files and names them.
pub(super) fn configure(config: &mut Config, dir: &Path) -> anyhow::Result<()> {
    let folder = dir.join("traffic");
    std::fs::create_dir_all(&folder)?;
    for (name, text) in [("places.toml", PLACES.to_owned()), ("certificates.toml", certificates())] {
        write_durably(&folder.join(name), text.as_bytes(), 0o644)?;
    }
    config.traffic.places = folder.join("places.toml").display().to_string();
    config.traffic.certificates = folder.join("certificates.toml").display().to_string();
    config.reader.time_tracking = Some(tracking(dir));
    Ok(())
}

/// Whether the demo has these files: one of somebody's own cameras has none.
pub(super) fn is_there(dir: &Path) -> bool {
    dir.join("traffic").is_dir()
}

/// Plays the time service of the demo's host: simulated cameras run on its clock, so the two agree whatever the clock says. One line in the form of
/// `chronyc -n -c tracking`, written anew until the demo ends.
pub(super) async fn keep_time(dir: PathBuf) {
    loop {
        let now = vms_app::ports::Clock::now(&crate::wiring::system::SystemClock).micros / 1_000_000;
        let line = format!("7F7F0101,127.0.0.1,10,{now}.0,0.000001,0.0,0.0,0.0,0.0,0.0,0.0001,0.0001,64.0,Normal\n");
        if let Err(error) = std::fs::write(tracking(&dir), line) {
            tracing::warn!(%error, "the demo's time service could not write its word: average speed stays unusable");
        }
        tokio::time::sleep(WORD_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use traffic_rules::{trajectory, zbt};
    use vms_app::traffic_ports::Sites;

    use super::*;

    #[test]
    fn the_town_s_files_fit_the_tables() {
        let made = certificates();
        let texts = trajectory::SeedTexts { certificates: &made, ..trajectory::SeedTexts::embedded() };
        let roads = trajectory::RuleSet::load(texts).unwrap();
        let sites = Sites::parse(PLACES, &zbt::RuleSet::embedded(), &roads).unwrap();
        assert_eq!(sites.authorities().collect::<Vec<_>>(), ["ELSENE", "5340", "5340"]);
        let code = trajectory::TrajectoryCode::new("TRJ-STE");
        let noon = vms_core::WallTime::from_secs(1_795_345_200);
        assert!(roads.pairing_ends(&code, noon).is_some(), "both ends are certified");
        for place in ["ZBT-Z-XL-N-A03-IN", "LEZ-R-KKL-A01-IN", "LEZ-T-ANC-W-A02-IN"] {
            let scene = sim::scene::Scene::new(sim::scene::SceneSettings::default()).unwrap();
            assert!(scene.cameras().any(|(code, ..)| code == place), "{place}");
        }
    }
}
