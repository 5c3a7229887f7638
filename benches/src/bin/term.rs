//! Terms under a driven clock (reliability 5, D1): records small sealed segments hour by hour, with the real key store, index and sweeper, kills the
//! process at random points, and looks at every segment around the end of its term.
//!
//! `cargo run --release -p vms-benches --bin term -- --dir /tmp/term --keys /dev/shm/term`
//!
//! One process records and sweeps; the one that the person started kills it (SIGKILL) and starts it again. Passes when nothing that no hold keeps opens at 30 d 0 h or
//! later, at least 99.99 % open until 29 d 22 h, and everything held opens.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool that prints figures of real time"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use keys::{CopyPaths, Hour, KeyEpoch, KeyName, KeyStoreConfig, Protection, Scope, SecondCopy};
use link::message::HoldSpec;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use recorder::catalogue::{Batch, SegmentState};
use recorder::deletions::Step;
use recorder::format::write::{self, Pen};
use recorder::format::{Closing, SegmentHeader, read};
use recorder::index::Index;
use recorder::plan::{Hole, segment_path};
use recorder::ports::Clock;
use recorder::sweep::{Sweep, Terms};
use recorder::vault::{Vault, VaultConfig};
use serde::{Deserialize, Serialize};
use vms_core::{CameraId, HoldId, MonoTime, RetentionClass, SegmentId, StreamId, WallTime};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
const TERM_S: i64 = 30 * DAY_S;
/// First instant of the run: a full hour of 2026.
const START_S: i64 = 1_790_000_000 / HOUR_S * HOUR_S;
const CLASS: &str = "RC-VID-OPEN";
/// One segment in so many hours of cameras lies in a hold.
const HELD_EVERY: usize = 401;

#[derive(Clone, Debug, Parser)]
#[command(name = "term")]
struct Args {
    /// Where footage and index lie; emptied first.
    #[arg(long)]
    dir: PathBuf,
    /// Where the key store lies; emptied first.
    #[arg(long)]
    keys: PathBuf,
    /// Segments in all.
    #[arg(long, default_value_t = 1_000_000)]
    segments: u32,
    /// Cameras.
    #[arg(long, default_value_t = 100)]
    cameras: u8,
    /// Days that are recorded; then the clock runs on until all is past its term.
    #[arg(long, default_value_t = 35)]
    days: u32,
    /// How often the process is killed.
    #[arg(long, default_value_t = 40)]
    kills: u32,
    /// Longest time between two kills, seconds.
    #[arg(long, default_value_t = 12.0)]
    kill_every_s: f64,
    /// Of the kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The process that records.
    #[arg(long, hide = true)]
    work: bool,
}

/// What one hour of the clock did and saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Facts {
    hour: u32,
    recorded: u64,
    record_s: f64,
    sweep_s: f64,
    /// Looked at before 29 d 22 h, and how many of them did not open.
    young: u64,
    young_closed: u64,
    /// Looked at from 30 d 0 h on, under no hold, and how many of them opened.
    old: u64,
    old_open: u64,
    held: u64,
    held_closed: u64,
}

/// Hour of recording: which try made it, and the key of each camera.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Recorded {
    hour: u32,
    attempt: u8,
    epochs: Vec<u64>,
}

#[derive(Debug)]
struct Driven(AtomicI64);

