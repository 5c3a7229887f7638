//! The same story against real stores: a directory, `s3s-fs` in this process, `moto` beside it (once without and once with versions).

use std::sync::Arc;
use std::time::Duration;

use crate::support::servers::{KEY, S3s, SECRET, directory, store_config, tier, tier_as};
use crate::support::{Disk, START, TestClock, content, gather, limits, mover};
use tiers::{Credentials, Mover, MoverLimits, ReadError, Tier, Warning};
use vms_testkit::moto::Moto;

const MIB: usize = 1024 * 1024;
const HOT: Duration = Duration::ZERO;

fn big_limits() -> MoverLimits {
    limits(5 * 1024 * 1024)
}

/// Records, uploads (in one request and in parts), drops, reads back, rebuilds, deletes.
async fn story(tier: Tier) {
    Box::pin(story_with(tier, big_limits())).await;
}

async fn story_with(tier: Tier, limits: MoverLimits) {
    let (disk, clock, state) = (Disk::new(), TestClock::new(), tempfile::tempdir().unwrap());
    assert!(tier.probe([1; 16]).await.is_ok());
    assert!(tier.probe([2; 16]).await.is_ok());
    let first = Box::pin(mover(&disk, state.path(), tier.clone(), limits, HOT, &clock)).await;
    let small = disk.record(1, START, 100_000);
    let big = disk.record(2, START, 5 * MIB + 5);
    let exact = disk.record(3, START, 5 * MIB);
    Box::pin(first.scan()).await.unwrap();
    let pass = Box::pin(first.pass()).await.unwrap();
    assert_eq!((pass.stored, pass.failed, pass.dropped), (3, 0, 3), "{:?}", first.health().borrow());
    read_all(&first, &[(1, 100_000), (2, 5 * MIB + 5), (3, 5 * MIB)], &disk).await;

    // Another recorder's ledger, made from names alone, on the same store.
    let empty = tempfile::tempdir().unwrap();
    let second = Box::pin(mover(&disk, empty.path(), tier.clone(), limits, HOT, &clock)).await;
    let rebuilt = Box::pin(second.rebuild()).await.unwrap();
    assert_eq!((rebuilt.rows, rebuilt.reconciled.listed, rebuilt.reconciled.strays), (3, 3, vec![]));
    read_all(&second, &[(1, 100_000), (2, 5 * MIB + 5), (3, 5 * MIB)], &disk).await;

    let deleted = Box::pin(second.delete(&[small.segment, big.segment])).await.unwrap();
    assert_eq!(deleted.gone.len(), 2, "{deleted:?}");
    let gone = Box::pin(gather(&first, big.segment, 0..10)).await;
    assert_eq!(gone, Err(ReadError::Missing(big.segment)), "it is gone for the first one too");
    let found = Box::pin(second.reconcile()).await.unwrap();
    assert_eq!((found.listed, found.missing.len(), found.incomplete.len()), (1, 0, 0));
    assert_eq!(Box::pin(first.reconcile()).await.unwrap().missing.len(), 2);
    assert_eq!(Box::pin(second.delete(&[exact.segment])).await.unwrap().gone.len(), 1);
    assert_eq!(Box::pin(second.reconcile()).await.unwrap().listed, 0);
}

async fn read_all(mover: &Mover, segments: &[(u32, usize)], disk: &Disk) {
    for (number, len) in segments {
        let facts = &disk.all()[usize::try_from(*number).unwrap() - 1];
        assert!(!disk.has(facts.segment));
        let whole = Box::pin(gather(mover, facts.segment, 0..facts.len)).await.unwrap();
        assert!(whole == content(*number, *len), "{number}");
        let part = Box::pin(gather(mover, facts.segment, 99..100_000)).await.unwrap();
        assert!(part == content(*number, *len)[99..100_000], "{number}");
    }
}

#[tokio::test]
async fn a_directory() {
    let folder = tempfile::tempdir().unwrap();
    Box::pin(story(directory(folder.path()))).await;
}

