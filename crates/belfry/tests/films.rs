//! Odd films and odd ways in, through the whole system: every frame that a camera sent comes back byte for byte, at its own
//! time, and ffmpeg has nothing to complain about.
//!
//! Needs `target/films` (scripts/make-films.sh), ffmpeg and openssl; all come with `make test`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use vms_benches::films::{Played, check};
use vms_benches::process::tree;
use vms_testkit::rig::{Person, Rig, free_port};

use support::{ffprobe, now_us, options, purpose, rfc3339, text};

/// One at a time: each runs the whole system.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn film_path(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/films").join(name);
    assert!(path.exists(), "{} is missing: run scripts/make-films.sh", path.display());
    path
}

/// Our own simulator; dropping it kills it.
struct Sim {
    child: Child,
    port: u16,
    said: PathBuf,
}

impl Sim {
    /// Cameras that begin the films at this moment, on `port`. All offer sound.
    fn start(rig: &Rig, port: u16, films: &[&str], more: &[&str]) -> Self {
        let said = rig.path().join(format!("sim-{port}.out"));
        let mut command = Command::new(options(1, 0).programs.join("belfry-media"));
        command.args(["sim", "cameras", "--audio", "--port", &port.to_string()]).args(more);
        command.args(["--user", "sim", "--password-file"]).arg(rig.path().join("sim.password"));
        for film in films {
            command.arg("--film").arg(film_path(film));
        }
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(std::fs::File::create(&said).unwrap());
        Self { child: command.spawn().unwrap(), port, said }
    }

