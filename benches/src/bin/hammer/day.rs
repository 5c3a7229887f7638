//! A day of plate reads through the real `serve`, registry stub and database: how long, how much memory, how many a second.
//!
//! The reader is this program: it gives reads as a reader gives its spool, as fast as they are asked for or at a rate. No pictures: what
//! costs is the way of a read (durable copy, registry, decision, counter or finding, erased).

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sim::traffic::{self, DayPlan};
use tokio::time::Instant;
use vms_benches::process::{usage, wall_us};
use vms_testkit::rig::{Rig, RigOptions, free_port};

use crate::people::{self, Job};
use crate::say;
use crate::spooled::{Feed, Spooled};

const HOUR_US: i64 = 3_600_000_000;
/// How often the counters of `serve` are looked at: the grain of the times below.
const LOOK: Duration = Duration::from_millis(100);

/// `hammer day`.
#[derive(Debug, clap::Args)]
pub(crate) struct DayArgs {
    /// Reads of the day.
    #[arg(long, default_value_t = DayPlan::REGION.passages)]
    reads: u32,
    /// Vehicles that make them.
    #[arg(long, default_value_t = DayPlan::REGION.vehicles)]
    vehicles: u32,
    /// Cameras.
    #[arg(long, default_value_t = DayPlan::REGION.cameras)]
    cameras: u16,
    /// Another seed, another day.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Reads a second in the burst.
    #[arg(long, default_value_t = 200)]
    burst: u32,
    /// Its length, seconds.
    #[arg(long, default_value_t = 60)]
    burst_s: u32,
    /// The registry is away while this share of the day arrives (a quarter: six hours).
    #[arg(long, default_value_t = 0.25)]
    away: f64,
    /// Findings that are approved afterwards and go into a batch; a run takes 2,000. 0: neither.
    #[arg(long, default_value_t = 2_000)]
    approve: usize,
    /// Hours ago that the day began. Undecided reads live 48 hours; a finding is final at the second midnight in Brussels after its read.
    #[arg(long, default_value_t = 45)]
    hours_ago: u32,
}

/// Options of a rig without one frame of video.
pub(crate) fn options(args: &DayArgs, mut options: RigOptions) -> RigOptions {
    options.cameras = u32::from(args.cameras);
    options.anpr = options.cameras;
    options.reader = true;
    options
}

/// A child that ends with this program.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

struct Stage {
    rig: Rig,
    programs: std::path::PathBuf,
    stub_port: u16,
    metrics: String,
    serve: Kept,
    stub: Option<Kept>,
    feed: Arc<Feed>,
    job: Job,
    client: reqwest::Client,
    /// Counted before the day began.
    memory_peak_mib: f64,
}

impl Stage {
    fn start_stub(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::create(self.rig.path().join("stub.log"))?;
        let mut stub = Command::new(self.programs.join("belfry"));
        stub.args(["registry-stub", "--bind", &format!("127.0.0.1:{}", self.stub_port)]);
        self.stub = Some(Kept(stub.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?));
        Ok(())
    }

    /// Reads decided since `serve` started.
    async fn decided(&mut self) -> anyhow::Result<u64> {
        let text = self.client.get(&self.metrics).send().await?.text().await?;
        let lines = text.lines().filter(|line| line.starts_with("belfry_lez_reads_decided_total"));
        let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        let memory = usage(self.serve.0.id()).anon_mib;
        self.memory_peak_mib = self.memory_peak_mib.max(memory);
        Ok(counts.sum())
    }

