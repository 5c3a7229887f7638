//! Real films through the whole of an export: every NAL byte before and after, and ffprobe's count.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use media::nal::{annex_b, is_key};
use media::{AccessUnit, Clocks, ParameterSets};
use vms_core::{Codec, MediaTime, MonoTime, SyncState, WallTime};

use crate::job::tests::{manifest_of, order};
use crate::job::{Job, Step};
use crate::sign::tests::signer;
use crate::testfilm::{Memory, START_US, payload, pictures, run_pieces};
use crate::times::Utc;
use crate::verify::{Trust, Verdict, folder};

/// Films of the shared data and of `scripts/make-films.sh`.
fn films() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("BELFRY_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let made = ["main-1080p.mp4", "b-frames.mp4", "hevc-b-frames.mp4", "vfr.mp4"]
        .map(|name| root.join("target/films").join(name));
    let wanted = [data.join("street-paris.mp4"), data.join("plates-eu.mp4")].into_iter().chain(made);
    wanted.filter(|path| path.is_file()).collect()
}

fn run(program: &str, args: &[&str], film: &Path, rest: &[&str]) -> Option<Vec<u8>> {
    let out = Command::new(program).args(args).arg(film).args(rest).output().ok()?;
    out.status.success().then_some(out.stdout)
}

/// A film's units: bytes by way of ffmpeg's Annex B, times from ffprobe.
fn units(film: &Path) -> Option<(Arc<ParameterSets>, Vec<AccessUnit>)> {
    let name = run(
        "ffprobe",
        &["-v", "error", "-select_streams", "v", "-show_entries", "stream=codec_name", "-of", "csv=p=0"],
        film,
        &[],
    )?;
    let (codec, filter, kind) = match name.trim_ascii() {
        b"h264" => (Codec::H264, "h264_mp4toannexb", "h264"),
        b"hevc" => (Codec::H265, "hevc_mp4toannexb", "hevc"),
        _ => return None,
    };
    let stream =
        run("ffmpeg", &["-v", "error", "-i"], film, &["-c", "copy", "-an", "-bsf:v", filter, "-f", kind, "-"])?;
    let times = run(
        "ffprobe",
        &["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time,dts_time", "-of", "csv=p=0"],
        film,
        &[],
    )?;
    let ticks = |text: &str| text.parse::<f64>().ok().map(|seconds| MediaTime::from_ticks(round(seconds * 90_000.0)));
    let times: Vec<(MediaTime, MediaTime)> = String::from_utf8(times)
        .ok()?
        .lines()
        .filter_map(|line| line.split_once(','))
        .filter_map(|(pts, dts)| Some((ticks(pts)?, ticks(dts.trim_end_matches(','))?)))
        .collect();
    let payloads = pictures(codec, &stream);
    assert_eq!(payloads.len(), times.len(), "{}", film.display());
    let sets = Arc::new(ParameterSets::from_mixed(codec, annex_b(&stream)).ok()?);
    let units = payloads.into_iter().zip(times).zip(0_u64..).map(|((payload, (pts, dts)), seq)| {
        let wall = WallTime::from_micros(START_US + dts.to_micros());
        let clocks = Clocks { mono: MonoTime { micros: seq * 40_000 }, wall, camera: None, sync: SyncState::Unknown };
        let is_key = is_key(codec, &payload);
        AccessUnit { seq, epoch: 1, payload, is_key, pts, dts, clocks, lost_before: 0, param_set: sets.id }
    });
    let units = units.collect();
    Some((sets, units))
}

#[expect(clippy::cast_possible_truncation, reason = "seconds of a short film")]
fn round(ticks: f64) -> i64 {
    ticks.round() as i64
}

