//! Cost of recording beside `ffmpeg -c copy`, alternating: the noise of the machine falls on both.
//!
//! Compared is everything that `belfry run` starts (supervisor, keeper, ingest, recorder, serve, gateway) with one plain
//! ffmpeg a camera. Both take the same streams from the same simulator over RTP interleaved in TCP and write segments of
//! 60 s to the same disk. Belfry besides syncs each second, hashes every byte, keeps an index, and is ready to show live
//! pictures; ffmpeg does none of that. The simulator's own work is in neither figure.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;
use vms_benches::process::{Usage, own_usage, tree};
use vms_testkit::rig::{Rig, RigOptions, free_port};

use crate::{median, say};

/// Sessions, caches and the first segment are there by then.
const WARM_UP: Duration = Duration::from_secs(10);

/// `hammer cost`.
#[derive(Debug, clap::Args)]
pub(crate) struct CostArgs {
    /// Cameras.
    #[arg(long, default_value_t = 20)]
    pub(crate) cameras: u32,
    /// Pairs of runs.
    #[arg(long, default_value_t = 5)]
    pairs: u32,
    /// Length of each run.
    #[arg(long, default_value_t = 180)]
    seconds: u64,
}

#[derive(Clone, Debug)]
struct Cost {
    cpu_percent: f64,
    mib: f64,
    /// CPU a camera by role.
    parts: BTreeMap<String, f64>,
    simulator_percent: f64,
}

pub(crate) async fn run(args: &CostArgs, options: RigOptions) -> anyhow::Result<()> {
    say(&format!(
        "{} cameras, {} s a run: everything that `belfry run` starts (fdatasync each second, a digest of every byte, index, live origin, \
         console) beside one `ffmpeg -rtsp_transport tcp -c copy -f segment` a camera; same simulator, same film, same disk; \
         CPU is user and system, in % of one core a camera; the simulator is in neither",
        args.cameras, args.seconds
    ));
    let (mut belfry, mut ffmpeg) = (Vec::new(), Vec::new());
    for pair in 1..=args.pairs {
        let ours = belfry_run(args, options.clone()).await?;
        let theirs = ffmpeg_run(args, &options).await?;
        say(&format!(
            "pair {pair}: Belfry {:.3} % and {:.2} MiB, ffmpeg {:.3} % and {:.2} MiB a camera: {:.2}",
            ours.cpu_percent,
            ours.mib,
            theirs.cpu_percent,
            theirs.mib,
            ours.cpu_percent / theirs.cpu_percent
        ));
        let parts: Vec<String> = ours.parts.iter().map(|(role, cpu)| format!("{role} {cpu:.3} %")).collect();
        say(&format!(
            "        {}; simulator {:.3} % then {:.3} %",
            parts.join(", "),
            ours.simulator_percent,
            theirs.simulator_percent
        ));
        belfry.push(ours);
        ffmpeg.push(theirs);
    }
    let middle = |costs: &[Cost], pick: fn(&Cost) -> f64| median(&costs.iter().map(pick).collect::<Vec<_>>());
    let (our_cpu, their_cpu) = (middle(&belfry, |c| c.cpu_percent), middle(&ffmpeg, |c| c.cpu_percent));
    let (our_mib, their_mib) = (middle(&belfry, |c| c.mib), middle(&ffmpeg, |c| c.mib));
    say(&format!(
        "medians a camera: Belfry {our_cpu:.3} %, {our_mib:.2} MiB; ffmpeg {their_cpu:.3} %, {their_mib:.2} MiB"
    ));
    say(&format!(
        "Belfry uses {:.2} of ffmpeg's CPU and {:.2} of its memory",
        our_cpu / their_cpu,
        our_mib / their_mib
    ));
    Ok(())
}

/// The role in a command line of ours; the supervisor and ffmpeg have none.
fn part_of(command: &str) -> String {
    let mut words = command.split_whitespace().skip_while(|word| *word != "role");
    words.nth(1).map_or_else(|| "rest".to_owned(), str::to_owned)
}

/// What a set of process trees has used so far, by role.
fn used(roots: &[u32]) -> BTreeMap<String, Usage> {
    let mut parts: BTreeMap<String, Usage> = BTreeMap::new();
    for process in roots.iter().flat_map(|root| tree(*root)) {
        let own = own_usage(process.pid);
        let part = parts.entry(part_of(&process.command)).or_default();
        *part = Usage { cpu_s: part.cpu_s + own.cpu_s, anon_mib: part.anon_mib + own.anon_mib };
    }
    parts
}

async fn measure(roots: &[u32], simulator: u32, args: &CostArgs) -> Cost {
    let (before, sim_before, at) = (used(roots), own_usage(simulator), Instant::now());
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let (after, sim_after, seconds) = (used(roots), own_usage(simulator), at.elapsed().as_secs_f64());
    let cameras = f64::from(args.cameras);
    let percent = |cpu_s: f64| cpu_s / seconds * 100.0 / cameras;
    let spent = |(role, usage): (&String, &Usage)| {
        let was = before.get(role).map_or(0.0, |usage| usage.cpu_s);
        (role.clone(), percent(usage.cpu_s - was))
    };
    let parts: BTreeMap<String, f64> = after.iter().map(spent).collect();
    Cost {
        cpu_percent: parts.values().sum(),
        mib: after.values().map(|usage| usage.anon_mib).sum::<f64>() / cameras,
        parts,
        simulator_percent: percent(sim_after.cpu_s - sim_before.cpu_s),
    }
}

async fn belfry_run(args: &CostArgs, options: RigOptions) -> anyhow::Result<Cost> {
    let mut rig = Rig::start(options).await?;
    let supervisor = rig.supervisor().context("no supervisor")?;
    let simulator = rig.simulator().context("no simulator")?;
    tokio::time::sleep(WARM_UP).await;
    let cost = measure(&[supervisor], simulator, args).await;
    rig.stop_belfry().await?;
    Ok(cost)
}

/// One ffmpeg a camera, segmenting without re-encoding: what people run without a VMS.
async fn ffmpeg_run(args: &CostArgs, options: &RigOptions) -> anyhow::Result<Cost> {
    let port = free_port()?;
    let dir = std::env::temp_dir().join(format!("belfry-ffmpeg-{port}"));
    std::fs::create_dir_all(&dir)?;
    let mut sim = Command::new(options.programs.join("belfry-media"))
        .args(["sim", "cameras", "--count", &args.cameras.to_string(), "--port", &port.to_string(), "--film"])
        .arg(&options.film)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut all: Vec<Child> = Vec::new();
    for n in 0..args.cameras {
        let child = Command::new("ffmpeg")
            .args(["-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-i"])
            .arg(format!("rtsp://127.0.0.1:{port}/cam{:03}/main", n + 1))
            .args(["-c", "copy", "-an", "-f", "segment", "-segment_time", "60", "-segment_format", "mp4"])
            .arg(dir.join(format!("{n:03}-%05d.mp4")))
            .spawn()
            .context("ffmpeg is needed for the comparison")?;
        all.push(child);
    }
    tokio::time::sleep(WARM_UP).await;
    let roots: Vec<u32> = all.iter().map(Child::id).collect();
    let cost = measure(&roots, sim.id(), args).await;
    for child in &mut all {
        anyhow::ensure!(
            child.try_wait()?.is_none(),
            "an ffmpeg ended early: its work would be missing from the figure"
        );
    }
    for child in all.iter_mut().chain(std::iter::once(&mut sim)) {
        child.kill()?;
        child.wait()?;
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(cost)
}
