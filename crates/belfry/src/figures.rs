//! Figures and health of a role on a Unix socket of its own in the run folder, and all of them gathered for one scrape.
//!
//! `figures-ROLE.sock` answers `GET /metrics` (Prometheus text) and `GET /health` (200 or 503); the folder's mode keeps other
//! users out. `serve` gathers every socket that it finds and adds a label `process`. A role works on when nobody asks, and when
//! its socket cannot be opened it says so once. `docs/operations.md` lists the figures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use link::{Control, Role};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use vms_core::WallTime;

use crate::wiring::system::SystemClock;

/// Questions at the same time; a further one waits to be accepted.
const ASKERS_MAX: usize = 8;
/// Longest request, bytes.
const REQUEST_MAX: usize = 4 * 1024;
/// Longest answer of one role, bytes; a longer one is cut off.
const ANSWER_MAX: u64 = 4 * 1024 * 1024;
/// A question must be asked, and one must be answered, within this time.
const TALK_MAX: Duration = Duration::from_secs(2);
/// Footage of every camera in service reached the disk at most so long ago.
const DURABLE_LAG_US: i64 = 10_000_000;

/// What stands behind `/health`.
#[derive(Clone, Debug)]
enum Health {
    /// It answers, so it lives. What matters, whether footage arrives, is the recorder's to say.
    Alive,
    /// Footage of every stream that is to be recorded is durable up to ten seconds ago.
    Recorder { socket: PathBuf, assignment: PathBuf },
}

#[derive(Debug)]
struct Desk {
    figures: PrometheusHandle,
    memory: Option<Arc<ingest::Memory>>,
    health: Health,
}

/// Answers for a role until `stop`. Call it before the role confines itself.
///
/// # Errors
/// A second recorder of figures in one process.
pub(crate) fn serve(run: &Path, name: &str, stop: CancellationToken) -> anyhow::Result<JoinHandle<()>> {
    open(run, name, Health::Alive, stop)
}

/// The same for the recorder, which lies at `socket` and keeps its list in `assignment`.
///
/// # Errors
/// See [`serve`].
pub(crate) fn serve_recorder(
    run: &Path,
    socket: PathBuf,
    assignment: PathBuf,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    open(run, "recorder", Health::Recorder { socket, assignment }, stop)
}

fn open(run: &Path, name: &str, health: Health, stop: CancellationToken) -> anyhow::Result<JoinHandle<()>> {
    use std::os::unix::fs::PermissionsExt as _;
    let figures = PrometheusBuilder::new().install_recorder().context("figures")?;
    let desk = Arc::new(Desk { figures, memory: ingest::Memory::open().ok().map(Arc::new), health });
    let path = run.join(format!("figures-{name}.sock"));
    std::fs::remove_file(&path).ok();
    let listener = UnixListener::bind(&path).and_then(|listener| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    });
    Ok(match listener {
        Ok(listener) => tokio::spawn(answer_all(listener, desk, stop)),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "no figures: the socket cannot be opened");
            tokio::spawn(std::future::ready(()))
        }
    })
}

async fn answer_all(listener: UnixListener, desk: Arc<Desk>, stop: CancellationToken) {
    let mut askers = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = askers.join_next() => {}
            accepted = listener.accept(), if askers.len() < ASKERS_MAX => if let Ok((stream, _)) = accepted {
                let desk = Arc::clone(&desk);
                askers.spawn(async move { drop(tokio::time::timeout(TALK_MAX, answer(stream, &desk)).await) });
            },
        }
    }
}

async fn answer(mut stream: UnixStream, desk: &Desk) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        if request.len() > REQUEST_MAX || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = match request.split(|byte| *byte == b' ').nth(1) {
        Some(b"/metrics") => ("200 OK", desk.text()),
        Some(b"/health") => match desk.behind().await {
            Ok(0) => ("200 OK", "ok\n".to_owned()),
            Ok(count) => ("503 Service Unavailable", format!("{count} streams behind\n")),
            Err(error) => ("503 Service Unavailable", format!("{error}\n")),
        },
        _ => ("404 Not Found", "/metrics or /health\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.0 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

impl Desk {
    fn text(&self) -> String {
        let mut text = self.figures.render();
        if let Some(memory) = &self.memory {
            resident(&mut text, memory);
        }
        text
    }

    /// How many streams are behind.
    async fn behind(&self) -> anyhow::Result<usize> {
        match &self.health {
            Health::Alive => Ok(0),
            Health::Recorder { socket, assignment } => {
                let kept = recorder::assignment::Kept::load(assignment).context("the list is not readable")?;
                let mut connection = link::connect(socket, Role::Serve, 0, Role::Recorder).await?;
                let Control::HealthReport { streams, .. } = connection.ask(Control::Health).await? else {
                    anyhow::bail!("the recorder answered out of turn");
                };
                let now = SystemClock::wall_now();
                let wanted = kept.assignment.streams.iter().filter(|spec| spec.record && !spec.on_demand);
                let until = |stream: &str| streams.iter().find(|health| health.stream == stream)?.durable_until_us;
                Ok(wanted.filter(|spec| is_behind(until(&spec.stream), now)).count())
            }
        }
    }
}

fn is_behind(durable_until_us: Option<i64>, now: WallTime) -> bool {
    durable_until_us.is_none_or(|until| now.micros.saturating_sub(until) > DURABLE_LAG_US)
}

fn resident(text: &mut String, memory: &ingest::Memory) {
    let bytes = memory.resident();
    text.push_str(&format!("# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {bytes}\n"));
}

/// Everything for one scrape: `own` is the text of this process, called `serve`; the others are asked now. A role that does not
/// answer is counted as down.
pub(crate) async fn gather(run: &Path, own: &str) -> String {
    let mut own = own.to_owned();
    if let Ok(memory) = ingest::Memory::open() {
        resident(&mut own, &memory);
    }
    let mut families = Families::default();
    families.add("serve", &own);
    let mut asked = JoinSet::new();
    for (name, path) in sockets(run) {
        asked.spawn(async move {
            let answer = tokio::time::timeout(TALK_MAX, ask(&path, "/metrics")).await;
            (name, answer.ok().and_then(Result::ok))
        });
    }
    let mut answers: BTreeMap<String, Option<String>> = BTreeMap::new();
    while let Some(Ok((name, answer))) = asked.join_next().await {
        answers.insert(name, answer);
    }
    let mut up = String::from("# TYPE belfry_process_up gauge\nbelfry_process_up{process=\"serve\"} 1\n");
    for (name, answer) in &answers {
        up.push_str(&format!("belfry_process_up{{process=\"{name}\"}} {}\n", u8::from(answer.is_some())));
        families.add(name, answer.as_deref().unwrap_or(""));
    }
    families.render() + &up
}

/// Takes away what an earlier run left: a role that is no longer configured is not one that is down.
pub(crate) fn sweep(run: &Path) {
    for (_, path) in sockets(run) {
        std::fs::remove_file(path).ok();
    }
}

/// Sockets of figures in the run folder, with their roles' names.
fn sockets(run: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let role = name.strip_prefix("figures-")?.strip_suffix(".sock")?;
        let is_plain = role.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_plain.then(|| (role.to_owned(), entry.path()))
    });
    named.collect()
}