    /// Its figures in the end.
    fn stop(mut self) -> Value {
        vms_benches::process::signal(self.child.id(), rustix::process::Signal::TERM);
        self.child.wait().unwrap();
        let said = std::fs::read_to_string(&self.said).unwrap();
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A system with so many cameras, stopped, without its simulator, and the port where its cameras are expected.
async fn quiet_rig(cameras: u32) -> (Rig, u16) {
    let mut rig = Rig::start(options(cameras, 0)).await.unwrap();
    rig.stop_sim().unwrap();
    rig.stop_belfry().await.unwrap();
    let config = config_of(&rig);
    let port = config.split("allowed_ports = [[").nth(1).unwrap().split(',').next().unwrap();
    let port = port.parse().unwrap();
    (rig, port)
}

fn config_of(rig: &Rig) -> String {
    std::fs::read_to_string(rig.path().join("belfry.toml")).unwrap()
}

/// Starts Belfry again and logs in.
async fn start(rig: &mut Rig, who: &str) -> Person {
    rig.start_belfry().unwrap();
    let answers = async |rig: &Rig| rig.get_plain("/api/v1/openapi.json").await.is_ok();
    rig.until("the console answers", Duration::from_secs(60), answers).await.unwrap();
    rig.log_in(who).await.unwrap()
}

/// The camera with this code.
async fn camera(person: &Person, code: &str) -> Value {
    let page = person.ask("GET", "/api/v1/cameras?limit=500", None).await.unwrap();
    let cameras = page.get("items").and_then(Value::as_array).unwrap();
    cameras.iter().find(|camera| text(camera, "/code") == code).unwrap_or_else(|| panic!("no camera {code}")).clone()
}

/// Waits until each of these has had its first key frame, however long the machine takes to get there.
async fn until_live(rig: &Rig, person: &Person, codes: &[&str]) {
    let are_live = async |_: &Rig| {
        let Ok(page) = person.ask("GET", "/api/v1/cameras?limit=500", None).await else { return false };
        let cameras = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_live = |code: &&str| {
            let of = cameras.iter().find(|camera| text(camera, "/code") == **code);
            of.is_some_and(|camera| camera.pointer("/health/phase") == Some(&json!("live")))
        };
        codes.iter().all(is_live)
    };
    rig.until("the cameras are live", Duration::from_secs(60), are_live).await.unwrap();
}

/// Plays a span; `None` when there is no footage in it.
async fn play(person: &Person, stream: &str, from_us: i64, to_us: i64) -> Option<Bytes> {
    let body = json!({ "stream_id": stream, "from": rfc3339(from_us), "to": rfc3339(to_us), "purpose": purpose() });
    let ticket = person.ask("POST", "/api/v1/playback-tickets", Some(body)).await.ok()?;
    Some(person.bytes(&text(&ticket, "/url"), None).await.unwrap())
}

/// Plays a span once it is there to its end, and compares it with the film.
async fn played(rig: &Rig, person: &Person, code: &str, film: &str, (from_us, to_us): (i64, i64)) -> (Bytes, Played) {
    let stream = text(&camera(person, code).await, "/streams/0/id");
    let film_name = film;
    let film = sim::Film::open(&film_path(film)).unwrap();
    let deadline = now_us() + 60_000_000;
    loop {
        // A little later than asked for must be there: then nothing of the span is still under way.
        let later = play(person, &stream, to_us + 1_200_000, to_us + 3_000_000).await;
        if later.is_some() {
            break;
        }
        assert!(now_us() < deadline, "{film_name}: no footage in time\n{}", rig.log_tail("belfry"));
        tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>()).await.unwrap_err();
    }
    let bytes = play(person, &stream, from_us, to_us).await.unwrap_or_else(|| panic!("{film_name}: no footage"));
    let found = check(&bytes, &film).unwrap_or_else(|error| {
        std::fs::write("/tmp/belfry-bad-film.mp4", &bytes).unwrap();
        panic!("{film_name}: {error:#}; kept in /tmp/belfry-bad-film.mp4")
    });
    let (first, last) = found.sent_us;
    assert!(first <= from_us && last >= to_us - 400_000, "{film_name}: {first} to {last} for {from_us} to {to_us}");
    (bytes, found)
}

/// ffmpeg decodes the whole file without a word; every picture comes out, but for those that lead up to the first key picture
/// and lean on the group before it (H.265 RASL, 3.111): no decoder can show them.
fn decode_silently(rig: &Rig, name: &str, bytes: &Bytes, frames: u64) {
    let file = sim::Film::from_mp4(bytes).unwrap();
    let first = file.units().iter().find(|unit| unit.is_key).unwrap();
    let leading = file.units().iter().filter(|unit| unit.pts < first.pts).count();
    let path = rig.path().join("decoded.mp4");
    std::fs::write(&path, bytes).unwrap();
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(&path);
    command.args(["-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-progress", "-", "-f", "null", "-"]);
    let output = command.output().expect("ffmpeg is needed: run `make test`");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}: ffmpeg complains");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let decoded = said.lines().filter_map(|line| line.strip_prefix("frame=")).next_back().unwrap().trim().to_owned();
    let wanted = frames - u64::try_from(leading).unwrap();
    assert_eq!(decoded, wanted.to_string(), "{name}: pictures");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_films_come_back_as_they_were_sent() {
    let _guard = ONE_AT_A_TIME.lock().await;
    // Film, codec, whether pictures are reordered.
    let films = [
        ("long-gop.mp4", "h264", false),
        ("b-frames.mp4", "h264", true),
        ("vfr.mp4", "h264", false),
        ("hevc.mp4", "hevc", false),
        ("hevc-b-frames.mp4", "hevc", true),
        ("pps-change.h264", "h264", false),
        ("size-change.h264", "h264", false),
        ("fragmented.mp4", "h264", true),
    ];
    let (mut rig, port) = quiet_rig(8).await;
    let sim = Sim::start(&rig, port, &films.map(|(name, ..)| name), &[]);
    let operator = start(&mut rig, "operator").await;
    let codes: Vec<String> = (0..films.len()).map(|number| format!("RIG-{number:03}")).collect();
    until_live(&rig, &operator, &codes.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let from = now_us() + 1_000_000;
    let span = (from, from + 13_000_000);
    for (number, (name, codec, reorders)) in films.into_iter().enumerate() {
        let (bytes, found) = played(&rig, &operator, &format!("RIG-{number:03}"), name, span).await;
        let probe = ffprobe(&rig, &bytes);
        assert_eq!(text(&probe, "/streams/0/codec_name"), codec, "{name}");
        assert_eq!(text(&probe, "/streams/0/nb_read_packets"), found.frames.to_string(), "{name}");
        assert_eq!(probe.pointer("/streams/1"), None, "{name}: no sound");
        let shown = probe.pointer("/streams/0/has_b_frames").and_then(Value::as_u64).unwrap();
        assert_eq!(shown > 0, reorders, "{name}: {shown}");
        decode_silently(&rig, name, &bytes, found.frames);
        println!("{name}: {} frames, {} key frames, from frame {}", found.frames, found.keys, found.first);
    }
    sizes_are_playable_each(&rig, &operator, span).await;
    let figures = sim.stop();
    assert_eq!(figures.get("audio_setups"), Some(&json!(0)), "sound is never set up");
}

/// The camera whose resolution changes every 4 s: both sizes are in the whole, and a span inside one has only that.
async fn sizes_are_playable_each(rig: &Rig, operator: &Person, span: (i64, i64)) {
    let film = sim::Film::open(&film_path("size-change.h264")).unwrap();
    let (whole, _) = played(rig, operator, "RIG-006", "size-change.h264", span).await;
    assert_eq!(sizes(rig, &whole), ["640,360", "960,540"]);
    // Where the second half of the film lies in time, by the sender's own clock.
    let stream = text(&camera(operator, "RIG-006").await, "/streams/0/id");
    let file = sim::Film::from_mp4(&whole).unwrap();
    let (half, len) = (film.units().len() / 2, film.units().len());
    for (start, size) in [(0, "640,360"), (half, "960,540")] {
        let sent = file.units().iter().find_map(|unit| {
            let counter = unit.nals.iter().find_map(|nal| sim::find_counter(film.codec(), nal))?;
            (usize::try_from(counter.frame).unwrap() % len == start).then_some(counter.sent_at.micros)
        });
        let from = sent.expect("13 s hold both halves of a film of 8 s") + 300_000;
        let part = play(operator, &stream, from, from + 2_500_000).await.unwrap();
        let found = check(&part, &film).unwrap();
        assert_eq!(sizes(rig, &part), [size]);
        decode_silently(rig, size, &part, found.frames);
    }
}

/// The sizes of the decoded pictures, sorted.
fn sizes(rig: &Rig, bytes: &Bytes) -> Vec<String> {
    let path = rig.path().join("sizes.mp4");
    std::fs::write(&path, bytes).unwrap();
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_entries", "frame=width,height", "-of", "csv=p=0"]).arg(&path);
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let mut sizes: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.trim_end_matches(',').to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    sizes.sort();
    sizes.dedup();
    sizes
}

/// A certificate that a camera made for itself, its key, and its digest as openssl prints it.
fn certificate(dir: &Path, name: &str) -> (PathBuf, PathBuf, String) {
    let (certificate, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    make.args(["-subj", "/CN=camera", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
    assert!(make.stderr(Stdio::null()).status().expect("openssl is needed").success());
    let mut digest = Command::new("openssl");
    digest.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&certificate);
    let output = digest.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (certificate, key, said.trim().split_once('=').unwrap().1.to_owned())
}

/// Adds a camera by hand and approves it.
async fn add_camera(rig: &Rig, owner: &str, code: &str, url: &str, transport: &str) {
    let admin = rig.log_in("admin").await.unwrap();
    let draft = json!({
        "code": code, "call_up": null, "name_nl": code, "name_fr": code, "owner_id": owner, "kind": "overview",
        "lat": 50.85, "lon": 4.35, "retention_class": "RC-VID-OPEN", "pictogram_on": "2026-02-01",
        "legal_basis": { "document": "Besluit", "date": "2026-01-15", "advice": "Advies" },
        "streams": [{ "use": "main", "url": url, "user": "sim", "password": "sim", "transport": transport }],
    });
    let made = admin.ask("POST", "/api/v1/cameras", Some(draft)).await.unwrap();
    let chief = rig.log_in("chef").await.unwrap();
    chief.ask("POST", &format!("/api/v1/cameras/{}/approve", text(&made, "/id")), None).await.unwrap();
}

fn gst_child(rig: &Rig) -> Option<u32> {
    let all = tree(rig.supervisor()?);
    all.into_iter().find(|process| process.command.contains("belfry-media role ingest ")).map(|process| process.pid)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn udp_and_tls_cameras_are_recorded_by_gstreamer() {
    let _guard = ONE_AT_A_TIME.lock().await;
    let (mut rig, plain) = quiet_rig(1).await;
    let (pinned, unknown) = (free_port().unwrap(), free_port().unwrap());
    let (certificate_file, key, digest) = certificate(rig.path(), "own");
    let config = config_of(&rig)
        .replace(
            &format!("[[{plain}, {plain}]]"),
            &format!("[[{plain}, {plain}], [{pinned}, {pinned}], [{unknown}, {unknown}]]"),
        )
        .replace("[ingest]\n", "[ingest]\ngst_children = 1\n");
    let pin = format!("[[ingest.certificates]]\naddress = '127.0.0.1:{pinned}'\nsha256 = '{digest}'\n");
    std::fs::write(rig.path().join("belfry.toml"), format!("{config}{pin}")).unwrap();

    let films = ["b-frames.mp4"];
    let (certificate_file, key) = (certificate_file.display().to_string(), key.display().to_string());
    let tls = ["--tls-certificate", certificate_file.as_str(), "--tls-key", key.as_str()];
    let sims = [
        Sim::start(&rig, plain, &films, &[]),
        Sim::start(&rig, pinned, &films, &tls),
        Sim::start(&rig, unknown, &films, &tls),
    ];
    let operator = start(&mut rig, "operator").await;
    let owner = text(&camera(&operator, "RIG-000").await, "/owner/id");
    for (code, scheme, port, transport) in [
        ("UDP", "rtsp", plain, "gst_udp"),
        ("TCP", "rtsp", plain, "gst_tcp"),
        ("TLS", "rtsps", pinned, "gst_tcp"),
        ("STRANGER", "rtsps", unknown, "gst_tcp"),
    ] {
        add_camera(&rig, &owner, code, &format!("{scheme}://127.0.0.1:{port}/cam001/main"), transport).await;
    }
    let good = ["RIG-000", "UDP", "TCP", "TLS"];
    until_live(&rig, &operator, &good).await;
    let from = now_us() + 1_000_000;
    for code in good {
        let (bytes, found) = played(&rig, &operator, code, "b-frames.mp4", (from, from + 6_000_000)).await;
        assert_eq!(text(&ffprobe(&rig, &bytes), "/streams/0/nb_read_packets"), found.frames.to_string());
        decode_silently(&rig, code, &bytes, found.frames);
        println!("{code}: {} frames", found.frames);
    }
    let stranger = camera(&operator, "STRANGER").await;
    assert_ne!(stranger.pointer("/health/phase"), Some(&json!("live")), "a certificate that nobody vouches for");

    let old = gst_child(&rig).unwrap();
    vms_benches::process::signal(old, rustix::process::Signal::KILL);
    let back = async |rig: &Rig| gst_child(rig).is_some_and(|new| new != old);
    let took = rig.until("the GStreamer child is back", Duration::from_secs(30), back).await.unwrap();
    println!("back after {took:?}");
    // Live may still be said of before: what counts is that a later span plays.
    tokio::time::sleep(Duration::from_secs(8)).await;
    until_live(&rig, &operator, &good).await;
    let from = now_us() + 1_000_000;
    for code in good {
        played(&rig, &operator, code, "b-frames.mp4", (from, from + 4_000_000)).await;
    }
    for sim in sims {
        let port = sim.port;
        let figures = sim.stop();
        assert_eq!(figures.get("audio_setups"), Some(&json!(0)), "sound is never set up");
        let sent = figures.get("frames_sent").and_then(Value::as_u64).unwrap();
        assert_eq!(sent > 0, port != unknown, "pictures go only to whom is trusted");
    }
}
