//! The way to the cameras goes and comes back (R12): how soon footage begins again, and whether each hole has its record and cause.
//!
//! Between cameras and Belfry stands a relay of ours. Two ways to go: *reset*, connections end and new ones are refused, as when a camera
//! starts anew; *silent*, nothing passes and nobody says so, as when a cable is out. After a silent outage the old connections are dead.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use vms_benches::frames::{Hole, walk};
use vms_benches::process::{signal, wall_us};
use vms_benches::recorder_link::{Rows, follow, health};
use vms_testkit::rig::{Rig, RigOptions, free_port};

use crate::{quantile, say};

/// Holes longer than this must be told.
const HOLE_US_MIN: i64 = 200_000;
/// Received a little after it was sent.
const SLACK_US: i64 = 300_000;
/// Target R12.
const BACK_S_MAX: f64 = 2.0;

/// `hammer reconnect`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReconnectArgs {
    /// Outages.
    #[arg(long, default_value_t = 50)]
    count: u32,
    /// Cameras.
    #[arg(long, default_value_t = 5)]
    pub(crate) cameras: u32,
    /// Longest outage, milliseconds; the shortest is 300.
    #[arg(long, default_value_t = 6_000)]
    longest_ms: u64,
    /// Seed of the moments.
    #[arg(long, default_value_t = 20_261_122)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Open,
    Reset,
    Silent,
}

#[derive(Debug)]
struct Outage {
    way: Way,
    from_us: i64,
    to_us: i64,
}

/// The simulator on a port of its own; ends with the run.
struct Sim(Child);

impl Drop for Sim {
    fn drop(&mut self) {
        signal(self.0.id(), Signal::TERM);
        drop(self.0.wait());
    }
}

/// Passes bytes between Belfry at `front` and the cameras at `back`, as long as the way is open.
async fn relay(front: u16, back: u16, way: watch::Receiver<Way>) -> anyhow::Result<()> {
    let mut pairs = JoinSet::new();
    let mut gate = way.clone();
    loop {
        gate.wait_for(|now| *now != Way::Reset).await?;
        let listener = TcpListener::bind(("127.0.0.1", front)).await.context("the port of the relay")?;
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    pairs.spawn(pass(stream, back, way.clone()));
                }
                gone = gate.wait_for(|now| *now == Way::Reset) => { gone?; break }
            }
            while pairs.try_join_next().is_some() {}
        }
    }
}

/// One connection. It ends with the first outage that it sees: at once when it is a reset, at its end when it was silent.
async fn pass(front: TcpStream, back: u16, way: watch::Receiver<Way>) {
    let mut gate = way;
    if *gate.borrow_and_update() == Way::Silent {
        // Nobody answers the call; whoever waits gives up or is cut off when the way is open again.
        gate.wait_for(|now| *now != Way::Silent).await.ok();
        return;
    }
    let Ok(mut camera) = TcpStream::connect(("127.0.0.1", back)).await else { return };
    let mut front = front;
    let outcome = tokio::select! {
        done = tokio::io::copy_bidirectional(&mut front, &mut camera) => { drop(done); return }
        changed = gate.changed() => changed.map(|()| *gate.borrow_and_update()),
    };
    if matches!(outcome, Ok(Way::Silent)) {
        gate.wait_for(|now| *now != Way::Silent).await.ok();
    }
    front.shutdown().await.ok();
}

