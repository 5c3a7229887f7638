//! Terms under a driven clock, in small: 12,288 segments of four cameras over 32 days, the sweeper begun anew at random points. The large
//! one, with a million segments and kills, is `benches/src/bin/term.rs`.

use std::sync::Arc;
use std::time::Duration;

use keys::KeyEpoch;
use vms_core::{HoldId, SegmentId, WallTime};

use crate::catalogue::{Batch, SegmentState};
use crate::format::write::{self, Pen};
use crate::format::{Closing, SegmentHeader, read};
use crate::index::Index;
use crate::plan::{Hole, segment_path};
use crate::reseal::key_name;
use crate::sweep::{Sweep, Terms};
use crate::testfilm::{FixedClock, facts, stream, vault};
use crate::vault::{Curtain, Vault};

const HOUR_S: i64 = 3_600;
const TERM_S: i64 = 30 * 86_400;
const DAYS: u32 = 32;
const CAMERAS: u8 = 4;
const EACH_HOUR: u32 = 4;

fn at(hour: u32, seconds: i64) -> WallTime {
    WallTime::from_secs(1_800_000_000 / HOUR_S * HOUR_S + i64::from(hour) * HOUR_S + seconds)
}

fn record(root: &std::path::Path, vault: &Vault, number: u32, camera: u8, wall: WallTime) -> SegmentState {
    let mut raw = [camera; 16];
    raw[..4].copy_from_slice(&number.to_be_bytes());
    let mut header = SegmentHeader {
        segment: SegmentId::from_bytes(raw),
        stream: stream(camera),
        camera: facts(camera).camera,
        key_epoch: 0,
        wall,
        mono: vms_core::MonoTime::default(),
        epoch: 1,
        reason: 0,
        boot: [0; 16],
        previous: [0; 32],
        class: facts(camera).class.clone(),
    };
    let key = vault.begin(&key_name(&header), header.segment).unwrap();
    header.key_epoch = key.epoch().raw();
    let (path, to) = (segment_path(header.stream, header.segment, wall), wall.plus(Duration::from_secs(60)));
    let mut bytes = write::header(&header);
    let mut pen = Pen::sealed(key, &bytes);
    bytes.extend(write::gap(&mut pen, 0, &Hole { from: wall, to, cause: link::Cause::Silent }).unwrap());
    let closing_at = u64::try_from(bytes.len()).unwrap();
    let end = Closing { flags: 0, end: to, units: 0, payload: 0, entries: Vec::new(), digest: [1; 32] };
    bytes.extend(write::closing(&mut pen, 1, &end).unwrap());
    std::fs::create_dir_all(root.join(&path).parent().unwrap()).unwrap();
    std::fs::write(root.join(&path), &bytes).unwrap();
    SegmentState {
        segment: header.segment,
        stream: header.stream,
        camera: header.camera,
        class: header.class,
        keep_s: u64::try_from(TERM_S).unwrap(),
        path,
        from: wall,
        to,
        key_epoch: header.key_epoch,
        epoch: 1,
        boot: [0; 16],
        last_seq: 0,
        last_mono: vms_core::MonoTime::default(),
        payload: 1,
        file_len: u64::try_from(bytes.len()).unwrap(),
        units: 1,
        entries: Vec::new(),
        sets: Vec::new(),
        closing_at: Some(closing_at),
        digest: Some([1; 32]),
        flags: 0,
    }
}

/// Whether the footage opens: its key, its file, and the record in it.
fn opens(root: &std::path::Path, vault: &Vault, state: &SegmentState) -> bool {
    let Ok(bytes) = std::fs::read(root.join(&state.path)) else { return false };
    let head = read::head(bytes.as_slice()).unwrap();
    let Ok(key) = vault.view(&head.header, None) else { return false };
    let found = read::scan(bytes.as_slice(), key.as_ref()).unwrap();
    !found.is_locked && found.gaps.len() == 1
}

