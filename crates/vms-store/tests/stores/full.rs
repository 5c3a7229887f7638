//! A disk without room under SQLite: what failed failed, and the store goes on when there is room.

use vms_app::ports::{CameraStore as _, OrgStore as _};
use vms_store::{Store, StoreSettings};

use crate::suite::{camera_of, org_of};

#[tokio::test]
async fn a_full_disk_does_not_stop_the_store_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("belfry.db").display());
    let store = Store::open(&StoreSettings { url, connections_max: 2 }).unwrap();
    store.migrate(vms_core::WallTime::from_secs(1)).await.unwrap();
    let org = store.org_put(&org_of(1)).await.unwrap();
    for n in 1..=3_u8 {
        // What SQLite does by itself when a write finds no space; sqlx does not hear of it.
        let mut txn = store.begin().await.unwrap();
        sqlx::query("rollback").execute(&mut *txn).await.unwrap();
        drop(txn);
        store.camera_insert(&[camera_of(n, org)]).await.unwrap();
        assert_eq!(store.camera_list().await.unwrap().len(), usize::from(n));
    }
}
