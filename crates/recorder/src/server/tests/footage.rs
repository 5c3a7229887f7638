//! Footage: kept, found again, played.

use super::*;

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_plays() {
    let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    // 70 s in two segments, then another parameter set, then a new epoch after a hole of 5 s.
    let mut units = film(1, 0..1_750, 50);
    for unit in &mut units[1_700..] {
        unit.param_set = other_sets().id;
    }
    let late = (START.0.plus(Duration::from_secs(75)), MonoTime { micros: START.1.micros + 75_000_000 });
    units.extend((0..100).map(|seq| unit(late, 2, seq, 50)));
    send(&mut ingest, &units).await;
    acked(&mut ingest, 2, 99).await;
    let (info, played) = rig.play(span(0, 79)).await;
    // A kill leaves what the kernel has: the files as they are now.
    copy_all(dir.path(), after.path());
    let second = Rig::start(after.path()).await;
    let (info_after, played_after) = second.play(span(0, 79)).await;
    assert_eq!(mdats(&played), payload(&units));
    assert_eq!(mdats(&played_after), payload(&units));
    let unnumbered = |info: Control| {
        let Control::RangeInfo { size, etag, mut gaps, .. } = info else { panic!("{info:?}") };
        gaps.iter_mut().for_each(|gap| gap.change = 0);
        (size, etag, gaps)
    };
    assert_eq!(unnumbered(info), unnumbered(info_after.clone()), "the same footage has the same tag and size");
    let Control::RangeInfo { size, mime, gaps, starts_us, .. } = info_after else { panic!() };
    assert_eq!((size, mime.as_str()), (u64::try_from(played.len()).unwrap(), "video/mp4; codecs=\"avc1.64000a\""));
    assert_eq!((starts_us, gaps.len()), (START.0.micros, 1));
    assert_eq!(gaps[0].to_us.unwrap() - gaps[0].from_us, 5_000_000);
    if let Some(frames) = ffprobe_frames(&played) {
        assert_eq!(frames, units.len());
    }
    // The ring is replayed: nothing is doubled, everything is acknowledged again, and it goes on.
    let mut ingest = second.ingest().await;
    let more: Vec<AccessUnit> = (50..150).map(|seq| unit(late, 2, seq, 50)).collect();
    send(&mut ingest, &more).await;
    acked(&mut ingest, 2, 149).await;
    let (_, again) = second.play(span(0, 100)).await;
    units.extend_from_slice(&more[50..]);
    assert_eq!(mdats(&again), payload(&units));
    let mut serve = second.connect(Role::Serve).await;
    let page = serve.ask(Control::IndexSince { after: 0, limit: 1_000 }).await.unwrap();
    let Control::IndexPage { segments, .. } = page else { panic!("{page:?}") };
    let newest = |row: &SegmentRow| (row.from_us - START.0.micros) / 1_000_000;
    assert_eq!(segments.iter().map(newest).collect::<Vec<_>>().len(), 5);
    assert!(segments.iter().filter(|row| row.closed).all(|row| row.digest.is_some()));
    second.end().await;
    rig.end().await;
}

#[tokio::test]
async fn a_lost_index_is_rebuilt_from_the_media() {
    let dir = tempfile::tempdir().unwrap();
    let rows = async |rig: &Rig| {
        let mut serve = rig.connect(Role::Serve).await;
        let page = serve.ask(Control::IndexSince { after: 0, limit: 1_000 }).await.unwrap();
        let Control::IndexPage { mut segments, mut gaps, .. } = page else { panic!("{page:?}") };
        segments.iter_mut().for_each(|row| row.change = 0);
        // An open gap is told of a stream that is down right now; the media know only the closed ones.
        gaps.retain(|row| row.to_us.is_some());
        gaps.iter_mut().for_each(|row| row.change = 0);
        segments.sort_by(|a, b| a.segment.cmp(&b.segment));
        (segments, gaps)
    };
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    let mut units = film(1, 0..200, 50);
    let late = (START.0.plus(Duration::from_secs(20)), MonoTime { micros: START.1.micros + 20_000_000 });
    units.extend((0..50).map(|seq| unit(late, 2, seq, 50)));
    send(&mut ingest, &units).await;
    // The stop gives out what is held, and closes: 250 frames are there.
    acked(&mut ingest, 2, 10).await;
    rig.end().await;
    let before = {
        let rig = Rig::start(dir.path()).await;
        let before = rows(&rig).await;
        rig.end().await;
        before
    };
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        std::fs::remove_file(dir.path().join(name)).ok();
    }
    let rig = Rig::start(dir.path()).await;
    assert_eq!(rows(&rig).await, before);
    assert_eq!(before.0.len(), 2);
    assert_eq!(before.0.iter().map(|row| row.units).sum::<u32>(), 250);
    rig.end().await;
    std::fs::write(dir.path().join("index.db"), b"this is no database, not even a little one").unwrap();
    let rig = Rig::start(dir.path()).await;
    assert_eq!(rows(&rig).await, before);
    rig.end().await;
}

