//! Power cuts, refused writes and frozen disks under a recording system: what the recorder had called durable, and what is there.

mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};
use vms_benches::frames::walk;
use vms_benches::process::{signal, tree, wall_us};
use vms_benches::recorder_link::{Rows, follow, health};
use vms_testkit::rig::{Rig, RigOptions};

use crate::disk::{FaultDisk, format, preen, run as run_program};
use crate::say;

/// From so many outages on, the check waits until it looks at everything: it passes over what is younger than some minutes.
const SETTLE_FROM: u32 = 10;

/// What happens to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Case {
    /// The power goes: the disk keeps what was on it (R3).
    Cut,
    /// Every write is refused for a moment (R8).
    Refused,
    /// The disk does not answer for a while (R9).
    Stall,
}

/// Where the keys of the footage lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum KeyPlace {
    /// On the disk of the footage, in one copy.
    Same,
    /// On another disk that nothing happens to.
    Other,
    /// In two copies, the first on the disk of the footage.
    Both,
}

/// `hammer outage`.
#[derive(Debug, clap::Args)]
pub(crate) struct OutageArgs {
    /// What happens.
    #[arg(long, value_enum)]
    case: Case,
    /// How many times.
    #[arg(long, default_value_t = 10)]
    count: u32,
    /// Cameras.
    #[arg(long, default_value_t = 6)]
    pub(crate) cameras: u32,
    /// Where the keys lie.
    #[arg(long, value_enum, default_value = "same")]
    keys: KeyPlace,
    /// Size of the disk, MiB; sparse.
    #[arg(long, default_value_t = 4_096)]
    disk_mib: u64,
    /// Of ten cuts, so many come about when segments are closed (a minute after the start); the others within the first seconds.
    #[arg(long, default_value_t = 1)]
    late_of_ten: u32,
    /// How long a stall lasts.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Each write to the disk takes so much longer, milliseconds.
    #[arg(long, default_value_t = 0)]
    slow_ms: u64,
    /// Seed of the moments.
    #[arg(long, default_value_t = 20_261_122)]
    seed: u64,
}

/// One outage.
#[derive(Debug, Default)]
struct Outage {
    at_us: i64,
    /// What each stream was promised to be durable to, µs; asked also while the disk stood.
    promised: BTreeMap<String, i64>,
    /// From the start to footage of every camera being durable again.
    back_s: f64,
    /// The journal was not all that had to be mended.
    mended: bool,
}

struct Stage {
    rig: Rig,
    program: PathBuf,
    disk: Option<FaultDisk>,
    image: PathBuf,
    trigger: Option<PathBuf>,
    slow_ms: u64,
    rows: Rows,
    /// What was called durable: stream, up to when, and when that was said.
    promises: Vec<(String, i64, i64)>,
    /// Rounds in which the index was not answered while the disk was well, and the last words about it.
    index_away: u32,
    last_refusal: String,
}

pub(crate) async fn run(args: &OutageArgs, options: RigOptions) -> anyhow::Result<()> {
    let mut stage = Stage::set_up(args, options).await?;
    say(&format!(
        "{:?} ×{}, {} cameras, keys {:?}, seed {}",
        args.case, args.count, args.cameras, args.keys, args.seed
    ));
    let mut dice = StdRng::seed_from_u64(args.seed);
    let mut outages = Vec::new();
    for n in 1..=args.count {
        let one = match args.case {
            Case::Cut => stage.cut(args, &mut dice).await,
            Case::Refused => stage.refuse(&mut dice).await,
            Case::Stall => stage.stall(args).await,
        };
        let one = one.with_context(|| format!("outage {n}"))?;
        if n.is_multiple_of(10) {
            say(&format!("  {n} done, back after {:.2} s", one.back_s));
        }
        outages.push(one);
    }
    sleep(Duration::from_secs(6)).await;
    stage.promise().await;
    // The whole of it anew: a row that was told before and is not there any more would not show in what changed.
    let mut fresh = Rows::default();
    follow(&stage.run_dir(), &mut stage.rows).await?;
    follow(&stage.run_dir(), &mut fresh).await?;
    let told_before = std::mem::replace(&mut stage.rows, fresh);
    let refused = stage.disk.as_ref().map_or(0, FaultDisk::refused);
    stage.rig.stop_belfry().await?;
    // What is only in memory would hide what the disk does not have.
    stage.mount_again().await?;
    let found = walk(&stage.mount_dir().join("footage/media"))?;
    let told = report::report(args, &found, &outages, &stage, (&told_before, refused));
    if args.count >= SETTLE_FROM {
        say("  waiting until nothing is too young to be checked");
        sleep(recorder::check::SETTLE + Duration::from_secs(5)).await;
    }
    let words = check(&stage, args)?;
    say(&format!("  belfry check --deep: {words}"));
    if words.contains("has no row") || words.contains("the next start closes it") {
        // The index lies on the disk that refused: its last rows may be gone with the rest. A start takes the files in again.
        stage.start_and_stop().await?;
        say(&format!("  and after a start: {}", check(&stage, args)?));
    }
    stage.rebuild(args).await?;
    if let Some(disk) = stage.disk.take() {
        disk.detach().await?;
    }
    told
}

