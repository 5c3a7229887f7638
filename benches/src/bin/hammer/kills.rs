//! `kill -9` of one role, many times, with cameras running: what was lost, how long the hole, how soon the role answers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use link::{Control, Message, Role};
use policy::{Audience, Capability, CapabilitySigner, Scope};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use tokio::time::Instant;
use vms_benches::frames::{Footage, Walk, walk};
use vms_benches::log::{Verified, verify};
use vms_benches::process::{pid_of_role, signal, wall_us};
use vms_core::{DecisionId, Rendition, StreamId, WallTime};
use vms_testkit::rig::{Person, Rig, RigOptions};

use crate::{median, quantile, say};

/// Targets of the issue.
const BACK_S_MAX: f64 = 1.0;
const LOST_S_MAX: f64 = 2.0;
const HOLE_S_MAX: f64 = 5.0;
/// A hole counts for a kill within this distance: clocks of simulator and hammer are the same.
const SLACK_US: i64 = 500_000;
/// Reads asked for at once when the spool is listed.
const PAGE: u32 = 256;

/// A role that can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum KilledRole {
    Recorder,
    Ingest,
    Serve,
    Reader,
    Gateway,
}

impl KilledRole {
    const fn word(self) -> &'static str {
        match self {
            Self::Recorder => "recorder",
            Self::Ingest => "ingest",
            Self::Serve => "serve",
            Self::Reader => "reader",
            Self::Gateway => "gateway",
        }
    }
}

/// `hammer kills`.
#[derive(Debug, clap::Args)]
pub(crate) struct KillsArgs {
    /// Which role.
    #[arg(long, value_enum, default_value = "recorder")]
    role: KilledRole,
    /// Kills.
    #[arg(long, default_value_t = 50)]
    count: u32,
    /// Cameras.
    #[arg(long, default_value_t = 5)]
    pub(crate) cameras: u32,
    /// How many of them read plates; at least one when the reader is killed (with a film that shows plates).
    #[arg(long, default_value_t = 0)]
    pub(crate) anpr: u32,
    /// Shortest pause before a kill, milliseconds. A role that lived 10 s counts as healthy and is back at once; shorter pauses
    /// measure the supervisor's back-off.
    #[arg(long, default_value_t = 10_500)]
    pause_min_ms: u64,
    /// Longest pause before a kill, milliseconds.
    #[arg(long, default_value_t = 13_000)]
    pause_ms: u64,
    /// Seed of the moments.
    #[arg(long, default_value_t = 20_261_122)]
    seed: u64,
}

/// What one kill did.
#[derive(Debug)]
struct Kill {
    at_us: i64,
    back_s: f64,
}

/// Figures that only some roles have.
#[derive(Debug, Default)]
struct Extra {
    /// Reads that were in the spool just before a kill, and those missing after it.
    spooled: usize,
    reads_lost: usize,
    /// Sessions asked after a kill, and those that had ended.
    sessions: u32,
    sessions_ended: u32,
    /// Leaves at the last look.
    leaves: u64,
}

