//! Starts one role in this process.

pub(crate) mod serve;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use link::{Role, TransportKind};
use tokio_util::sync::CancellationToken;

use crate::cli::RoleArgs;
use crate::config::{Config, TimeSource};
use crate::keys::write_durably;
use crate::shard::mark::{Mark, MarkedFactory};
use crate::shard::relay::RelayConfig;
use crate::shard::{ShardSpec, keep_shard};
use crate::wiring::system::{HostClock, SystemClock, ingest_ports, random_32};
use crate::{figures, shard};

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

/// How long a destroyed key is remembered: until its footage surely is erased everywhere.
const REMEMBER: Duration = Duration::from_hours(40 * 24);

/// The key store of footage.
pub(crate) fn footage_keys(config: &Config) -> anyhow::Result<recorder::vault::VaultConfig> {
    key_store(&config.recorder.keys, "recorder.keys", "cameras stop when their segment ends")
}

/// The key store of plate reads and findings.
pub(crate) fn read_keys(config: &Config) -> anyhow::Result<recorder::vault::VaultConfig> {
    key_store(&config.reads.keys, "reads.keys", "new reads wait in the reader's spool")
}

/// The key store of a section of the configuration; reads the credential.
fn key_store(
    config: &crate::config::Keys,
    section: &str,
    stops: &'static str,
) -> anyhow::Result<recorder::vault::VaultConfig> {
    use ::keys::{BackupPlan, CopyPaths, KeyStoreConfig, Protection, SecondCopy};
    let credential = |name: &str| -> anyhow::Result<Option<::keys::Credential>> {
        if name.is_empty() {
            return Ok(None);
        }
        let path = crate::config::Keys::credential_path(name).with_context(|| {
            format!("`{section}.credential`: `{name}` needs systemd's LoadCredentialEncrypted=, or give a whole path")
        })?;
        let read = ::keys::Credential::read(&::keys::RealDisk, &path);
        read.map(Some).with_context(|| format!("`{section}.credential`: {}", path.display()))
    };
    let protection = match (credential(&config.credential)?, credential(&config.credential_before)?) {
        (Some(to), Some(from)) => Protection::Change { from, to },
        (Some(credential), None) => Protection::Credential(credential),
        (None, _) => Protection::FileMode,
    };
    let second = if config.one_disk {
        SecondCopy::OneDisk
    } else {
        SecondCopy::At(CopyPaths { store: config.second_store.clone(), root: config.second_root.clone() })
    };
    let first = CopyPaths { store: config.store.clone(), root: config.root.clone() };
    let hours = |count: u32| Duration::from_secs(u64::from(count) * 3_600);
    let backup = (!config.backup.as_os_str().is_empty()).then(|| {
        let plan = BackupPlan {
            folder: config.backup.clone(),
            keys: config.backup_keys.clone(),
            protection: protection.clone(),
            life: hours(72),
        };
        (plan, hours(config.backup_every_hours))
    });
    Ok(recorder::vault::VaultConfig {
        gate: Some(::keys::GatePlan {
            folder: config.gate.clone(),
            copy: (!config.gate_copy.as_os_str().is_empty()).then(|| config.gate_copy.clone()),
            protection: protection.clone(),
        }),
        store: KeyStoreConfig { first, second, protection, remember: REMEMBER },
        root_every: hours(config.root_change_hours),
        backup,
        stops,
    })
}

/// The tiers of the configuration, with what a library does not read by itself.
fn tiering(config: tiers::Config) -> recorder::tiering::TierConfig {
    let seed = random_32().first_chunk::<8>().copied().map_or(0, u64::from_be_bytes);
    recorder::tiering::TierConfig { config, environment: crate::config::environment, seed }
}

