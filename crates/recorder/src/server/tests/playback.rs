//! Where a wish begins, previews, and one tag for the same footage.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use link::{PartRow, RangeAsk};

use super::*;

async fn page(viewer: &mut Link, after: u32) -> (Vec<PartRow>, u32, Vec<String>) {
    let answer = viewer.ask(Control::Range(RangeAsk::Parts { after })).await.unwrap();
    let Control::Range(RangeAsk::Page { parts, total, inits }) = answer else { panic!("{answer:?}") };
    (parts, total, inits)
}

async fn picture(viewer: &mut Link, number: u32) -> Result<Vec<u8>, Control> {
    viewer.sender.send(Control::Range(RangeAsk::ReadPart { number })).await.unwrap();
    collect(viewer).await
}

impl Rig {
    fn open_preview(&self, range: TimeRange) -> Control {
        let Control::OpenRange { capability, stream, from_us, to_us } = self.open_range(range) else { panic!() };
        Control::Range(RangeAsk::OpenPreview { capability, stream, from_us, to_us })
    }
}

/// Epoch and counter that [`unit`] writes into the slice of each frame, as the payload has them.
fn counters(film: &[u8]) -> Vec<u64> {
    let mark = [0x88, 0, 0, 0, 0, 0, 0, 0];
    let places = film.windows(18).filter(|window| matches!(window[0], 0x65 | 0x41) && window[1..9] == mark);
    places.map(|window| u64::from_be_bytes(window[10..18].try_into().unwrap())).collect()
}

#[tokio::test]
async fn a_span_says_where_its_first_frame_is() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    let mut units = film(1, 0..500, 50);
    // Another connection, 10 s after the end of the first.
    let late = (START.0.plus(Duration::from_secs(30)), MonoTime { micros: START.1.micros + 30_000_000 });
    units.extend((0..250).map(|seq| unit(late, 2, seq, 50)));
    send(&mut ingest, &units).await;
    acked(&mut ingest, 2, 249 - 60).await;
    let at = |ms: i64| WallTime::from_micros(START.0.micros + ms * 1_000);
    // Asked start → counter of the first frame to be shown, and the time of the file's first frame, ms.
    for (from, counter, starts) in
        [(0, 0, 0), (40, 1, 0), (3_000, 75, 2_000), (3_010, 76, 2_000), (3_970, 100, 2_000), (4_000, 100, 4_000)]
    {
        let (info, bytes) = rig.play(TimeRange::new(at(from), at(from + 8_000)).unwrap()).await;
        let Control::RangeInfo { start_offset_us, starts_us, clock, .. } = info else { panic!("{info:?}") };
        assert_eq!(starts_us, at(starts).micros, "{from}");
        assert_eq!(clock, [(0, starts_us)], "{from}");
        let skipped = usize::try_from(start_offset_us / 40_000).unwrap();
        assert_eq!((start_offset_us % 40_000, counters(&mdats(&bytes))[skipped]), (0, counter), "{from}");
    }
    // A wish that lies in the hole begins with what follows it; the clock jumps over the hole.
    let (info, _) = rig.play(TimeRange::new(at(19_000), at(33_000)).unwrap()).await;
    let Control::RangeInfo { clock, start_offset_us, .. } = info else { panic!() };
    assert_eq!(clock, [(0, at(18_000).micros), (12_000_000, at(30_000).micros)]);
    assert_eq!(start_offset_us, 1_000_000);
    let (info, _) = rig.play(TimeRange::new(at(25_000), at(33_000)).unwrap()).await;
    let Control::RangeInfo { clock, start_offset_us, .. } = info else { panic!() };
    assert_eq!((clock, start_offset_us), (vec![(0, at(30_000).micros)], 0));
    rig.end().await;
}

