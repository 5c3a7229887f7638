//! The key store of plate reads and findings: open, tended, and handed to the store that seals with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use keys::{GateSecret, KeyError, KeyRing};
use recorder::vault::Vault;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_core::WallTime;
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
pub(crate) struct VaultKeys {
    pub(crate) vault: Arc<Vault>,
    /// Where two people lay an approval in (`belfry keys --of reads approve`).
    pub(crate) approvals: PathBuf,
}

impl KeyAccess for VaultKeys {
    fn with(&self, work: &mut dyn FnMut(&KeyRing) -> Result<(), KeyError>) -> Result<(), KeyError> {
        self.vault.with(|ring| work(ring))
    }

    fn take_approval(&self, until_hour: u32) -> bool {
        let path = self.approvals.join("approval.json");
        let Ok(raw) = std::fs::read(&path) else { return false };
        let given = serde_json::from_slice::<recorder::deletions::Approval>(&raw).ok();
        // It serves once, whatever it says.
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::error!(%error, "an approval cannot be removed: it does not serve");
            return false;
        }
        let is_given = given.is_some_and(|given| given.until_hour >= until_hour);
        tracing::warn!(is_given, until_hour, "two people let an unusual batch of reads be erased");
        is_given
    }

    fn ensure_gate(&self, now: WallTime) -> Result<(), KeyError> {
        self.vault.ensure_gate(now)
    }

    fn gate_secrets(&self) -> Vec<GateSecret> {
        self.vault.open_gate().into_secrets()
    }
}