    /// Waits until so many are decided; what was seen on the way: when (seconds since `began`), taken, decided.
    async fn until_decided(&mut self, wanted: u64, began: Instant) -> anyhow::Result<Vec<(f64, u64, u64)>> {
        let (mut seen, mut told, mut moved) = (Vec::new(), Instant::now(), (0, Instant::now()));
        loop {
            let decided = self.decided().await?;
            seen.push((began.elapsed().as_secs_f64(), self.feed.taken(), decided));
            if decided >= wanted {
                return Ok(seen);
            }
            if decided > moved.0 {
                moved = (decided, Instant::now());
            }
            ensure!(moved.1.elapsed() < Duration::from_secs(900), "nothing is decided any more: {decided} of {wanted}");
            if told.elapsed() > Duration::from_secs(60) {
                told = Instant::now();
                say(&format!(
                    "  {:.0} s: {} taken, {decided} decided",
                    began.elapsed().as_secs_f64(),
                    self.feed.taken()
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

pub(crate) async fn run(args: &DayArgs, options: RigOptions) -> anyhow::Result<()> {
    let plan = DayPlan { seed: args.seed, vehicles: args.vehicles, cameras: args.cameras, passages: args.reads };
    let day = traffic::day(&plan);
    say(&format!(
        "a day of {} reads, {} vehicles, {} cameras, seed {}",
        day.len(),
        plan.vehicles,
        plan.cameras,
        plan.seed
    ));
    let mut stage = set_up(args, day, options).await?;
    let total = u64::try_from(stage.feed.len())?;
    let burst = u64::from(args.burst) * u64::from(args.burst_s);
    ensure!(burst < total, "the burst is longer than the day");
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of some million reads"
    )]
    let away = ((total - burst) as f64 * args.away.clamp(0.0, 1.0)) as u64;

    burst_phase(args, &mut stage, burst).await?;
    flood_phase(&mut stage, total - away, "as fast as they are taken").await?;
    away_phase(&mut stage, total).await?;
    if args.approve > 0 {
        people::phase(&stage.rig, &stage.job, &stage.programs, args.approve).await?;
    }
    figures(&mut stage).await
}

/// The database, the accounts, the cameras, the programs; `serve` alone of all roles.
async fn set_up(args: &DayArgs, day: Vec<traffic::Passage>, options: RigOptions) -> anyhow::Result<Stage> {
    let programs = options.programs.clone();
    let began = Instant::now();
    let rig = Rig::set_up(options)?;
    let stub_port = free_port()?;
    let config = rig.path().join("belfry.toml");
    let mut text = std::fs::read_to_string(&config)?;
    let (job, machines) = Job::prepare(&rig)?;
    text.push_str(&format!("[registry]\nurl = 'http://127.0.0.1:{stub_port}'\n{machines}"));
    std::fs::write(&config, &text)?;
    let metrics = text.lines().find_map(|line| line.strip_prefix("metrics_bind = '")?.strip_suffix('\''));
    let metrics = format!("http://{}/metrics", metrics.context("the rig names no port for figures")?);
    std::fs::create_dir_all(rig.path().join("run"))?;
    let feed = Arc::new(Feed::new(day, wall_us() - i64::from(args.hours_ago) * HOUR_US));
    Spooled::serve(&rig.path().join("run/reader.sock"), Arc::clone(&feed))?;
    let log = std::fs::File::create(rig.path().join("serve.log"))?;
    let mut serve = Command::new(programs.join("belfry"));
    serve.current_dir(&rig.options().repository).arg("--config").arg(&config).args([
        "role",
        "serve",
        "--instance",
        "0",
    ]);
    let serve = Kept(serve.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
    let client = reqwest::Client::new();
    let mut stage =
        Stage { rig, programs, stub_port, metrics, serve, stub: None, feed, job, client, memory_peak_mib: 0.0 };
    stage.start_stub()?;
    let assigned = stage
        .rig
        .until("the reader has its cameras", Duration::from_secs(120), async |_: &Rig| stage.feed.cameras() > 0);
    assigned.await.with_context(|| stage.rig.log_tail("serve"))?;
    say(&format!("set up in {:.0} s; {} cameras assigned", began.elapsed().as_secs_f64(), stage.feed.cameras()));
    Ok(stage)
}

/// Reads arrive at a rate; how long each waits for its decision (they are decided in the order of arrival).
async fn burst_phase(args: &DayArgs, stage: &mut Stage, burst: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    let feed = Arc::clone(&stage.feed);
    let (rate, length) = (u64::from(args.burst), u64::from(args.burst_s));
    let offering = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(100));
        for tick in 1..=length * 10 {
            every.tick().await;
            feed.offer(tick * rate / 10);
        }
    });
    let seen = stage.until_decided(burst, began).await?;
    offering.await?;
    // The n-th read was offered at n / rate; it was decided when the count first reached n.
    let mut waits: Vec<f64> = Vec::new();
    let mut at = seen.iter();
    let mut look = at.next();
    for n in 1..=burst {
        while let Some((_, _, decided)) = look
            && *decided < n
        {
            look = at.next();
        }
        let Some((when, ..)) = look else { break };
        #[expect(clippy::cast_precision_loss, reason = "some thousand reads")]
        waits.push(when - n as f64 / rate as f64);
    }
    say(&format!(
        "burst of {rate}/s for {length} s: from read to decision p50 {:.2}, p99 {:.2}, max {:.2} s; all decided after {:.1} s",
        crate::quantile(&waits, 0.5),
        crate::quantile(&waits, 0.99),
        crate::quantile(&waits, 1.0),
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

async fn flood_phase(stage: &mut Stage, upto: u64, how: &str) -> anyhow::Result<()> {
    let (began, first, cpu) = (Instant::now(), stage.feed.taken(), usage(stage.serve.0.id()).cpu_s);
    stage.feed.offer(upto);
    let seen = stage.until_decided(upto, began).await?;
    let seconds = began.elapsed().as_secs_f64();
    let taken = seen.iter().find(|(_, taken, _)| *taken >= upto).map_or(seconds, |(when, ..)| *when);
    #[expect(clippy::cast_precision_loss, reason = "some million reads")]
    let count = (upto - first) as f64;
    say(&format!(
        "{count:.0} reads, {how}: all taken after {taken:.0} s ({:.0}/s), all decided after {seconds:.0} s ({:.0}/s); {:.0} s of CPU",
        count / taken,
        count / seconds,
        usage(stage.serve.0.id()).cpu_s - cpu
    ));
    Ok(())
}

/// The registry is gone while reads arrive, and comes back.
async fn away_phase(stage: &mut Stage, total: u64) -> anyhow::Result<()> {
    let before = stage.decided().await?;
    stage.stub = None;
    let began = Instant::now();
    stage.feed.offer(total);
    while stage.feed.taken() < total {
        stage.decided().await?;
        tokio::time::sleep(LOOK).await;
    }
    let taken = began.elapsed().as_secs_f64();
    let meanwhile = stage.decided().await? - before;
    stage.start_stub()?;
    let back = Instant::now();
    stage.until_decided(total, back).await?;
    say(&format!(
        "the registry away while {} reads arrive: taken in {taken:.0} s, {meanwhile} decided from what was known; all decided {:.0} s \
         after it was back",
        total - before,
        back.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// What is left of the day.
async fn figures(stage: &mut Stage) -> anyhow::Result<()> {
    let (decided, total) = (stage.decided().await?, u64::try_from(stage.feed.len())?);
    let text = stage.client.get(&stage.metrics).send().await?.text().await?;
    let outcomes = text.lines().filter_map(|line| line.strip_prefix("belfry_lez_reads_decided_total"));
    say(&format!("decided {decided} of {total}: {}", outcomes.collect::<Vec<_>>().join(", ")));
    let agent = stage.rig.log_in("lez").await?;
    let page: Value = agent.ask("GET", "/api/v1/findings?limit=1", None).await?;
    ensure!(page.get("items").is_some_and(Value::is_array), "the queue does not answer: {page}");
    let used = usage(stage.serve.0.id());
    let size: u64 = folder_bytes(&stage.rig.path().join("state"));
    say(&format!(
        "serve: {:.0} s of CPU, {:.0} MiB at most; its state folder (SQLite, keys, log) {} MiB",
        used.cpu_s,
        stage.memory_peak_mib,
        size >> 20
    ));
    ensure!(decided == total, "{} reads were decided twice or never", total.abs_diff(decided));
    Ok(())
}

fn folder_bytes(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
