//! Cost of recording beside `ffmpeg -c copy`, alternating: the noise of the machine falls on both.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;
use vms_benches::process::{Usage, usage};
use vms_testkit::rig::{Rig, RigOptions, free_port};

use crate::{median, say};

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

#[derive(Clone, Copy, Debug)]
struct Cost {
    cpu_percent: f64,
    mib: f64,
}

pub(crate) async fn run(args: &CostArgs, options: RigOptions) -> anyhow::Result<()> {
    let (mut belfry, mut ffmpeg) = (Vec::new(), Vec::new());
    for pair in 1..=args.pairs {
        let ours = belfry_run(args, options.clone()).await?;
        let theirs = ffmpeg_run(args, &options).await?;
        say(&format!(
            "pair {pair}: Belfry {:.3} % and {:.2} MiB, ffmpeg {:.3} % and {:.2} MiB a camera",
            ours.cpu_percent, ours.mib, theirs.cpu_percent, theirs.mib
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

async fn measure(root: impl Fn() -> Usage, args: &CostArgs) -> Cost {
    let (before, at) = (root(), Instant::now());
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let after = root();
    let cameras = f64::from(args.cameras);
    Cost {
        cpu_percent: (after.cpu_s - before.cpu_s) / at.elapsed().as_secs_f64() * 100.0 / cameras,
        mib: after.anon_mib / cameras,
    }
}

async fn belfry_run(args: &CostArgs, options: RigOptions) -> anyhow::Result<Cost> {
    let mut rig = Rig::start(options).await?;
    let supervisor = rig.supervisor().context("no supervisor")?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let cost = measure(|| usage(supervisor), args).await;
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
    tokio::time::sleep(Duration::from_secs(10)).await;
    let roots: Vec<u32> = all.iter().map(Child::id).collect();
    let sum = || {
        roots.iter().map(|pid| usage(*pid)).fold(Usage::default(), |sum, one| Usage {
            cpu_s: sum.cpu_s + one.cpu_s,
            anon_mib: sum.anon_mib + one.anon_mib,
        })
    };
    let cost = measure(sum, args).await;
    for child in all.iter_mut().chain(std::iter::once(&mut sim)) {
        child.kill()?;
        child.wait()?;
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(cost)
}