#[tokio::test]
async fn any_bytes_of_a_range_are_the_bytes_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    let units = film(1, 0..500, 50);
    send(&mut ingest, &units).await;
    acked(&mut ingest, 1, 499 - 60).await;
    let (info, whole) = rig.play(span(3, 15)).await;
    let Control::RangeInfo { starts_us, .. } = info else { panic!() };
    // From the key frame at or before the start.
    assert_eq!(starts_us - START.0.micros, 2_000_000);
    let mut viewer = rig.connect(Role::Serve).await;
    viewer.ask(rig.open_range(span(3, 15))).await.unwrap();
    let mut seed = 9_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..120 {
        let (a, b) = (next(whole.len() + 1), next(whole.len() + 1));
        let (from, to) = (a.min(b), a.max(b));
        let got = read(&mut viewer, u64::try_from(from).unwrap(), u64::try_from(to).unwrap()).await.unwrap();
        assert!(got == whole[from..to], "{from}..{to}");
    }
    // Any span begins at a key frame and is an unbroken piece of the film, of exactly the size that was said.
    let film = payload(&units);
    for _ in 0..40 {
        let (a, b) = (i64::try_from(next(16_000)).unwrap(), i64::try_from(next(4_000)).unwrap() + 1);
        let at = |ms: i64| WallTime::from_micros(START.0.micros + ms * 1_000);
        let (info, bytes) = rig.play(TimeRange::new(at(a), at(a + b)).unwrap()).await;
        let Control::RangeInfo { size, starts_us, ends_us, .. } = info else { panic!() };
        assert_eq!(size, u64::try_from(bytes.len()).unwrap());
        assert!(starts_us <= at(a).micros && ends_us >= at(a + b).micros.min(at(17_000).micros));
        let first = usize::try_from((starts_us - START.0.micros) / 40_000).unwrap();
        assert!(units[first].is_key);
        let shown = mdats(&bytes);
        assert!(film[payload(&units[..first]).len()..].starts_with(&shown));
    }
    let beyond = read(&mut viewer, 0, u64::MAX).await.unwrap();
    assert_eq!(beyond.len(), whole.len());
    rig.end().await;
}

/// The author's test picture with B-frames (see `media`): presentation times in decode order, frames of 1/25 s.
const B_FRAMES: &[u8] = include_bytes!("../../../../media/testdata/tiny-b.h264");
const B_FRAMES_PTS: [i64; 15] = [0, 3, 1, 2, 6, 4, 5, 7, 8, 11, 9, 10, 14, 12, 13];

#[tokio::test]
async fn b_frames_are_recorded_and_played_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    let sets = media::ParameterSets::from_mixed(vms_core::Codec::H264, media::nal::annex_b(B_FRAMES)).unwrap();
    let control = Control::ParameterSets { stream: stream(1).to_string(), sets: (&sets).into() };
    ingest.sender.send(control).await.unwrap();
    let mut deriver = media::DtsDeriver::new(sets.reorder_depth);
    let (mut open, mut units) = (bytes::BytesMut::new(), Vec::new());
    for nal in media::nal::annex_b(B_FRAMES) {
        media::nal::put_length_prefixed(nal, &mut open);
        let kind = media::nal::kind(vms_core::Codec::H264, nal);
        if matches!(kind, media::nal::NalKind::Slice { first: true, .. }) {
            let at = units.len();
            let pts = vms_core::MediaTime::from_ticks(B_FRAMES_PTS[at] * 3_600);
            let base = unit(START, 1, u64::try_from(at).unwrap(), 1_000);
            let payload = std::mem::take(&mut open).freeze();
            let is_key = media::nal::is_key(vms_core::Codec::H264, &payload);
            let dts = deriver.push(pts).unwrap();
            units.push(AccessUnit { payload, is_key, pts, dts, param_set: sets.id, ..base });
        }
    }
    assert_eq!(units.len(), 15);
    send(&mut ingest, &units).await;
    acked(&mut ingest, 1, 14).await;
    let (_, film) = rig.play(span(0, 5)).await;
    assert_eq!(mdats(&film), payload(&units));
    let path = dir.path().join("film.mp4");
    std::fs::write(&path, &film).unwrap();
    let args = ["-v", "error", "-show_entries", "frame=pts", "-of", "csv=p=0"];
    match std::process::Command::new("ffprobe").args(args).arg(&path).output() {
        Err(_) => println!("not run: ffprobe is not installed"),
        Ok(output) => {
            assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).unwrap();
            let read = |line: &str| line.trim_end_matches(',').parse::<i64>().unwrap();
            let seen: Vec<i64> = text.lines().filter(|line| !line.is_empty()).map(read).collect();
            let steps: Vec<i64> = seen.iter().map(|pts| (pts - seen[0]) / 3_600).collect();
            assert_eq!(steps, (0..15).collect::<Vec<_>>());
        }
    }
    rig.end().await;
}

