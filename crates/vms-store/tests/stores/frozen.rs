//! A PostgreSQL that is frozen: its connections stay, its answers don't come. Nothing waits longer than it was told, a commit
//! without an answer is told as such, and a thawed server is in use again without a word.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;
use vms_app::model::Org;
use vms_app::ports::{OrgStore as _, StoreError};
use vms_app::words::OrgKind;
use vms_core::{OrgId, WallTime};
use vms_store::{Store, StoreSettings};

/// Short, so that the other tests of this process hardly notice the freeze.
const ANSWER_MAX: Duration = Duration::from_millis(600);

/// What waits for the server itself takes 20 s; on a busy machine a bound is late, and still a bound.
const ENDLESS: Duration = Duration::from_secs(10);

/// The test server's processes, frozen until dropped.
struct Frozen(Vec<String>);

impl Frozen {
    fn server() -> Self {
        let dir = std::env::temp_dir().join(format!("belfry-pg-{}", std::process::id()));
        let pid_file: PathBuf = dir.join("data/postmaster.pid");
        let text = std::fs::read_to_string(pid_file).unwrap();
        let postmaster = text.lines().next().unwrap().trim().to_owned();
        let mut frozen = Self(vec![postmaster.clone()]);
        // The postmaster first: from then on nobody new comes, and whoever goes meanwhile need not be stopped.
        frozen.signal("-STOP");
        let backends = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        frozen.0.extend(backends.split_whitespace().map(str::to_owned));
        frozen.signal("-STOP");
        frozen
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(signal).args(&self.0).stderr(Stdio::null()).status();
        // A process that went meanwhile makes `kill` fail; the others got the signal.
        assert!(sent.is_ok());
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

fn org() -> Org {
    Org {
        id: OrgId::from_bytes([1; 16]),
        code: "O1".to_owned(),
        name_nl: "Zone".to_owned(),
        name_fr: "Zone".to_owned(),
        kind: OrgKind::PoliceZone,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_told_in_time_and_a_thawed_one_is_used_again() {
    let url = vms_testkit::postgres::database().await.unwrap();
    // What is not about the freeze goes through a store that waits as long as a busy machine needs.
    let calm = Store::open(&StoreSettings { url: url.clone(), connections_max: 2 }).unwrap();
    calm.migrate(WallTime::from_secs(1_700_000_000)).await.unwrap();
    calm.org_put(&org()).await.unwrap();
    let store = Store::open_bounded(&StoreSettings { url, connections_max: 4 }, ANSWER_MAX).unwrap();
    let patience = Instant::now() + Duration::from_secs(20);
    while let Err(error) = store.org_list().await {
        assert!(Instant::now() < patience, "no connection: {error}");
    }

    // A statement that is on its way when nothing comes back any more.
    let asked = Instant::now();
    let slow = sqlx::query("select pg_sleep(20)").execute(store.read()).await.map_err(vms_store::db::db_error);
    assert!(matches!(slow, Err(StoreError::Unavailable(_))), "{slow:?}");
    assert!(asked.elapsed() < ENDLESS, "{:?}", asked.elapsed());

    let mut txn = store.begin().await.unwrap();
    sqlx::query("update org set name_nl = 'Anders'").execute(&mut store.writing(&mut txn)).await.unwrap();
    {
        let frozen = Frozen::server();
        let asked = Instant::now();
        assert!(matches!(store.org_list().await, Err(StoreError::Unavailable(_))), "reading");
        assert!(matches!(store.org_put(&org()).await, Err(StoreError::Unavailable(_))), "writing");
        let outcome = store.settle(txn, Ok(()), 1).await;
        assert!(matches!(outcome, Some(Err(StoreError::OutcomeUnknown(_)))), "a commit without an answer: {outcome:?}");
        assert!(asked.elapsed() < ENDLESS, "{:?}", asked.elapsed());
        drop(frozen);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let orgs = loop {
        match store.org_list().await {
            // Another connection may look before the thawed one has done what it was told.
            Ok(orgs) if orgs.first().is_some_and(|org| org.name_nl == "Anders") => break orgs,
            other => assert!(Instant::now() < deadline, "the thawed server is not used again: {other:?}"),
        }
    };
    // That commit reached the server before it could answer: unknown was the truth, and "unavailable" would not have been.
    assert_eq!(orgs.len(), 1);
    let again = Org { name_nl: "Zone 2".to_owned(), ..org() };
    while let Err(error) = store.org_put(&again).await {
        assert!(Instant::now() < deadline, "the thawed server takes nothing: {error}");
    }
    assert_eq!(calm.org_list().await.unwrap().first().unwrap().name_nl, "Zone 2");
}