/// Records until told to stop.
pub(crate) async fn recorder(config: &Config, stop: CancellationToken) -> anyhow::Result<()> {
    prepare_run_dir(config)?;
    let dir = config.recorder.dir.clone();
    let Some(gate) = gate_key(config, &dir, &stop).await? else { return Ok(()) };
    // Before the first key: what is touched from here on stays out of the swap.
    if let Err(error) = ::keys::lock_memory() {
        tracing::warn!(%error, "keys may reach the swap: give the unit LimitMEMLOCK=infinity, or run without swap");
    }
    let settings = recorder::RecorderConfig {
        keys: Some(footage_keys(config)?),
        disk_cap_bytes: Some(config.recorder.disk_cap_mib.saturating_mul(1 << 20)),
        ballast_bytes: config.recorder.keep_free_mib.saturating_mul(1 << 20),
        keep_longest: config.recorder.keep_longest.clone(),
        tier: config.recorder.tier.clone().map(tiering),
        ..recorder::RecorderConfig::new(dir, config.socket("recorder"), gate)
    };
    let mark = (config.recorder.time == TimeSource::Ntp).then(|| config.recorder.time_mark.clone());
    let clock = HostClock { mark };
    let list = config.recorder.dir.join("assignment.json");
    let figures = figures::serve_recorder(&config.paths.run, config.socket("recorder"), list, stop.clone())?;
    harden::filter_calls()?;
    let outcome = recorder::run(settings, Arc::new(clock), stop).await.context("recorder");
    drop(figures.await);
    outcome
}

/// Serves the cameras of one ingest process. Confines itself before the first packet.
pub(crate) async fn ingest_child(config: &Config, args: &RoleArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let run = &config.paths.run;
    let mark = args.mark.as_deref().map(Mark::create).transpose().context("opening the mark")?;
    let abort_file = cfg!(debug_assertions).then(|| run.join("abort-at"));
    let factory = MarkedFactory { mark: mark.map(Arc::new), memory: memory(), abort_file };
    let figures = figures::serve(run, &format!("ingest-{}", args.instance), stop.clone())?;
    ingest::confine(run, &[]).context("confining file access")?;
    harden::filter_calls()?;
    let uplink = args.uplink.clone().unwrap_or_else(|| config.socket("recorder"));
    let settings = ingest::IngestConfig::standard(uplink, args.instance, vec![TransportKind::Retina]);
    ingest::run(settings, ingest_ports(Arc::new(factory)), stop).await;
    drop(figures.await);
    Ok(())
}

fn memory() -> Option<Arc<ingest::Memory>> {
    let opened = ingest::Memory::open();
    if let Err(error) = &opened {
        tracing::warn!(%error, "memory of this process cannot be read: only time bounds what a camera may send");
    }
    opened.ok().map(Arc::new)
}

/// Keeps the ingest process of one shard running.
pub(crate) async fn keeper(config: &Config, config_path: &Path, instance: u32) -> anyhow::Result<()> {
    prepare_run_dir(config)?;
    let stop = stop_signal()?;
    let figures = figures::serve(&config.paths.run, &format!("keeper-{instance}"), stop.clone())?;
    let shard = ShardSpec {
        program: own_program()?,
        config: std::path::absolute(config_path)?,
        run: config.paths.run.clone(),
        notes: crate::wiring::log_notes::folder(&config.paths.state),
        instance,
        grace: Duration::from_secs(5),
    };
    keep_shard(shard, stop).await;
    drop(figures.await);
    Ok(())
}

/// Between the recorder and the processes of a shard.
pub(crate) async fn relay(config: &Config, args: &RoleArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let apart: Result<Vec<_>, _> = args.apart.iter().map(|text| text.parse()).collect();
    let settings = RelayConfig {
        recorder: config.socket("recorder"),
        listen: args.uplink.clone().context("a relay needs --uplink")?,
        instance: args.instance,
        apart: apart.map_err(|_| anyhow::anyhow!("--apart wants `str_…`"))?,
    };
    let listener = shard::relay::bind(&settings)?;
    ingest::confine(&config.paths.run, &[]).context("confining file access")?;
    harden::filter_calls()?;
    shard::relay::run(settings, listener, SystemClock::wall_now, stop).await;
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
    let factory = MarkedFactory { mark: None, memory: memory(), abort_file: None };
    let figures = figures::serve(&config.paths.run, "gateway", stop.clone())?;
    harden::filter_calls()?;
    let relaying = recorder::run(relay, Arc::new(SystemClock), stop.clone());
    let pulling = ingest::run(settings, ingest_ports(Arc::new(factory)), stop);
    let (outcome, ()) = tokio::join!(relaying, pulling);
    drop(figures.await);
    outcome.context("gateway")
}

/// Where this program lies, for starting itself as another role.
pub(crate) fn own_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("finding this program's own file")
}
