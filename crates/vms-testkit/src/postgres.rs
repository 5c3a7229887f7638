//! A real PostgreSQL for tests: one server per test process, one database per test.
//!
//! As root the server runs under `postgres` (or `nobody`), because it refuses root. It listens on a Unix socket in its own
//! temporary folder, so no port is taken. Durability is switched off: a test's data need not survive a power cut; all
//! else is as shipped. The server gets a signal when the test process ends, however it ends.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::sync::OnceCell;

/// Longest wait for the server to answer.
const START_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What to do when there is none.
const INSTALL: &str = "PostgreSQL is needed for the tests: apt-get install postgresql";

/// The running server.
#[derive(Debug)]
struct Server {
    dir: PathBuf,
    /// To its keeper; closed by the kernel with this process, which ends the server.
    orders: Mutex<ChildStdin>,
}

static SERVER: OnceCell<Server> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The address of a fresh, empty database. Starts the server on the first call.
///
/// # Errors
/// With the command that installs PostgreSQL when it is missing; with the server's own words when it does not start.
pub async fn database() -> anyhow::Result<String> {
    let dir = &SERVER.get_or_try_init(start).await?.dir;
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut conn = PgConnection::connect(&address(dir, "postgres")).await.context("connecting to the test server")?;
    conn.execute(sqlx::AssertSqlSafe(format!("create database {name} template template0"))).await?;
    Ok(address(dir, &name))
}

/// Stops the server of this process as an administrator does (fast shutdown: clients are cut off) and returns when it is gone.
/// For tests of an outage; everything else in this process that uses the server is hit too.
///
/// # Errors
/// It was never started, or does not stop within a minute.
pub async fn stop() -> anyhow::Result<()> {
    let server = order("stop")?;
    let pid_file = server.dir.join("data/postmaster.pid");
    let deadline = tokio::time::Instant::now() + START_MAX;
    while pid_file.exists() {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "postgres does not stop");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Starts the stopped server again on the same data.
///
/// # Errors
/// It was never started, or does not answer within a minute.
pub async fn start_again() -> anyhow::Result<()> {
    wait_ready(&order("start")?.dir).await
}

fn order(word: &str) -> anyhow::Result<&'static Server> {
    let server = SERVER.get().context("the test server was never started")?;
    let mut orders = server.orders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    writeln!(orders, "{word}").context("the keeper of the test server is gone")?;
    Ok(server)
}

fn address(dir: &Path, database: &str) -> String {
    format!("postgres://belfry@localhost/{database}?host={}", dir.display())
}

/// The newest installed server's programs.
fn programs() -> anyhow::Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql").context(INSTALL)? {
        let entry = entry?;
        let version = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let bin = entry.path().join("bin");
        if let Some(version) = version.filter(|_| bin.join("postgres").exists() && bin.join("initdb").exists()) {
            found.push((version, bin));
        }
    }
    found.into_iter().max().map(|(_, bin)| bin).context(INSTALL)
}

/// User and group to run under when we are root.
fn unprivileged() -> anyhow::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd = std::fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    let find = |wanted: &str| {
        passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let ids = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
            (fields.first() == Some(&wanted)).then_some(ids)
        })
    };
    find("postgres")
        .or_else(|| find("nobody"))
        .map(Some)
        .context("no user `postgres` or `nobody` to run the server under")
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").current_dir("/").stdin(Stdio::null());
    command
}

async fn start() -> anyhow::Result<Server> {
    let bin = programs()?;
    let user = unprivileged()?;
    sweep_left_over();
    let dir = std::env::temp_dir().join(format!("belfry-pg-{}", std::process::id()));
    std::fs::create_dir(&dir).with_context(|| format!("making {}", dir.display()))?;
    if let Some((uid, gid)) = user {
        std::os::unix::fs::chown(&dir, Some(uid), Some(gid))?;
    }
    let data = dir.join("data");
    let made = command(&bin.join("initdb"), user)
        .arg("-D")
        .arg(&data)
        .args(["-U", "belfry", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
        .output()
        .context("running initdb")?;
    if !made.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr));
    }
    // The shell outlives neither us nor the server: its standard input is a pipe that closes when this process ends,
    // by whatever way, and then it stops the server and removes the folder.
    // Until then it takes orders, a word a line: an outage under test.
    let script = "begin() { \"$bin\" -D \"$dir/data\" -k \"$dir\" -c listen_addresses= -c fsync=off \
        -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 >>\"$dir/log\" 2>&1 </dev/null & server=$!; }; \
        end() { [ -z \"$server\" ] || { kill -INT $server; wait $server; server=; }; }; \
        bin=$1; dir=$2; begin; \
        while read -r word; do case $word in stop) end;; start) begin;; esac; done; end; \
        rm -rf \"$dir/data\" \"$dir\"/.s* \"$dir/log\"; rmdir \"$dir\" 2>/dev/null";
    let mut keeper = command(Path::new("/bin/sh"), user)
        .args(["-c", script, "sh"])
        .arg(bin.join("postgres"))
        .arg(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("starting postgres")?;
    // A static is never dropped: the kernel closes the pipe with the process.
    let orders = Mutex::new(keeper.stdin.take().context("the keeper has no standard input")?);
    wait_ready(&dir).await?;
    Ok(Server { dir, orders })
}

async fn wait_ready(dir: &Path) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + START_MAX;
    loop {
        match PgConnection::connect(&address(dir, "postgres")).await {
            Ok(conn) => return Ok(conn.close().await?),
            Err(error) if tokio::time::Instant::now() >= deadline => {
                let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
                bail!("postgres did not start: {error}\n{log}");
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Removes folders of test processes that are gone.
fn sweep_left_over() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid =
            name.to_str().and_then(|name| name.strip_prefix("belfry-pg-")).and_then(|pid| pid.parse::<u32>().ok());
        let is_gone = pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        // A server that is still stopping holds its folder for a moment; the next run gets it.
        if is_gone && !entry.path().join("data/postmaster.pid").exists() {
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}