pub(crate) async fn run(args: &ReconnectArgs, options: RigOptions) -> anyhow::Result<()> {
    let (programs, film) = (options.programs.clone(), options.film.clone());
    let mut rig = Rig::start(options).await?;
    rig.stop_belfry().await?;
    rig.stop_sim()?;
    let config = std::fs::read_to_string(rig.path().join("belfry.toml"))?;
    let front = config.split("allowed_ports = [[").nth(1).and_then(|rest| rest.split(',').next()).context("no port")?;
    let (front, back): (u16, u16) = (front.trim().parse()?, free_port()?);
    let mut sim = Command::new(programs.join("belfry-media"));
    sim.args(["sim", "cameras", "--count", &args.cameras.to_string(), "--port", &back.to_string()]);
    sim.args(["--user", "sim", "--password-file"]).arg(rig.path().join("sim.password")).arg("--film").arg(&film);
    let sim = Sim(sim.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let (switch, way) = watch::channel(Way::Open);
    let switch = Arc::new(switch);
    let mut tasks = JoinSet::new();
    tasks.spawn(relay(front, back, way));
    // Footage of before counts from another start of the simulator.
    let fresh_us = wall_us();
    rig.start_belfry()?;
    until_durable(&rig, fresh_us).await?;
    say(&format!("the way goes and comes back ×{}, {} cameras, seed {}", args.count, args.cameras, args.seed));
    let mut dice = StdRng::seed_from_u64(args.seed);
    let mut outages = Vec::new();
    for n in 0..args.count {
        sleep(Duration::from_millis(dice.random_range(2_500..=4_500))).await;
        let way = if n.is_multiple_of(2) { Way::Reset } else { Way::Silent };
        let from_us = wall_us();
        switch.send_replace(way);
        sleep(Duration::from_millis(dice.random_range(300..=args.longest_ms))).await;
        let to_us = wall_us();
        switch.send_replace(Way::Open);
        outages.push(Outage { way, from_us, to_us });
        until_durable(&rig, to_us).await.with_context(|| format!("outage {n}"))?;
    }
    sleep(Duration::from_secs(3)).await;
    let mut rows = Rows::default();
    follow(&rig.path().join("run"), &mut rows).await?;
    rig.stop_belfry().await?;
    drop(sim);
    report(&rig, fresh_us, &outages, &rows)
}

async fn until_durable(rig: &Rig, since_us: i64) -> anyhow::Result<()> {
    let run = rig.path().join("run");
    let all = async |_: &Rig| {
        timeout(Duration::from_secs(1), health(&run)).await.ok().and_then(Result::ok).is_some_and(|streams| {
            !streams.is_empty() && streams.iter().all(|one| one.durable_until_us.is_some_and(|until| until > since_us))
        })
    };
    rig.until("footage of every camera is durable again", Duration::from_secs(60), all).await?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for a report")]
fn report(rig: &Rig, fresh_us: i64, outages: &[Outage], rows: &Rows) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut found = walk(&rig.path().join("state/footage/media"))?;
    let mut back: BTreeMap<Way, Vec<f64>> = BTreeMap::new();
    let (mut holes, mut untold, mut elsewhere) = (0_u32, Vec::new(), 0_u32);
    let mut causes: BTreeMap<String, u32> = BTreeMap::new();
    for (camera, footage) in &mut found.cameras {
        footage.frames.retain(|frame| frame.sent_us > fresh_us);
        let stream = found.streams.get(camera).context("a camera without a stream")?;
        for hole in footage.holes().into_iter().filter(|hole| hole.span_us > HOLE_US_MIN) {
            holes += 1;
            match outages.iter().find(|outage| belongs(&hole, outage)) {
                Some(outage) => {
                    let seconds = (hole.since_us + hole.span_us - outage.to_us).max(0) as f64 / 1e6;
                    back.entry(outage.way).or_default().push(seconds);
                }
                None => elsewhere += 1,
            }
            let gap = rows.gaps.values().find(|gap| {
                gap.stream == *stream
                    && gap.from_us <= hole.since_us + SLACK_US
                    && gap.to_us.is_some_and(|to| to >= hole.since_us + hole.span_us - SLACK_US)
            });
            match gap {
                Some(gap) => *causes.entry(format!("{:?}", gap.cause)).or_default() += 1,
                None => untold.push(format!("camera {camera}, {:.2} s", hole.span_us as f64 / 1e6)),
            }
        }
    }
    for (way, seconds) in &back {
        let at = |share| quantile(seconds, share);
        let (p50, p95, max) = (at(0.5), at(0.95), at(1.0));
        say(&format!(
            "  {way:?}: first frame recorded after the way is open, s: p50 {p50:.2}, p95 {p95:.2}, max {max:.2} of {}",
            seconds.len()
        ));
        let late = seconds.iter().filter(|one| **one > BACK_S_MAX).count();
        say(&format!("    later than {BACK_S_MAX} s: {late}"));
    }
    let told: Vec<String> = causes.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
    say(&format!(
        "  holes over 200 ms {holes}, without a record {}, away from an outage {elsewhere}; causes: {}",
        untold.len(),
        told.join(", ")
    ));
    say(&format!(
        "  segments {}, damaged {}; read back in {:.1} s",
        found.segments,
        found.damaged.len(),
        began.elapsed().as_secs_f64()
    ));
    for line in untold.iter().take(10) {
        say(&format!("    {line}"));
    }
    let is_late = back.values().flatten().any(|seconds| *seconds > BACK_S_MAX);
    ensure!(untold.is_empty(), "holes without a record");
    ensure!(elsewhere == 0, "holes that no outage explains");
    ensure!(!is_late, "a camera recorded later than {BACK_S_MAX} s after it was back");
    say("  every target met");
    Ok(())
}

/// Whether the hole begins in the outage, or shortly before or after.
fn belongs(hole: &Hole, outage: &Outage) -> bool {
    hole.since_us >= outage.from_us - 1_500_000 && hole.since_us <= outage.to_us + 500_000
}
