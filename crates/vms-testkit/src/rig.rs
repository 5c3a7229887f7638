//! The whole system as its user runs it: the real programs on free ports in a folder of their own, and a client.
//!
//! Used by end-to-end tests and by the hammer. Everything is started from a folder of built programs; nothing is mocked.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

/// What to start.
#[derive(Clone, Debug)]
pub struct RigOptions {
    /// Folder of `belfry` and `belfry-media`.
    pub programs: PathBuf,
    /// Folder of the repository (console, models, ONNX Runtime).
    pub repository: PathBuf,
    /// Simulated cameras.
    pub cameras: u32,
    /// How many of them, from the first on, read plates for the LEZ.
    pub anpr: u32,
    /// Film of the main stream.
    pub film: PathBuf,
    /// Film of the sub-stream.
    pub sub: Option<PathBuf>,
    /// Central database; `None`: SQLite in the rig's folder.
    pub database: Option<String>,
    /// Cap of the footage, MiB.
    pub disk_cap_mib: u64,
    /// Run the reader.
    pub reader: bool,
}

/// A running system. Dropping it stops it and removes its folder.
#[derive(Debug)]
pub struct Rig {
    dir: tempfile::TempDir,
    options: RigOptions,
    http: u16,
    rtsp: u16,
    sim: Option<Child>,
    belfry: Option<Child>,
    password: String,
    totp: Vec<u8>,
    /// Last step of a code that each person used: a code works once.
    steps: tokio::sync::Mutex<HashMap<String, i64>>,
    /// Recovery codes that each person has left: for commands that log in again and again.
    recovery: tokio::sync::Mutex<HashMap<String, Vec<String>>>,
}

/// A port that was free a moment ago, and that no outgoing connection is given: the kernel takes those from 32768 on, and one of them
/// on the port of a program that starts anew would keep it from listening. No two callers of a process get the same.
///
/// # Errors
/// None is free; the loopback interface is missing.
pub fn free_port() -> anyhow::Result<u16> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORTS {
        let number = std::process::id().wrapping_mul(7_919).wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(12_000 + number % PORTS)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port from 12000 to 31999 is free")
}

/// How many ports [`free_port`] chooses from.
const PORTS: u32 = 20_000;

impl Rig {
    /// Sets up and starts everything; returns when the console answers.
    ///
    /// # Errors
    /// A program is missing or does not come up; its output is in the rig's folder.
    pub async fn start(options: RigOptions) -> anyhow::Result<Self> {
        let mut rig = Self::prepare(options)?;
        rig.start_sim()?;
        rig.fill()?;
        rig.start_belfry()?;
        rig.until("the console answers", Duration::from_secs(30), async |rig: &Self| {
            rig.get_plain("/api/v1/openapi.json").await.is_ok()
        })
        .await?;
        Ok(rig)
    }

    /// Sets up the database, the accounts and the cameras, and starts nothing.
    ///
    /// # Errors
    /// A program is missing or refuses; its output is in the rig's folder.
    pub fn set_up(options: RigOptions) -> anyhow::Result<Self> {
        let mut rig = Self::prepare(options)?;
        rig.fill()?;
        Ok(rig)
    }

    /// What it was started with.
    pub const fn options(&self) -> &RigOptions {
        &self.options
    }

    fn prepare(options: RigOptions) -> anyhow::Result<Self> {
        // What speaks HTTP in a test needs a choice of TLS, although it uses none.
        rustls::crypto::ring::default_provider().install_default().ok();
        let dir = tempfile::Builder::new().prefix("belfry-rig").tempdir()?;
        let (http, rtsp) = (free_port()?, free_port()?);
        let rig = Self {
            dir,
            options,
            http,
            rtsp,
            sim: None,
            belfry: None,
            password: String::new(),
            totp: Vec::new(),
            steps: Default::default(),
            recovery: Default::default(),
        };
        rig.write_config()?;
        rig.write_cameras()?;
        Ok(rig)
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        let rig = self;
        let mut setup = rig.program("belfry");
        setup
            .args(["demo", "--setup-only", "--dir"])
            .arg(rig.path())
            .arg("--cameras")
            .arg(rig.path().join("cameras.csv"));
        let status = setup.stdout(rig.log("setup")?).stderr(rig.log("setup")?).status()?;
        ensure!(status.success(), "setting up failed:\n{}", rig.log_tail("setup"));
        rig.password = std::fs::read_to_string(rig.path().join("password.txt"))?;
        rig.totp = hex::decode(std::fs::read_to_string(rig.path().join("totp.txt"))?)?;
        Ok(())
    }

    /// Folder of state, logs and footage.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Address of the console.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }

    /// Password of every account of the rig.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Process id of the supervisor.
    pub fn supervisor(&self) -> Option<u32> {
        self.belfry.as_ref().map(Child::id)
    }

    /// Process id of the simulator.
    pub fn simulator(&self) -> Option<u32> {
        self.sim.as_ref().map(Child::id)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.options.programs.join(name));
        command.current_dir(&self.options.repository).stdin(Stdio::null());
        command
    }

    fn log(&self, name: &str) -> anyhow::Result<std::fs::File> {
        let path = self.path().join(format!("{name}.log"));
        Ok(std::fs::OpenOptions::new().create(true).append(true).open(path)?)
    }

    /// The last lines of a process's output.
    pub fn log_tail(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path().join(format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(30)).copied().collect::<Vec<_>>().join("\n")
    }

    fn write_config(&self) -> anyhow::Result<()> {
        let repository = &self.options.repository;
        let database = self.options.database.clone().unwrap_or_default();
        let text = format!(
            "[paths]\nstate = 'state'\nrun = 'run'\nweb = '{web}'\nmodels = '{models}'\nonnxruntime = '{ort}'\n\
             [http]\nbind = '127.0.0.1:{http}'\nmetrics_bind = '127.0.0.1:{metrics}'\n\
             [database]\nurl = '{database}'\n\
             [recorder]\ntime = 'host'\ndisk_cap_mib = {cap}\n\
             [ingest]\nchildren = {children}\n\
             [cameras]\nallowed_networks = ['127.0.0.0/8']\nallowed_ports = [[{rtsp}, {rtsp}]]\n\
             [reader]\nenabled = {reader}\n\
             [log]\norigin = 'rig.belfry.localhost/log'\n\
             [identity]\ninstallation = 'demo'\n",
            web = repository.join("web/dist").display(),
            models = repository.join("models").display(),
            ort = repository.join(".onnxruntime/lib/libonnxruntime.so.1.31.1").display(),
            http = self.http,
            metrics = free_port()?,
            cap = self.options.disk_cap_mib,
            children = 1 + self.options.cameras.saturating_sub(1) / 25,
            rtsp = self.rtsp,
            reader = self.options.reader,
        );
        Ok(std::fs::write(self.path().join("belfry.toml"), text)?)
    }

    fn write_cameras(&self) -> anyhow::Result<()> {
        let mut csv = String::from(
            "code,call_up,name_nl,name_fr,owner,lat,lon,url_main,url_sub,user,password,kind,retention_class,\
             legal_basis_document,legal_basis_date,legal_basis_advice,pictogram_on\n",
        );
        for n in 0..self.options.cameras {
            let base = format!("rtsp://127.0.0.1:{}/cam{:03}", self.rtsp, n + 1);
            let sub = if self.options.sub.is_some() { format!("{base}/sub") } else { String::new() };
            let kind = if n < self.options.anpr { "lez" } else { "overview" };
            csv.push_str(&format!(
                "RIG-{n:03},{call},Proef {n},Essai {n},5340,50.8466,4.3517,{base}/main,{sub},sim,sim,{kind},RC-VID-OPEN,\
                 Besluit {n},2026-01-15,Advies {n},2026-02-01\n",
                call = 100 + n,
            ));
        }
        Ok(std::fs::write(self.path().join("cameras.csv"), csv)?)
    }

    /// Starts the simulator (again).
    ///
    /// # Errors
    /// The program is missing.
    pub fn start_sim(&mut self) -> anyhow::Result<()> {
        self.start_sim_with(&[])
    }

    /// Starts the simulator (again) with faults, such as `3:clock-jump=60@10` for camera 3.
    ///
    /// # Errors
    /// The program is missing.
    pub fn start_sim_with(&mut self, faults: &[String]) -> anyhow::Result<()> {
        std::fs::write(self.path().join("sim.password"), "sim")?;
        let mut sim = self.program("belfry-media");
        sim.args(["sim", "cameras", "--count"]).arg(self.options.cameras.to_string());
        sim.args(["--port"]).arg(self.rtsp.to_string()).arg("--film").arg(&self.options.film);
        if let Some(sub) = &self.options.sub {
            sim.arg("--sub").arg(sub);
        }
        sim.args(["--user", "sim", "--password-file"]).arg(self.path().join("sim.password"));
        sim.args(faults.iter().flat_map(|fault| ["--fault", fault]));
        let child =
            sim.stdout(self.log("sim")?).stderr(self.log("sim")?).spawn().context("starting belfry-media sim")?;
        self.sim = Some(child);
        Ok(())
    }

    /// Kills the simulator: every camera is off.
    ///
    /// # Errors
    /// It is gone already.
    pub fn stop_sim(&mut self) -> anyhow::Result<()> {
        if let Some(mut sim) = self.sim.take() {
            sim.kill()?;
            sim.wait()?;
        }
        Ok(())
    }

    /// Starts `belfry run` (again).
    ///
    /// # Errors
    /// The program is missing.
    pub fn start_belfry(&mut self) -> anyhow::Result<()> {
        self.start_belfry_with(&[])
    }

    /// Starts `belfry run` (again) with more in its environment.
    ///
    /// # Errors
    /// The program is missing.
    pub fn start_belfry_with(&mut self, environment: &[(&str, String)]) -> anyhow::Result<()> {
        let mut run = self.program("belfry");
        run.envs(environment.iter().map(|(name, value)| (name, value)));
        run.arg("--config").arg(self.path().join("belfry.toml")).arg("run");
        let child = run.stdout(self.log("belfry")?).stderr(self.log("belfry")?).spawn().context("starting belfry")?;
        self.belfry = Some(child);
        Ok(())
    }

    /// Stops `belfry run` in its stages.
    ///
    /// # Errors
    /// It does not stop within a minute.
    pub async fn stop_belfry(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.belfry.take() else { return Ok(()) };
        terminate(&child)?;
        for _ in 0..1200 {
            if child.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        child.kill()?;
        bail!("belfry did not stop within a minute:\n{}", self.log_tail("belfry"))
    }

    /// Waits until `holds`, looking every 50 ms.
    ///
    /// # Errors
    /// It did not within `limit`; the log's last lines say more.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        holds: impl AsyncFn(&Self) -> bool,
    ) -> anyhow::Result<Duration> {
        let start = tokio::time::Instant::now();
        while start.elapsed() < limit {
            if holds(self).await {
                return Ok(start.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("not within {limit:?}: {what}\n{}", self.log_tail("belfry"))
    }

    /// A GET without a session.
    ///
    /// # Errors
    /// Nobody answers, or not with 2xx.
    pub async fn get_plain(&self, path: &str) -> anyhow::Result<String> {
        let response = reqwest::get(self.url(path)).await?;
        ensure!(response.status().is_success(), "{path}: {}", response.status());
        Ok(response.text().await?)
    }

    /// Logs in as one of the demo's people.
    ///
    /// # Errors
    /// The log-in failed.
    pub async fn log_in(&self, user: &str) -> anyhow::Result<Person> {
        let http = reqwest::Client::new();
        let body = json!({ "user_name": user, "password": self.password });
        let request = http.post(self.url("/api/v1/login")).header("Content-Type", "application/json");
        let response = request.body(body.to_string()).send().await?;
        let cookie = cookies_of(&response);
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "log-in of {user}: {status} {text}");
        let view: Value = serde_json::from_str(&text)?;
        let csrf = view.get("csrf_token").and_then(Value::as_str).unwrap_or("").to_owned();
        let person = Person { http, base: self.url(""), cookie: Arc::new(std::sync::Mutex::new(cookie)), csrf };
        if view.get("pending").is_some() {
            self.step_up(user, &person).await?;
        }
        Ok(person)
    }

    /// Shows the demo's second factor, which is fresh for five minutes then.
    ///
    /// # Errors
    /// The code was not taken.
    pub async fn step_up(&self, user: &str, person: &Person) -> anyhow::Result<()> {
        // A recovery code waits for no time step; a code of the app works once in thirty seconds.
        if let Some(code) = self.spare(user).await
            && self.prove(person, json!({ "recovery_code": code })).await?.0.is_success()
        {
            return Ok(());
        }
        let code = self.next_code(user).await?;
        let (status, text) = self.prove(person, json!({ "code": code })).await?;
        ensure!(status.is_success(), "second factor of {user}: {status} {text}");
        self.stock(user, person).await
    }

    async fn prove(&self, person: &Person, proof: Value) -> anyhow::Result<(reqwest::StatusCode, String)> {
        let request = person.http.post(self.url("/api/v1/session/step-up")).header("Content-Type", "application/json");
        let request = request.header("Cookie", person.cookie()).header("X-CSRF-Token", &person.csrf);
        let response = request.body(proof.to_string()).send().await?;
        person.keep(&response);
        Ok((response.status(), response.text().await?))
    }

    /// Ten recovery codes for the next times, from somebody who showed a factor just now.
    async fn stock(&self, user: &str, person: &Person) -> anyhow::Result<()> {
        let request = person.http.post(self.url("/api/v1/session/recovery-codes"));
        let request = request.header("Cookie", person.cookie()).header("X-CSRF-Token", &person.csrf);
        let text = request.send().await?.error_for_status()?.text().await?;
        let view: Value = serde_json::from_str(&text)?;
        let codes = view.get("recovery_codes").and_then(Value::as_array).cloned().unwrap_or_default();
        let codes = codes.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        // The older ones are dead now.
        self.recovery.lock().await.insert(user.to_owned(), codes);
        Ok(())
    }

    async fn spare(&self, user: &str) -> Option<String> {
        self.recovery.lock().await.get_mut(user)?.pop()
    }

    /// A recovery code that was not used; makes ten new ones when none is left.
    ///
    /// # Errors
    /// The log-in or the making failed.
    pub async fn recovery_code(&self, user: &str) -> anyhow::Result<String> {
        if let Some(code) = self.spare(user).await {
            return Ok(code);
        }
        // With a code of the app, which makes new ones.
        self.log_in(user).await?;
        self.spare(user).await.context("no recovery code was made")
    }

    /// A code that was not used: one step before now at the earliest, one after at the latest; waits where all were used.
    async fn next_code(&self, user: &str) -> anyhow::Result<String> {
        let mut steps = self.steps.lock().await;
        loop {
            #[expect(clippy::disallowed_methods, reason = "the program under test reads the same clock")]
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
            let now = i64::try_from(now.as_secs())? / 30;
            // The step before now may end while the request is under way.
            let step = steps.get(user).map_or(now, |last| (last + 1).max(now));
            if step <= now + 1 {
                steps.insert(user.to_owned(), step);
                return Ok(code_of(&self.totp, step));
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for mut child in [self.belfry.take(), self.sim.take()].into_iter().flatten() {
            drop(terminate(&child));
            for _ in 0..400 {
                if matches!(child.try_wait(), Ok(Some(_))) {
                    break;
                }
                #[expect(clippy::disallowed_methods, reason = "a destructor cannot await")]
                std::thread::sleep(Duration::from_millis(25));
            }
            drop(child.kill());
            drop(child.wait());
        }
        if std::env::var_os("BELFRY_KEEP_RIG").is_some() {
            self.dir.disable_cleanup(true);
        }
    }
}

/// A code of RFC 6238, written a second time so that the program is not its own judge.
fn code_of(secret: &[u8], step: i64) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = ring::hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag.last().copied().unwrap_or(0) & 15);
    let number = tag.iter().skip(at).take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    format!("{:06}", (number & 0x7FFF_FFFF) % 1_000_000)
}

fn terminate(child: &Child) -> anyhow::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).context("no process id")?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
}

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct Person {
    http: reqwest::Client,
    base: String,
    /// A step-up changes it, for every copy.
    cookie: Arc<std::sync::Mutex<String>>,
    csrf: String,
}