#[tokio::test]
async fn footage_of_an_earlier_version_is_sealed_while_it_plays() {
    let dir = tempfile::tempdir().unwrap();
    let media = dir.path().join("media");
    std::fs::create_dir(&media).unwrap();
    // 40 s in four closed segments of version 3, in clear.
    let (mut units, mut paths) = (Vec::new(), Vec::new());
    for number in 0..4_u8 {
        let first = u64::from(number) * 250;
        let part = film(1, first..first + 250, 50);
        let segment = vms_core::SegmentId::from_bytes([number + 1; 16]);
        let header = crate::format::SegmentHeader {
            segment,
            stream: stream(1),
            camera: crate::testfilm::facts(1).camera,
            key_epoch: 0,
            wall: part[0].clocks.wall,
            mono: part[0].clocks.mono,
            epoch: 1,
            reason: 0,
            boot: [3; 16],
            previous: [0; 32],
            class: crate::testfilm::facts(1).class.clone(),
        };
        let path = crate::plan::segment_path(stream(1), segment, header.wall);
        let fault = &mut crate::disk::file::NoFault;
        let mut file = crate::disk::file::SegmentFile::create(&media, &path, header, &mut None, fault).unwrap();
        for fragment in crate::testfilm::fragments(part.clone()) {
            file.fragment(&fragment, &sets(), &mut Vec::new(), fault).unwrap();
        }
        file.close(0, part[249].clocks.wall.plus(Duration::from_millis(40)), fault).unwrap();
        let old = crate::format::tests::as_version(&std::fs::read(media.join(&path)).unwrap(), 3);
        std::fs::write(media.join(&path), old).unwrap();
        units.extend(part);
        paths.push(media.join(path));
    }
    // The first round takes one file, and the next comes a second later.
    let rig = Rig::start_with(dir.path(), |config| config.reseal_bytes_per_s = 1).await;
    let mut viewer = rig.connect(Role::Serve).await;
    let info = viewer.ask(rig.open_range(span(0, 40))).await.unwrap();
    let Control::RangeInfo { size, etag, .. } = info else { panic!("{info:?}") };
    let is_sealed = |path: &std::path::PathBuf| {
        crate::format::read::head(&std::fs::File::open(path).unwrap()).unwrap().header.key_epoch != 0
    };
    crate::testfilm::until("all is sealed", || paths.iter().all(is_sealed).then_some(())).await;
    let before = read(&mut viewer, 0, size).await.unwrap();
    assert_eq!(mdats(&before), payload(&units));
    // And what is opened now is the same, by the rows of the index too.
    for _ in 0..3 {
        let (info, after) = rig.play(span(0, 40)).await;
        let Control::RangeInfo { etag: now, .. } = info else { panic!() };
        assert!(now == etag && after == before);
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    rig.end().await;
}

#[tokio::test]
async fn footage_whose_key_is_gone_is_a_gap_with_its_cause() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    let mut units = film(1, 0..200, 50);
    let late = (START.0.plus(Duration::from_secs(3_601)), MonoTime { micros: START.1.micros + 3_601_000_000 });
    units.extend((0..200).map(|seq| unit(late, 2, seq, 50)));
    send(&mut ingest, &units).await;
    acked(&mut ingest, 2, 100).await;
    let clock: Arc<dyn Clock> = rig.clock.clone();
    rig.end().await;
    let vault = crate::testfilm::vault(dir.path(), clock);
    let index = crate::index::Index::open(&dir.path().join("index.db")).await.unwrap();
    let play = async || {
        let source = crate::playback::Source {
            root: dir.path().join("media"),
            vault: Arc::clone(&vault),
            tiers: crate::tiering::Tiers::default(),
            gate: None,
        };
        crate::playback::open(source, &index, &Catalogue::default(), stream(1), span(0, 3_700)).await
    };
    let whole = |mut file: crate::playback::RangeFile| {
        let (mut at, mut bytes) = (0, Vec::new());
        while at < file.size {
            let piece = file.piece(at, file.size).unwrap();
            at += u64::try_from(piece.len()).unwrap();
            bytes.extend_from_slice(&piece);
        }
        bytes
    };
    assert_eq!(mdats(&whole(play().await.unwrap())), payload(&units));
    let open = play().await.unwrap();
    let first = keys::Hour::of(START.0);
    let died = vault.with(|ring| ring.destroy_hours(&|name| name.hour == first, 9, keys::Reason::EndOfTerm, START.0));
    assert_eq!(died.unwrap().keys.len(), 1);
    let after = play().await.unwrap();
    let gap = after.gaps.iter().find(|gap| gap.cause == link::Cause::KeyDestroyed).unwrap();
    assert_eq!((gap.from_us, gap.to_us), (START.0.micros, Some(START.0.micros + 8_000_000)));
    assert_eq!(mdats(&whole(after)), payload(&units[200..]));
    // A range that was open before has nothing more to give of it.
    let mut open = open;
    let size = open.size;
    assert!(matches!(open.piece(size / 4, size), Err(crate::playback::RangeError::Gone)));
    vault.with(|ring| ring.destroy_hours(&|_| true, 9, keys::Reason::EndOfTerm, START.0)).unwrap();
    assert!(matches!(play().await, Err(crate::playback::RangeError::NoFootage)));
}