impl Clock for Driven {
    fn wall(&self) -> WallTime {
        WallTime::from_micros(self.0.load(Ordering::SeqCst))
    }
    fn mono(&self) -> MonoTime {
        MonoTime { micros: u64::try_from(self.0.load(Ordering::SeqCst)).unwrap_or(0) }
    }
    fn is_trusted(&self) -> bool {
        true
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = if args.work { work(&args) } else { lead(&args) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

// --- the person's process ------------------------------------------------------------------------------------------

fn lead(args: &Args) -> anyhow::Result<()> {
    for folder in [&args.dir, &args.keys] {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
    }
    let (own, mut random, began) = (std::env::current_exe()?, StdRng::seed_from_u64(args.seed), Instant::now());
    let mut given: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    given.push("--work".into());
    let (mut kills, mut largest) = (0, 0);
    loop {
        let mut child = std::process::Command::new(&own).args(&given).spawn()?;
        let until = Instant::now() + Duration::from_secs_f64(random.random_range(0.3..args.kill_every_s));
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if kills < args.kills && Instant::now() >= until {
                child.kill()?;
                child.wait()?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        largest = largest.max(bytes_used(&args.dir));
        match status {
            Some(status) => {
                ensure!(status.success(), "the process that records ended with {status}");
                break;
            }
            None => kills += 1,
        }
    }
    report(args, kills, began.elapsed(), largest)
}

/// Bytes of the volume that are taken: a folder of a million files is not walked through for it.
fn bytes_used(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(0, |found| (found.f_blocks - found.f_bfree) * found.f_frsize)
}

#[expect(clippy::cast_precision_loss, reason = "figures for a person")]
fn report(args: &Args, kills: u32, took: Duration, largest: u64) -> anyhow::Result<()> {
    let mut sum = Facts::default();
    for line in std::fs::read_to_string(args.dir.join("facts.jsonl"))?.lines() {
        // The last line before a kill may be cut.
        let Ok(one) = serde_json::from_str::<Facts>(line) else { continue };
        sum.recorded += one.recorded;
        sum.record_s += one.record_s;
        sum.sweep_s += one.sweep_s;
        sum.young += one.young;
        sum.young_closed += one.young_closed;
        sum.old += one.old;
        sum.old_open += one.old_open;
        sum.held += one.held;
        sum.held_closed += one.held_closed;
        sum.hour = sum.hour.max(one.hour);
    }
    let (mut keys, mut files) = (0_u64, 0_u64);
    for line in recorder::deletions::lines(&args.dir.join("deletions"))? {
        match line.step {
            Step::KeysDestroyed { count, .. } => keys += count,
            Step::FilesErased { count, .. } => files += count,
            Step::Planned { .. }
            | Step::Gated { .. }
            | Step::Approved(_)
            | Step::ClockApproved(_)
            | Step::Lost(_)
            | Step::Reconciled(_) => {}
        }
    }
    let share = 100.0 * (1.0 - sum.young_closed as f64 / sum.young.max(1) as f64);
    println!(
        "{} segments of {} cameras over {} days recorded, {} hours of the clock, {kills} kills, {:.0} s",
        sum.recorded,
        args.cameras,
        args.days,
        sum.hour,
        took.as_secs_f64()
    );
    println!("recorded {:.0} segments/s", sum.recorded as f64 / sum.record_s);
    println!(
        "swept {} files and {} keys in {:.1} s: {:.0} segments/s, {:.0} keys/s",
        files,
        keys,
        sum.sweep_s,
        files as f64 / sum.sweep_s,
        keys as f64 / sum.sweep_s
    );
    println!("until 29 d 22 h: {} looks, {} closed: {share:.4} % open", sum.young, sum.young_closed);
    println!("from 30 d 0 h on, not held: {} looks, {} open", sum.old, sum.old_open);
    println!("held: {} looks, {} closed", sum.held, sum.held_closed);
    println!(
        "disk: {} MiB at most, index {} MiB, keys {} MiB, records {} KiB",
        largest >> 20,
        size(&args.dir.join("index.db")) >> 20,
        folder_size(&args.keys) >> 20,
        folder_size(&args.dir.join("deletions")) >> 10
    );
    ensure!(sum.old > 0 && sum.young > 0 && sum.held > 0, "something was never looked at");
    ensure!(sum.old_open == 0, "footage past its term opens");
    ensure!(share >= 99.99, "footage in its term does not open");
    ensure!(sum.held_closed == 0, "held footage does not open");
    Ok(())
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

fn folder_size(path: &Path) -> u64 {
    let Ok(listing) = std::fs::read_dir(path) else { return 0 };
    listing
        .flatten()
        .map(|entry| if entry.path().is_dir() { folder_size(&entry.path()) } else { size(&entry.path()) })
        .sum()
}

// --- the process that records --------------------------------------------------------------------------------------

fn camera(number: u8) -> CameraId {
    CameraId::from_bytes([number; 16])
}

fn stream(number: u8) -> StreamId {
    StreamId::from_bytes([number; 16])
}

fn class() -> anyhow::Result<RetentionClass> {
    RetentionClass::parse(CLASS).context("the class")
}

/// Segments of a camera in each hour.
fn each_hour(args: &Args) -> u32 {
    (args.segments / (u32::from(args.cameras) * args.days * 24)).clamp(1, 60)
}

fn segment(hour: u32, camera: u8, number: u32, attempt: u8) -> SegmentId {
    let number = number.to_be_bytes();
    let parts: [&[u8]; 5] = [&hour.to_be_bytes(), &[camera], &number, &[attempt], &[7; 6]];
    let mut raw = [0_u8; 16];
    for (slot, byte) in raw.iter_mut().zip(parts.concat()) {
        *slot = byte;
    }
    SegmentId::from_bytes(raw)
}

fn at(hour: u32, seconds: i64) -> WallTime {
    WallTime::from_secs(START_S + i64::from(hour) * HOUR_S + seconds)
}

/// Where the parts of an hour lie; from the first of them to the last the hour is full.
fn begins(args: &Args, number: u32) -> i64 {
    i64::from(number) * HOUR_S / i64::from(each_hour(args))
}

struct Worker {
    args: Args,
    clock: Arc<Driven>,
    vault: Arc<Vault>,
    index: Index,
    sweep: Sweep,
    terms: Terms,
    holds: Vec<HoldSpec>,
    recorded: BTreeMap<u32, Recorded>,
    facts: std::fs::File,
}

fn work(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(args))
}

fn append(path: &Path) -> std::io::Result<std::fs::File> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    // Behind a line that a kill cut.
    file.write_all(b"\n")?;
    Ok(file)
}

fn lines<T: serde::de::DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let recorded: BTreeMap<u32, Recorded> =
        lines::<Recorded>(&args.dir.join("recorded.jsonl")).into_iter().map(|one| (one.hour, one)).collect();
    let done = lines::<Facts>(&args.dir.join("facts.jsonl")).last().map(|last| last.hour + 1).unwrap_or(0);
    let clock = Arc::new(Driven(AtomicI64::new(at(done, 0).micros)));
    let paths = CopyPaths { store: args.keys.join("store"), root: args.keys.join("root") };
    let config = VaultConfig {
        store: KeyStoreConfig {
            first: paths,
            second: SecondCopy::OneDisk,
            protection: Protection::FileMode,
            remember: Duration::from_hours(40 * 24),
        },
        root_every: Duration::from_hours(24),
        backup: None,
        gate: None,
        stops: "",
    };
    let port: Arc<dyn Clock> = Arc::<Driven>::clone(&clock);
    let vault = Arc::new(Vault::open(Some(config), &args.dir, !args.keys.join("store").exists(), port));
    vault.with(|ring| Ok(ring.is_whole())).context("the key store")?;
    let index = Index::open(&args.dir.join("index.db")).await?;
    let media = args.dir.join("media");
    std::fs::create_dir_all(&media)?;
    let mut sweep = Sweep::new(&media, &args.dir.join("deletions"), index.clone(), Arc::clone(&vault))?;
    let mut terms = Terms::default();
    for number in 1..=args.cameras {
        terms.add(stream(number), camera(number), CLASS, u64::try_from(TERM_S)?);
    }
    sweep.finish(at(done, 0)).await?;
    let facts = append(&args.dir.join("facts.jsonl"))?;
    let holds = holds(args);
    let mut worker = Worker { args: args.clone(), clock, vault, index, sweep, terms, holds, recorded, facts };
    for hour in done..(args.days + 31) * 24 {
        worker.hour(hour).await.with_context(|| format!("hour {hour}"))?;
    }
    worker.index.close().await;
    worker.vault.close();
    Ok(())
}

/// Every so many hours of a camera are held, for good.
fn is_held(hour: u32, camera: u8) -> bool {
    (usize::try_from(hour).unwrap_or(0) * 100 + usize::from(camera)).is_multiple_of(HELD_EVERY)
}

fn holds(args: &Args) -> Vec<HoldSpec> {
    let all = (0..args.days * 24).flat_map(|hour| (1..=args.cameras).map(move |number| (hour, number)));
    let held = all.filter(|(hour, number)| is_held(*hour, *number));
    held.map(|(hour, number)| HoldSpec {
        hold: HoldId::from_bytes(*segment(hour, number, 0, 0).as_bytes()).to_string(),
        camera: camera(number).to_string(),
        from_us: at(hour, 0).micros,
        to_us: at(hour, HOUR_S).micros,
        released: false,
    })
    .collect()
}

impl Worker {
    async fn hour(&mut self, hour: u32) -> anyhow::Result<()> {
        self.clock.0.store(at(hour, 0).micros, Ordering::SeqCst);
        let now = at(hour, 0);
        let mut facts = Facts { hour, ..Facts::default() };
        if hour.is_multiple_of(24) {
            self.vault.with(|ring| ring.rotate(now))?;
        }
        // Holds of what was recorded lately, as the recorder does it: before the sweep.
        let since = at(hour.saturating_sub(3), 0).micros;
        let lately: Vec<HoldSpec> =
            self.holds.iter().filter(|hold| (since..now.micros).contains(&hold.from_us)).cloned().collect();
        recorder::holds::carry_out(&lately, &self.index, &self.vault, now).await?;
        let began = Instant::now();
        self.sweep.expire_keys(&self.terms, now).await?;
        self.sweep.expire(&self.terms, now).await?;
        facts.sweep_s = began.elapsed().as_secs_f64();
        self.look(hour, &mut facts)?;
        if hour < self.args.days * 24 && !self.recorded.contains_key(&hour) {
            let began = Instant::now();
            facts.recorded = self.record(hour).await?;
            facts.record_s = began.elapsed().as_secs_f64();
        }
        // One write: a kill leaves the line or does not.
        self.facts.write_all(format!("{}\n", serde_json::to_string(&facts)?).as_bytes())?;
        Ok(())
    }

    /// Records one hour of every camera; what a killed try left of it goes first.
    async fn record(&mut self, hour: u32) -> anyhow::Result<u64> {
        let media = self.args.dir.join("media");
        let attempts = self.args.dir.join(format!("attempt-{hour}"));
        let attempt = size(&attempts);
        append(&attempts)?;
        let attempt = u8::try_from(attempt).context("too many tries of one hour")?;
        let class = class()?;
        let name = |number: u8| KeyName {
            scope: Scope::Camera(camera(number)),
            class: class.clone(),
            hour: Hour::of(at(hour, 0)),
        };
        let names: Vec<KeyName> = (1..=self.args.cameras).map(name).collect();
        self.vault.with(|ring| ring.prepare_hours(&names, at(hour, 0)))?;
        let (mut batch, mut epochs) = (Batch::default(), Vec::new());
        for number in 1..=self.args.cameras {
            let folder = segment_path(stream(number), segment(hour, number, 0, 0), at(hour, 0));
            let folder = media.join(folder.parent().context("a folder")?);
            if attempt > 0 && folder.exists() {
                std::fs::remove_dir_all(&folder)?;
            }
            std::fs::create_dir_all(&folder)?;
            for part in 0..each_hour(&self.args) {
                let state =
                    write_segment(&self.args, &media, &self.vault, &name(number), (hour, number, part, attempt))?;
                if part == 0 {
                    epochs.push(state.key_epoch);
                }
                batch.segments.push(state);
            }
        }
        self.index.flush(&batch, at(hour, HOUR_S - 1)).await?;
        let one = Recorded { hour, attempt, epochs };
        let mut file = append(&self.args.dir.join("recorded.jsonl"))?;
        file.write_all(format!("{}\n", serde_json::to_string(&one)?).as_bytes())?;
        self.recorded.insert(hour, one);
        std::fs::remove_file(&attempts)?;
        Ok(u64::try_from(batch.segments.len())?)
    }

    /// Looks at what is near its end, at all of it every second day, and at everything held that is past it.
    fn look(&self, now_hour: u32, facts: &mut Facts) -> anyhow::Result<()> {
        let now = at(now_hour, 0);
        for (hour, one) in &self.recorded {
            let age_h = i64::from(now_hour) - i64::from(*hour);
            let is_near = (TERM_S / HOUR_S - 5..TERM_S / HOUR_S + 7).contains(&age_h);
            if !is_near && !now_hour.is_multiple_of(48) {
                continue;
            }
            for (number, epoch) in (1..=self.args.cameras).zip(&one.epochs) {
                for part in 0..each_hour(&self.args) {
                    let id = segment(*hour, number, part, one.attempt);
                    let began = at(*hour, begins(&self.args, part));
                    let (age_s, is_kept) = (now.micros_since(began) / 1_000_000, is_held(*hour, number));
                    let opens = || self.opens(id, number, began, *epoch, is_near);
                    if is_kept {
                        facts.held += 1;
                        facts.held_closed += u64::from(!opens()?);
                    } else if age_s >= TERM_S {
                        facts.old += 1;
                        facts.old_open += u64::from(self.key_opens(id, *epoch));
                    } else if age_s <= TERM_S - 2 * HOUR_S {
                        facts.young += 1;
                        facts.young_closed += u64::from(!opens()?);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a thief who kept the file could read it with the key store of now.
    fn key_opens(&self, id: SegmentId, epoch: u64) -> bool {
        KeyEpoch::new(epoch)
            .is_some_and(|epoch| self.vault.with(|ring| Ok(ring.open_segment(id, epoch).is_ok())).unwrap_or(true))
    }

    /// Whether the footage can be read: near its end from the file, record and all.
    fn opens(&self, id: SegmentId, number: u8, began: WallTime, epoch: u64, deep: bool) -> anyhow::Result<bool> {
        if !deep {
            return Ok(self.key_opens(id, epoch));
        }
        let path = self.args.dir.join("media").join(segment_path(stream(number), id, began));
        let Ok(bytes) = std::fs::read(path) else { return Ok(false) };
        let head = read::head(bytes.as_slice())?;
        let Ok(key) = self.vault.view(&head.header, None) else { return Ok(false) };
        let found = read::scan(bytes.as_slice(), key.as_ref())?;
        Ok(!found.is_locked && found.gaps.len() == 1)
    }
}

/// A segment of one sealed record: a gap, the smallest there is.
fn write_segment(
    args: &Args,
    media: &Path,
    vault: &Vault,
    name: &KeyName,
    (hour, number, part, attempt): (u32, u8, u32, u8),
) -> anyhow::Result<SegmentState> {
    let (id, wall) = (segment(hour, number, part, attempt), at(hour, begins(args, part)));
    let to = wall.plus(Duration::from_secs(60));
    let key = vault.begin(name, id)?;
    let header = SegmentHeader {
        segment: id,
        stream: stream(number),
        camera: camera(number),
        key_epoch: key.epoch().raw(),
        wall,
        mono: MonoTime::default(),
        epoch: 1,
        reason: 0,
        boot: [0; 16],
        previous: [0; 32],
        class: name.class.clone(),
    };
    let mut bytes = write::header(&header);
    let mut pen = Pen::sealed(key, &bytes);
    bytes.extend(write::gap(&mut pen, 0, &Hole { from: wall, to, cause: link::Cause::Silent })?);
    let closing_at = u64::try_from(bytes.len())?;
    let digest = [number; 32];
    let end = Closing { flags: 0, end: to, units: 0, payload: 0, entries: Vec::new(), digest };
    bytes.extend(write::closing(&mut pen, 1, &end)?);
    let path = segment_path(header.stream, id, wall);
    std::fs::write(media.join(&path), &bytes)?;
    Ok(SegmentState {
        segment: id,
        stream: header.stream,
        camera: header.camera,
        class: header.class,
        keep_s: u64::try_from(TERM_S)?,
        path,
        from: wall,
        to,
        key_epoch: header.key_epoch,
        epoch: 1,
        boot: [0; 16],
        last_seq: 0,
        last_mono: MonoTime::default(),
        payload: 1,
        file_len: u64::try_from(bytes.len())?,
        units: 1,
        entries: Vec::new(),
        sets: Vec::new(),
        closing_at: Some(closing_at),
        digest: Some(digest),
        flags: 0,
    })
}
