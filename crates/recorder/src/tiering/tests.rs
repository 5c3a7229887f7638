use std::sync::atomic::AtomicI64;

use bytes::Bytes;
use vms_core::{MonoTime, StreamId, TimeRange};

use super::*;
use crate::assignment::Kept;
use crate::catalogue::{Batch, Catalogue};
use crate::check::{CheckOptions, CheckReport, Finding, check};
use crate::holds::HoldBook;
use crate::index::Index;
use crate::playback::{self, RangeError, Source, StoredPiece};
use crate::recover;
use crate::sweep::Losing;
use crate::sweep_tests::{Sealed, sealed, start_s, thirty_days};
use crate::testfilm::{START, stream};

const DAY_S: i64 = 86_400;

/// A clock that the test sets, in seconds after the start of the footage.
#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn wall(&self) -> WallTime {
        WallTime::from_secs(start_s() + self.0.load(Ordering::SeqCst))
    }

    fn mono(&self) -> MonoTime {
        START.1
    }

    fn is_trusted(&self) -> bool {
        true
    }
}

/// Sealed footage of two cameras, and a directory as its tier.
struct Away {
    rig: Sealed,
    store: tempfile::TempDir,
    clock: Arc<SetClock>,
    tiers: Tiers,
    mover: Arc<Mover>,
}

fn config(store: &Path, hot_hours: u32) -> TierConfig {
    let text = format!(
        "recorder = 'rec-1'\n[[store]]\nname = 'disk'\n[store.directory]\nfolder = '{}'\n[[rule]]\nstore = 'disk'\nhot_hours = {hot_hours}\n",
        store.join("store").display()
    );
    TierConfig { config: tiers::Config::from_toml(&text).unwrap(), environment: |_| None, seed: 7 }
}

async fn open_tiers(rig: &Sealed, index: &Index, clock: &Arc<SetClock>, config: TierConfig) -> (Tiers, Arc<Mover>) {
    let dir = rig.dir.path();
    let copies = Copies {
        media: dir.join("media"),
        index: index.clone(),
        vault: Arc::clone(&rig.vault),
        holds: Arc::new(Mutex::new(HoldBook::load(&dir.join(crate::holds::FILE)).unwrap())),
        kept: Arc::new(Mutex::new(Kept::load(&dir.join("assignment.json")).unwrap())),
    };
    let tiers = Tiers::new(Some(config), dir, copies, Arc::<SetClock>::clone(clock));
    tiers.open_soon().await;
    let mover = Arc::clone(tiers.mover().unwrap());
    (tiers, mover)
}

async fn away(hot_hours: u32) -> Away {
    let (rig, store) = (sealed().await, tempfile::tempdir().unwrap());
    std::fs::create_dir(store.path().join("store")).unwrap();
    let clock = Arc::new(SetClock(AtomicI64::new(4 * 3_600)));
    let index = rig.index.clone();
    let (tiers, mover) = open_tiers(&rig, &index, &clock, config(store.path(), hot_hours)).await;
    Away { rig, store, clock, tiers, mover }
}

impl Away {
    fn store(&self) -> PathBuf {
        self.store.path().join("store")
    }

    fn inner(&self) -> &Arc<Inner> {
        self.tiers.0.as_ref().unwrap()
    }

    async fn pass(&self) -> tiers::Pass {
        Box::pin(self.mover.scan()).await.unwrap();
        Box::pin(self.mover.pass()).await.unwrap()
    }

    /// Segment files on the local disk.
    fn here(&self) -> usize {
        recover::all_files(&self.rig.dir.path().join("media")).unwrap().len()
    }

    /// Objects in the store.
    fn there(&self) -> usize {
        let (mut found, mut folders) = (0, vec![self.store()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => found += 1,
                }
            }
        }
        found
    }

    fn source(&self) -> Source {
        let vault = Arc::clone(&self.rig.vault);
        Source { root: self.rig.dir.path().join("media"), vault, tiers: self.tiers.clone(), gate: None }
    }

    /// Entity tag and bytes of the first hours of a stream.
    async fn play(&self, index: &Index, of: StreamId) -> Result<(String, Vec<u8>), RangeError> {
        let file = playback::open(self.source(), index, &Catalogue::default(), of, two_hours()).await?;
        let read = tokio::task::spawn_blocking(move || {
            let (mut file, mut all) = (file, Vec::new());
            loop {
                let piece: Bytes = file.piece(u64::try_from(all.len()).unwrap(), file.size)?;
                if piece.is_empty() {
                    return Ok((file.etag.clone(), all));
                }
                all.extend_from_slice(&piece);
            }
        });
        read.await.unwrap()
    }

    async fn look(&self, repairs: bool) -> CheckReport {
        self.rig.vault.close();
        let (dir, now) = (self.rig.dir.path(), self.clock.wall());
        let options = keys::OpenOptions { is_read_only: true, ..keys::OpenOptions::default() };
        let ring = crate::vault::open_store(&crate::testfilm::vault_config(dir), dir, options, now).unwrap();
        check(dir, &ring, &thirty_days(), &CheckOptions { is_deep: true, repairs }, now).await.unwrap()
    }
}

