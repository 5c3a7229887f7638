//! Police reads past their first term in a whole system (domain.md D6 RC-ANPR-POL): two cameras push what they read, with pictures; two people keep
//! the reads of one. A month later the others are gone with their key, and these lie behind the magistrate's gate: they open for an order that
//! names his decision, that a second person agreed to, and with the gate's medium alone. A year later nothing is left. `serve` is killed at
//! each step. The months between are made by libfaketime (Debian package `faketime`); everything else is the real thing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests say what they expect and what they measured"
)]

#[path = "support/faketime.rs"]
mod faketime;
#[path = "support/later.rs"]
mod later;
#[path = "support/machine.rs"]
mod machine;
#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vms_testkit::rig::{Person, Rig, RigOptions, free_port};

use later::{Later, Visitor};
use machine::{Machine, admit, authority, listen};
use support::{health, now_us, options, rfc3339, text};

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
/// Two vehicles at the camera whose reads are kept, one at the other.
const KEPT: [&str; 2] = ["1XYZ001", "1XYZ002"];
const LOST: &str = "2ABC003";
/// An alarm, and a word of its sentence.
const GATE_WAITS: (&str, &str) = ("reads_gate_waits", "magistrate");
const SEARCHES: &str = "/api/v1/reads/gated-searches";

/// What the first day left.
struct Made {
    /// Camera whose reads are kept, and the other one.
    cameras: [String; 2],
    at_us: i64,
    crop: Vec<u8>,
    overview: Vec<u8>,
    decision: String,
}

fn jpeg(side: u32) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    let shade = |at: u32| u8::try_from(at * 3 % 256).unwrap();
    let picture = image::RgbImage::from_fn(side * 2, side, |x, y| image::Rgb([shade(x), shade(y), 90]));
    picture.write_to(&mut out, image::ImageFormat::Jpeg).unwrap();
    out.into_inner()
}

fn purpose(magistrate: Option<&str>) -> Value {
    json!({
        "code": "GERECHTELIJK_ONDERZOEK", "justification": "reeks overvallen, onderzoek loopt", "case_ref": "BR.11.LA/26",
        "magistrate_ref": magistrate,
    })
}

