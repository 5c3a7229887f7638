//! A zone with restricted access, a stretch with average speed and counted places for the simulated town: operator's files that say they are made up.
//!
//! The town's road passes two gantries and then the zone at the Naamsepoort. The stretch lies between the gantries, under the code of one that the
//! tables have; the drawn road is 330 m long, and the made-up certificate says more, so that the fastest vehicles of the film are too fast.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use vms_app::UseCases;
use vms_app::grants::ShareWish;
use vms_app::model::Camera;
use vms_core::{Right, TimeRange};

use crate::config::Config;
use crate::keys::write_durably;

/// The time service's word is written so often; the reader takes one for two minutes and a half.
const WORD_EVERY: Duration = Duration::from_secs(30);

/// The pedestrian zone: it is closed at every hour, so that the demo has findings in the evening too (the streets around it open at 19:00).
const PLACES: &str = r#"# DEMONSTRATION ONLY: where the cameras of the simulated town stand.

[[zone]]
camera = "ZBT-Z-XL-N-A03-IN"
zone = "ZBT-XL-C"
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

/// Vehicles into town pass both gantries, and a few of them the zone's entry: too few, so that the demo shows what is held back too. The film begins again
/// each minute, with the same vehicles.
const COUNTED: &str = r#"# DEMONSTRATION ONLY: where the vehicles of the simulated town are counted.

[publisher]
country = "be"
identifier = "BE-BRU-BELFRY-DEMO"

[[site]]
code = "KKL-IN"
name_nl = "Keizer Karellaan, stad in"
name_fr = "Avenue Charles-Quint, vers la ville"
name_en = "Avenue Charles-Quint, into town"
orientation = 95
latitude = 50.8655
longitude = 4.2930
minutes = 5
detectors = [{ camera = "LEZ-R-KKL-A01-IN", direction = "approaching", lane = 1 }]

[[site]]
code = "ANC-W-IN"
name_nl = "Annie Cordytunnel west, stad in"
name_fr = "Tunnel Annie Cordy ouest, vers la ville"
name_en = "Annie Cordy tunnel west, into town"
orientation = 95
latitude = 50.8664
longitude = 4.3150
minutes = 5
detectors = [{ camera = "LEZ-T-ANC-W-A02-IN", direction = "approaching", lane = 1 }]

[[site]]
code = "XL-N-IN"
name_nl = "Elsensesteenweg, zone in"
name_fr = "Chaussée d'Ixelles, vers la zone"
name_en = "Chaussée d'Ixelles, into the zone"
orientation = 150
latitude = 50.8385
longitude = 4.3620
minutes = 5
detectors = [{ camera = "ZBT-Z-XL-N-A03-IN", direction = "approaching", lane = 1 }]

[[route]]
code = "KKL-ANC"
from = "KKL-IN"
to = "ANC-W-IN"
shortest_s = 10
longest_s = 120
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
    for (name, text) in [
        ("places.toml", PLACES.to_owned()),
        ("certificates.toml", certificates()),
        ("counted.toml", COUNTED.to_owned()),
    ] {
        write_durably(&folder.join(name), text.as_bytes(), 0o644)?;
    }
    config.traffic.places = folder.join("places.toml").display().to_string();
    config.traffic.certificates = folder.join("certificates.toml").display().to_string();
    config.statistics.places = folder.join("counted.toml").display().to_string();
    config.reader.time_tracking = Some(tracking(dir));
    Ok(())
}

/// Whether the demo has these files: one of somebody's own cameras has none.
pub(super) fn is_there(dir: &Path) -> bool {
    dir.join("traffic").is_dir()
}

/// The owners of the counted cameras share their figures with Brussels Mobility for a year.
pub(super) async fn share(cases: &UseCases, cameras: &[Camera]) -> anyhow::Result<()> {
    let orgs = cases.org_list().await?;
    let mobility = orgs.iter().find(|org| org.code == "BM").context("organisation BM")?.id;
    let now = cases.clock().now();
    let year = Duration::from_secs(365 * 86_400);
    let period = TimeRange::new(now, now.plus(year)).context("a year from now")?;
    for (chief, zone) in [("chef", "5340"), ("chef-5339", "5339")] {
        let owner = orgs.iter().find(|org| org.code == zone).with_context(|| format!("zone {zone}"))?.id;
        let counted = cameras.iter().filter(|camera| camera.owner == owner && COUNTED.contains(&camera.code));
        let cameras: Vec<_> = counted.map(|camera| camera.id).collect();
        if cameras.is_empty() {
            continue;
        }
        let chief = cases.actor_of_command_line(chief).await?;
        let rights = vec![Right::StatisticsView];
        let wish = ShareWish { cameras, partner: mobility, profile: None, rights, purpose: None, period };
        cases.grant_share(&chief, wish).await?;
    }
    Ok(())
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

    /// Whoever looks at the demo's figures sees numbers at the gantries and on the route between them, and at the zone's entry that one is held back.
    #[test]
    fn the_counted_places_fit_the_town_and_have_enough_vehicles() {
        let plan = vms_app::statistics::Plan::parse(COUNTED).unwrap();
        let scene = sim::scene::Scene::new(sim::scene::SceneSettings::default()).unwrap();
        let truth = scene.truth();
        let at = |camera: &str| -> std::collections::BTreeMap<String, f64> {
            let inbound = truth.iter().filter(|row| row.camera == camera && row.direction == "approaching");
            inbound.map(|row| (row.plate.clone(), row.t_line)).collect()
        };
        for planned in &plan.sites {
            let vehicles: usize = planned.cameras.iter().map(|camera| at(camera).len()).sum();
            let few = planned.site.code.as_str() == "XL-N-IN";
            // A read that is missed now and then costs no number.
            assert!(
                if few { (1..5).contains(&vehicles) } else { vehicles >= 8 },
                "{:?}: {vehicles}",
                planned.site.code
            );
        }
        let (first, second) = (at("LEZ-R-KKL-A01-IN"), at("LEZ-T-ANC-W-A02-IN"));
        let route = &plan.routes[0];
        let fits = |(plate, from): (&String, &f64)| {
            let took = second.get(plate).map(|to| (to - from).rem_euclid(60.0));
            took.is_some_and(|took| took >= route.shortest.as_secs_f64() && took <= route.longest.as_secs_f64())
        };
        let drives = first.iter().filter(|drive| fits(*drive)).count();
        // Five show a travel time.
        assert!(drives > 5, "{drives} drives in a film");
    }
}
