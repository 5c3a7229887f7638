//! `kill -9` of one role, many times, with cameras running: what was lost, how long the hole, how soon the role is back.

use std::time::Duration;

use anyhow::Context as _;
use rand::RngExt as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;
use vms_benches::frames::{Hole, walk};
use vms_benches::process::tree;
use vms_testkit::rig::{Rig, RigOptions};

use crate::{median, quantile, say};

/// `hammer kills`.
#[derive(Debug, clap::Args)]
pub(crate) struct KillsArgs {
    /// Word in the command line of the process: `recorder`, `ingest`, `serve`, `reader`, `gateway`.
    #[arg(long, default_value = "recorder")]
    role: String,
    /// Kills.
    #[arg(long, default_value_t = 50)]
    count: u32,
    /// Cameras.
    #[arg(long, default_value_t = 5)]
    pub(crate) cameras: u32,
    /// How many of them read plates.
    #[arg(long, default_value_t = 0)]
    pub(crate) anpr: u32,
    /// Longest pause between two kills, milliseconds.
    #[arg(long, default_value_t = 6_000)]
    pause_ms: u64,
}

pub(crate) async fn run(args: &KillsArgs, options: RigOptions) -> anyhow::Result<()> {
    let mut rig = Rig::start(options).await?;
    let supervisor = rig.supervisor().context("no supervisor")?;
    let cameras = usize::try_from(args.cameras)?;
    rig.until("every camera records", Duration::from_secs(60), async |rig: &Rig| {
        walk(&rig.path().join("state/footage/media")).is_ok_and(|found| {
            found.cameras.len() == cameras && found.cameras.values().all(|footage| footage.frames.len() > 50)
        })
    })
    .await?;
    let mut back = Vec::new();
    for n in 0..args.count {
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(3_000..=args.pause_ms.max(3_001)))).await;
        let old = pid_of(supervisor, &args.role).with_context(|| format!("no process of role {}", args.role))?;
        let pid = Pid::from_raw(i32::try_from(old)?).context("pid")?;
        kill_process(pid, Signal::KILL)?;
        let killed = Instant::now();
        while pid_of(supervisor, &args.role).is_none_or(|new| new == old) {
            anyhow::ensure!(killed.elapsed() < Duration::from_secs(10), "the role did not come back after kill {n}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        back.push(killed.elapsed().as_secs_f64());
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    rig.stop_belfry().await?;
    report(args, &rig, &back)
}

fn pid_of(supervisor: u32, role: &str) -> Option<u32> {
    let wanted = format!(" role {role} ");
    tree(supervisor).into_iter().find(|process| process.command.contains(&wanted)).map(|process| process.pid)
}

#[expect(clippy::cast_precision_loss, reason = "figures for a report")]
fn report(args: &KillsArgs, rig: &Rig, back: &[f64]) -> anyhow::Result<()> {
    let found = walk(&rig.path().join("state/footage/media"))?;
    let holes: Vec<Hole> = found.cameras.values().flat_map(vms_benches::frames::Footage::holes).collect();
    let spans: Vec<f64> = holes.iter().map(|hole| hole.span_us as f64 / 1e6).collect();
    let frames: usize = found.cameras.values().map(|footage| footage.frames.len()).sum();
    let lost: u64 = holes.iter().map(|hole| hole.frames).sum();
    let doubled: u64 = found.cameras.values().map(|footage| footage.doubled).sum();
    say(&format!("role {}, {} kills, {} cameras", args.role, args.count, args.cameras));
    say(&format!("  process back: median {:.3} s, max {:.3} s", median(back), quantile(back, 1.0)));
    say(&format!(
        "  frames on disk {frames}, missing {lost} in {} holes (per kill {:.1}), doubled {doubled}, unmarked {}",
        holes.len(),
        lost as f64 / f64::from(args.count.max(1)),
        found.unmarked,
    ));
    say(&format!(
        "  hole: median {:.2} s, p95 {:.2} s, max {:.2} s",
        median(&spans),
        quantile(&spans, 0.95),
        quantile(&spans, 1.0)
    ));
    say(&format!("  segments {}, damaged {}", found.segments, found.damaged.len()));
    for line in found.damaged.iter().take(10) {
        say(&format!("    {line}"));
    }
    Ok(())
}
