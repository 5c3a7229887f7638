//! What wants a person at the recorder reaches `/health` at once: over a connection of its own, on which the recorder answers when its
//! alarms change. The copier's connection may wait for a disk that stands, which is what has to be told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use link::{Connection, Control, Role};
use tokio::net::UnixStream;
use vms_app::UseCases;

/// The recorder answers within five seconds even when nothing changed; one that does not is gone.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Follows the alarms of one recorder.
#[derive(Debug)]
pub(crate) struct AlarmFollower {
    cases: Arc<UseCases>,
    socket: PathBuf,
}

impl AlarmFollower {
    pub(crate) const fn new(cases: Arc<UseCases>, socket: PathBuf) -> Self {
        Self { cases, socket }
    }

    /// Follows until the connection ends.
    pub(crate) async fn follow(&self) -> anyhow::Result<()> {
        let connecting = link::connect(&self.socket, Role::Serve, 0, Role::Recorder);
        let mut connection: Connection<UnixStream> = connecting.await.context("connecting")?;
        loop {
            let known = self.cases.storage_health().alarms;
            let asking = connection.ask(Control::AlarmsWait { known });
            let answer = tokio::time::timeout(ANSWER_MAX, asking).await.context("the recorder does not answer")??;
            let Control::AlarmsReport { storage } = answer else { anyhow::bail!("the recorder answered out of turn") };
            let link::message::StorageHealth { alarms, detail, spares, .. } = storage;
            self.cases.storage_report(vms_app::health::StorageHealth { alarms, detail, spares });
        }
    }
}