impl Stage {
    async fn set_up(args: &OutageArgs, options: RigOptions) -> anyhow::Result<Self> {
        let program = options.programs.join("belfry");
        let mut rig = Rig::start(options).await?;
        let media = rig.path().join("state/footage/media");
        let cameras = usize::try_from(args.cameras)?;
        rig.until("every camera records", Duration::from_secs(60), async |_: &Rig| {
            walk(&media).is_ok_and(|found| found.cameras.len() == cameras)
        })
        .await?;
        rig.stop_belfry().await?;
        let (image, mount) = (rig.path().join("disk-0.img"), rig.path().join("disk"));
        let trigger = (args.case == Case::Refused).then(|| rig.path().join("refuse"));
        format(&image, args.disk_mib)?;
        let disk = FaultDisk::attach(&image, &mount, (trigger.as_deref(), args.slow_ms)).await?;
        let mut stage = Self {
            rig,
            program,
            disk: Some(disk),
            image,
            trigger,
            slow_ms: args.slow_ms,
            rows: Rows::default(),
            promises: Vec::new(),
            index_away: 0,
            last_refusal: String::new(),
        };
        stage.move_state(args.keys)?;
        stage.start().await?;
        Ok(stage)
    }

    fn run_dir(&self) -> PathBuf {
        self.rig.path().join("run")
    }

    fn mount_dir(&self) -> PathBuf {
        self.rig.path().join("disk")
    }

    /// Moves footage and keys to the disk, as an operator would, and says so in the configuration.
    fn move_state(&self, keys: KeyPlace) -> anyhow::Result<()> {
        let (state, disk) = (self.rig.path().join("state"), self.mount_dir());
        let copy = |from: &str, to: &Path| -> anyhow::Result<()> {
            let from = state.join(from);
            run_program("cp", &["-a", &from.display().to_string(), &to.display().to_string()])?;
            Ok(())
        };
        copy("footage", &disk.join("footage"))?;
        let other = self.rig.path().join("other-disk");
        if keys == KeyPlace::Other {
            copy("footage-keys", &other)?;
            std::os::unix::fs::symlink(&other, disk.join("footage-keys"))?;
        } else {
            copy("footage-keys", &disk.join("footage-keys"))?;
        }
        // `cp` syncs nothing: a cut would take what Belfry had long made durable on the disk before.
        run_program("sync", &["-f", &disk.display().to_string()])?;
        let path = self.rig.path().join("belfry.toml");
        let config = std::fs::read_to_string(&path)?;
        let second = match keys {
            KeyPlace::Both => "one_disk = false\nsecond_store = 'other-disk/store'\nsecond_root = 'other-disk/root'\n",
            KeyPlace::Same | KeyPlace::Other => "one_disk = true\n",
        };
        let words = format!(
            "[recorder.keys]\nstore = 'disk/footage-keys/store'\nroot = 'disk/footage-keys/root'\n{second}\
             [recorder]\ndir = 'disk/footage'\n"
        );
        std::fs::write(&path, config.replacen("[recorder]\n", &words, 1))?;
        if keys == KeyPlace::Both {
            belfry(self, &["keys", "adopt", "second"])?;
        }
        Ok(())
    }

    /// Starts Belfry and waits until footage of every camera is durable that was received since; how long.
    async fn start(&mut self) -> anyhow::Result<f64> {
        let (began, began_us) = (Instant::now(), wall_us());
        self.rig.start_belfry()?;
        self.until_durable(began_us).await?;
        Ok(began.elapsed().as_secs_f64())
    }

    async fn until_durable(&self, since_us: i64) -> anyhow::Result<()> {
        let run = self.run_dir();
        self.rig
            .until("footage of every camera is durable again", Duration::from_secs(120), async |_: &Rig| {
                health(&run).await.is_ok_and(|streams| {
                    !streams.is_empty()
                        && streams.iter().all(|one| one.durable_until_us.is_some_and(|until| until > since_us))
                })
            })
            .await?;
        Ok(())
    }

    /// Notes what the recorder calls durable now.
    async fn promise(&mut self) -> BTreeMap<String, i64> {
        let asked = tokio::time::timeout(Duration::from_millis(400), health(&self.run_dir())).await;
        let streams = asked.ok().and_then(Result::ok).unwrap_or_default();
        let now: BTreeMap<String, i64> =
            streams.into_iter().filter_map(|one| Some((one.stream, one.durable_until_us?))).collect();
        let said_us = wall_us();
        self.promises.extend(now.iter().map(|(stream, until)| (stream.clone(), *until, said_us)));
        now
    }