/// Whether somebody who kept the file could open it.
fn key_opens(vault: &Vault, state: &SegmentState) -> bool {
    let epoch = KeyEpoch::new(state.key_epoch).unwrap();
    vault.with(|ring| Ok(ring.open_segment(state.segment, epoch).is_ok())).unwrap()
}

#[tokio::test]
async fn nothing_opens_at_thirty_days_and_all_of_it_until_two_hours_before() {
    // In memory where there is one: it is about the order of things, and each key is synced.
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() };
    let index = Index::open(&dir.path().join("index.db")).await.unwrap();
    let (media, vault) = (dir.path().join("media"), vault(dir.path(), Arc::new(FixedClock)));
    let open = || Sweep::new(&media, &dir.path().join("deletions"), index.clone(), Arc::clone(&vault)).unwrap();
    let mut terms = Terms::default();
    for camera in 1..=CAMERAS {
        terms.add(stream(camera), facts(camera).camera, "RC-VID-OPEN", u64::try_from(TERM_S).unwrap());
    }
    let (mut sweep, mut all, mut random) = (open(), Vec::new(), 88_172_645_463_325_252_u64);
    let (mut young, mut old, mut kept) = (0_u32, 0_u32, 0_u32);
    for hour in (0..(DAYS + 31) * 24).step_by(2) {
        let now = at(hour, 0);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if random.is_multiple_of(9) {
            sweep = open();
            sweep.finish(now).await.unwrap();
        }
        vault.draw(Curtain { terms: terms.clone(), cut: now });
        sweep.expire_keys(&terms, now).await.unwrap();
        sweep.expire(&terms, now).await.unwrap();
        for state in &all {
            let state: &SegmentState = state;
            let age_s = now.micros_since(state.from) / 1_000_000;
            let is_near = (age_s - TERM_S).abs() < 5 * HOUR_S;
            if !is_near && !hour.is_multiple_of(96) {
                continue;
            }
            if is_held(state) {
                assert!(opens(&media, &vault, state), "held, {age_s} s old");
                kept += 1;
            } else if age_s >= TERM_S {
                assert!(!key_opens(&vault, state) && !opens(&media, &vault, state), "{age_s} s old");
                old += 1;
            } else if age_s <= TERM_S - 2 * HOUR_S {
                assert!(if is_near { opens(&media, &vault, state) } else { key_opens(&vault, state) }, "{age_s} s old");
                young += 1;
            }
        }
        if hour < DAYS * 24 {
            let begins = (0..2 * EACH_HOUR).map(|part| at(hour, i64::from(part) * HOUR_S / i64::from(EACH_HOUR)));
            let batch: Vec<SegmentState> = begins
                .enumerate()
                .flat_map(|(part, wall)| (1..=CAMERAS).map(move |camera| (part, wall, camera)))
                .map(|(part, wall, camera)| {
                    record(&media, &vault, hour * 100 + u32::try_from(part).unwrap(), camera, wall)
                })
                .collect();
            for state in batch.iter().filter(|state| is_held(state)) {
                let wanted = [(state.segment, KeyEpoch::new(state.key_epoch).unwrap())];
                let hold = HoldId::from_bytes(*state.segment.as_bytes());
                vault.with(|ring| ring.hold(hold, &wanted, now)).unwrap();
            }
            index.flush(&Batch { segments: batch.clone(), gaps: vec![] }, at(hour, 2 * HOUR_S - 1)).await.unwrap();
            all.extend(batch);
        }
    }
    assert_eq!(all.len(), 12_288);
    assert!(young > 50_000 && old > 50_000 && kept > 400, "{young} {old} {kept}");
    let left = index.key_epochs().await.unwrap().len();
    assert_eq!(left, all.iter().filter(|state| is_held(state)).count(), "rows of what is held, each of another hour");
}

/// One in 97, and no two of an hour.
fn is_held(state: &SegmentState) -> bool {
    let hour = state.from.micros / 1_000_000 / HOUR_S;
    let camera = i64::from(state.stream.as_bytes()[0]);
    (hour * 4 + camera) % 97 == 0 && (state.from.micros / 1_000_000) % HOUR_S == 0
}