#[test]
fn real_films_keep_every_byte() {
    let films = films();
    if films.is_empty() {
        println!("not run: no film of the shared data is there");
    }
    for film in films {
        let Some((sets, units)) = units(&film) else {
            println!("not run: {} could not be read by ffmpeg", film.display());
            continue;
        };
        let count = units.len();
        let span = units[count - 1].clocks.wall.micros - START_US;
        let pieces = run_pieces("seg_real", &sets, units);
        let bytes = payload(&pieces);
        let out = crate::testfilm::scratch();
        let mut wanted = order(1);
        wanted.to = Utc::from_micros(START_US + span);
        let mut job = Job::create(out.path(), wanted, Arc::new(signer(1))).unwrap();
        let mut source = Memory::new(vec![pieces]);
        while !matches!(job.step(&mut source).unwrap(), Step::Done(_)) {}
        let path = out.path().join("exp_0001");
        let manifest = manifest_of(&path);
        assert_eq!(manifest.cameras[0].gaps, [], "{}", film.display());
        assert_eq!(manifest.films.len(), 1);
        let made = path.join(&manifest.films[0].file);
        let written = std::fs::read(&made).unwrap();
        let index = std::fs::read_to_string(path.join(&manifest.films[0].index)).unwrap();
        let mut media = Vec::new();
        for row in index.lines().skip(1).map(|line| crate::film::Row::parse(line).unwrap()) {
            let from = usize::try_from(row.offset).unwrap();
            media.extend_from_slice(&written[from..from + usize::try_from(row.bytes).unwrap()]);
        }
        assert!(media == bytes, "{}: NAL bytes", film.display());
        let seen = run(
            "ffprobe",
            &["-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"],
            &made,
            &[],
        );
        assert_eq!(String::from_utf8_lossy(&seen.unwrap()).trim(), count.to_string());
        let decoded = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&made)
            .args(["-t", "3", "-f", "null", "-"])
            .output()
            .unwrap();
        assert!(decoded.status.success() && decoded.stderr.is_empty(), "{}", String::from_utf8_lossy(&decoded.stderr));
        let trust = Trust { certificate_sha256: Some(signer(1).fingerprint()), log_key: None };
        assert_eq!(folder(&path, &trust).verdict, Verdict::Authentic);
        println!("{}: {count} frames, {} bytes", film.display(), bytes.len());
    }
}

/// Digest of every NAL unit of a run of payloads, in their order.
fn nal_digests(payload: &[u8]) -> Vec<[u8; 32]> {
    let (mut out, mut rest) = (Vec::new(), payload);
    while let Some((head, behind)) = rest.split_first_chunk::<4>() {
        let (nal, after) = behind.split_at(usize::try_from(u32::from_be_bytes(*head)).unwrap());
        out.push(*blake3::hash(nal).as_bytes());
        rest = after;
    }
    assert!(rest.is_empty());
    out
}

/// E1: clips of every film, from every key frame in turn and of one to three groups of pictures; every NAL before and after.
/// `BELFRY_CLIPS=500` is the measure.
#[test]
fn clips_keep_every_nal_in_its_order() {
    let wanted: usize = std::env::var_os("BELFRY_CLIPS").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(24);
    let films: Vec<_> = films().iter().filter_map(|film| units(film)).collect();
    if films.is_empty() {
        println!("not run: no film of the shared data is there");
        return;
    }
    let trust = Trust { certificate_sha256: Some(signer(1).fingerprint()), log_key: None };
    let (mut nals, mut bytes) = (0, 0);
    for clip in 0..wanted {
        let (sets, units) = &films[clip % films.len()];
        let keys: Vec<usize> = (0..units.len()).filter(|at| units[*at].is_key).collect();
        let turn = clip / films.len();
        let first = turn % keys.len();
        let end = keys.get(first + 1 + turn % 3).copied().unwrap_or(units.len());
        // At most four seconds, so that a film with one key frame makes clips as well.
        let cut: Vec<AccessUnit> = units[keys[first]..end.min(keys[first] + 100)].to_vec();
        let (from, to) = (cut[0].clocks.wall.micros, cut[cut.len() - 1].clocks.wall.micros + 40_000);
        let pieces = run_pieces("seg_real", sets, cut);
        let before = payload(&pieces);
        let out = crate::testfilm::scratch();
        let order = crate::Order { from: Utc::from_micros(from), to: Utc::from_micros(to), ..order(1) };
        let mut job = Job::create(out.path(), order, Arc::new(signer(1))).unwrap();
        let mut source = Memory::new(vec![pieces]);
        while !matches!(job.step(&mut source).unwrap(), Step::Done(_)) {}
        let path = out.path().join("exp_0001");
        let film = manifest_of(&path).films.remove(0);
        let written = std::fs::read(path.join(&film.file)).unwrap();
        let index = std::fs::read_to_string(path.join(&film.index)).unwrap();
        let mut after = Vec::new();
        for row in index.lines().skip(1).map(|line| crate::film::Row::parse(line).unwrap()) {
            let at = usize::try_from(row.offset).unwrap();
            after.extend_from_slice(&written[at..at + usize::try_from(row.bytes).unwrap()]);
        }
        let digests = nal_digests(&before);
        assert_eq!(nal_digests(&after), digests, "clip {clip}");
        assert_eq!(folder(&path, &trust).verdict, Verdict::Authentic, "clip {clip}");
        (nals, bytes) = (nals + digests.len(), bytes + after.len());
    }
    println!(
        "E1: {wanted} clips of {} films: {nals} NAL units, {bytes} bytes, each as it was and in its order",
        films.len()
    );
}