pub(crate) async fn run(args: &KillsArgs, options: RigOptions) -> anyhow::Result<()> {
    ensure!(args.role != KilledRole::Reader || args.anpr > 0, "killing the reader needs --anpr and a film with plates");
    let mut rig = Rig::start(options).await?;
    let supervisor = rig.supervisor().context("no supervisor")?;
    let person = rig.log_in("techniek").await?;
    let cameras = usize::try_from(args.cameras)?;
    rig.until("every camera records", Duration::from_secs(60), async |rig: &Rig| {
        walk(&media(rig)).is_ok_and(|found| {
            found.cameras.len() == cameras && found.cameras.values().all(|footage| footage.frames.len() > 50)
        })
    })
    .await?;
    say(&format!("role {}, {} kills, {cameras} cameras, seed {}", args.role.word(), args.count, args.seed));
    let mut dice = StdRng::seed_from_u64(args.seed);
    let (mut kills, mut extra) = (Vec::new(), Extra::default());
    for n in 1..=args.count {
        let pause = dice.random_range(args.pause_min_ms..=args.pause_ms.max(args.pause_min_ms));
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let serve = (args.role == KilledRole::Reader).then(|| pid_of_role(supervisor, "serve")).flatten();
        let spooled = match serve {
            Some(serve) => Some(hold_reads(&rig, serve, &mut dice).await?),
            None => None,
        };
        if args.role == KilledRole::Serve {
            // A stranger is refused and the refusal logged: that leaf was acknowledged and must be there afterwards.
            ensure!(rig.get_plain("/api/v1/cameras").await.is_err(), "a stranger saw the cameras");
            let Verified { size, unsigned } = verified(&rig).await?;
            extra.leaves = size + unsigned;
        }
        let kill = kill_once(args.role, &rig, supervisor).await.with_context(|| format!("kill {n}"))?;
        if let (Some(before), Some(serve)) = (spooled, serve) {
            let after = spool(&rig).await?;
            extra.spooled += before.len();
            extra.reads_lost += before.difference(&after).count();
            signal(serve, Signal::CONT);
        }
        if args.role == KilledRole::Serve {
            after_serve(&rig, &person, &mut extra).await.with_context(|| format!("after kill {n}"))?;
        }
        kills.push(kill);
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    rig.stop_belfry().await?;
    let log = verify(&rig.path().join("state/log")).context("the log does not verify")?;
    say(&format!("  log verifies: {} leaves under the checkpoint, {} behind it", log.size, log.unsigned));
    report(args, &walk(&media(&rig))?, &kills, &extra)
}

fn media(rig: &Rig) -> PathBuf {
    rig.path().join("state/footage/media")
}

/// Kills the role and waits until it answers again.
async fn kill_once(role: KilledRole, rig: &Rig, supervisor: u32) -> anyhow::Result<Kill> {
    let old = pid_of_role(supervisor, role.word()).context("no such process")?;
    let (at_us, killed) = (wall_us(), Instant::now());
    signal(old, Signal::KILL);
    while !answers(role, rig, supervisor, old).await {
        ensure!(killed.elapsed() < Duration::from_secs(15), "the role did not come back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(Kill { at_us, back_s: killed.elapsed().as_secs_f64() })
}

/// Whether the role does what others need of it: greets at its socket, or answers over HTTP. Ingest listens nowhere: its new
/// process has to be there; how soon it delivers is in the length of the hole.
async fn answers(role: KilledRole, rig: &Rig, supervisor: u32, old: u32) -> bool {
    let greets = async |name: &str, role: Role| {
        link::connect(&rig.path().join(format!("run/{name}.sock")), Role::Serve, 0, role).await.is_ok()
    };
    match role {
        KilledRole::Recorder => greets("recorder", Role::Recorder).await,
        KilledRole::Reader => greets("reader", Role::Reader).await,
        KilledRole::Gateway => greets("gateway", Role::Gateway).await,
        KilledRole::Ingest => pid_of_role(supervisor, "ingest").is_some_and(|pid| pid != old),
        KilledRole::Serve => reqwest::get(rig.url("/health")).await.is_ok(),
    }
}

/// Stops `serve` in its tracks, so that fused reads stay in the spool, and lists them a moment later.
async fn hold_reads(rig: &Rig, serve: u32, dice: &mut StdRng) -> anyhow::Result<BTreeSet<String>> {
    signal(serve, Signal::STOP);
    tokio::time::sleep(Duration::from_millis(dice.random_range(1_000..=4_000))).await;
    let listed = spool(rig).await;
    if listed.is_err() {
        signal(serve, Signal::CONT);
    }
    listed
}

/// Ids of the reads in the spool; nothing is acknowledged.
async fn spool(rig: &Rig) -> anyhow::Result<BTreeSet<String>> {
    let path = rig.path().join("run/reader.sock");
    let mut reader = link::connect(&path, Role::Serve, 0, Role::Reader).await.context("connecting to the reader")?;
    let (mut ids, mut after) = (BTreeSet::new(), 0);
    let signer = gate(rig)?;
    loop {
        let capability = reads_capability(&signer);
        reader.sender.send(Control::ReadsSince { capability, after, limit: PAGE }).await?;
        let mut count = 0;
        loop {
            let Message::Control(control) = reader.receiver.recv().await? else { continue };
            if let Control::Read(row) = *control {
                (after, count) = (after.max(row.spool), count + 1);
                ids.insert(row.read);
            } else if *control == Control::Done {
                break;
            } else {
                bail!("the reader answered {control:?}");
            }
        }
        // The reader caps a page by itself: only an empty one is the end.
        if count == 0 {
            return Ok(ids);
        }
    }
}

/// The gate's own signer, from its key file: the hammer stands in for `serve`, which is stopped.
fn gate(rig: &Rig) -> anyhow::Result<CapabilitySigner> {
    let text = std::fs::read_to_string(rig.path().join("state/keys/gate.key")).context("the gate's key")?;
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim(), &mut seed).context("the gate's key")?;
    Ok(CapabilitySigner::from_seed(&seed))
}

fn reads_capability(signer: &CapabilitySigner) -> String {
    let now = wall_us();
    signer.sign(&Capability {
        decision: DecisionId::from_bytes([0; 16]),
        log_index: 0,
        stream: StreamId::from_bytes([0; 16]),
        scope: Scope::Reads,
        rendition: Rendition::Original,
        audience: Audience::Reader,
        standing: false,
        gated: false,
        issued_at: WallTime::from_micros(now),
        expires_at: WallTime::from_micros(now + 15_000_000),
    })
}

/// The session of before goes on or has ended in words; the log verifies and lost no leaf.
async fn after_serve(rig: &Rig, person: &Person, extra: &mut Extra) -> anyhow::Result<()> {
    let answer = person.send("GET", "/api/v1/cameras", None).await?;
    extra.sessions += 1;
    match answer.status().as_u16() {
        200 => {}
        401 => extra.sessions_ended += 1,
        status => bail!("a request with the session of before was answered {status}"),
    }
    let Verified { size, unsigned } = verified(rig).await?;
    ensure!(size + unsigned >= extra.leaves, "the log had {} leaves and has {}", extra.leaves, size + unsigned);
    extra.leaves = size + unsigned;
    Ok(())
}

/// Verifies the log while its sequencer runs: a checkpoint that is written in that moment asks for a second look.
async fn verified(rig: &Rig) -> anyhow::Result<Verified> {
    let dir = rig.path().join("state/log");
    let mut outcome = verify(&dir);
    for _ in 0..5 {
        if outcome.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        outcome = verify(&dir);
    }
    outcome.context("the log does not verify")
}

/// Per kill and camera: seconds of footage received but lost, and the whole hole.
#[expect(clippy::cast_precision_loss, reason = "figures for a report")]
fn costs(footage: &Footage, kills: &[Kill]) -> Vec<(u64, f64, f64)> {
    let holes = footage.holes();
    let of = |kill: &Kill| {
        let hole = holes.iter().find(|hole| hole.is_around(kill.at_us, SLACK_US));
        hole.map_or((0, 0.0, 0.0), |hole| {
            let every_s = hole.span_us as f64 / 1e6 / (hole.frames + 1) as f64;
            let lost = hole.sent_before(kill.at_us);
            (lost, lost as f64 * every_s, hole.span_us as f64 / 1e6)
        })
    };
    kills.iter().map(of).collect()
}

/// Prints the figures; an error when a target is missed.
fn report(args: &KillsArgs, found: &Walk, kills: &[Kill], extra: &Extra) -> anyhow::Result<()> {
    let spread = |values: &[f64]| {
        format!("p50 {:.2}, p95 {:.2}, max {:.2}", median(values), quantile(values, 0.95), quantile(values, 1.0))
    };
    let back: Vec<f64> = kills.iter().map(|kill| kill.back_s).collect();
    let all: Vec<_> = found.cameras.values().flat_map(|footage| costs(footage, kills)).collect();
    let lost: u64 = all.iter().map(|cost| cost.0).sum();
    let lost_s: Vec<f64> = all.iter().map(|cost| cost.1).collect();
    let hole_s: Vec<f64> = all.iter().map(|cost| cost.2).collect();
    let holes: Vec<_> = found.cameras.values().flat_map(Footage::holes).collect();
    let missing: u64 = holes.iter().map(|hole| hole.frames).sum();
    let elsewhere = holes.iter().filter(|hole| !kills.iter().any(|kill| hole.is_around(kill.at_us, SLACK_US))).count();
    let doubled: u64 = found.cameras.values().map(|footage| footage.doubled).sum();
    let frames: usize = found.cameras.values().map(|footage| footage.frames.len()).sum();
    let key_s = found.cameras.values().map(Footage::key_interval_s).fold(0.0, f64::max);
    say(&format!("  answers again, s: {}", spread(&back)));
    say(&format!("  received but lost a kill and camera, s: {}; {lost} frames in all", spread(&lost_s)));
    say(&format!("  whole hole a kill and camera, s: {} (key-frame interval {key_s:.2} s)", spread(&hole_s)));
    say(&format!("  frames on disk {frames}, missing {missing}, doubled {doubled}, unmarked {}", found.unmarked));
    say(&format!("  holes away from every kill: {elsewhere}"));
    say(&format!("  segments {}, damaged {}", found.segments, found.damaged.len()));
    for line in found.damaged.iter().take(10) {
        say(&format!("    {line}"));
    }
    if args.role == KilledRole::Reader {
        say(&format!("  fused reads in the spool at the kills {}, lost {}", extra.spooled, extra.reads_lost));
    }
    if args.role == KilledRole::Serve {
        let Extra { sessions, sessions_ended, leaves, .. } = extra;
        say(&format!("  sessions asked after a kill {sessions}, ended {sessions_ended}; {leaves} leaves, none lost"));
    }
    let is_ingest = args.role == KilledRole::Ingest;
    let targets = [
        ("answers again within 1 s", quantile(&back, 1.0) <= BACK_S_MAX),
        ("no frame lost", is_ingest || missing == 0),
        ("at most 2 s received but lost", quantile(&lost_s, 1.0) <= LOST_S_MAX),
        ("whole hole at most 5 s", quantile(&hole_s, 1.0) <= HOLE_S_MAX),
        ("no hole away from a kill", elsewhere == 0),
        ("no damaged segment", found.damaged.is_empty()),
        ("no fused read lost", extra.reads_lost == 0),
        ("reads were at stake", args.role != KilledRole::Reader || extra.spooled > 0),
    ];
    let missed: Vec<&str> = targets.iter().filter(|(_, is_met)| !is_met).map(|(name, _)| *name).collect();
    ensure!(missed.is_empty(), "missed: {}", missed.join("; "));
    say("  every target met");
    Ok(())
}
