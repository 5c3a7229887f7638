//! Shared by the system tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt as _;
use policy::CapabilitySigner;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message as Ws;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use vms_testkit::rig::{Person, Rig, RigOptions};

/// Where the built programs lie: beside this test's `belfry`, or where `make test` says.
fn programs() -> PathBuf {
    let own = std::env::var_os("BELFRY_PROGRAMS").map(PathBuf::from);
    let folder = own.unwrap_or_else(|| Path::new(env!("CARGO_BIN_EXE_belfry")).parent().unwrap().to_owned());
    let folder = std::path::absolute(folder).unwrap();
    assert!(folder.join("belfry-media").exists(), "belfry-media is not in {}: run `make test`", folder.display());
    folder
}

/// A rig with so many cameras, the first `anpr` of which read plates.
pub(crate) fn options(cameras: u32, anpr: u32) -> RigOptions {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let film = |name: &str| {
        let path = repository.join("target/films").join(name);
        assert!(path.exists(), "{} is missing: run scripts/make-films.sh", path.display());
        path
    };
    RigOptions {
        programs: programs(),
        cameras,
        anpr,
        film: film("main-1080p.mp4"),
        sub: Some(film("sub-360p.mp4")),
        database: None,
        disk_cap_mib: 2_048,
        reader: anpr > 0,
        repository,
    }
}

/// A text at a JSON pointer.
pub(crate) fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {path} in {value}")).to_owned()
}

/// Purpose and justification, as the console sends them.
pub(crate) fn purpose() -> Value {
    json!({ "code": "INTERVENTIE", "justification": "melding vechtpartij Beursplein", "case_ref": null })
}

/// What `/health` says, with its status; `None` while nobody answers.
pub(crate) async fn health(rig: &Rig) -> Option<(u16, Value)> {
    let response = reqwest::get(rig.url("/health")).await.ok()?;
    let status = response.status().as_u16();
    Some((status, serde_json::from_str(&response.text().await.ok()?).ok()?))
}

/// An open live view.
pub(crate) type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Why a live view ended.
pub(crate) async fn last_word(socket: &mut Socket) -> String {
    loop {
        match socket.next().await {
            Some(Ok(Ws::Text(word))) => {
                let word: Value = serde_json::from_str(&word).unwrap();
                if word.pointer("/t").and_then(Value::as_str) == Some("end") {
                    return text(&word, "/why");
                }
            }
            Some(Ok(_)) => {}
            None | Some(Err(_)) => panic!("the live view ended without a word"),
        }
    }
}

/// What a stream ticket for live view is asked with.
pub(crate) fn live_wish(stream: &str) -> Value {
    json!({ "stream_id": stream, "kind": "live", "rendition": "original", "purpose": purpose() })
}

/// Opens a live view, as the console does.
pub(crate) async fn open_live(rig: &Rig, person: &Person, stream: &str) -> Socket {
    let ticket = person.ask("POST", "/api/v1/stream-tickets", Some(live_wish(stream))).await.unwrap();
    let mut request = rig.url("/api/v1/live").replace("http://", "ws://").into_client_request().unwrap();
    request.headers_mut().insert("Cookie", person.cookie().parse().unwrap());
    request.headers_mut().insert("Origin", rig.url("").parse().unwrap());
    let offered = format!("vms.fmp4.v1, ticket.{}", text(&ticket, "/ticket"));
    request.headers_mut().insert("Sec-WebSocket-Protocol", offered.parse().unwrap());
    tokio_tungstenite::connect_async(request).await.unwrap().0
}

/// The first camera that the person sees, once it is live.
pub(crate) async fn first_camera(rig: &Rig, person: &Person) -> Value {
    let look = async || {
        let page = person.ask("GET", "/api/v1/cameras", None).await.ok()?;
        let camera = page.pointer("/items/0")?.clone();
        (camera.pointer("/health/phase")?.as_str()? == "live").then_some(camera)
    };
    rig.until("a camera is live", Duration::from_secs(30), async |_: &Rig| look().await.is_some()).await.unwrap();
    look().await.unwrap()
}

/// The first camera, once so many seconds of it are in the catalogue.
pub(crate) async fn until_durable(rig: &Rig, person: &Person, seconds: i64) -> Value {
    let camera = first_camera(rig, person).await;
    let (id, stream) = (text(&camera, "/id"), text(&camera, "/streams/0/id"));
    let recorded = async |_: &Rig| {
        let (from, to) = (rfc3339(now_us() - 600_000_000), rfc3339(now_us() + 1_000_000));
        let path = format!("/api/v1/cameras/{id}/timeline?stream={stream}&from={from}&to={to}");
        let Ok(line) = person.ask("GET", &path, None).await else { return false };
        let segments = line.get("segments").and_then(Value::as_array).cloned().unwrap_or_default();
        let length: i64 = segments.iter().map(|segment| micros(segment, "to") - micros(segment, "from")).sum();
        length >= seconds * 1_000_000
    };
    rig.until("footage is in the catalogue", Duration::from_secs(60), recorded).await.unwrap();
    camera
}

fn micros(value: &Value, key: &str) -> i64 {
    let text = value.get(key).and_then(Value::as_str).unwrap_or("");
    text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_microsecond)
}

/// RFC 3339, UTC.
pub(crate) fn rfc3339(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).unwrap().to_string()
}

/// The real wall clock: this is a test of the real system.
pub(crate) fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// Opens the last seconds of a stream.
pub(crate) async fn playback(person: &Person, stream: &str, seconds: i64) -> Value {
    let to = now_us() - 1_500_000;
    let body = json!({
        "stream_id": stream, "from": rfc3339(to - seconds * 1_000_000), "to": rfc3339(to), "purpose": purpose(),
    });
    person.ask("POST", "/api/v1/playback-tickets", Some(body)).await.unwrap()
}

/// What ffprobe says of a file; it must say nothing on stderr.
pub(crate) fn ffprobe(rig: &Rig, bytes: &[u8]) -> Value {
    let path = rig.path().join("played.mp4");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-show_streams", "-of", "json"])
        .arg(&path)
        .output()
        .expect("ffprobe is needed: run `make test`");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "ffprobe complains");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The gate's own signer, from its key file.
pub(crate) fn gate_signer(rig: &Rig) -> CapabilitySigner {
    let text = std::fs::read_to_string(rig.path().join("state/keys/gate.key")).unwrap();
    let seed: [u8; 32] = hex::decode(text.trim()).unwrap().try_into().unwrap();
    CapabilitySigner::from_seed(&seed)
}

/// The highest frame number on disk of each camera.
pub(crate) fn newest_frames(footage: &Path) -> BTreeMap<u32, u64> {
    let found = vms_benches::frames::walk(footage).unwrap();
    found.cameras.iter().filter_map(|(camera, footage)| Some((*camera, footage.frames.last()?.number))).collect()
}

/// One role on its own, as a systemd unit would start it.
pub(crate) fn role(rig: &Rig, name: &str, instance: u32) -> Child {
    Command::new(programs().join("belfry"))
        .arg("--config")
        .arg(rig.path().join("belfry.toml"))
        .args(["role", name, "--instance", &instance.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Ends processes.
pub(crate) fn end(children: [Child; 2]) {
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
