//! The figures.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use recorder::catalogue::{Batch, Catalogue};
use recorder::format::write::{self, Pen};
use recorder::index::Index;
use recorder::playback::{Source, open};
use recorder::recover::{recover, recover_file};
use recorder::sweep::{Sweep, Terms};
use recorder::tiering::Tiers;
use vms_core::{SegmentId, TimeRange, WallTime};

use crate::say;
use crate::stage::{CLASS, START_S, Which, camera, id16, key_name, row, second, segment, sets, stream, vault};

/// Which figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Digest, seal and write of one second of 4 Mbit/s.
    Seal,
    /// "What is there between these times", for one camera.
    Index,
    /// Keys and segments that are destroyed in a second.
    Sweep,
    /// The index made anew from the media.
    Rebuild,
    /// First byte of a clip of one hour.
    FirstByte,
    /// All of them.
    All,
}

/// One second of 4 Mbit/s.
const SECOND: usize = 500_000;
const SEED: u64 = 20_261_122;
/// Segments of one camera in 30 days.
const MONTH: u32 = 43_000;

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn clock() -> Instant {
    Instant::now()
}

/// CPU time of this thread: other work on the machine is not in it.
fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn micros(length: Duration, count: u32) -> f64 {
    length.as_secs_f64() * 1e6 / f64::from(count)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of a few thousand values"
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

fn spread_ms(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |share| quantile(&values, share);
    format!("p50 {:.3} ms, p99 {:.3} ms, max {:.3} ms of {}", at(0.5), at(0.99), at(1.0), values.len())
}

pub(crate) async fn run(part: Part, dir: &Path, segments: u32, rows: u32) -> anyhow::Result<()> {
    let is = |one| part == one || part == Part::All;
    std::fs::create_dir_all(dir)?;
    let at = |name: &str| dir.join(name);
    if is(Part::Seal) {
        seal(&at("seal"))?;
    }
    if is(Part::Index) {
        index(&at("index"), rows).await?;
    }
    if is(Part::Sweep) {
        sweep(&at("sweep")).await?;
    }
    if is(Part::FirstByte) {
        first_byte(&at("first-byte")).await?;
    }
    if is(Part::Rebuild) {
        rebuild(&at("rebuild"), segments).await?;
    }
    for name in ["seal", "index", "sweep", "first-byte", "rebuild"] {
        if at(name).exists() {
            std::fs::remove_dir_all(at(name))?;
        }
    }
    Ok(())
}

/// What of a second's write is digest, what is cipher, and what the kernel takes.
fn seal(dir: &Path) -> anyhow::Result<()> {
    const ROUNDS: u32 = 1_000;
    let (vault, sets, wall) = (vault(dir)?, sets()?, WallTime::from_secs(START_S));
    let fragment = second(&sets, wall, 0, SECOND)?;
    let name = key_name(1, wall)?;
    let mut key = vault.begin(&name, SegmentId::from_bytes(id16(1, 1)))?;
    let mut body = vec![7_u8; SECOND];
    let began = cpu();
    for number in 0..ROUNDS {
        key.seal_in_place(number.into(), b"as long as the header of a record and the digest", &mut body)?;
    }
    let cipher = micros(cpu() - began, ROUNDS);
    let began = cpu();
    for _ in 0..ROUNDS {
        std::hint::black_box(blake3::hash(&body));
    }
    let digest = micros(cpu() - began, ROUNDS);
    let key = vault.begin(&name, SegmentId::from_bytes(id16(1, 2)))?;
    let (mut pen, mut record) = (Pen::sealed(key, &[0; 190]), Vec::new());
    let began = cpu();
    for number in 0..ROUNDS {
        write::fragment(&mut pen, number, 0, &fragment, &mut record)?;
    }
    let whole = micros(cpu() - began, ROUNDS);
    let rounds = 200;
    let mut file = std::fs::File::create(dir.join("file"))?;
    let (mut wrote, mut synced) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds {
        let began = cpu();
        file.write_all(&record)?;
        wrote += cpu() - began;
        let began = clock();
        file.sync_data()?;
        synced += began.elapsed();
    }
    let (wrote, synced) = (micros(wrote, rounds), micros(synced, rounds));
    let share = |part: f64| part / (whole + wrote) * 100.0;
    say(&format!(
        "one second of 4 Mbit/s ({SECOND} bytes), µs of CPU: record whole {whole:.0}, of which cipher {cipher:.0}, BLAKE3 {digest:.0}; write {wrote:.0}"
    ));
    say(&format!(
        "  fdatasync takes {synced:.0} µs of waiting; sealing is {:.0} % of record and write, the digest {:.0} %",
        share(cipher),
        share(digest)
    ));
    say(&format!(
        "  100 cameras: cipher {:.2} % of a core, digest {:.2} %, both {:.2} % (target D6: 5 %)",
        cipher / 100.0,
        digest / 100.0,
        (cipher + digest) / 100.0
    ));
    Ok(())
}

async fn fill(index: &Index, cameras: std::ops::Range<u32>, each: u32) -> anyhow::Result<Duration> {
    let began = clock();
    for camera in cameras {
        let mut number = 0;
        while number < each {
            let until = (number + 5_000).min(each);
            let rows = (number..until).map(|number| {
                let wall = WallTime::from_secs(START_S + i64::from(number) * 60);
                row(Which { camera, number, wall }, 1)
            });
            let batch = Batch { segments: rows.collect::<anyhow::Result<Vec<_>>>()?, gaps: Vec::new() };
            index.flush(&batch, WallTime::from_secs(START_S)).await?;
            number = until;
        }
    }
    Ok(began.elapsed())
}

async fn index(dir: &Path, rows: u32) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    let index = Index::open(&dir.join("index.db")).await?;
    let mut dice = StdRng::seed_from_u64(SEED);
    fill(&index, 0..1, MONTH).await?;
    for (known, more) in [(MONTH, 0), (rows.max(MONTH), rows.max(MONTH) / MONTH)] {
        if more > 0 {
            let took = fill(&index, 1..more, MONTH).await?;
            say(&format!("index: {known} rows, the last of them written in {:.0} s", took.as_secs_f64()));
        }
        for (what, length_s) in [("one hour", 3_600_i64), ("one day", 86_400)] {
            let mut times = Vec::new();
            for _ in 0..2_000 {
                let of = if more > 0 { dice.random_range(0..more) } else { 0 };
                let from = START_S + dice.random_range(0..i64::from(MONTH) * 60 - length_s);
                let range = TimeRange::new(WallTime::from_secs(from), WallTime::from_secs(from + length_s));
                let range = range.context("a range")?;
                let began = clock();
                let found = index.overlapping(stream(of), range).await?;
                times.push(began.elapsed().as_secs_f64() * 1e3);
                ensure!(found.len() >= usize::try_from(length_s / 60)?, "rows are missing");
            }
            say(&format!("index of {known} rows, {what} of one camera: {}", spread_ms(times)));
        }
    }
    index.close().await;
    Ok(())
}

