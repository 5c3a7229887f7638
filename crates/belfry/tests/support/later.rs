//! For tests of terms: a rig's roles some days later, under a wall clock of their own, and people who log in then.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vms_testkit::rig::Rig;

use crate::faketime;
use crate::support::{options, text};

const DAY_S: i64 = 86_400;

/// Roles of a rig, as their units would start them, some days later.
pub(crate) struct Later<'a> {
    rig: &'a Rig,
    dir: PathBuf,
    library: PathBuf,
    offset: PathBuf,
    days: i64,
    children: Vec<Child>,
}

impl<'a> Later<'a> {
    pub(crate) fn new(rig: &'a Rig, library: &Path, days: i64) -> Self {
        let later = Self::of_copy(rig, rig.path(), library, days);
        // The clock of the host jumped, and two people say that it is right.
        for of in ["footage", "reads"] {
            let args = ["keys", "--of", of, "approve-clock", "--first", "An", "--second", "Bo"];
            let (works, said) = later.belfry(&args);
            assert!(works, "{said}");
        }
        later
    }

    /// Over a copy of the rig's folder.
    pub(crate) fn of_copy(rig: &'a Rig, dir: &Path, library: &Path, days: i64) -> Self {
        let offset = dir.join(format!("offset-{days}"));
        faketime::set(&offset, days * DAY_S);
        Self { rig, dir: dir.to_owned(), library: library.to_owned(), offset, days, children: Vec::new() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(options(1, 0).programs.join("belfry"));
        command
            .arg("--config")
            .arg(self.dir.join("belfry.toml"))
            .args(args)
            .envs(faketime::variables(&self.library, &self.offset))
            .stdin(Stdio::null());
        command
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}-{}.log", self.days))
    }

    pub(crate) fn start(&mut self, name: &str) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log(name)).unwrap();
        let mut command = self.command(&["role", name]);
        self.children.push(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    /// Waits for words in the log of a role.
    pub(crate) async fn until_said(&self, name: &str, what: &str) {
        let began = Instant::now();
        while !std::fs::read_to_string(self.log(name)).unwrap().contains(what) {
            let said = std::fs::read_to_string(self.log(name)).unwrap();
            assert!(began.elapsed() < Duration::from_secs(120), "{name} does not say `{what}`: {said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What `belfry ARGS` prints on this day, and whether it ended well.
    pub(crate) fn belfry(&self, args: &[&str]) -> (bool, String) {
        let output = self.command(args).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Logs in with the code of this day.
    pub(crate) async fn log_in(&self, user: &str) -> Visitor {
        let visitor = Visitor {
            http: reqwest::Client::new(),
            base: self.rig.url(""),
            cookie: String::new(),
            csrf: String::new(),
        };
        let login = json!({ "user_name": user, "password": self.rig.password() });
        let (cookie, view) = visitor.admitted("/api/v1/login", login).await;
        let visitor = Visitor { cookie, csrf: text(&view, "/csrf_token"), ..visitor };
        if view.get("pending").is_none() {
            return visitor;
        }
        let (works, code) = self.belfry(&["demo", "--code", "--dir", self.rig.path().to_str().unwrap()]);
        assert!(works, "{code}");
        let (cookie, _) = visitor.admitted("/api/v1/session/step-up", json!({ "code": code.trim() })).await;
        // The session goes on under a new token.
        Visitor { cookie: if cookie.is_empty() { visitor.cookie.clone() } else { cookie }, ..visitor }
    }

    /// Kills them, all at once: SIGKILL.
    pub(crate) fn end(mut self) {
        for mut child in self.children.drain(..) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Later<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Somebody who is logged in on a later day.
#[derive(Clone)]
pub(crate) struct Visitor {
    http: reqwest::Client,
    base: String,
    cookie: String,
    csrf: String,
}

impl Visitor {
    /// With the same session at another address.
    pub(crate) fn at(&self, base: String) -> Self {
        Self { base, ..self.clone() }
    }

    fn request(&self, method: &str, path: &str, body: Option<Value>) -> reqwest::RequestBuilder {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base));
        let request = request.header("Cookie", &self.cookie).header("X-CSRF-Token", &self.csrf);
        match body {
            Some(body) => request.header("Content-Type", "application/json").body(body.to_string()),
            None => request,
        }
    }

    /// A step of a log-in: the cookies that it sets, and its answer.
    async fn admitted(&self, path: &str, body: Value) -> (String, Value) {
        let response = self.request("POST", path, Some(body)).send().await.unwrap();
        let cookies = response.headers().get_all("set-cookie").iter();
        let cookies: Vec<String> =
            cookies.filter_map(|value| value.to_str().ok()?.split(';').next()).map(str::to_owned).collect();
        let (status, said) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {said}");
        (cookies.join("; "), serde_json::from_str(&said).unwrap_or_default())
    }

    /// Status and answer.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.request(method, path, body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }

    pub(crate) async fn bytes(&self, path: &str) -> Vec<u8> {
        let response = self.request("GET", path, None).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.bytes().await.unwrap().to_vec()
    }
}
