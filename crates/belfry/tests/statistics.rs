//! Counts and travel times of the real program (docs/STATISTICS.md): reads that cameras push over the listener for machines come out as numbers at
//! every address, for a person with a session and for a program with its certificate, and as nothing where too few vehicles passed. The minutes
//! between are made by libfaketime (Debian package `faketime`); everything else is the real thing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect and what they measured"
)]

#[path = "support/faketime.rs"]
mod faketime;
#[expect(dead_code, reason = "the other system tests use the rest")]
#[path = "support/machine.rs"]
mod machine;
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use vms_testkit::rig::Rig;

use machine::{Issuer, Machine, admit, authority};
use support::{health, now_us, options, rfc3339, text};

const FIVE_MINUTES_US: i64 = 300_000_000;

impl Machine {
    /// Status, entity tag and answer below `/api/v1/statistics/`.
    async fn ask(&self, path: &str, etag: Option<&str>) -> (u16, Option<String>, String) {
        let request = self.http.get(format!("{}/api/v1/statistics/{path}", self.base)).bearer_auth(&self.token);
        let request = if let Some(etag) = etag { request.header("If-None-Match", etag) } else { request };
        let response = request.send().await.unwrap();
        let etag = response.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned());
        (response.status().as_u16(), etag, response.text().await.unwrap())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, _, said) = self.ask(path, None).await;
        assert_eq!(status, 200, "{path}: {said}");
        serde_json::from_str(&said).unwrap()
    }

    /// A camera says which plates it read.
    async fn push(&self, camera: &str, at_us: i64, plates: std::ops::Range<u32>) {
        for plate in plates {
            let at = rfc3339(at_us + i64::from(plate) * 1_000);
            let number = json!({ "@Likelihood": 0.97, "#text": format!("1XYZ{plate:03}") });
            let seen = json!({ "UtcTime": at, "Data": { "LicensePlateInfo": { "LicensePlateInfo": { "PlateNumber": number } } } });
            let request = self.http.post(format!("{}/api/v1/machine/reads/onvif/{camera}", self.base));
            let request = request.bearer_auth(&self.token).header("Content-Type", "application/json");
            let response = request.body(seen.to_string()).send().await.unwrap();
            let (status, said) = (response.status(), response.text().await.unwrap());
            assert!(status.is_success() && said.contains("\"kept\""), "{camera}: {status} {said}");
        }
    }
}

/// `serve` as its unit would start it, under a clock that the test moves.
struct Serve<'a> {
    rig: &'a Rig,
    child: Child,
    offset: PathBuf,
}

impl<'a> Serve<'a> {
    async fn start(rig: &'a Rig, library: &Path, offset: &Path) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(rig.path().join("belfry.log")).unwrap();
        let child = Command::new(options(1, 0).programs.join("belfry"))
            .arg("--config")
            .arg(rig.path().join("belfry.toml"))
            .args(["role", "serve"])
            .envs(faketime::variables(library, offset))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let serve = Self { rig, child, offset: offset.to_owned() };
        let answers = async |rig: &Rig| health(rig).await.is_some();
        serve.rig.until("serve answers", Duration::from_secs(60), answers).await.unwrap();
        serve
    }

    /// Moves its clock to this instant.
    fn move_to(&self, at_us: i64) {
        // Whole seconds: at the instant or up to a second after it.
        faketime::set(&self.offset, (at_us - now_us()).div_euclid(1_000_000) + 1);
    }
}

impl Drop for Serve<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const CAMERAS: [&str; 3] = ["RIG-000", "RIG-001", "RIG-002"];

fn places() -> String {
    let mut text = "[publisher]\ncountry = 'be'\nidentifier = 'BE-BRU-RIG'\n".to_owned();
    for (number, camera) in (1..).zip(CAMERAS) {
        write!(
            text,
            "[[site]]\ncode = 'S{number}'\nname_nl = 'Brug {number}'\nname_fr = 'Pont {number}'\nname_en = 'Bridge {number}'\n\
             orientation = 90\nlatitude = 50.8466\nlongitude = 4.3517\nminutes = 5\ndetectors = [{{ camera = '{camera}', lane = 1 }}]\n"
        )
        .unwrap();
    }
    text + "[[route]]\ncode = 'R1'\nfrom = 'S1'\nto = 'S2'\nshortest_s = 30\nlongest_s = 300\n"
}

