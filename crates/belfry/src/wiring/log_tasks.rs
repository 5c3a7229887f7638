//! What `serve` does for the log of uses beside its own thread: starts and stops, the configuration, steps of the clock, witnesses, what
//! the recorder accounts for, notes of other processes, and the end of the term of details.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use audit::LeafKind;
use recorder::ports::Clock as _;
use serde_json::{Value, json};
use sha2::Digest as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_app::UseCases;
use vms_app::gate::{AuditLog as _, LogEntry};
use vms_core::{MonoTime, WallTime};
use vms_store::Store;
use vms_store::log::Sequencer;

use crate::config::Config;
use crate::keys::write_durably;
use crate::wiring::carrier::LogCarrier;
use crate::wiring::copiers::every;
use crate::wiring::log_notes::{self, NotesCarrier};
use crate::wiring::log_terms::Terms;
use crate::wiring::system::SystemClock;
use crate::wiring::witnesses::Witnesses;

/// One leaf for all new segments so often, whatever the number of cameras (reliability.md 4.2.4).
const RECORDS_EVERY: Duration = Duration::from_secs(10);
/// So often the two clocks of the host are compared.
const CLOCK_EVERY: Duration = Duration::from_secs(10);
/// A wall clock that went this much further than the other one was set.
const STEP_US: i64 = 5_000_000;
/// So often details past their term are looked for.
const TERMS_EVERY: Duration = Duration::from_secs(3_600);

/// What the tasks need of `serve`.
pub(crate) struct LogParts {
    pub(crate) cases: Arc<UseCases>,
    pub(crate) store: Arc<Store>,
    pub(crate) log: Sequencer,
    /// Public key of the log.
    pub(crate) key: String,
}

impl LogParts {
    async fn leaf(&self, kind: LeafKind, operation: &str, details: Value) -> anyhow::Result<u64> {
        let details = json!({ "operation": operation, "actor": null, "details": details });
        let entry = LogEntry { kind, at: self.cases.clock().now(), decision: None, refers: None, details };
        self.log.append(entry).await.map_err(|error| anyhow::anyhow!(error)).context("writing a leaf")
    }

    /// The leaf of the end of this process.
    pub(crate) async fn stopped(&self) {
        loop {
            match self.cases.gate().settle_owed().await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "uses ended without their closing leaf");
                    break;
                }
            }
        }
        if let Err(error) = self.leaf(LeafKind::System, "stopped", json!({ "role": "serve" })).await {
            tracing::error!(error.chain = %format!("{error:#}"), "the log does not say that this process stopped");
        }
    }
}

/// Writes the leaf of the start and starts the tasks.
///
/// # Errors
/// The log takes no leaf, or a witness's key does not read.
pub(crate) async fn spawn(
    config: &Config,
    parts: &Arc<LogParts>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let details = json!({ "role": "serve", "release": env!("CARGO_PKG_VERSION") });
    parts.leaf(LeafKind::System, "started", details).await.context("the leaf of the start")?;
    note_configuration(config, parts).await?;
    let peers: Vec<_> = config.log.witness.iter().map(|peer| (peer.url.clone(), peer.key.clone())).collect();
    let witnesses = Witnesses::new(Arc::clone(&parts.cases), parts.log.clone(), parts.key.clone(), &peers)?;
    let witnesses = Arc::new(witnesses);
    tasks.spawn(every("witnesses of the log", Duration::from_secs(2), stop.clone(), move || {
        let witnesses = Arc::clone(&witnesses);
        async move { witnesses.round().await }
    }));
    let (cases, store, socket) = (Arc::clone(&parts.cases), Arc::clone(&parts.store), config.socket("recorder"));
    let carrier = Arc::new(LogCarrier::new(cases, store, parts.log.clone(), socket));
    tasks.spawn(every("records for the log", RECORDS_EVERY, stop.clone(), move || {
        let carrier = Arc::clone(&carrier);
        async move { carrier.round().await }
    }));
    let (cases, store, dir) =
        (Arc::clone(&parts.cases), Arc::clone(&parts.store), log_notes::folder(&config.paths.state));
    let notes = Arc::new(NotesCarrier::new(cases, store, parts.log.clone(), dir));
    tasks.spawn(every("notes for the log", Duration::from_secs(1), stop.clone(), move || {
        let notes = Arc::clone(&notes);
        async move { notes.round().await }
    }));
    let (own, last) = (Arc::clone(parts), Arc::new(std::sync::Mutex::new(None)));
    tasks.spawn(every("steps of the clock", CLOCK_EVERY, stop.clone(), move || {
        let (own, last) = (Arc::clone(&own), Arc::clone(&last));
        async move { note_clock(&own, &last).await }
    }));
    let terms = Arc::new(Terms::embedded(Arc::clone(&parts.cases), Arc::clone(&parts.store), parts.log.clone())?);
    tasks.spawn(every("terms of the log's details", TERMS_EVERY, stop.clone(), move || {
        let terms = Arc::clone(&terms);
        async move { terms.round().await }
    }));
    Ok(())
}

