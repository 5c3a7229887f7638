//! A partner behind the gateway, with real programs: its catalogue over HTTP (`belfry partner-stub`), its cameras with a log-in
//! of their own (`belfry sim`), `belfry run` between them and an operator's WebSocket.

#![expect(clippy::unwrap_used, clippy::panic, clippy::too_many_lines, reason = "tests say what they expect")]

#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message as Ws;
use vms_testkit::rig::{Person, Rig, free_port};

use support::{Socket, live_wish, now_us, open_live, options, rfc3339, text};

static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The partner: two processes and a file.
struct Partner {
    dir: PathBuf,
    programs: PathBuf,
    film: PathBuf,
    rtsp: u16,
    http: u16,
    cameras: Option<Child>,
    catalogue: Option<Child>,
}

impl Partner {
    fn new(rig: &Rig) -> Self {
        let dir = rig.path().join("partner");
        std::fs::create_dir_all(&dir).unwrap();
        let options = options(1, 0);
        let (rtsp, http) = (free_port().unwrap(), free_port().unwrap());
        Self { dir, programs: options.programs, film: options.film, rtsp, http, cameras: None, catalogue: None }
    }

    fn spawn(&self, program: &str, args: &[&str]) -> Child {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log")).unwrap();
        let mut command = Command::new(self.programs.join(program));
        command.args(args).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// Starts its cameras with this password.
    fn start_cameras(&mut self, password: &str) {
        let file = self.dir.join("password");
        std::fs::write(&file, password).unwrap();
        let (film, port, file) = (self.film.to_str().unwrap(), self.rtsp.to_string(), file.to_str().unwrap());
        let mut args = vec!["sim", "cameras", "--count", "3", "--film", film, "--port", &port];
        args.extend(["--user", "relay", "--password-file", file, "--audio"]);
        self.cameras = Some(self.spawn("belfry-media", &args));
    }

    fn start_catalogue(&mut self) {
        let bind = format!("127.0.0.1:{}", self.http);
        let file = self.dir.join("catalogue.json");
        self.catalogue =
            Some(self.spawn("belfry", &["partner-stub", "--bind", &bind, "--catalogue", file.to_str().unwrap()]));
    }

    fn stop_cameras(&mut self) {
        stop(self.cameras.take());
    }

    fn stop_catalogue(&mut self) {
        stop(self.catalogue.take());
    }

    fn camera(&self, number: u32, password: &str) -> Value {
        json!({
            "ref": format!("ROG-{number:02}"), "naam": format!("Rogier perron {number}"),
            "nom": format!("Rogier quai {number}"), "lat": 50.8555, "lon": 4.3589, "gedeeld": true,
            "rtsp": format!("rtsp://127.0.0.1:{}/cam{number:03}/main", self.rtsp),
            "login": { "user": "relay", "password": password },
        })
    }

    fn publish(&self, cameras: &[Value]) {
        self.publish_text(&json!({ "version": 1, "cameras": cameras }).to_string());
    }

    fn publish_text(&self, document: &str) {
        let fresh = self.dir.join("catalogue.new");
        std::fs::write(&fresh, document).unwrap();
        std::fs::rename(fresh, self.dir.join("catalogue.json")).unwrap();
    }

    /// TCP connections that its cameras hold now: one per RTSP session.
    fn sessions(&self) -> usize {
        let port = format!(":{:04X}", self.rtsp);
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let is_ours = |line: &&str| {
            let mut words = line.split_whitespace().skip(1);
            let (local, _, state) = (words.next(), words.next(), words.next());
            local.is_some_and(|local| local.ends_with(&port)) && state == Some("01")
        };
        table.lines().filter(is_ours).count()
    }
}

fn stop(child: Option<Child>) {
    if let Some(mut child) = child {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        stop(self.cameras.take());
        stop(self.catalogue.take());
    }
}

/// A system with one camera of its own, whose gateway may dial the partner and looks at its catalogue every two seconds.
async fn start() -> (Rig, Partner) {
    let mut rig = Rig::start(options(1, 0)).await.unwrap();
    let mut partner = Partner::new(&rig);
    rig.stop_belfry().await.unwrap();
    let file = rig.path().join("belfry.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let wider = text.replace("allowed_ports = [[", &format!("allowed_ports = [[{0}, {0}], [", partner.rtsp));
    assert_ne!(text, wider);
    std::fs::write(&file, format!("{wider}\n[gateway]\ncatalogue_every_s = 2\n")).unwrap();
    rig.start_belfry().unwrap();
    rig.until("the console answers", Duration::from_secs(30), async |rig: &Rig| {
        rig.get_plain("/api/v1/openapi.json").await.is_ok()
    })
    .await
    .unwrap();
    partner.start_cameras("geheim-een");
    partner.start_catalogue();
    (rig, partner)
}

/// `belfry ARGS…` as an account of the rig.
fn belfry(rig: &Rig, what: &str, user: &str, args: &[&str]) -> Output {
    let mut command = Command::new(options(1, 0).programs.join("belfry"));
    command.args([what, "--server", &rig.url(""), "--user", user]).args(args);
    // Each command logs in anew, and each code works once.
    let handle = tokio::runtime::Handle::current();
    let code = tokio::task::block_in_place(|| handle.block_on(rig.recovery_code(user))).unwrap();
    command.env("BELFRY_PASSWORD", rig.password()).env("BELFRY_CODE", code).stdin(Stdio::null()).output().unwrap()
}

fn partner_says(rig: &Rig, args: &[&str], exit: i32) -> String {
    partner_says_as(rig, "admin", args, exit)
}

fn partner_says_as(rig: &Rig, user: &str, args: &[&str], exit: i32) -> String {
    let output = belfry(rig, "partner", user, args);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "{args:?}: {said}");
    said
}

fn connect(rig: &Rig, partner: &Partner) {
    let address = format!("http://127.0.0.1:{}/catalogue.json", partner.http);
    let agreement = ["--agreement", "Protocol 3", "--agreement-date", "2026-01-01"];
    let args = [&["connect", "MIVB", "--name", "MIVB", "--catalogue", &address][..], &agreement].concat();
    assert!(partner_says(rig, &args, 0).contains("off"));
    // Two people: the administrator asks, the zone chief agrees.
    assert!(partner_says(rig, &["on", "MIVB"], 0).contains("asked for"));
    assert!(partner_says(rig, &["list"], 0).contains("off"));
    assert!(partner_says_as(rig, "chef", &["agree", "MIVB"], 0).contains("switched on"));
}

/// The partner's cameras as somebody sees them: code, state, Dutch name.
async fn cameras(person: &Person) -> Vec<(String, String, String)> {
    let page = person.ask("GET", "/api/v1/cameras?q=MIVB/&limit=500", None).await.unwrap();
    let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    items.iter().map(|camera| (text(camera, "/code"), text(camera, "/state"), text(camera, "/name_nl"))).collect()
}

async fn camera(person: &Person, code: &str) -> Value {
    let page = person.ask("GET", &format!("/api/v1/cameras?q={code}"), None).await.unwrap();
    page.pointer("/items/0").cloned().unwrap_or_else(|| panic!("{code} is not seen"))
}

/// Leaves of one operation in the last ten minutes, newest first; they are copied for people once a second.
async fn leaves(rig: &Rig, overseer: &Person, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
    let path = format!(
        "/api/v1/audit?limit=500&from={}&to={}",
        rfc3339(now_us() - 600_000_000),
        rfc3339(now_us() + 60_000_000)
    );
    let found = async || {
        let page = overseer.ask("GET", &path, None).await.unwrap();
        let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        items.into_iter().filter(|leaf| fits(leaf)).collect::<Vec<_>>()
    };
    drop(rig.until("the leaf is there", Duration::from_secs(30), async |_: &Rig| !found().await.is_empty()).await);
    found().await
}

async fn ticket(person: &Person, stream: &str) -> reqwest::Response {
    person.send("POST", "/api/v1/stream-tickets", Some(live_wish(stream))).await.unwrap()
}

/// Reads until so many frames arrived; the codec's name.
async fn frames(socket: &mut Socket, wanted: usize) -> String {
    let (mut seen, mut mime) = (0, String::new());
    let work = async {
        while seen < wanted {
            match socket.next().await.unwrap().unwrap() {
                Ws::Text(word) if word.contains("\"init\"") => mime = word.to_string(),
                Ws::Binary(bytes) => seen += usize::from(bytes.get(36..40) == Some(b"moof")),
                Ws::Text(_) | Ws::Ping(_) | Ws::Pong(_) | Ws::Close(_) | Ws::Frame(_) => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), work).await.expect("frames arrive");
    mime
}

/// A stream ends within 5 s of its right (the tests of the API show that it is told at once); the rest is for a busy machine.
const END_MAX: Duration = Duration::from_secs(15);

/// Reads until a text message fits; whatever else arrives is passed over.
async fn word(socket: &mut Socket, limit: Duration, fits: &str) -> Value {
    let work = async {
        loop {
            match socket.next().await {
                Some(Ok(Ws::Text(word))) if word.contains(fits) => return serde_json::from_str(&word).unwrap(),
                Some(Ok(_)) => {}
                None | Some(Err(_)) => panic!("the socket closed before {fits}"),
            }
        }
    };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| panic!("no {fits} in {limit:?}"))
}

async fn share(rig: &Rig, camera: &Value) -> String {
    let (mivb, admin) = (rig.log_in("mivb").await.unwrap(), rig.log_in("admin").await.unwrap());
    let orgs = admin.ask("GET", "/api/v1/orgs", None).await.unwrap();
    let orgs = orgs.get("items").unwrap_or(&orgs).as_array().cloned().unwrap();
    let zone = orgs.iter().find(|org| text(org, "/code") == "5340").unwrap();
    let body = json!({ "camera_ids": [text(camera, "/id")], "partner_id": text(zone, "/id"), "rights": ["live"],
        "from": rfc3339(now_us()), "to": rfc3339(now_us() + 86_400_000_000) });
    text(&mivb.ask("POST", "/api/v1/grants", Some(body)).await.unwrap(), "/ids/0")
}

/// Every file below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partners_camera_is_pulled_once_while_somebody_watches_and_never_recorded() {
    let _one = ONE_AT_A_TIME.lock().await;
    let (rig, partner) = start().await;
    partner.publish(&[partner.camera(1, "geheim-een"), partner.camera(2, "geheim-een")]);
    connect(&rig, &partner);
    let [admin, overseer] = [rig.log_in("admin").await.unwrap(), rig.log_in("toezicht").await.unwrap()];
    rig.until("the schedule imports", Duration::from_secs(10), async |_: &Rig| cameras(&admin).await.len() == 2)
        .await
        .unwrap();
    let camera = camera(&admin, "MIVB/ROG-01").await;
    let stream = text(&camera, "/streams/0/id");
    assert_eq!((text(&camera, "/partner/name"), text(&camera, "/relation")), ("MIVB".to_owned(), "other".to_owned()));
    assert_eq!(partner.sessions(), 0, "nobody watches: nothing is pulled");

    // Without a grant: not there, and the refusal is in the log.
    let [operator, chief] = [rig.log_in("operator").await.unwrap(), rig.log_in("chef").await.unwrap()];
    assert_eq!(ticket(&operator, &stream).await.status(), 404);
    let is_refusal = |leaf: &Value| {
        leaf.pointer("/details/stream").and_then(Value::as_str) == Some(stream.as_str())
            && leaf.pointer("/details/outcome").and_then(Value::as_str) == Some("not_in_table")
    };
    assert_eq!(leaves(&rig, &overseer, is_refusal).await.len(), 1);
    assert_eq!(partner.sessions(), 0);

    // Shared by the partner: one pull for all who look.
    let grant = share(&rig, &camera).await;
    let mut first = open_live(&rig, &operator, &stream).await;
    assert!(frames(&mut first, 30).await.contains("avc1"));
    assert_eq!(partner.sessions(), 1);
    let mut second = open_live(&rig, &chief, &stream).await;
    frames(&mut second, 30).await;
    assert_eq!(partner.sessions(), 1, "one pull for all viewers");
    drop(first);
    frames(&mut second, 30).await;
    assert_eq!(partner.sessions(), 1, "one still looks");
    drop(second);
    let gone = async |_: &Rig| partner.sessions() == 0;
    let let_go = rig.until("the camera is let go", Duration::from_secs(10), &gone).await.unwrap();
    assert!(let_go > Duration::from_secs(2), "whoever reloads the page finds it still there: {let_go:?}");

    // Nothing of it was written down.
    let all = [files(&rig.path().join("state/footage")), files(&rig.path().join("state/gateway"))].concat();
    assert!(!all.is_empty() && all.iter().all(|file| !file.to_string_lossy().contains(&stream)), "{all:?}");
    let largest = files(&rig.path().join("state/gateway")).iter().map(|file| file.metadata().unwrap().len()).max();
    assert!(largest.unwrap() < 1 << 20, "the gateway keeps no footage");

    // Taken back: the running stream ends within 5 s, and nothing is pulled any more.
    let mut running = open_live(&rig, &operator, &stream).await;
    frames(&mut running, 5).await;
    let owner = rig.log_in("mivb").await.unwrap();
    owner.ask("DELETE", &format!("/api/v1/grants/{grant}"), None).await.unwrap();
    assert_eq!(text(&word(&mut running, END_MAX, "\"end\"").await, "/why"), "revoked");
    assert_eq!(ticket(&operator, &stream).await.status(), 404);

    // The partner switched off: clear words for who looks and for who wants to.
    share(&rig, &camera).await;
    let mut running = open_live(&rig, &operator, &stream).await;
    frames(&mut running, 5).await;
    partner_says(&rig, &["off", "MIVB"], 0);
    assert_eq!(text(&word(&mut running, END_MAX, "\"end\"").await, "/why"), "partner_off");
    let refused = ticket(&operator, &stream).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("partner_off"));
    rig.until("nothing is pulled", Duration::from_secs(10), &gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_follows_the_catalogue_and_a_hostile_one_changes_nothing() {
    let _one = ONE_AT_A_TIME.lock().await;
    let (rig, mut partner) = start().await;
    partner.publish(&[partner.camera(1, "geheim-een"), partner.camera(2, "geheim-een")]);
    connect(&rig, &partner);
    assert!(partner_says(&rig, &["import", "MIVB"], 0).contains("0 refused"), "on command");
    let [admin, overseer] = [rig.log_in("admin").await.unwrap(), rig.log_in("toezicht").await.unwrap()];
    let row = |n: u32, state: &str| (format!("MIVB/ROG-{n:02}"), state.to_owned(), format!("Rogier perron {n}"));
    assert_eq!(cameras(&admin).await, [row(1, "live"), row(2, "live")]);

    // Added, changed, removed, on schedule. Removed is retired, never deleted, and logged.
    let mut renamed = partner.camera(1, "geheim-een");
    renamed["naam"] = json!("Rogier lokettenzaal");
    partner.publish(&[renamed.clone(), partner.camera(3, "geheim-een")]);
    let mut changed = row(1, "live");
    changed.2 = "Rogier lokettenzaal".to_owned();
    let wanted = [changed, row(2, "retired"), row(3, "live")];
    let followed = async |_: &Rig| cameras(&admin).await == wanted;
    rig.until("the tree follows", Duration::from_secs(10), followed).await.unwrap();
    let is_import = |leaf: &Value| text(leaf, "/operation") == "catalogue_import";
    // The leaf is durable before the tree changes; the list of details follows it.
    let told = async |rig: &Rig| {
        let imports = leaves(rig, &overseer, is_import).await;
        let codes =
            |leaf: &Value| leaf.pointer("/details/details/retired_codes").and_then(|codes| codes.get(0)).cloned();
        imports.iter().filter_map(codes).collect::<Vec<_>>() == [json!("MIVB/ROG-02")]
    };
    rig.until("the log tells of the retired one", Duration::from_secs(30), told).await.unwrap();

    // Hostile and broken documents: refused in words, by command and by schedule; the tree stays.
    let twice = json!({ "version": 1, "cameras": [renamed, renamed] }).to_string();
    let one = json!({ "ref": "X", "naam": "x", "nom": "x", "lat": 50.85, "lon": 4.35, "rtsp": "rtsp://10.0.0.1/", "gedeeld": true });
    let crowd = json!({ "version": 1, "cameras": vec![one; 100_000] }).to_string();
    for (what, document, says) in [
        ("HTML", "<!DOCTYPE html><html><title>Aanmelden</title></html>".to_owned(), "not JSON"),
        ("5 MB", format!("{{\"version\":1,\"cameras\":[]{}}}", " ".repeat(5_000_000)), "larger than 4 MiB"),
        ("100,000 cameras", crowd, "larger than 4 MiB"),
        ("a reference twice", twice, "camera `ROG-01` of the catalogue: twice"),
        ("another version", json!({ "version": 2, "cameras": [] }).to_string(), "version 2"),
        ("half a document", "{\"version\":1,\"cameras\":[{\"ref\":\"A\"".to_owned(), "not JSON"),
    ] {
        partner.publish_text(&document);
        let said = partner_says(&rig, &["import", "MIVB"], 4);
        assert!(said.contains(says), "{what}: {said}");
        assert_eq!(cameras(&admin).await, wanted, "{what}: the old one stays");
    }
    // An address outside the camera networks: that camera alone is refused, and keeps its old address.
    let mut outside = renamed.clone();
    outside["rtsp"] = json!(format!("rtsp://192.0.2.7:{}/steal", partner.rtsp));
    partner.publish(&[outside, partner.camera(3, "geheim-een")]);
    let said = partner_says(&rig, &["import", "MIVB"], 0);
    assert!(said.contains("ROG-01") && said.contains("outside the camera networks"), "{said}");
    assert_eq!(cameras(&admin).await, wanted);

    // The catalogue off: words for the administrator, and who looks goes on looking.
    partner.stop_catalogue();
    let said = partner_says(&rig, &["import", "MIVB"], 4);
    assert!(said.contains("can't be reached"), "{said}");
    rig.until("the list says so", Duration::from_secs(10), async |rig: &Rig| {
        partner_says(rig, &["list"], 0).contains("can't be reached")
    })
    .await
    .unwrap();
    let first = camera(&admin, "MIVB/ROG-01").await;
    share(&rig, &first).await;
    let operator = rig.log_in("operator").await.unwrap();
    let stream = text(&first, "/streams/0/id");
    let mut socket = open_live(&rig, &operator, &stream).await;
    frames(&mut socket, 10).await;

    // The cameras off, then back with another password, then the catalogue tells the new one.
    partner.stop_cameras();
    let state = word(&mut socket, Duration::from_secs(20), "\"unreachable\"").await;
    assert_eq!(text(&state, "/t"), "state", "{state}");
    partner.start_cameras("geheim-twee");
    word(&mut socket, Duration::from_secs(30), "\"login_refused\"").await;
    let mut changed = partner.camera(1, "geheim-twee");
    changed["naam"] = json!("Rogier lokettenzaal");
    partner.publish(&[changed, partner.camera(3, "geheim-twee")]);
    partner.start_catalogue();
    frames_after_words(&mut socket).await;
    let log = std::fs::read_to_string(rig.path().join("belfry.log")).unwrap();
    assert!(!log.contains("geheim"), "no password in any log line");
}

/// The picture is back: frames arrive again, however long the camera's own back-off waits.
async fn frames_after_words(socket: &mut Socket) {
    let work = async {
        loop {
            match socket.next().await.unwrap().unwrap() {
                Ws::Binary(bytes) if bytes.get(36..40) == Some(b"moof") => return,
                Ws::Binary(_) | Ws::Text(_) | Ws::Ping(_) | Ws::Pong(_) | Ws::Close(_) | Ws::Frame(_) => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(90), work).await.expect("the picture is back");
}