/// What an operator writes: the places, and the listener for machines. Gives the address of the listener.
fn configure(rig: &Rig, machines: &Issuer, server: &Issuer) -> SocketAddr {
    let at = machine::listen(rig, machines, server);
    let (path, places_file) = (rig.path().join("belfry.toml"), rig.path().join("places.toml"));
    std::fs::write(&places_file, places()).unwrap();
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, config + &format!("[statistics]\nplaces = '{}'\n", places_file.display())).unwrap();
    at
}

/// The forms that show what is newest hold the drive, and no plate.
async fn newest_is_told(job: &Machine) {
    let live = job.json("counts?request=live&interval=5").await;
    let counted = ["S1", "S2", "S3"].map(|site| live["data"][site]["results"]["5m"]["count"].clone());
    assert_eq!(counted, [json!(7), json!(7), Value::Null], "{live}");
    assert_eq!(live["data"]["S3"]["results"]["5m"]["suppressed"], true, "four vehicles are nobody's business: {live}");
    let (status, etag, measured) = job.ask("datex/measured?interval=5", None).await;
    assert_eq!(status, 200, "{measured}");
    assert!(measured.contains("<com:vehicleFlowRate>84</com:vehicleFlowRate>"), "{measured}");
    assert!(measured.contains("<roa:duration>60</roa:duration>"), "{measured}");
    assert_eq!(job.ask("datex/measured?interval=5", etag.as_deref()).await.0, 304);
    assert!(!format!("{live}{measured}").contains("XYZ"), "no plate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn pushed_reads_become_numbers_for_people_and_for_programs() {
    let Some(library) = faketime::library() else {
        eprintln!("this test did not run: libfaketime is missing (Debian package `faketime`)");
        return;
    };
    let rig = Rig::set_up(options(3, 3)).unwrap();
    let (machines, server) = (authority("machines of the rig"), authority("servers of the rig"));
    let at = configure(&rig, &machines, &server);
    let offset = rig.path().join("offset");
    faketime::set(&offset, 0);
    let serve = Serve::start(&rig, &library, &offset).await;

    // The zone's cameras push; a program of Brussels Mobility fetches what the zone's chief shares with it.
    let admin = rig.log_in("admin").await.unwrap();
    let mut camera = Machine::new(&machines, &server, at);
    admit(&admin, &mut camera, "rig-cameras", "5340").await;
    let mut job = Machine::new(&machines, &server, at);
    let mobility = admit(&admin, &mut job, "rig-counts", "BM").await;
    assert_eq!(job.json("places").await, json!({ "sites": [], "routes": [] }), "nothing is shared yet");
    let chief = rig.log_in("chef").await.unwrap();
    let supervisor = rig.log_in("supervisor").await.unwrap();
    let list = supervisor.ask("GET", "/api/v1/cameras?limit=50", None).await.unwrap();
    let ids: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|camera| &camera["id"]).collect();
    assert_eq!(ids.len(), CAMERAS.len(), "{list}");
    let share = json!({ "camera_ids": ids, "partner_id": mobility, "rights": ["statistics.deliver"], "purpose": "VERKEERSBEHEER",
        "from": rfc3339(now_us()), "to": rfc3339(now_us() + 86_400_000_000) });
    chief.ask("POST", "/api/v1/grants", Some(share)).await.unwrap();
    assert_eq!(job.json("places").await["sites"].as_array().unwrap().len(), 3);

    // Seven vehicles drive from S1 to S2 in a minute, within one cell of five minutes; four pass S3. The cell begins later than the longest drive
    // after the start.
    let cell = (now_us().div_euclid(FIVE_MINUTES_US) + 2) * FIVE_MINUTES_US;
    serve.move_to(cell + 1_000_000);
    camera.renew().await;
    camera.push(CAMERAS[0], cell + 1_000_000, 0..7).await;
    camera.push(CAMERAS[2], cell + 1_000_000, 0..4).await;
    serve.move_to(cell + 61_000_000);
    camera.push(CAMERAS[1], cell + 61_000_000, 0..7).await;
    serve.move_to(cell + FIVE_MINUTES_US + 15_000_000);
    job.renew().await;
    let span = format!("from={}&to={}", rfc3339(cell), rfc3339(cell + FIVE_MINUTES_US));
    let stored = format!("sites/S1/counts?{span}");
    let is_kept = async |_: &Rig| job.json(&stored).await["items"].as_array().unwrap().len() == 1;
    rig.until("the cell is sealed and kept", Duration::from_secs(20), is_kept).await.unwrap();

    // Each address, for the program.
    newest_is_told(&job).await;
    let (wire_from, wire_to) = (rfc3339(cell), rfc3339(cell + FIVE_MINUTES_US));
    for (site, count) in [("S1", json!(7)), ("S2", json!(7)), ("S3", Value::Null)] {
        let rows = job.json(&format!("sites/{site}/counts?{span}")).await;
        let [row] = rows["items"].as_array().unwrap().as_slice() else { panic!("{site}: {rows}") };
        assert_eq!((&row["count"], &row["suppressed"]), (&count, &json!(count.is_null())), "{site}: {rows}");
        assert_eq!((same(&row["from"]), same(&row["to"])), (same(&json!(wire_from)), same(&json!(wire_to))));
    }
    let times = job.json(&format!("routes/R1/travel-times?{span}")).await;
    assert_eq!((&times["items"][0]["mean_s"], &times["items"][0]["sample"]), (&json!(60), &json!("5-9")), "{times}");
    let (status, etag, table) = job.ask("datex/sites", None).await;
    assert!(
        status == 200 && table.contains("MeasurementSiteTablePublication") && table.contains("route-R1"),
        "{table}"
    );
    assert_eq!(job.ask("datex/sites", etag.as_deref()).await.0, 304);
    assert_eq!(job.json("counts?request=devices").await["features"].as_array().unwrap().len(), 3);

    // The same for a person, with a session of now: the clock may have moved past the rest of the first one. Nothing for nobody.
    let supervisor = rig.log_in("supervisor").await.unwrap();
    let seen = supervisor.ask("GET", &format!("/api/v1/statistics/{stored}"), None).await.unwrap();
    assert_eq!(seen, job.json(&stored).await);
    let nobody = reqwest::get(rig.url("/api/v1/statistics/places")).await.unwrap();
    assert_eq!(nobody.status().as_u16(), 401);

    // A restart loses nothing that was published.
    drop(serve);
    let _serve = Serve::start(&rig, &library, &offset).await;
    job.renew().await;
    let is_back =
        async |_: &Rig| job.json("counts?request=live&interval=5").await["data"]["S1"]["results"]["5m"]["count"] == 7;
    rig.until("what was published is read back", Duration::from_secs(20), is_back).await.unwrap();
    newest_is_told(&job).await;

    // The owner takes the share of one end back: the place and the route are gone at once.
    let chief = rig.log_in("chef").await.unwrap();
    let grants = chief.ask("GET", "/api/v1/grants?limit=50", None).await.unwrap();
    let of_first = grants["items"].as_array().unwrap().iter().find(|grant| grant["camera_code"] == CAMERAS[0]);
    let grant = of_first.map_or_else(|| panic!("{grants}"), |grant| text(grant, "/id"));
    chief.ask("DELETE", &format!("/api/v1/grants/{grant}"), None).await.unwrap();
    assert_eq!(job.ask(&stored, None).await.0, 404);
    let left = job.json("places").await;
    assert_eq!((left["sites"].as_array().unwrap().len(), &left["routes"]), (2, &json!([])), "{left}");
}

/// µs of a time on the wire.
fn same(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_microsecond()
}