async fn ask(path: &Path, what: &str) -> anyhow::Result<String> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(format!("GET {what} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut raw = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut raw).await?;
    let text = String::from_utf8(raw)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    anyhow::ensure!(head.contains(" 200 "), "refused");
    Ok(body.to_owned())
}

/// Samples of several processes, grouped by figure: a figure's type may stand in the text only once.
#[derive(Debug, Default)]
struct Families {
    /// Comment lines and samples of each figure.
    figures: BTreeMap<String, (Vec<String>, Vec<String>)>,
}

impl Families {
    fn add(&mut self, process: &str, text: &str) {
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let Some(name) = comment.split(' ').nth(1) else { continue };
                let (comments, _) = self.figures.entry(name.to_owned()).or_default();
                if !comments.iter().any(|known| known == line) {
                    comments.push(line.to_owned());
                }
            } else if let Some(at) = line.find(['{', ' ']) {
                let (name, rest) = line.split_at(at);
                let label = format!("process=\"{process}\"");
                let sample = match rest.strip_prefix('{') {
                    Some(labels) => format!("{name}{{{label},{labels}"),
                    None => format!("{name}{{{label}}}{rest}"),
                };
                // The parts of a histogram or summary stand under its own name.
                let known = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                    let family = name.strip_suffix(end)?;
                    self.figures.contains_key(family).then_some(family)
                });
                let family = known.unwrap_or(name).to_owned();
                self.figures.entry(family).or_default().1.push(sample);
            }
        }
    }

    fn render(&self) -> String {
        let mut out = String::new();
        for (comments, samples) in self.figures.values() {
            for line in comments.iter().chain(samples) {
                out.push_str(line);
                out.push('\n');
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_two_processes_stand_under_one_type() {
        let mut families = Families::default();
        families.add("a", "# TYPE units_total counter\nunits_total 3\n\n# TYPE wait summary\nwait_sum{kind=\"x\"} 1.5\nwait_count{kind=\"x\"} 2\n");
        families.add("b", "# TYPE units_total counter\nunits_total{why=\"full\"} 4\n");
        assert_eq!(
            families.render(),
            "# TYPE units_total counter\nunits_total{process=\"a\"} 3\nunits_total{process=\"b\",why=\"full\"} 4\n\
             # TYPE wait summary\nwait_sum{process=\"a\",kind=\"x\"} 1.5\nwait_count{process=\"a\",kind=\"x\"} 2\n"
        );
    }

    #[test]
    fn ten_seconds_without_durable_footage_are_behind() {
        let now = WallTime::from_secs(1_000);
        for (until, wanted) in
            [(None, true), (Some(989_999_999), true), (Some(990_000_000), false), (Some(1_001_000_000), false)]
        {
            assert_eq!(is_behind(until, now), wanted, "{until:?}");
        }
    }

    #[tokio::test]
    async fn a_role_answers_and_a_dead_one_is_down() {
        let dir = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let running = serve(dir.path(), "ingest-0", stop.clone()).unwrap();
        drop(UnixListener::bind(dir.path().join("figures-relay-0.sock")).unwrap());
        metrics::counter!("belfry_test_total").increment(2);
        let text = gather(dir.path(), "# TYPE belfry_test_total counter\nbelfry_test_total 1\n").await;
        for line in [
            "belfry_test_total{process=\"serve\"} 1",
            "belfry_test_total{process=\"ingest-0\"} 2",
            "belfry_process_up{process=\"ingest-0\"} 1",
            "belfry_process_up{process=\"relay-0\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("# TYPE belfry_test_total").count(), 1);
        assert!(text.contains("process_resident_memory_bytes{process=\"ingest-0\"} "));
        let path = dir.path().join("figures-ingest-0.sock");
        assert_eq!(ask(&path, "/health").await.unwrap(), "ok\n");
        assert!(ask(&path, "/else").await.is_err());
        stop.cancel();
        running.await.unwrap();
    }
}
