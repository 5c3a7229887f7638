//! The key store of plate reads and findings: open, tended, and handed to the store that seals with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use keys::{KeyError, KeyRing};
use recorder::vault::Vault;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_store::{KeyAccess, LezVault, Store};

use super::copiers::every;
use super::system::SystemClock;
use crate::config::Config;

/// The folder that remembers which key store sealed the reads (`keys.id`).
pub(crate) fn reads_dir(config: &Config) -> PathBuf {
    config.paths.state.join("reads")
}

/// Opens the key store; one that is away is tried again by [`tend`], and no read is taken meanwhile. A new one is made only where
/// nothing was ever sealed.
///
/// # Errors
/// The configuration, the folder, the database.
pub(crate) async fn open(config: &Config, store: &Store) -> anyhow::Result<Arc<Vault>> {
    let (keys, dir) = (crate::roles::read_keys(config)?, reads_dir(config));
    tokio::fs::create_dir_all(&dir).await.with_context(|| dir.display().to_string())?;
    let is_new = !LezVault::is_sealed(store).await.context("looking for sealed reads")?;
    let vault = tokio::task::spawn_blocking(move || Vault::open(Some(keys), &dir, is_new, Arc::new(SystemClock)));
    Ok(Arc::new(vault.await.context("opening the key store of reads")?))
}

/// Gets a lost copy back, changes the root, makes and expires backups, when due.
pub(crate) fn tend(vault: &Arc<Vault>, tasks: &TaskTracker, stop: &CancellationToken) {
    let vault = Arc::clone(vault);
    tasks.spawn(every("keys of reads", Duration::from_secs(1), stop.clone(), move || {
        let vault = Arc::clone(&vault);
        async move { tokio::task::spawn_blocking(move || vault.tend()).await.context("tending the key store") }
    }));
}

/// The key store as the store of reads asks it.
#[derive(Debug)]
pub(crate) struct VaultKeys(pub(crate) Arc<Vault>);

impl KeyAccess for VaultKeys {
    fn with(&self, work: &mut dyn FnMut(&KeyRing) -> Result<(), KeyError>) -> Result<(), KeyError> {
        self.0.with(|ring| work(ring))
    }
}
