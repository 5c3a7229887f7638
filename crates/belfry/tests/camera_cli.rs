//! `belfry camera …` as a technician uses it, against a running system and against none.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests say what they expect")]

#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use vms_app::camera_import::COLUMNS;
use vms_testkit::rig::Rig;

use support::{options, rfc3339, text};

/// A password that must be seen nowhere again.
const SECRET: &str = "Zeer-geheim-4711";

struct Said {
    code: i32,
    out: String,
    err: String,
}

struct Technician<'a> {
    rig: &'a Rig,
    server: String,
    user: &'static str,
    password: String,
}

impl Technician<'_> {
    fn says(&self, args: &[&str]) -> Said {
        let mut command = Command::new(options(1, 0).programs.join("belfry"));
        command.args(["camera", "--server", &self.server, "--user", self.user]).args(args);
        command.env("BELFRY_PASSWORD", &self.password);
        if matches!(self.user, "admin" | "chef") {
            // Whoever administers or approves has a second factor; each command logs in anew, and each code works once.
            let handle = tokio::runtime::Handle::current();
            let code = tokio::task::block_in_place(|| handle.block_on(self.rig.recovery_code(self.user))).unwrap();
            command.env("BELFRY_CODE", code);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Says it and ends with this code, with each of these words on either stream.
    fn ends(&self, args: &[&str], code: i32, words: &[&str]) -> String {
        let said = self.says(args);
        let all = format!("{}{}", said.out, said.err);
        assert_eq!(said.code, code, "{args:?}: {all}");
        for word in words {
            assert!(all.contains(word), "{args:?}: no `{word}` in {all}");
        }
        assert!(!all.contains(SECRET), "{args:?}: {all}");
        all
    }

    fn count(&self) -> usize {
        let said = self.says(&["--json", "list"]);
        serde_json::from_str::<Value>(&said.out).unwrap().as_array().unwrap().len()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.rig.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// The right port on a machine outside the camera networks.
fn elsewhere(host: &str) -> String {
    format!("rtsp://{}", host.replace("127.0.0.1", "192.0.2.9"))
}

fn head() -> String {
    format!("{}\n", COLUMNS.join(","))
}

/// One row; `login` is user and password.
fn row(code: &str, owner: &str, url: &str, login: &str, lat: &str) -> String {
    format!(
        "{code},Naam {code},Nom {code},{owner},{lat},4.35,{url},,{login},overview,RC-VID-OPEN,Besluit 7,2026-01-15,gunstig,\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_technician_adds_imports_probes_and_removes_cameras() {
    let rig = Rig::start(options(1, 0)).await.unwrap();
    let list = std::fs::read_to_string(rig.path().join("cameras.csv")).unwrap();
    let base = list.split(',').find(|cell| cell.starts_with("rtsp://")).unwrap().trim_end_matches("/main").to_owned();
    let (url, host) = (format!("{base}/main"), base.strip_prefix("rtsp://").unwrap().to_owned());
    let server = rig.url("");
    let person = |user| Technician { rig: &rig, server: server.clone(), user, password: rig.password().to_owned() };
    let (technician, admin) = (person("techniek"), person("admin"));
    assert_eq!(technician.count(), 1);

    imports(&technician, &url, &host);
    wrong_files(&technician, &url);
    adds_and_probes(&technician, &url, &host);

    // Removing is retiring, with a reason, by whoever may.
    technician.ends(&["remove", "T-000"], 2, &["--reason"]);
    technician.ends(&["remove", "T-000", "--reason", "paal vervangen"], 3, &["may not"]);
    admin.ends(&["remove", "T-000", "--reason", "paal vervangen na aanrijding"], 0, &["asked for"]);
    admin.ends(&["remove", "T-000", "--reason", "nog eens, want het duurt"], 4, &["taken"]);
    person("chef").ends(&["remove", "T-000", "--reason", "paal vervangen na aanrijding"], 0, &["retired"]);
    admin.ends(&["remove", "T-000", "--reason", "nog eens, want het duurt"], 4, &["retired"]);
    admin.ends(&["remove", "NOWHERE", "--reason", "bestaat niet"], 4, &["no camera `NOWHERE`"]);
    let overseer = rig.log_in("toezicht").await.unwrap();
    let now = support::now_us();
    let path = format!("/api/v1/audit?limit=500&from={}&to={}", rfc3339(now - 600_000_000), rfc3339(now + 60_000_000));
    rig.until("the reason is in the log", std::time::Duration::from_secs(30), async |_: &Rig| {
        overseer.ask("GET", &path, None).await.unwrap().to_string().contains("paal vervangen na aanrijding")
    })
    .await
    .unwrap();

    // Who is wrong, where nobody is.
    let stranger = Technician { password: "not it".to_owned(), ..person("techniek") };
    stranger.ends(&["list"], 3, &["user name or password is wrong"]);
    let lost = Technician { server: "http://127.0.0.1:1".to_owned(), ..person("techniek") };
    lost.ends(&["list"], 5, &["no Belfry answers at http://127.0.0.1:1"]);
    person("lez").ends(&["list"], 3, &["may not"]);
    let json = lost.says(&["--json", "list"]);
    assert_eq!(serde_json::from_str::<Value>(&json.err).unwrap()["exit_code"], 5, "{}", json.err);

    // The password is sealed: nothing that the system keeps or says holds it.
    for folder in ["state/belfry.sqlite", "state/belfry.sqlite-wal", "belfry.log"] {
        let bytes = std::fs::read(rig.path().join(folder)).unwrap_or_default();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{folder}");
    }
}

fn imports(technician: &Technician<'_>, url: &str, host: &str) {
    let mut mixed = head();
    for n in 0..50 {
        let code = format!("T-{n:03}");
        let (mut owner, mut address, mut login, mut lat) = ("5340", url.to_owned(), "sim,sim", "50.85");
        match n {
            7 => owner = "9999",
            11 => address = elsewhere(host),
            13 => lat = "north",
            17 => address = format!("rtsp://u:{SECRET}@{host}/main"),
            19 => (address, login) = (format!("rtsp://u:{SECRET}@{host}/main"), ","),
            _ => {}
        }
        mixed.push_str(&row(if n == 23 { "T-001" } else { &code }, owner, &address, login, lat));
    }
    let mixed = technician.file("mixed.csv", &mixed);
    let faults = [
        (9, "owner", "is unknown"),
        (13, "streams.main.url", "is outside the camera networks"),
        (15, "lat", "is no number"),
        (19, "url_main", "holds a user and a password, and others stand beside it"),
        (25, "code", "is taken already"),
    ];
    let faults = faults.map(|(line, column, words)| format!("line {line:<5} {column:<22} {words}"));
    let faults: Vec<&str> = faults.iter().map(String::as_str).chain(["45 good, 5 with faults"]).collect();
    technician.ends(&["import", &mixed, "--dry-run"], 4, &faults);
    technician.ends(&["import", &mixed], 4, &[&faults[..], &["0 written", "nothing was written"]].concat());
    assert_eq!(technician.count(), 1, "all or nothing");
    let said = technician.says(&["--json", "import", &mixed, "--partial"]);
    let outcome: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &outcome["written"], &outcome["good"]), (4, &45.into(), &45.into()), "{}", said.err);
    assert_eq!(technician.count(), 46);
    technician.ends(&["import", &mixed, "--partial"], 4, &["0 good", "is taken already"]);

    let good: String = (0..50).map(|n| row(&format!("U-{n:03}"), "5340", url, "sim,sim", "50.85")).collect();
    let good = technician.file("good.csv", &format!("{}{good}", head()));
    technician.ends(&["import", &good, "--dry-run"], 0, &["50 good, 0 with faults, nothing written"]);
    technician.ends(&["import", &good], 0, &["50 good, 0 with faults, 50 written"]);
    assert_eq!(technician.count(), 96);
}

fn wrong_files(technician: &Technician<'_>, url: &str) {
    let good = row("W-1", "5340", url, "sim,sim", "50.85");
    let mut large = head();
    while large.len() < 3 << 20 {
        write!(large, "{good}").unwrap();
    }
    for (name, file, words) in [
        ("odd.csv", format!("{}{good}", head().replace("url_main", "url")), "url_main: this column is missing"),
        ("more.csv", format!("speed,{}9,{good}", head()), "speed: this column of the first line is not known"),
        ("short.csv", format!("{}W-1,too,few\n", head()), "too many or too few columns"),
        ("empty.csv", String::new(), "code: this column is missing"),
        ("large.csv", large, "split it"),
    ] {
        let path = technician.file(name, &file);
        technician.ends(&["import", &path], 4, &[words]);
    }
    std::fs::write(technician.rig.path().join("latin.csv"), b"code,na\xefve\n").unwrap();
    let latin = technician.rig.path().join("latin.csv");
    technician.ends(&["import", latin.to_str().unwrap()], 4, &["is no CSV in UTF-8"]);
    technician.ends(&["import", "/nowhere.csv"], 4, &["/nowhere.csv", "No such file"]);
    technician.ends(&["import"], 2, &["required"]);
    technician.ends(&["import", "--columns"], 0, &["code,name_nl"]);
    assert_eq!(technician.count(), 96);
}

fn adds_and_probes(technician: &Technician<'_>, url: &str, host: &str) {
    let address = format!("rtsp://sim:{SECRET}@{host}/main");
    let common = ["--name-nl", "Beurs", "--name-fr", "Bourse", "--owner", "5340", "--lat", "50.848", "--lon", "4.349"];
    let add = |more: &[&str]| -> Vec<String> {
        [&["--json", "add"][..], &common, more].concat().into_iter().map(str::to_owned).collect()
    };
    let said = |args: Vec<String>, code, words: &[&str]| {
        technician.ends(&args.iter().map(String::as_str).collect::<Vec<_>>(), code, words)
    };
    let camera: Value =
        serde_json::from_str(&said(add(&["--code", "A-1", "--url", &address]), 0, &["\"draft\""])).unwrap();
    assert_eq!(text(&camera, "/streams/0/url"), url, "the address without its log-in");
    assert_eq!(camera["streams"][0]["has_credentials"], true);
    let password = technician.file("camera.password", "sim\n");
    let sealed = ["--camera-user", "sim", "--camera-password-file", &password];
    said(add(&[&["--code", "A-2", "--url", url][..], &sealed].concat()), 0, &["\"A-2\""]);
    said(add(&[&["--code", "A-3", "--url", &address][..], &sealed].concat()), 4, &["and others stand beside it"]);
    said(add(&["--code", "A-1", "--url", url]), 4, &["taken"]);
    said(add(&["--code", "A-4", "--url", &elsewhere(host)]), 4, &["network_not_allowed"]);
    said(add(&["--code", "A-4", "--url", "rtsp://192.0.2.9/main"]), 4, &["port_not_allowed"]);
    said(add(&["--code", "A-4"]), 2, &["--url"]);
    let draft = serde_json::json!({ "code": "A-5", "name_nl": "Beurs", "name_fr": "Bourse",
        "owner_id": text(&camera, "/owner/id"), "kind": "overview", "lat": 50.848, "lon": 4.349,
        "retention_class": "RC-VID-OPEN", "streams": [{ "use": "main", "url": address }] });
    let file = technician.file("draft.json", &draft.to_string());
    technician.ends(&["add", &file], 0, &["A-5"]);
    let broken = technician.file("broken.json", "{");
    technician.ends(&["add", &broken], 4, &["is no JSON"]);

    technician.ends(&["probe", "A-2"], 0, &["A-2 answers: h264 1920×1080"]);
    technician.ends(&["probe", "A-1"], 1, &["gives no picture", "login_refused"]);
    technician.ends(&["probe", "NOWHERE"], 4, &["no camera `NOWHERE`"]);
}