    /// Records for a while, looking at the index as `serve` does. How often it did not answer.
    async fn record(&mut self, length: Duration) -> u32 {
        let end = Instant::now() + length;
        let mut silent = 0;
        while Instant::now() < end {
            sleep(Duration::from_millis(500).min(end - Instant::now())).await;
            if let Err(error) = follow(&self.run_dir(), &mut self.rows).await {
                silent += 1;
                self.last_refusal = format!("{error:#}");
            }
        }
        silent
    }

    async fn cut(&mut self, args: &OutageArgs, dice: &mut StdRng) -> anyhow::Result<Outage> {
        let is_late = dice.random_range(0..10_u32) < args.late_of_ten;
        let length_ms = if is_late { dice.random_range(56_000..=63_000) } else { dice.random_range(2_000..=9_000) };
        let silent = self.record(Duration::from_millis(length_ms)).await;
        ensure!(silent == 0, "{}", self.last_refusal);
        let disk = self.disk.as_ref().context("no disk")?;
        let at_us = wall_us();
        disk.freeze();
        let mut promised = BTreeMap::new();
        for _ in 0..5 {
            for (stream, until) in self.promise().await {
                promised.insert(stream, until);
            }
            sleep(Duration::from_millis(100)).await;
        }
        let next = self.image.with_file_name(format!("disk-{at_us}.img"));
        let disk = self.disk.take().context("no disk")?;
        disk.copy(&next)?;
        self.kill().await?;
        disk.detach().await?;
        std::fs::remove_file(&self.image)?;
        self.image = next;
        let mended = !preen(&self.image)?;
        self.disk =
            Some(FaultDisk::attach(&self.image, &self.mount_dir(), (self.trigger.as_deref(), self.slow_ms)).await?);
        let back_s = self.start().await?;
        Ok(Outage { at_us, promised, back_s, mended })
    }

    /// SIGKILL to everything at once; the sockets go with the boot.
    async fn kill(&mut self) -> anyhow::Result<()> {
        for process in tree(self.rig.supervisor().context("no supervisor")?) {
            signal(process.pid, Signal::KILL);
        }
        if let Some(disk) = &self.disk {
            disk.thaw();
        }
        self.rig.stop_belfry().await?;
        std::fs::remove_dir_all(self.run_dir()).ok();
        Ok(())
    }

