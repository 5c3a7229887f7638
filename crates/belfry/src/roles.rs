//! Starts one role in this process.

pub(crate) mod serve;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use link::{Role, TransportKind};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::keys::write_durably;
use crate::wiring::system::{SystemClock, ingest_ports};

/// Cancelled by SIGTERM or SIGINT; a second signal ends the process at once.
pub(crate) fn stop_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let raised = stop.clone();
    drop(tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        raised.cancel();
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        std::process::exit(130);
    }));
    Ok(stop)
}

/// The folder of sockets, for this user only.
pub(crate) fn prepare_run_dir(config: &Config) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let run = &config.paths.run;
    std::fs::create_dir_all(run).with_context(|| format!("making {}", run.display()))?;
    std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o750))?;
    Ok(())
}

/// The gate's public key, as `serve` publishes it in the run folder. A copy in the role's own folder outlives a reboot, so
/// that a recorder starts with nothing else running; on a fresh installation the role waits for the first one.
async fn gate_key(config: &Config, own: &Path, stop: &CancellationToken) -> anyhow::Result<Option<[u8; 32]>> {
    let (published, kept) = (config.gate_key_file(), own.join("gate.pub"));
    loop {
        for path in [&published, &kept] {
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            let mut key = [0_u8; 32];
            hex::decode_to_slice(text.trim(), &mut key).with_context(|| format!("{} is no key", path.display()))?;
            if path == &published {
                write_durably(&kept, text.as_bytes(), 0o600)?;
            }
            return Ok(Some(key));
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
}

/// Records until told to stop.
pub(crate) async fn recorder(config: &Config, stop: CancellationToken) -> anyhow::Result<()> {
    prepare_run_dir(config)?;
    let dir = config.recorder.dir.clone();
    let Some(gate) = gate_key(config, &dir, &stop).await? else { return Ok(()) };
    let settings = recorder::RecorderConfig {
        disk_cap_bytes: Some(config.recorder.disk_cap_mib.saturating_mul(1 << 20)),
        ballast_bytes: config.recorder.keep_free_mib.saturating_mul(1 << 20),
        ..recorder::RecorderConfig::new(dir, config.socket("recorder"), gate)
    };
    recorder::run(settings, Arc::new(SystemClock), stop).await.context("recorder")
}

/// Makes the normal transport, and no other.
#[derive(Debug)]
struct RetinaOnly;

impl ingest::TransportFactory for RetinaOnly {
    fn make(&self, kind: TransportKind) -> Option<Box<dyn ingest::Transport>> {
        match kind {
            TransportKind::Retina => Some(Box::new(ingest::RetinaTransport::default())),
            TransportKind::GstTcp | TransportKind::GstUdp => None,
        }
    }
}

/// Serves the cameras of one ingest child. Confines itself before the first packet.
pub(crate) async fn ingest_child(config: &Config, instance: u32, stop: CancellationToken) -> anyhow::Result<()> {
    ingest::confine(&config.paths.run, &[]).context("confining file access")?;
    let settings = ingest::IngestConfig::standard(config.socket("recorder"), instance, vec![TransportKind::Retina]);
    ingest::run(settings, ingest_ports(Arc::new(RetinaOnly)), stop).await;
    Ok(())
}

/// Partner sessions: a live origin that records nothing, with its own ingest beside it in the same process.
pub(crate) async fn gateway(config: &Config, stop: CancellationToken) -> anyhow::Result<()> {
    prepare_run_dir(config)?;
    let dir = config.paths.state.join("gateway");
    let Some(gate) = gate_key(config, &dir, &stop).await? else { return Ok(()) };
    let relay = recorder::RecorderConfig {
        origin: recorder::Origin::Gateway,
        ballast_bytes: 0,
        ..recorder::RecorderConfig::new(dir, config.socket("gateway"), gate)
    };
    let settings = ingest::IngestConfig {
        recorder_role: Role::Gateway,
        ..ingest::IngestConfig::standard(config.socket("gateway"), 0, vec![TransportKind::Retina])
    };
    let relaying = recorder::run(relay, Arc::new(SystemClock), stop.clone());
    let pulling = ingest::run(settings, ingest_ports(Arc::new(RetinaOnly)), stop);
    let (outcome, ()) = tokio::join!(relaying, pulling);
    outcome.context("gateway")
}

/// Where this program lies, for starting itself as another role.
pub(crate) fn own_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("finding this program's own file")
}