type Clocks = (WallTime, MonoTime);

/// Where the wall clock should be and where it is, when it was set.
fn stepped(before: Clocks, now: Clocks) -> Option<(WallTime, WallTime)> {
    let went = i64::try_from(now.1.micros.saturating_sub(before.1.micros)).unwrap_or(i64::MAX);
    let wanted = WallTime::from_micros(before.0.micros.saturating_add(went));
    // One that was set back shows in the order of the leaves: the sequencer itself says that.
    (now.0.micros_since(wanted) > STEP_US).then_some((wanted, now.0))
}

async fn note_clock(parts: &LogParts, last: &std::sync::Mutex<Option<Clocks>>) -> anyhow::Result<()> {
    let now = (SystemClock.wall(), SystemClock.mono());
    let before = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(now);
    if let Some((from, to)) = before.and_then(|before| stepped(before, now)) {
        let details = json!({ "from_us": from.micros, "to_us": to.micros });
        parts.leaf(LeafKind::System, "clock_step", details).await?;
    }
    Ok(())
}

/// Every setting with the digest of its value: secrets may stand in an address of a database.
fn settings_of(value: &Value, name: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let below = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                settings_of(value, &below, into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            into.insert(name.to_owned(), hex::encode(sha2::Sha256::digest(value.to_string().as_bytes())));
        }
    }
}

/// Names of the settings that differ, sorted.
fn changed(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != now.get(*name)).cloned().collect()
}

/// A leaf when the configuration is another one than at the last start: which settings, never their values.
async fn note_configuration(config: &Config, parts: &LogParts) -> anyhow::Result<()> {
    let mut now = BTreeMap::new();
    settings_of(&serde_json::to_value(config)?, "", &mut now);
    let path = config.paths.state.join("config.seen");
    let before: Option<BTreeMap<String, String>> = read_seen(&path)?;
    let differ = before.as_ref().map_or_else(Vec::new, |before| changed(before, &now));
    if !differ.is_empty() {
        let details = json!({ "settings": differ });
        parts.leaf(LeafKind::Change, "configuration_changed", details).await?;
    }
    if before.as_ref() != Some(&now) {
        // After the leaf: killed in between, the change is told twice rather than not at all.
        write_durably(&path, &serde_json::to_vec(&now)?, 0o600)?;
    }
    Ok(())
}

fn read_seen(path: &Path) -> anyhow::Result<Option<BTreeMap<String, String>>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // One that does not read tells nothing; every setting then counts as changed.
        bytes => Ok(Some(serde_json::from_slice(&bytes.context("config.seen")?).unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_forward_is_noted_and_one_that_goes_is_not() {
        let at = |wall_s: i64, mono_s: u64| (WallTime::from_secs(wall_s), MonoTime { micros: mono_s * 1_000_000 });
        for (before, now, wanted) in [
            (at(1_000, 10), at(1_010, 20), None),
            (at(1_000, 10), at(1_014, 20), None),
            (at(1_000, 10), at(1_016, 20), Some((1_010, 1_016))),
            // The machine slept: both clocks went on.
            (at(1_000, 10), at(9_000, 8_010), None),
            (at(1_000, 10), at(1_000 + 31 * 86_400, 20), Some((1_010, 1_000 + 31 * 86_400))),
            // Set back: the sequencer's own.
            (at(1_000, 10), at(400, 20), None),
        ] {
            let wanted = wanted.map(|(from, to)| (WallTime::from_secs(from), WallTime::from_secs(to)));
            assert_eq!(stepped(before, now), wanted, "{before:?} {now:?}");
        }
    }

    #[test]
    fn a_change_of_the_configuration_names_settings_and_no_values() {
        let digest = |config: &Config| {
            let mut found = BTreeMap::new();
            settings_of(&serde_json::to_value(config).unwrap(), "", &mut found);
            found
        };
        let before = Config::default();
        let mut after = before.clone();
        after.database.url = "postgres://belfry:planted-secret@db/belfry".into();
        after.log.public = !after.log.public;
        let (before, after) = (digest(&before), digest(&after));
        assert_eq!(changed(&before, &before), Vec::<String>::new());
        assert_eq!(changed(&before, &after), ["database.url", "log.public"]);
        assert!(before.len() > 30 && !format!("{after:?}").contains("planted-secret"));
    }
}