async fn sweep(dir: &Path) -> anyhow::Result<()> {
    const CAMERAS: u32 = 100;
    const HOURS: u32 = 24;
    const EACH: u32 = 10;
    let (vault, media) = (vault(&dir.join("own"))?, dir.join("media"));
    let index = Index::open(&dir.join("index.db")).await?;
    let mut terms = Terms::default();
    for of in 0..CAMERAS {
        terms.add(stream(of), camera(of), CLASS, 30 * 86_400);
    }
    let mut made = 0_u32;
    for hour in 0..HOURS {
        let wall = WallTime::from_secs(START_S + i64::from(hour) * 3_600);
        let names = (0..CAMERAS).map(|of| key_name(of, wall)).collect::<anyhow::Result<Vec<_>>>()?;
        vault.with(|ring| ring.prepare_hours(&names, wall))?;
        let live = vault.with(|ring| Ok(ring.live_hours()))?;
        let mut batch = Batch::default();
        for of in 0..CAMERAS {
            let name = key_name(of, wall)?;
            let epoch = live.iter().find(|(_, known, _)| *known == name).context("a key")?.0;
            for n in 0..EACH {
                let at = wall.plus(Duration::from_secs(u64::from(n) * 60));
                let mut state = row(Which { camera: of, number: hour * EACH + n, wall: at }, epoch.raw())?;
                state.file_len = 1_024;
                let path = media.join(&state.path);
                std::fs::create_dir_all(path.parent().context("a folder")?)?;
                std::fs::write(path, [7; 1_024])?;
                batch.segments.push(state);
                made += 1;
            }
        }
        index.flush(&batch, wall).await?;
    }
    let mut sweep = Sweep::new(&media, &dir.join("deletions"), index.clone(), Arc::clone(&vault))?;
    // An hour at a time, as it comes; the deletion of a whole day at once would wait for two people.
    let (mut keys, mut took, mut longest) = (0, Duration::ZERO, 0.0_f64);
    for hour in 0..HOURS {
        let now = WallTime::from_secs(START_S + 30 * 86_400 + i64::from(hour) * 3_600);
        let began = clock();
        keys += sweep.expire_keys(&terms, now).await?;
        took += began.elapsed();
        longest = longest.max(began.elapsed().as_secs_f64());
    }
    let left = recorder::recover::all_files(&media)?.len();
    ensure!(left == 0, "{left} files were left, {keys} keys destroyed");
    let per_s = |count: f64| count / took.as_secs_f64();
    say(&format!(
        "sweep of {HOURS} hours of {CAMERAS} cameras: {keys} keys and {made} segments with files and rows in {:.1} s: {:.0} keys/s, {:.0} segments/s; the longest hour {longest:.2} s",
        took.as_secs_f64(),
        per_s(f64::from(u32::try_from(keys)?)),
        per_s(f64::from(made))
    ));
    index.close().await;
    Ok(())
}