    async fn refuse(&mut self, dice: &mut StdRng) -> anyhow::Result<Outage> {
        let silent = self.record(Duration::from_millis(dice.random_range(1_000..=4_000))).await;
        self.index_away += u32::from(silent > 0);
        let trigger = self.trigger.clone().context("no trigger")?;
        let (at_us, end) = (wall_us(), Instant::now() + Duration::from_millis(dice.random_range(100..=2_500)));
        std::fs::write(&trigger, b"")?;
        let mut outage = Outage { at_us, ..Outage::default() };
        while Instant::now() < end {
            outage.promised = self.promise().await;
            sleep(Duration::from_millis(50)).await;
        }
        std::fs::remove_file(&trigger)?;
        let (over_us, over) = (wall_us(), Instant::now());
        while over.elapsed() < Duration::from_secs(8) {
            let now = self.promise().await;
            if !now.is_empty() && now.values().all(|until| *until > over_us) {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        // A disk that the kernel gave up, or a key store that went with it: what an operator does is a new start.
        let now = self.promise().await;
        let stands = now.len() < usize::try_from(self.rows_streams())? || now.values().any(|until| *until <= over_us);
        if self.disk.as_ref().is_none_or(FaultDisk::is_read_only) || stands {
            outage.mended = true;
            self.kill().await?;
            self.mount_again().await?;
            self.start().await?;
        }
        outage.back_s = over.elapsed().as_secs_f64();
        Ok(outage)
    }

    fn rows_streams(&self) -> u32 {
        let streams: std::collections::BTreeSet<&str> =
            self.rows.segments.values().map(|row| row.stream.as_str()).collect();
        u32::try_from(streams.len()).unwrap_or(u32::MAX)
    }

    /// Takes the disk off and on: whatever was in memory only is gone.
    async fn mount_again(&mut self) -> anyhow::Result<()> {
        self.disk.take().context("no disk")?.detach().await?;
        if preen(&self.image).is_err() {
            say("  e2fsck -p wanted a person; e2fsck -fy mended the file system");
            Command::new("e2fsck").args(["-fy"]).arg(&self.image).output()?;
        }
        self.disk =
            Some(FaultDisk::attach(&self.image, &self.mount_dir(), (self.trigger.as_deref(), self.slow_ms)).await?);
        Ok(())
    }

    async fn stall(&mut self, args: &OutageArgs) -> anyhow::Result<Outage> {
        self.record(Duration::from_secs(12)).await;
        self.disk.as_ref().context("no disk")?.freeze();
        let (at_us, began) = (wall_us(), Instant::now());
        let (mut told, mut unwell) = (None, None);
        while began.elapsed() < Duration::from_secs(args.seconds) {
            let page = tokio::time::timeout(Duration::from_secs(1), reqwest::get(self.rig.url("/health"))).await;
            if let Ok(Ok(answer)) = page {
                let is_unwell = answer.status().as_u16() == 503;
                let says = answer.text().await.unwrap_or_default();
                let now = began.elapsed().as_secs_f64();
                if says.contains("disk_stands") {
                    told.get_or_insert(now);
                }
                if is_unwell {
                    unwell.get_or_insert(now);
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
        let over = Instant::now();
        self.disk.as_ref().context("no disk")?.thaw();
        self.until_durable(wall_us()).await?;
        let seconds = |at: Option<f64>| at.map_or("never".to_owned(), |at| format!("{at:.1} s"));
        say(&format!(
            "  stall of {} s: alarm `disk_stands` after {}, /health 503 after {}; all durable {:.1} s after its end",
            args.seconds,
            seconds(told),
            seconds(unwell),
            over.elapsed().as_secs_f64()
        ));
        Ok(Outage { at_us, back_s: over.elapsed().as_secs_f64(), ..Outage::default() })
    }

    /// Starts the recorder without cameras, until it answers what its index has, and stops it.
    async fn start_and_stop(&mut self) -> anyhow::Result<(Rows, f64)> {
        self.rig.stop_sim()?;
        let began = Instant::now();
        self.rig.start_belfry()?;
        let mut rows = Rows::default();
        let run = self.run_dir();
        while follow(&run, &mut rows).await.is_err() {
            ensure!(began.elapsed() < Duration::from_secs(120), "the recorder does not start");
            sleep(Duration::from_millis(50)).await;
        }
        let took_s = began.elapsed().as_secs_f64();
        self.rig.stop_belfry().await?;
        Ok((rows, took_s))
    }

    /// Drops the index and lets the recorder make it anew from the media: the same rows?
    async fn rebuild(&mut self, args: &OutageArgs) -> anyhow::Result<()> {
        let folder = self.mount_dir().join("footage");
        for name in ["index.db", "index.db-wal", "index.db-shm"] {
            std::fs::remove_file(folder.join(name)).ok();
        }
        let before = std::mem::take(&mut self.rows);
        let (after, took_s) = self.start_and_stop().await?;
        let (mut same, mut other) = (0, Vec::new());
        for (id, row) in before.segments.iter().filter(|(_, row)| row.erased_us.is_none()) {
            let mut row = row.clone();
            match after.segments.get(id) {
                Some(new) => {
                    row.change = new.change;
                    // What was growing at the last look was closed since, by the stop.
                    if row == *new || !row.closed { same += 1 } else { other.push(format!("{row:?} became {new:?}")) }
                }
                None => other.push(format!("{id} is gone")),
            }
        }
        let gaps = before.gaps.iter().filter(|(key, row)| {
            after.gaps.get(key).is_none_or(|new| (new.to_us, new.cause) != (row.to_us, row.cause))
                && row.to_us.is_some()
        });
        let gaps: Vec<String> =
            gaps.map(|(_, row)| format!("{:?} {} µs", row.cause, row.to_us.unwrap_or(0) - row.from_us)).collect();
        say(&format!(
            "  index made anew from the media in {took_s:.2} s: {same} rows the same, {} not; {} holes, {} of them not the same",
            other.len(),
            before.gaps.len(),
            gaps.len()
        ));
        for line in other.iter().chain(&gaps).take(6) {
            say(&format!("    {line}"));
        }
        ensure!(other.is_empty() || args.case != Case::Cut, "the index made anew has other rows");
        Ok(())
    }
}

fn belfry(stage: &Stage, args: &[&str]) -> anyhow::Result<String> {
    let Stage { rig, program, .. } = stage;
    let mut command = Command::new(program);
    let output = command.arg("--config").arg(rig.path().join("belfry.toml")).args(args).output()?;
    let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
    ensure!(output.status.success(), "belfry {}: {words}", args.join(" "));
    Ok(words)
}

fn check(stage: &Stage, args: &OutageArgs) -> anyhow::Result<String> {
    let words = belfry(stage, &["check", "--deep"]);
    match (words, args.case) {
        (Ok(words), _) => Ok(words.replace('\n', "; ")),
        // A disk that refused writes may have left files that say so.
        (Err(error), Case::Refused) => Ok(format!("{error:#}").replace('\n', "; ")),
        (Err(error), Case::Cut | Case::Stall) => Err(error),
    }
}
