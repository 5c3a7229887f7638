//! Many cameras for a while under a disk cap.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;
use vms_benches::frames::walk;
use vms_benches::process::{tree, usage};
use vms_testkit::rig::{Rig, RigOptions};

use crate::say;

/// `hammer capacity`.
#[derive(Debug, clap::Args)]
pub(crate) struct CapacityArgs {
    /// Cameras.
    #[arg(long, default_value_t = 100)]
    pub(crate) cameras: u32,
    /// How many of them read plates.
    #[arg(long, default_value_t = 2)]
    pub(crate) anpr: u32,
    /// Cap of the footage, MiB.
    #[arg(long, default_value_t = 15 * 1024)]
    pub(crate) disk_cap_mib: u64,
    /// How long.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
}

pub(crate) async fn run(args: &CapacityArgs, options: RigOptions) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut rig = Rig::start(options).await?;
    let technician = rig.log_in("techniek").await?;
    let cameras = usize::try_from(args.cameras)?;
    let recording = async |_: &Rig| {
        let Ok(health) = technician.ask("GET", "/api/v1/health/cameras", None).await else { return false };
        let items = health.get("items").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        items.iter().filter(|item| item.get("durable_until").is_some_and(|at| !at.is_null())).count() >= cameras
    };
    rig.until("every camera records", Duration::from_secs(120), recording).await?;
    say(&format!("{cameras} cameras record {:.1} s after the start of the set-up", started.elapsed().as_secs_f64()));

    let supervisor = rig.supervisor().context("no supervisor")?;
    let simulator = rig.simulator().context("no simulator")?;
    let (before, sim_before, at) = (usage(supervisor), usage(simulator), Instant::now());
    for minute in 1..=args.minutes {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let now = usage(supervisor);
        let cpu = (now.cpu_s - before.cpu_s) / at.elapsed().as_secs_f64() * 100.0;
        say(&format!("  minute {minute}: {cpu:.1} % of a core, {:.0} MiB", now.anon_mib));
    }
    let seconds = at.elapsed().as_secs_f64();
    let (after, sim_after) = (usage(supervisor), usage(simulator));
    let per_camera = (after.cpu_s - before.cpu_s) / seconds * 100.0 / f64::from(args.cameras);
    say(&format!(
        "Belfry: {per_camera:.3} % of a core and {:.2} MiB a camera",
        after.anon_mib / f64::from(args.cameras)
    ));
    for process in tree(supervisor) {
        let one = usage(process.pid);
        let role = process.command.split(" role ").nth(1).unwrap_or("supervisor").to_owned();
        say(&format!("  {role}: {:.1} CPU s in all, {:.0} MiB", one.cpu_s, one.anon_mib));
    }
    say(&format!("simulator: {:.1} % of a core", (sim_after.cpu_s - sim_before.cpu_s) / seconds * 100.0));
    rig.stop_belfry().await?;

    let found = walk(&rig.path().join("state/footage/media"))?;
    let lost: u64 = found.cameras.values().flat_map(|footage| footage.holes()).map(|hole| hole.frames).sum();
    let frames: usize = found.cameras.values().map(|footage| footage.frames.len()).sum();
    say(&format!(
        "on disk: {} cameras, {frames} frames, {lost} missing, {} segments, {} damaged",
        found.cameras.len(),
        found.segments,
        found.damaged.len()
    ));
    Ok(())
}