/// What an answer sets, as it is sent back.
fn cookies_of(response: &reqwest::Response) -> String {
    let cookies = response.headers().get_all("set-cookie").iter();
    cookies.filter_map(|value| value.to_str().ok()?.split(';').next()).collect::<Vec<_>>().join("; ")
}

impl Person {
    /// The cookie header, for WebSockets.
    pub fn cookie(&self) -> String {
        self.cookie.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// As a browser: what an answer sets is sent from then on.
    fn keep(&self, response: &reqwest::Response) {
        let cookie = cookies_of(response);
        if !cookie.is_empty() {
            *self.cookie.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = cookie;
        }
    }

    /// One request with a session.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<reqwest::Response> {
        let method = method.parse().context("method")?;
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.header("Cookie", self.cookie()).header("X-CSRF-Token", &self.csrf);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let response = request.send().await?;
        self.keep(&response);
        Ok(response)
    }

    /// One request whose answer must be 2xx JSON.
    ///
    /// # Errors
    /// It is not; the problem document is in the text.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{method} {path}: {status} {text}");
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    /// A change of something whose version (its entity tag) was seen; the answer must be 2xx.
    ///
    /// # Errors
    /// It is not; the problem document is in the text.
    pub async fn change(&self, path: &str, etag: &str, body: Value) -> anyhow::Result<()> {
        let request = self.http.patch(format!("{}{path}", self.base)).header("Cookie", self.cookie());
        let request = request.header("X-CSRF-Token", &self.csrf).header("If-Match", etag);
        let response = request.header("Content-Type", "application/json").body(body.to_string()).send().await?;
        let status = response.status();
        ensure!(status.is_success(), "PATCH {path}: {status} {}", response.text().await?);
        Ok(())
    }

    /// Bytes of a GET, whole or a range.
    ///
    /// # Errors
    /// The answer is not 2xx.
    pub async fn bytes(&self, path: &str, range: Option<&str>) -> anyhow::Result<bytes::Bytes> {
        let mut request = self.http.get(format!("{}{path}", self.base)).header("Cookie", self.cookie());
        if let Some(range) = range {
            request = request.header("Range", range);
        }
        let response = request.send().await?;
        ensure!(response.status().is_success(), "GET {path}: {}", response.status());
        Ok(response.bytes().await?)
    }
}