/// Playback reads records at places, on a blocking thread; a segment in a tier looks like a file.
#[tokio::test]
async fn a_segment_is_read_at_places_like_a_file() {
    use std::io::ErrorKind;
    let (disk, clock, state) = (Disk::new(), TestClock::new(), tempfile::tempdir().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mover = Box::pin(mover(&disk, state.path(), directory(folder.path()), big_limits(), HOT, &clock)).await;
    let facts = disk.record(1, START, MIB);
    Box::pin(mover.scan()).await.unwrap();
    assert_eq!(Box::pin(mover.pass()).await.unwrap().dropped, 1);
    let (mover, runtime, whole) = (Arc::new(mover), tokio::runtime::Handle::current(), content(1, MIB));
    let work = tokio::task::spawn_blocking(move || {
        let unknown = vms_core::SegmentId::from_bytes([7; 16]);
        let missing = tiers::SegmentFile::open(Arc::clone(&mover), unknown, runtime.clone());
        assert_eq!(missing.unwrap_err(), ReadError::Missing(unknown));
        let file = tiers::SegmentFile::open(Arc::clone(&mover), facts.segment, runtime.clone()).unwrap();
        // (offset, bytes): inside a block, over its edge, whole blocks, the end, nothing.
        let places = [(0, 10), (5, 300), (262_140, 10), (100, 600_000), (MIB - 7, 7), (0, MIB), (MIB, 0)];
        for (at, len) in places {
            let mut buffer = vec![0; len];
            file.read_exact_at(&mut buffer, at as u64).unwrap();
            assert!(buffer == whole[at..at + len], "{at} {len}");
        }
        assert_eq!(file.read_exact_at(&mut [0; 8], MIB as u64 - 7).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(file.read_exact_at(&mut [0; 8], u64::MAX).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        // Front to end, as a player goes: pieces that end in the middle of what was fetched.
        let (mut at, mut read) = (0, Vec::new());
        while at < MIB {
            let mut buffer = vec![0; 77_777.min(MIB - at)];
            file.read_exact_at(&mut buffer, at as u64).unwrap();
            at += buffer.len();
            read.extend_from_slice(&buffer);
        }
        assert!(read == whole);
        // Gone from the store, and the store gone: two answers.
        let object = files_below(folder.path()).pop().unwrap();
        std::fs::remove_file(object).unwrap();
        let again = |file: &tiers::SegmentFile| file.read_exact_at(&mut [0; 8], 5).unwrap_err().kind();
        let open = || tiers::SegmentFile::open(Arc::clone(&mover), facts.segment, runtime.clone()).unwrap();
        assert_eq!(again(&open()), ErrorKind::NotFound);
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(again(&open()), ErrorKind::TimedOut);
    });
    work.await.unwrap();
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_refused() {
    let config = tiers::config::StoreConfig {
        directory: Some(tiers::config::DirectoryConfig { folder: "/nowhere/at/all".into() }),
        s3: None,
        ..store_config("")
    };
    assert!(Tier::open(&config, None).unwrap_err().to_string().contains("mount"));
}

#[tokio::test]
async fn a_probe_takes_away_what_an_old_one_could_not_delete() {
    let folder = tempfile::tempdir().unwrap();
    let tier = directory(folder.path());
    tier.probe([1; 16]).await.unwrap();
    let probes = folder.path().join("belfry1/probe");
    std::fs::create_dir_all(&probes).unwrap();
    for (name, age_s) in [("old", 7_200), ("young", 60)] {
        let file = std::fs::File::create(probes.join(name)).unwrap();
        file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_secs(age_s)).unwrap();
    }
    tier.probe([2; 16]).await.unwrap();
    assert_eq!(files(folder.path()), ["young"]);
}

#[tokio::test]
async fn what_a_crash_left_in_a_directory_is_removed_with_the_next_try() {
    let (disk, clock, state) = (Disk::new(), TestClock::new(), tempfile::tempdir().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let facts = disk.record(1, START, 11 * MIB);
    let slow = MoverLimits { bytes_per_s: 1_000_000, ..big_limits() };
    let first = Box::pin(mover(&disk, state.path(), directory(folder.path()), slow, HOT, &clock)).await;
    Box::pin(first.scan()).await.unwrap();
    // The second part waits for its turn; then the process dies (the staged file outlives it: forgotten, not dropped).
    let pass = Box::leak(Box::new(Box::pin(async move { first.pass().await })));
    assert!(tokio::time::timeout(Duration::from_secs(1), pass).await.is_err());
    let staged = || files(folder.path()).into_iter().filter(|name| name.contains('#')).count();
    assert_eq!(staged(), 1);
    let second = Box::pin(mover(&disk, state.path(), directory(folder.path()), big_limits(), HOT, &clock)).await;
    assert_eq!(Box::pin(second.pass()).await.unwrap().stored, 1);
    assert_eq!((staged(), files(folder.path()).len()), (0, 1));
    assert!(Box::pin(gather(&second, facts.segment, 0..facts.len)).await.is_ok());
}

fn files(folder: &std::path::Path) -> Vec<String> {
    files_below(folder).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3s_fs() {
    let server = S3s::start().await;
    Box::pin(story(tier(&server.endpoint))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3s_fs_behind_tls_wants_the_authority() {
    let (server, pem) = S3s::start_tls().await;
    let credentials = Credentials::new(KEY.to_owned(), SECRET.to_owned(), None);
    let folder = tempfile::tempdir().unwrap();
    let mut config = store_config(&server.endpoint);
    let strange = Tier::open(&config, Some(&credentials)).unwrap();
    assert_eq!(strange.probe([1; 16]).await.unwrap_err().step, "write");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "no certificate").unwrap();
    config.s3.as_mut().unwrap().ca_file = Some(file.clone());
    assert!(Tier::open(&config, Some(&credentials)).unwrap_err().to_string().contains("PEM"));
    std::fs::write(&file, pem).unwrap();
    let known = Tier::open(&config, Some(&credentials)).unwrap();
    assert!(!format!("{known:?}").contains(KEY), "no credentials where somebody prints it");
    assert_eq!(known.probe([2; 16]).await.unwrap().warnings, [Warning::VersioningUnknown]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_says_what_to_mend() {
    let server = S3s::start().await;
    let error = tier_as(&server.endpoint, "another secret").probe([1; 16]).await.unwrap_err();
    assert_eq!(error.step, "write");
    assert!(error.to_string().contains("credentials"), "{error}");
    let endpoint = server.endpoint.clone();
    drop(server);
    assert_eq!(tier(&endpoint).probe([1; 16]).await.unwrap_err().step, "write");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto_without_versions() {
    let Some(server) = Moto::start().await.unwrap() else { return };
    server.bucket(false).await.unwrap();
    assert_eq!(tier(&server.endpoint()).probe([1; 16]).await.unwrap().warnings, []);
    Box::pin(story(tier(&server.endpoint()))).await;
}

/// Not read back: `moto` gives MD5 `ETag`s, of the whole and of parts, and both agree with ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto_verified_by_etag() {
    let Some(server) = Moto::start().await.unwrap() else { return };
    server.bucket(false).await.unwrap();
    Box::pin(story_with(tier(&server.endpoint()), MoverLimits { read_back_one_in: u32::MAX, ..big_limits() })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto_with_versions_keeps_nothing_of_what_was_deleted() {
    let Some(server) = Moto::start().await.unwrap() else { return };
    server.bucket(true).await.unwrap();
    assert_eq!(tier(&server.endpoint()).probe([1; 16]).await.unwrap().warnings, [Warning::Versioned]);
    let mut accepting = store_config(&server.endpoint());
    accepting.accept_versions = true;
    let credentials = Credentials::new("test-key".to_owned(), "x".to_owned(), None);
    let quiet = Tier::open(&accepting, Some(&credentials)).unwrap();
    assert_eq!(quiet.probe([1; 16]).await.unwrap().warnings, []);
    Box::pin(story(tier(&server.endpoint()))).await;
    let left = reqwest::get(format!("{}/belfry?versions", server.endpoint())).await.unwrap().text().await.unwrap();
    assert!(left.contains("ListVersionsResult"), "{left}");
    assert!(!left.contains("<VersionId>"), "{left}");
}

/// A multipart upload whose id a crash hid is found and ended by reconciling.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto_shows_unfinished_uploads_and_they_are_ended() {
    use object_store::multipart::MultipartStore as _;
    let Some(server) = Moto::start().await.unwrap() else { return };
    server.bucket(false).await.unwrap();
    let s3 = object_store::aws::AmazonS3Builder::new()
        .with_endpoint(server.endpoint())
        .with_region("us-east-1")
        .with_bucket_name("belfry")
        .with_access_key_id("test-key")
        .with_secret_access_key("x")
        .with_allow_http(true)
        .build()
        .unwrap();
    let ours = "zone/a/belfry1/rec-1/lost".into();
    let others = "zone/a/belfry1/rec-2/lost".into();
    s3.create_multipart(&ours).await.unwrap();
    s3.create_multipart(&others).await.unwrap();

    let (disk, state) = (Disk::new(), tempfile::tempdir().unwrap());
    // The test clock stands in November 2026 and moto's on the host's: far later, so that both are old enough.
    let clock = Arc::new(crate::support::Ahead);
    let mover = Mover::new(tiers::Setup {
        recorder: crate::support::recorder(),
        tiers: vec![(tier(&server.endpoint()), big_limits())],
        policy: tiers::Policy::default(),
        ledger: tiers::Ledger::open(&state.path().join("tiers.sqlite")).await.unwrap(),
        local: disk,
        clock,
        seed: 1,
        cache: None,
    });
    assert_eq!(Box::pin(mover.reconcile()).await.unwrap().ended_uploads, 1, "ours, not the other recorder's");
    assert_eq!(Box::pin(mover.reconcile()).await.unwrap().ended_uploads, 0);
}