fn two_hours() -> TimeRange {
    let start = WallTime::from_secs(start_s());
    TimeRange::new(start, start.plus(Duration::from_secs(7_200))).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_for_a_tier_plays_byte_for_byte_and_a_store_that_is_away_says_so() {
    let away = away(0).await;
    let index = &away.rig.index;
    let before = [away.play(index, stream(1)).await.unwrap(), away.play(index, stream(2)).await.unwrap()];
    let bytes = index.bytes().await.unwrap();
    let pass = away.pass().await;
    assert_eq!((pass.stored, pass.dropped, pass.failed), (8, 8, 0));
    assert_eq!((away.here(), away.there()), (0, 8));
    assert_eq!(index.bytes().await.unwrap(), 0, "it takes no room here");
    assert_eq!(index.count_away().await.unwrap(), (8, bytes));
    assert!(index.oldest(9).await.unwrap().is_empty());
    for (of, known) in [1, 2].iter().zip(&before) {
        let (etag, film) = away.play(index, stream(*of)).await.unwrap();
        assert_eq!(&etag, &known.0);
        assert!(film == known.1);
    }
    // As evidence.
    let catalogue = Catalogue::default();
    let mut stored = playback::open_stored(away.source(), index, &catalogue, stream(1), two_hours()).await.unwrap();
    let segments = tokio::task::spawn_blocking(move || {
        let mut count = 0;
        while let Some(piece) = stored.piece().unwrap() {
            count += usize::from(matches!(piece, StoredPiece::Segment { .. }));
        }
        count
    });
    assert_eq!(segments.await.unwrap(), 4);

    let (store, aside) = (away.store(), away.store.path().join("aside"));
    std::fs::rename(&store, &aside).unwrap();
    let error = away.play(index, stream(1)).await.unwrap_err();
    assert!(matches!(error, RangeError::Away), "{error:?}");
    assert_eq!(error.code(), "footage_away");
    // What ended before the span is wanted for its key frame only.
    let late = WallTime::from_secs(start_s() + 61);
    let span = TimeRange::new(late, late.plus(Duration::from_secs(60))).unwrap();
    let error = playback::open(away.source(), index, &catalogue, stream(1), span).await.unwrap_err();
    assert!(matches!(error, RangeError::Away), "the second segment is in the span: {error:?}");
    let after = WallTime::from_secs(start_s() + 121);
    let span = TimeRange::new(after, after.plus(Duration::from_secs(60))).unwrap();
    let error = playback::open(away.source(), index, &catalogue, stream(1), span).await.unwrap_err();
    assert!(matches!(error, RangeError::NoFootage), "{error:?}");
    std::fs::rename(&aside, &store).unwrap();
    assert_eq!(away.play(index, stream(1)).await.unwrap().0, before[0].0);
    // One object lost: gone, not damaged.
    let name = away.mover.ledger().row(away.rig.segments[0].segment).await.unwrap().unwrap();
    let name = name.name(&tiers::RecorderName::parse("rec-1").unwrap()).unwrap().encode().unwrap();
    std::fs::remove_file(store.join(name)).unwrap();
    assert!(matches!(away.play(index, stream(1)).await.unwrap_err(), RangeError::Gone));
    // Without tiers the same file is gone as well.
    let none = Source { tiers: Tiers::default(), ..away.source() };
    let gone = playback::open(none, index, &catalogue, stream(2), two_hours()).await.unwrap_err();
    assert!(matches!(gone, RangeError::Gone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_hours_and_holds_keep_files_here() {
    let away = away(2).await;
    // Four hours after the start: the second hour's four segments ended less than three hours ago.
    let pass = away.pass().await;
    assert_eq!((pass.stored, pass.dropped), (8, 8));
    let second = self::away(3).await;
    let pass = second.pass().await;
    assert_eq!((pass.stored, pass.dropped, second.here()), (8, 4, 4));
    // A hold that was told and not carried out yet counts.
    second.clock.0.store(10 * 3_600, Ordering::SeqCst);
    let hold = link::message::HoldSpec {
        hold: vms_core::HoldId::from_bytes([1; 16]).to_string(),
        camera: crate::testfilm::facts(1).camera.to_string(),
        from_us: START.0.micros,
        to_us: START.0.micros + 7_200_000_000,
        released: false,
    };
    second.inner().copies.holds.lock().unwrap().replace(vec![hold]);
    assert_eq!(second.pass().await.dropped, 2);
    assert_eq!(second.here(), 2);
    for state in &second.rig.segments {
        let is_here = second.rig.dir.path().join("media").join(&state.path).exists();
        assert_eq!(is_here, state.stream == stream(1) && state.from.micros > START.0.micros + 3_000_000_000);
    }
    // Nor does an order to delete reach what it holds in the store.
    let of = |number: u8| -> Vec<SegmentId> {
        second.rig.segments.iter().filter(|state| state.stream == stream(number)).map(|state| state.segment).collect()
    };
    let done = second.mover.delete(&[of(1), of(2)].concat()).await.unwrap();
    assert_eq!((done.held.len(), done.gone.len()), (4, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_the_term_keys_die_first_and_objects_follow_also_after_an_outage() {
    let away = away(0).await;
    away.pass().await;
    let (store, aside) = (away.store(), away.store.path().join("aside"));
    std::fs::rename(&store, &aside).unwrap();
    away.clock.0.store(31 * DAY_S, Ordering::SeqCst);
    let mut sweep = away.rig.sweep().with_tiers(away.tiers.clone());
    assert_eq!(sweep.expire_keys(&thirty_days(), away.clock.wall()).await.unwrap(), 4);
    assert_eq!(away.rig.index.count_away().await.unwrap().0, 0, "nothing is promised any more");
    let played = away.play(&away.rig.index, stream(1)).await;
    assert!(matches!(played, Err(RangeError::NoFootage)), "{played:?}");
    std::fs::rename(&aside, &store).unwrap();
    assert_eq!(away.there(), 8, "owed, not gone");
    for state in &away.rig.segments {
        let epoch = KeyEpoch::new(state.key_epoch).unwrap();
        assert!(away.rig.vault.is_destroyed(epoch), "what lies in the store is noise");
    }
    assert_eq!(away.pass().await.deleted, 8);
    assert_eq!(away.there(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_outlives_its_row_is_found_by_the_daily_comparison() {
    let away = away(0).await;
    away.pass().await;
    let index = &away.rig.index;
    // A crash between the row and the debt, as no order of steps here allows it; and a row that is only late.
    let rows: Vec<Located> = index.all().await.unwrap().into_iter().map(|(row, _)| row).collect();
    index.mark_erased(&rows[..3], away.clock.wall(), false).await.unwrap();
    away.clock.0.store(60 * DAY_S, Ordering::SeqCst);
    let found = away.inner().compare_once(&away.mover).await.unwrap();
    assert_eq!((found.listed, found.incomplete.len(), found.strays.len()), (8, 0, 0));
    assert_eq!(away.there(), 5, "only what was erased goes: keys come first");
    assert_eq!(index.reconciled_at().await.unwrap(), away.clock.wall());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_cap_what_a_tier_has_leaves_without_a_loss() {
    let away = away(999).await;
    assert_eq!(away.pass().await.dropped, 0);
    let (store, aside) = (away.store(), away.store.path().join("aside"));
    let mut sweep = away.rig.sweep().with_tiers(away.tiers.clone());
    let catalogue = Catalogue::default();
    let one = away.rig.segments[0].file_len;
    let losing = |bytes| Losing { bytes, keep_longest: &[], catalogue: &catalogue };
    assert_eq!(sweep.lose(losing(one), away.clock.wall()).await.unwrap().segments, 0);
    assert_eq!((away.here(), away.there()), (7, 8));
    // Also while the store is away, once that is known: what was verified there is better than nothing.
    std::fs::rename(&store, &aside).unwrap();
    for _ in 0..3 {
        away.mover.make_room(&[away.rig.segments[7].segment]).await.unwrap();
    }
    assert_eq!(sweep.lose(losing(one), away.clock.wall()).await.unwrap().segments, 0);
    std::fs::rename(&aside, &store).unwrap();
    assert_eq!((away.here(), away.there()), (5, 8));
    assert!(away.play(&away.rig.index, stream(1)).await.is_ok());
    let (_, gaps, _) = away.rig.index.since(0, 100).await.unwrap();
    assert!(gaps.is_empty(), "nothing was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_knows_what_left_and_never_makes_a_hole_of_it() {
    let away = away(0).await;
    away.pass().await;
    let report = away.look(false).await;
    assert_eq!(
        (report.rows, report.files, report.away, report.opened, report.findings.len()),
        (8, 0, 8, 8, 0),
        "{report:?}"
    );
    // A crash between row and file: the file too many is nobody's problem.
    let path = away.rig.dir.path().join("media").join(&away.rig.segments[0].path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let name = away.mover.ledger().row(away.rig.segments[0].segment).await.unwrap().unwrap();
    let name = name.name(&tiers::RecorderName::parse("rec-1").unwrap()).unwrap().encode().unwrap();
    std::fs::copy(away.store().join(name), &path).unwrap();
    assert!(away.look(false).await.findings.is_empty());
    std::fs::remove_file(&path).unwrap();
    // The ledger is lost: said, and not repaired into holes.
    for end in ["", "-wal", "-shm"] {
        std::fs::remove_file(away.rig.dir.path().join(format!("{LEDGER}{end}"))).ok();
    }
    let report = away.look(true).await;
    assert_eq!(report.counts(), [(Finding::FileMissing, 8)].into());
    assert_eq!(away.rig.index.count_away().await.unwrap().0, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_and_index_are_made_anew_from_the_store() {
    let away = away(0).await;
    let before = away.play(&away.rig.index, stream(2)).await.unwrap();
    away.pass().await;
    // Both are lost. The disk has nothing.
    let dir = away.rig.dir.path();
    away.rig.index.close().await;
    for name in ["index.db", "index.db-wal", "index.db-shm", LEDGER, "tiers.sqlite-wal", "tiers.sqlite-shm"] {
        std::fs::remove_file(dir.join(name)).ok();
    }
    let index = Index::open(&dir.join("index.db")).await.unwrap();
    let (catalogue, now) = (Catalogue::default(), away.clock.wall());
    recover::recover(&dir.join("media"), &index, &catalogue, &away.rig.vault, ([0; 16], now)).await.unwrap();
    assert!(index.all().await.unwrap().is_empty());
    let (tiers, mover) = open_tiers(&away.rig, &index, &away.clock, config(away.store.path(), 0)).await;
    let again = Away { tiers, mover, ..away };
    // Until that is done nobody says that footage is gone.
    let file = tokio::task::spawn_blocking({
        let (tiers, segment) = (again.tiers.clone(), again.rig.segments[0].segment);
        move || tiers.file(segment)
    });
    assert!(matches!(file.await.unwrap(), Err(tiers::ReadError::Away(_))));
    assert!(again.inner().compare_and_note(&again.mover).await);
    again.inner().take_in(&again.mover).await.unwrap();
    assert!(index.has_taken_in_away().await.unwrap());
    let rows = index.all().await.unwrap();
    assert_eq!(rows.len(), 8);
    for (row, _) in &rows {
        let known = again.rig.segments.iter().find(|state| state.segment == row.segment).unwrap();
        assert_eq!((row.closing_at, row.file_len, row.key_epoch), (known.closing_at, known.file_len, known.key_epoch));
        assert!(row.is_away);
    }
    let after = again.play(&index, stream(2)).await.unwrap();
    assert_eq!(after.0, before.0);
    assert!(after.1 == before.1);
    assert_eq!(again.pass().await.stored, 0, "nothing is sent twice");
}

/// The row of a segment as recovery makes it from its file is the one made from head, closing record and what lies between.
#[tokio::test]
async fn a_row_made_without_the_fragments_is_that_of_the_whole_file() {
    let rig = sealed().await;
    let media = rig.dir.path().join("media");
    for state in &rig.segments {
        let (whole, gaps, _) = recover::recover_file(&media, &state.path, &rig.vault).unwrap();
        let file = std::fs::File::open(media.join(&state.path)).unwrap();
        let (quick, quick_gaps) =
            take_in::state_of(&file, &mut |header| rig.vault.opener(header).ok().flatten()).unwrap();
        assert_eq!(quick_gaps, gaps);
        assert_eq!(quick.path, whole.path);
        assert_eq!((quick.payload, quick.units, quick.closing_at), (whole.payload, whole.units, whole.closing_at));
        assert_eq!((quick.last_seq, quick.file_len, quick.flags), (whole.last_seq, whole.file_len, whole.flags));
        assert_eq!(quick.entries, whole.entries);
    }
}

/// An index of before the tiers opens, and nothing in it is away.
#[tokio::test]
async fn an_index_without_the_column_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let rig = sealed().await;
    let index = Index::open(&path).await.unwrap();
    index.flush(&Batch { segments: rig.segments.clone(), gaps: vec![] }, START.0).await.unwrap();
    index.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    for statement in
        ["drop index segment_by_size", "drop index segment_on_disk", "alter table segment drop column away"]
    {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let index = Index::open(&path).await.unwrap();
    assert!(index.bytes().await.unwrap() > 0);
    assert_eq!(index.count_away().await.unwrap(), (0, 0));
    assert!(index.mark_away(rig.segments[0].segment).await.unwrap());
    assert_eq!(index.count_away().await.unwrap().0, 1);
}