#[tokio::test]
async fn the_parts_of_a_span_are_its_bytes_and_a_preview_its_key_frames() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    let mut units = film(1, 0..500, 50);
    for unit in &mut units[300..] {
        unit.param_set = other_sets().id;
    }
    let late = (START.0.plus(Duration::from_secs(30)), MonoTime { micros: START.1.micros + 30_000_000 });
    units.extend((0..250).map(|seq| unit(late, 2, seq, 50)));
    send(&mut ingest, &units).await;
    acked(&mut ingest, 2, 249 - 60).await;
    let mut viewer = rig.connect(Role::Serve).await;
    assert!(matches!(viewer.ask(Control::Range(RangeAsk::Parts { after: 0 })).await.unwrap(), Control::Refused { .. }));
    let info = viewer.ask(rig.open_range(span(0, 38))).await.unwrap();
    let Control::RangeInfo { size, .. } = info else { panic!("{info:?}") };
    let whole = read(&mut viewer, 0, size).await.unwrap();
    let (parts, total, inits) = page(&mut viewer, 0).await;
    assert_eq!((parts.len(), inits.len()), (usize::try_from(total).unwrap(), 3));
    assert_eq!(parts.last().map(|part| part.at + part.size), Some(size));
    assert!(parts.windows(2).all(|pair| pair[0].at + pair[0].size == pair[1].at));
    let jumps: Vec<(u64, u32)> =
        parts.iter().filter(|part| part.jump).map(|part| (part.shows / 90_000, part.init)).collect();
    assert_eq!(jumps, [(12, 2), (30, 1)], "other parameter sets, and another connection");
    assert!(matches!(picture(&mut viewer, 0).await, Err(Control::Refused { .. })), "it is no preview");
    // Each run of a playlist plays with the init segment of its own parameter sets alone.
    for (number, part) in parts.iter().enumerate().filter(|(_, part)| part.is_key) {
        let end = parts.get(number + 1).map_or(size, |next| next.at);
        let init = STANDARD.decode(&inits[usize::try_from(part.init).unwrap()]).unwrap();
        let (from, to) = (usize::try_from(part.at).unwrap(), usize::try_from(end).unwrap());
        let alone = [&init, &whole[from..to]].concat();
        assert_eq!(mdats(&alone), mdats(&whole[from..to]));
    }
    assert!(page(&mut viewer, total).await.0.is_empty());

    let info = viewer.ask(rig.open_preview(span(0, 38))).await.unwrap();
    let Control::RangeInfo { size, etag, clock, .. } = info else { panic!("{info:?}") };
    assert_eq!((size, clock.len()), (0, 2));
    assert!(read(&mut viewer, 0, 1_000).await.unwrap().is_empty(), "it has no bytes by position");
    let (pictures, count, inits) = page(&mut viewer, 0).await;
    let (mut film, mut wanted) = (STANDARD.decode(&inits[0]).unwrap(), Vec::new());
    for number in 0..count {
        film.extend(picture(&mut viewer, number).await.unwrap());
    }
    for unit in units.iter().filter(|unit| unit.is_key && unit.clocks.wall < span(0, 38).to) {
        wanted.extend_from_slice(&unit.payload);
    }
    assert_eq!(mdats(&film), wanted, "every key frame is 2 s from the next, and comes with its bytes alone");
    if let Some(frames) = ffprobe_frames(&film) {
        assert_eq!(frames, usize::try_from(count).unwrap());
    }
    let lengths: Vec<u64> = pictures.iter().map(|part| part.ticks / 90_000).collect();
    assert_eq!(lengths, [2; 14], "to the next, and to the end before the hole");
    assert!(matches!(picture(&mut viewer, count).await, Err(Control::Refused { .. })));
    // A capability for another span opens no preview; a day is the longest.
    let Control::OpenRange { capability, stream, .. } = rig.open_range(span(0, 10)) else { panic!() };
    let beyond = RangeAsk::OpenPreview { capability, stream, from_us: START.0.micros, to_us: span(0, 11).to.micros };
    assert!(matches!(viewer.ask(Control::Range(beyond)).await.unwrap(), Control::Refused { .. }));
    let answer = viewer.ask(rig.open_preview(span(0, 86_401))).await.unwrap();
    assert!(matches!(&answer, Control::Refused { code, .. } if code == "range_too_long"), "{answer:?}");
    let again = viewer.ask(rig.open_preview(span(0, 38))).await.unwrap();
    assert!(matches!(again, Control::RangeInfo { etag: now, .. } if now == etag));
    rig.end().await;
}

#[tokio::test]
async fn a_tag_is_the_same_from_the_catalogue_and_from_the_index_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing reaches the index while it runs: the catalogue alone answers.
    let rig = Rig::start_with(dir.path(), |config| config.index_every = Duration::from_secs(3_600)).await;
    let mut ingest = rig.assign(1, false).await;
    let mut units = film(1, 0..1_800, 50);
    let late = (START.0.plus(Duration::from_secs(80)), MonoTime { micros: START.1.micros + 80_000_000 });
    units.extend((0..250).map(|seq| unit(late, 2, seq, 50)));
    send(&mut ingest, &units).await;
    acked(&mut ingest, 2, 249 - 60).await;
    let spans = [span(0, 60), span(3, 71), span(0, 85), span(81, 84)];
    let told = async |rig: &Rig| {
        let mut out = Vec::new();
        for span in spans {
            let (info, bytes) = rig.play(span).await;
            let Control::RangeInfo { etag, size, start_offset_us, clock, .. } = info else { panic!("{info:?}") };
            out.push((etag, size, start_offset_us, clock, bytes));
        }
        out
    };
    let before = told(&rig).await;
    assert!(before.iter().all(|(etag, ..)| etag.len() == 32));
    let different: std::collections::BTreeSet<_> = before.iter().map(|(etag, ..)| etag.clone()).collect();
    assert_eq!(different.len(), spans.len());
    rig.end().await;
    let rig = Rig::start(dir.path()).await;
    assert!(rig.files() > 2 && told(&rig).await == before);
    rig.end().await;
}

impl Rig {
    /// Segment files that are there.
    fn files(&self) -> usize {
        fn count(dir: &Path) -> usize {
            let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
            entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
        }
        count(&self.config.media())
    }
}