/// One number out of the central database.
async fn number(dir: &Path, sql: &'static str) -> i64 {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("state/belfry.sqlite")).read_only(true);
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let (found,): (i64,) = sqlx::query_as(sql).fetch_one(&pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    pool.close().await;
    found
}

async fn until_number(dir: &Path, sql: &'static str, wanted: i64) {
    let began = Instant::now();
    while number(dir, sql).await != wanted {
        let found = number(dir, sql).await;
        assert!(began.elapsed() < Duration::from_secs(60), "{sql}: {found}, not {wanted}, in {}", dir.display());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_up(rig: &Rig) {
    let answers = async |rig: &Rig| health(rig).await.is_some();
    rig.until("serve answers", Duration::from_secs(60), answers).await.unwrap();
}

/// Waits until `/health` has an alarm and says it in words, or has it no more.
async fn until_alarm(rig: &Rig, (alarm, words): (&str, &str), wanted: bool) {
    let told = async |rig: &Rig| {
        let Some((_, body)) = health(rig).await else { return false };
        let is_on = body["alarms"].as_array().unwrap().iter().any(|word| word == alarm);
        is_on == wanted && (!wanted || text(&body, "/detail").contains(words))
    };
    rig.until(&format!("health has {alarm}: {wanted}"), Duration::from_secs(60), told).await.unwrap();
}

/// A bit of a row turns over on the disk, under a running `serve`: it is left out and told, and holds up no other; mended, it is back.
async fn a_damaged_row_is_left_out(rig: &Rig, chief: &Person, page: &Value, at_us: i64) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(rig.path().join("state/belfry.sqlite"));
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let id = text(page["items"].as_array().unwrap().iter().find(|read| read["plate"] == KEPT[1]).unwrap(), "/id");
    let row = "from lez_read where purpose = 'OPENBARE_ORDE' and id = ?";
    let (body,): (Vec<u8>,) = sqlx::query_as(sqlx::AssertSqlSafe(format!("select body {row}")))
        .bind(id.clone())
        .fetch_one(&pool)
        .await
        .unwrap();
    let mut turned = body.clone();
    *turned.last_mut().unwrap() ^= 1;
    for (body, wanted) in [(turned, vec![KEPT[0], LOST]), (body, vec![KEPT[0], KEPT[1], LOST])] {
        let set = "update lez_read set body = ? where purpose = 'OPENBARE_ORDE' and id = ?";
        assert_eq!(sqlx::query(set).bind(body).bind(id.clone()).execute(&pool).await.unwrap().rows_affected(), 1);
        let page = chief.ask("GET", &list_of(at_us), None).await.unwrap();
        assert_eq!(plates(&page), wanted);
        until_alarm(rig, ("reads_damaged", "are damaged in the database"), true).await;
    }
    pool.close().await;
}

/// Waits until the key store of reads says so.
async fn until_status(later: &Later<'_>, wanted: &str) {
    let began = Instant::now();
    loop {
        let (works, said) = later.belfry(&["keys", "--of", "reads", "status"]);
        assert!(works, "{said}");
        if said.contains(wanted) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the key store does not say `{wanted}`: {said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Two cameras say what they read, all at one instant, as far as this host can tell.
async fn push(rig: &Rig, camera: &mut Machine, pictures: (&[u8], &[u8])) -> i64 {
    let admin = rig.log_in("admin").await.unwrap();
    admit(&admin, camera, "rig-cameras", "5340").await;
    let users = admin.ask("GET", "/api/v1/users?limit=100", None).await.unwrap();
    let is_one = |user: &&Value| user["user_name"] == "supervisor";
    let user = text(users["items"].as_array().unwrap().iter().find(is_one).unwrap(), "/id");
    admin.ask("PATCH", &format!("/api/v1/users/{user}"), Some(json!({ "profile": "P04" }))).await.unwrap();
    let at_us = now_us() - 2_000_000;
    let read = |id: &str, camera: &str, plate: &str| {
        json!({ "id": id, "camera": camera, "at": rfc3339(at_us), "plate": plate, "confidence": 0.98, "model": "cam-2.1",
            "crop": STANDARD.encode(pictures.0), "overview": STANDARD.encode(pictures.1) })
    };
    let reads = [read("p-1", "RIG-000", KEPT[0]), read("p-2", "RIG-000", KEPT[1]), read("p-3", "RIG-001", LOST)];
    let said = camera.push_signed(&json!({ "v": 1, "reads": reads })).await;
    let kept = said["reads"].as_array().unwrap().iter().filter(|read| read["outcome"] == "kept").count();
    assert_eq!(kept, 3, "{said}");
    at_us
}

/// Reads by the ordinary list, as the chief sees it: plates.
fn plates(page: &Value) -> Vec<String> {
    let Some(items) = page["items"].as_array() else { panic!("no reads: {page}") };
    let mut plates: Vec<String> = items.iter().map(|read| text(read, "/plate")).collect();
    plates.sort();
    plates
}

fn list_of(at_us: i64) -> String {
    format!("/api/v1/reads?from={}&to={}", rfc3339(at_us - HOUR_US), rfc3339(at_us + HOUR_US))
}

/// The first day: reads come in, and two people keep those of one camera.
async fn first_day(rig: &Rig, library: &Path) -> Made {
    let (machines, server) = (authority("machines of the rig"), authority("servers of the rig"));
    let at = listen(rig, &machines, &server);
    let config = std::fs::read_to_string(rig.path().join("belfry.toml")).unwrap();
    std::fs::write(rig.path().join("belfry.toml"), config + "[reads.keys]\ngate = 'medium/gate'\n").unwrap();
    let mut day = Later::new(rig, library, 0);
    day.start("serve");
    until_up(rig).await;

    let (crop, overview) = (jpeg(24), jpeg(60));
    let mut camera = Machine::new(&machines, &server, at);
    let at_us = push(rig, &mut camera, (&crop, &overview)).await;
    let (chief, investigator) = (rig.log_in("chef").await.unwrap(), rig.log_in("supervisor").await.unwrap());
    let page = chief.ask("GET", &list_of(at_us), None).await.unwrap();
    assert_eq!(plates(&page), [KEPT[0], KEPT[1], LOST], "in their first term all are in the list");
    let search = json!({ "plate": "1-XYZ-001", "from": rfc3339(at_us - HOUR_US), "to": rfc3339(now_us()), "purpose": purpose(None) });
    let found = investigator.ask("POST", "/api/v1/reads/search", Some(search)).await.unwrap();
    assert_eq!(plates(&found), [KEPT[0]]);

    a_damaged_row_is_left_out(rig, &chief, &page, at_us).await;

    let of_plate = |plate: &str| {
        let items = page["items"].as_array().unwrap();
        text(items.iter().find(|read| read["plate"] == plate).unwrap(), "/camera_id")
    };
    let cameras = [of_plate(KEPT[0]), of_plate(LOST)];
    let wish = json!({ "camera_id": cameras[0], "class": "RC-ANPR-POL", "from": rfc3339(at_us - HOUR_US), "to": rfc3339(at_us + HOUR_US),
        "purpose": purpose(None) });
    let decision = text(&investigator.ask("POST", "/api/v1/gated", Some(wish)).await.unwrap(), "/id");
    let approve = format!("/api/v1/gated/{decision}/approve");
    assert!(investigator.ask("POST", &approve, Some(json!({}))).await.is_err(), "nobody decides alone");
    let approved = chief.ask("POST", &approve, Some(json!({}))).await.unwrap();
    assert_eq!((&approved["state"], &approved["class"]), (&json!("in_force"), &json!("RC-ANPR-POL")), "{approved}");
    day.end();
    Made { cameras, at_us, crop, overview, decision }
}

/// Everything but the gate's folder, as a thief of all disks and backups has it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (kind, path) = (entry.file_type().unwrap(), entry.path());
        let target = to.join(entry.file_name());
        if kind.is_dir() && path.file_name().is_some_and(|name| name != "safe") {
            copy(&path, &target);
        } else if kind.is_file() {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Looks for a text in every file below a folder.
fn is_in_clear(folder: &Path, wanted: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.path() {
        path if path.is_dir() => is_in_clear(&path, wanted),
        path => {
            std::fs::read(path).is_ok_and(|bytes| bytes.windows(wanted.len()).any(|some| some == wanted.as_bytes()))
        }
    })
}

fn order(made: &Made, camera: Option<&str>, plate: Option<&str>, magistrate: Option<&str>) -> Value {
    json!({ "camera_id": camera, "plate": plate, "from": rfc3339(made.at_us - HOUR_US), "to": rfc3339(made.at_us + HOUR_US),
        "purpose": purpose(magistrate) })
}

/// Orders a search behind the gate, and has the chief agree. Gives the path of its opening.
async fn ordered(investigator: &Visitor, chief: &Visitor, wish: Value) -> String {
    let (status, view) = investigator.send("POST", SEARCHES, Some(wish)).await;
    assert_eq!((status, &view["state"], &view["may_open"]), (201, &json!("proposed"), &json!(false)), "{view}");
    let path = format!("{SEARCHES}/{}", text(&view, "/id"));
    let (status, said) = investigator.send("POST", &format!("{path}/open"), None).await;
    assert_eq!((status, text(&said, "/code").as_str()), (409, "wrong_state"), "nobody agreed yet: {said}");
    let (status, said) = investigator.send("POST", &format!("{path}/approve"), Some(json!({}))).await;
    assert_eq!(status, 403, "nobody agrees with oneself: {said}");
    let (status, view) = chief.send("POST", &format!("{path}/approve"), Some(json!({}))).await;
    assert_eq!((status, &view["state"], &view["may_open"]), (200, &json!("in_force"), &json!(false)), "{view}");
    let (status, said) = chief.send("POST", &format!("{path}/open"), None).await;
    assert_ne!(status, 200, "only whoever ordered it opens it: {said}");
    format!("{path}/open")
}

/// What moved: exactly the reads of one camera, and nothing else of that hour lives.
async fn all_moved(rig: &Rig, later: &Later<'_>) {
    until_number(rig.path(), "select count(*) from lez_read", 0).await;
    until_number(rig.path(), "select count(*) from lez_key where class = 'RC-ANPR-POL' and object = ''", 0).await;
    until_status(later, "\n1 hour keys behind the magistrate's gate").await;
    until_status(later, "\n0 hour keys live").await;
    assert_eq!(number(rig.path(), "select count(*) from gated_read").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn police_reads_outlive_their_first_term_behind_the_gate_and_die_with_their_second() {
    let Some(library) = faketime::library() else {
        eprintln!("this test did not run: libfaketime is missing (Debian package `faketime`)");
        return;
    };
    let rig = Rig::set_up(RigOptions { reader: false, ..options(2, 2) }).unwrap();
    let made = first_day(&rig, &library).await;

    // A month later, killed as soon as the first rows moved, and started again. There is no medium yet, and nowhere to make one: the keys wait.
    let (medium, safe) = (rig.path().join("medium"), rig.path().join("safe"));
    std::fs::write(&medium, "no folder").unwrap();
    let mut later = Later::new(&rig, &library, 31);
    later.start("serve");
    until_number(rig.path(), "select count(*) > 0 from gated_read", 1).await;
    later.until_said("serve", "two people said that the clock of this host is right").await;
    later.end();
    let mut later = Later::new(&rig, &library, 31);
    later.start("serve");
    until_up(&rig).await;
    until_alarm(&rig, GATE_WAITS, true).await;
    until_status(&later, "\n0 hour keys behind the magistrate's gate").await;
    until_number(rig.path(), "select count(*) from lez_read", 0).await;
    std::fs::remove_file(&medium).unwrap();
    std::fs::create_dir(&medium).unwrap();
    until_alarm(&rig, GATE_WAITS, false).await;
    all_moved(&rig, &later).await;
    let said = std::fs::read_to_string(rig.path().join("serve-31.log")).unwrap();
    assert!(said.contains("no magistrate's gate can be made") && !said.contains("no key can be saved"), "{said}");
    // The gate was made by itself; its private half goes into the magistrate's safe.
    assert!(medium.join("gate/gate-00000001.key").exists());
    std::fs::rename(&medium, &safe).unwrap();

    let (chief, investigator) = (later.log_in("chef").await, later.log_in("supervisor").await);
    let (status, page) = chief.send("GET", &list_of(made.at_us), None).await;
    assert_eq!((status, plates(&page)), (200, Vec::new()), "the list finds none: {page}");
    let span = |days: i64| {
        json!({ "plate": KEPT[0], "from": rfc3339(made.at_us + days * DAY_US), "to": rfc3339(made.at_us + 31 * DAY_US),
        "purpose": purpose(Some("PK-2026-0077")) })
    };
    let (status, said) = investigator.send("POST", "/api/v1/reads/search", Some(span(0))).await;
    assert_eq!(status, 403, "a search of that time is no ordinary one: {said}");
    let (status, page) = investigator.send("POST", "/api/v1/reads/search", Some(span(2))).await;
    assert_eq!((status, plates(&page)), (200, Vec::new()), "{page}");
    let (_, decision) = chief.send("GET", &format!("/api/v1/gated/{}", made.decision), None).await;
    assert_eq!((&decision["applied"]["hours"], &decision["applied"]["waiting"]), (&json!(1), &json!(0)), "{decision}");

    // Behind the gate: not without a reference, not by one person, not without the medium.
    let bare = order(&made, None, Some(KEPT[0]), None);
    let (status, said) = investigator.send("POST", SEARCHES, Some(bare)).await;
    assert_eq!((status, text(&said, "/code").as_str()), (403, "magistrate_required"), "{said}");
    let open = ordered(&investigator, &chief, order(&made, None, Some(KEPT[0]), Some("PK-2026-0077"))).await;
    let (status, said) = investigator.send("POST", &open, None).await;
    assert_eq!((status, text(&said, "/code").as_str()), (503, "gate_away"), "{said}");
    std::fs::rename(&safe, &medium).unwrap();
    let (status, page) = investigator.send("POST", &open, None).await;
    assert_eq!((status, plates(&page)), (200, vec![KEPT[0].to_owned()]), "{page}");
    let read = text(&page, "/items/0/id");
    let picture =
        |kind: &str, page: &Value| format!("/api/v1/reads/{read}/{kind}.jpg?decision={}", text(page, "/decision_id"));
    assert_eq!(investigator.bytes(&picture("crop", &page)).await, made.crop, "the picture that the camera pushed");
    assert_eq!(investigator.bytes(&picture("overview", &page)).await, made.overview);
    let (status, _) = chief.send("GET", &picture("crop", &page), None).await;
    assert_eq!(status, 404, "a decision belongs to its session");
    for (camera, wanted) in [(&made.cameras[0], &KEPT[..]), (&made.cameras[1], &KEPT[..0])] {
        let open =
            ordered(&investigator, &chief, order(&made, Some(camera.as_str()), None, Some("PK-2026-0078"))).await;
        let (status, page) = investigator.send("POST", &open, None).await;
        assert_eq!((status, plates(&page)), (200, wanted.iter().map(|plate| (*plate).to_owned()).collect()), "{page}");
    }
    std::fs::rename(&medium, &safe).unwrap();
    let (status, said) = investigator.send("GET", &picture("crop", &page), None).await;
    assert_eq!((status, text(&said, "/code").as_str()), (503, "gate_away"), "detached again: {said}");
    later.end();

    // Whoever takes every disk, with all that is on it now, and not the medium, opens nothing.
    let taken = tempfile::tempdir().unwrap();
    copy(rig.path(), taken.path());
    let port = free_port().unwrap();
    let config = std::fs::read_to_string(taken.path().join("belfry.toml")).unwrap();
    let own = rig.url("").replace("http://", "");
    assert_eq!(config.matches(&format!("bind = '{own}'")).count(), 1, "{config}");
    let config = config.replace(&format!("bind = '{own}'"), &format!("bind = '127.0.0.1:{port}'"));
    std::fs::write(taken.path().join("belfry.toml"), config).unwrap();
    for plate in KEPT.into_iter().chain([LOST]) {
        assert!(!is_in_clear(taken.path(), plate), "{plate} lies in clear");
    }
    let mut raid = Later::of_copy(&rig, taken.path(), &library, 31);
    until_status(&raid, "\n1 hour keys behind the magistrate's gate").await;
    raid.start("serve");
    let thief = investigator.at(format!("http://127.0.0.1:{port}"));
    let up = async |_: &Rig| reqwest::get(format!("http://127.0.0.1:{port}/health")).await.is_ok();
    rig.until("the copy answers", Duration::from_secs(60), up).await.unwrap();
    let (status, said) = thief.send("POST", &open, None).await;
    assert_eq!((status, text(&said, "/code").as_str()), (503, "gate_away"), "{said}");
    // It was the medium alone that was missing.
    copy(&safe, &taken.path().join("medium"));
    let (status, page) = thief.send("POST", &open, None).await;
    assert_eq!((status, plates(&page)), (200, vec![KEPT[0].to_owned()]), "{page}");
    raid.end();

    // Both terms are over: nothing of it is left, and the log is whole. A second gate, made by hand, changes nothing of that.
    std::fs::rename(&safe, &medium).unwrap();
    let mut later = Later::new(&rig, &library, 367);
    let (works, said) = later.belfry(&["keys", "--of", "reads", "gate-create"]);
    assert!(works && medium.join("gate/gate-00000002.key").exists(), "{said}");
    later.start("serve");
    until_number(rig.path(), "select count(*) from gated_read", 0).await;
    later.end();
    let mut later = Later::new(&rig, &library, 367);
    later.start("serve");
    until_up(&rig).await;
    until_status(&later, "\n0 hour keys behind the magistrate's gate").await;
    for nothing in ["select count(*) from lez_key where class = 'RC-ANPR-POL'", "select count(*) from gated_search"] {
        until_number(rig.path(), nothing, 0).await;
    }
    // It was killed as soon as the rows were gone: the leaf of that is written now, if it was not before.
    until_number(rig.path(), "select count(*) from erasure", 0).await;
    let (works, said) = later.belfry(&["keys", "--of", "reads", "check"]);
    assert!(works && said.contains("whole"), "{said}");
    let (works, said) = later.belfry(&["check"]);
    assert!(works, "{said}");
    the_log_tells_it(&rig, &later, &made);
    later.end();
}

/// The copy of the log holds, and tells who kept, ordered, agreed and opened, and what was erased; without a plate.
fn the_log_tells_it(rig: &Rig, later: &Later<'_>, made: &Made) {
    let at = |name: &str| rig.path().join(name).to_str().unwrap().to_owned();
    let (copy, details, key) = (at("copy"), at("details"), at("state/keys/log.pub"));
    let (works, said) = later.belfry(&["audit", "export", &copy, "--details", &details]);
    assert!(works, "{said}");
    let (works, said) = later.belfry(&["audit", "verify", &copy, "--key", &key, "--details", &details]);
    assert!(works, "{said}");
    let told = std::fs::read_to_string(&details).unwrap();
    for plate in KEPT.into_iter().chain([LOST]) {
        assert!(!told.contains(plate), "a plate stands in the log");
    }
    let rows: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows: Vec<Value> = rows.iter().map(|row| serde_json::from_str(&text(row, "/d")).unwrap()).collect();
    let of = |operation: &str| {
        rows.iter().filter(|row| row["operation"] == operation).map(|row| &row["details"]).collect::<Vec<_>>()
    };
    let gated = of("reads_gated");
    let is_ours = |leaf: &&Value| {
        leaf["gated"] == made.decision && leaf["camera"] == made.cameras[0] && leaf["class"] == "RC-ANPR-POL"
    };
    assert!(!gated.is_empty() && gated.iter().all(is_ours), "{gated:?}");
    let mut outcomes: Vec<&str> = of("gated_reads_opened").iter().filter_map(|leaf| leaf["outcome"].as_str()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["gate_away", "opened", "opened", "opened"]);
    assert_eq!((of("gated_search_ordered").len(), of("gated_search_approved").len()), (3, 3));
    // A kill may have written a leaf twice, with one number.
    let erased: BTreeMap<i64, &Value> =
        of("reads_erased").into_iter().map(|leaf| (leaf["erasure"].as_i64().unwrap(), leaf)).collect();
    let sum = |what: &str| erased.values().map(|leaf| leaf[what].as_i64().unwrap()).sum::<i64>();
    // The three undecided copies for the low-emission zone and the other camera's police copy; then what was kept.
    assert_eq!((sum("reads"), sum("gated")), (3 + 1, 2), "at the end of the first term, and of the second: {erased:?}");
}