async fn first_byte(dir: &Path) -> anyhow::Result<()> {
    let (vault, media) = (vault(&dir.join("own"))?, dir.join("media"));
    let index = Index::open(&dir.join("index.db")).await?;
    // Two hours of 1 Mbit/s: how many bytes a fragment has is nothing to the first byte.
    for number in 0..120_u32 {
        let wall = WallTime::from_secs(START_S + i64::from(number) * 60);
        let key = vault.begin(&key_name(1, wall)?, SegmentId::from_bytes(id16(1, number)))?;
        let (path, bytes) = segment(key, Which { camera: 1, number, wall }, 60, SECOND / 4)?;
        std::fs::create_dir_all(media.join(&path).parent().context("a folder")?)?;
        std::fs::write(media.join(&path), bytes)?;
        let (state, ..) = recover_file(&media, &path, &vault).map_err(|left| anyhow::anyhow!("{left:?}"))?;
        index.flush(&Batch { segments: vec![state], gaps: Vec::new() }, wall).await?;
    }
    let catalogue = Catalogue::default();
    let mut dice = StdRng::seed_from_u64(SEED);
    let (mut opened, mut first) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let from = WallTime::from_secs(START_S + dice.random_range(60..3_500_i64));
        let range = TimeRange::new(from, from.plus(Duration::from_hours(1))).context("a range")?;
        let source = Source { root: media.clone(), vault: Arc::clone(&vault), tiers: Tiers::default(), gate: None };
        let began = clock();
        let mut film = open(source, &index, &catalogue, stream(1), range).await?;
        opened.push(began.elapsed().as_secs_f64() * 1e3);
        let piece = tokio::task::block_in_place(|| film.piece(0, 64 * 1_024))?;
        first.push(began.elapsed().as_secs_f64() * 1e3);
        ensure!(!piece.is_empty() && film.size > 100_000_000, "nothing is played");
    }
    say(&format!("a clip of one hour of 60 segments: open {}; first 64 KiB {}", spread_ms(opened), spread_ms(first)));
    index.close().await;
    Ok(())
}

async fn rebuild(dir: &Path, segments: u32) -> anyhow::Result<()> {
    const CAMERAS: u32 = 50;
    let media = dir.join("media");
    // The keys in memory: what making them costs a disk is measured elsewhere.
    let own = Path::new("/dev/shm").join(format!("belfry-bench-{}", std::process::id()));
    let vault = vault(&own)?;
    let began = clock();
    for n in 0..segments {
        let (of, number) = (n % CAMERAS, n / CAMERAS);
        let wall = WallTime::from_secs(START_S + i64::from(number) * 60);
        let key = vault.begin(&key_name(of, wall)?, SegmentId::from_bytes(id16(of, number)))?;
        let (path, bytes) = segment(key, Which { camera: of, number, wall }, 2, 2_000)?;
        std::fs::create_dir_all(media.join(&path).parent().context("a folder")?)?;
        std::fs::write(media.join(&path), bytes)?;
    }
    say(&format!("{segments} sealed segments of {CAMERAS} cameras made in {:.0} s", began.elapsed().as_secs_f64()));
    for (what, is_known) in [("index lost", false), ("index there", true)] {
        let index = Index::open(&dir.join("index.db")).await?;
        let began = clock();
        let now = WallTime::from_secs(START_S + 86_400);
        let (done, later) = recover(&media, &index, &Catalogue::default(), &vault, ([0; 16], now)).await?;
        let took = began.elapsed().as_secs_f64();
        ensure!(later.is_empty() && done.unreadable == 0, "{done:?}");
        ensure!(is_known || done.looked_at == u64::from(segments), "{done:?}");
        let rows = index.all().await?.len();
        ensure!(rows == usize::try_from(segments)?, "{rows} rows");
        let per_s = f64::from(segments) / took;
        say(&format!(
            "  {what}: start-up check {took:.2} s, {per_s:.0} files/s; a million at that rate {:.1} min",
            1e6 / per_s / 60.0
        ));
        index.close().await;
    }
    std::fs::remove_dir_all(&own)?;
    Ok(())
}
