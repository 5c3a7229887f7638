//! What a person should see of this recorder besides its streams: alarms as stable words, and how the disk stands.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use vms_core::MonoTime;

use super::{Shared, keeper, lock};
use crate::deletions::Step;
use crate::ladder::{Admission, Look};
use crate::reconcile::{self, Reconciled};
use crate::sweep::{Carried, Sweep};
use crate::trust::{ALARM_AFTER, BLOCK_AFTER, ClockLook, Held};

/// Something that wants a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Alarm {
    /// The wall clock moved: nothing is destroyed until it is back or two people say that it is right.
    ClockStepped,
    /// No trusted time for six hours.
    ClockUntrusted,
    /// No trusted time for a day: what is past its latest possible term is not handed out.
    ReadingBlocked,
    /// More is due at once than in one and a half days: two people have to approve.
    BatchWaits,
    /// Footage past its first term that a decision keeps cannot move behind the magistrate's gate: there is none to be had.
    GateWaits,
    /// Somebody came with a magistrate's decision, and the medium with the key of the gate is not attached.
    GateAway,
    /// A key or a file outlives its term.
    Overdue,
    /// Rows, files and keys do not agree.
    Disagreement,
    /// The disk does not answer: what arrives waits in memory.
    DiskStands,
    /// The disk has less than twelve hours left.
    DiskLow,
    /// What is optional has stopped for want of room.
    DiskSpare,
    /// Footage goes before its term.
    DiskLoses,
    /// There is nothing left that may go.
    DiskExhausted,
    /// This disk cannot keep what the cameras need.
    DiskTooSmall,
}

impl Alarm {
    /// Stable word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ClockStepped => "clock_stepped",
            Self::ClockUntrusted => "clock_untrusted",
            Self::ReadingBlocked => "reading_blocked",
            Self::BatchWaits => "batch_waits",
            Self::GateWaits => "gate_waits",
            Self::GateAway => "gate_away",
            Self::Overdue => "overdue",
            Self::Disagreement => "disagreement",
            Self::DiskStands => "disk_stands",
            Self::DiskLow => "disk_low",
            Self::DiskSpare => "disk_spare",
            Self::DiskLoses => "disk_loses",
            Self::DiskExhausted => "disk_exhausted",
            Self::DiskTooSmall => "disk_too_small",
        }
    }
}

/// The board of one recorder.
#[derive(Debug, Default)]
pub(crate) struct Board {
    alarms: BTreeSet<Alarm>,
    /// Whoever waits for another set of alarms.
    changed: watch::Sender<()>,
    /// How the disk stands.
    pub(crate) room: Look,
    /// Whether cameras and disk fit; `None` before the first look.
    pub(crate) admission: Option<Admission>,
    /// How far the catalogue and the log of uses are with this recorder.
    pub(crate) carried: Carried,
    /// When somebody last came with a magistrate's decision for a gate whose medium was not attached.
    pub(crate) gate_asked: Option<MonoTime>,
}

impl Board {
    /// Puts an alarm up or takes it down; says it once.
    pub(crate) fn set(&mut self, alarm: Alarm, is_on: bool) {
        let changed = if is_on { self.alarms.insert(alarm) } else { self.alarms.remove(&alarm) };
        if changed {
            self.changed.send_replace(());
            metrics::gauge!("recorder_alarm", "alarm" => alarm.as_str()).set(f64::from(u8::from(is_on)));
            if is_on {
                tracing::error!(alarm = alarm.as_str(), "ALARM");
            } else {
                tracing::warn!(alarm = alarm.as_str(), "an alarm is over");
            }
        }
    }

    /// Told of each change of the alarms.
    pub(crate) fn follow(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The alarms that are up.
    pub(crate) fn alarms(&self) -> Vec<String> {
        self.alarms.iter().map(|alarm| alarm.as_str().to_owned()).collect()
    }
}

/// A magistrate's decision that nobody repeats for so long waits no more: a day, microseconds.
const GATE_ASKED_US: u64 = 86_400_000_000;

/// Somebody with a magistrate's decision was refused for want of the gate's medium, or was served.
pub(super) fn note_gate(shared: &Shared, is_away: bool) {
    let mut board = lock(&shared.board);
    board.gate_asked = is_away.then(|| shared.clock.mono());
    board.set(Alarm::GateAway, is_away);
}

/// Takes the alarm down when the medium is attached, or when nobody came again for a day.
pub(super) async fn look_at_gate(shared: &Shared) {
    let Some(asked) = lock(&shared.board).gate_asked else { return };
    let is_old = shared.clock.mono().micros.saturating_sub(asked.micros) > GATE_ASKED_US;
    let vault = Arc::clone(&shared.vault);
    let is_away = tokio::task::spawn_blocking(move || vault.is_gate_away()).await.unwrap_or(true);
    let mut board = lock(&shared.board);
    if (is_old || !is_away) && board.gate_asked == Some(asked) {
        board.gate_asked = None;
        board.set(Alarm::GateAway, false);
    }
}

/// What waits before the gate, in words; `None`: nothing.
pub(super) fn gate_words(shared: &Shared) -> Option<String> {
    let waiting = shared.vault.gate_waiting();
    (waiting > 0).then(|| format!("{waiting} camera hours past their first term wait for the magistrate's gate"))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for a dashboard")]
pub(super) fn gauge(name: &'static str, value: u64) {
    metrics::gauge!(name).set(value as f64);
}

/// Figures and alarms of the clock. A role that records nothing has nothing to destroy.
pub(super) fn note_clock(shared: &Shared, look: &ClockLook) {
    if !shared.vault.is_configured() {
        return;
    }
    metrics::gauge!("recorder_sweep_held").set(f64::from(u8::from(look.now.is_err())));
    gauge("recorder_clock_untrusted_seconds", look.without_for.as_secs());
    let mut board = lock(&shared.board);
    board.set(Alarm::ClockStepped, look.now == Err(Held::Stepped));
    board.set(Alarm::ClockUntrusted, look.without_for >= ALARM_AFTER);
    board.set(Alarm::ReadingBlocked, look.without_for >= BLOCK_AFTER);
}

/// The daily comparison; what it found goes into the records.
pub(super) async fn reconcile(shared: &Arc<Shared>, sweep: &mut Sweep) {
    let (media, terms) = (shared.config.media(), keeper::terms(shared));
    let Ok(now) = shared.trust.look().now else {
        tracing::warn!("keys, rows and files are not compared: the wall clock cannot be trusted");
        return;
    };
    match reconcile::reconcile(&media, &shared.index, &shared.vault, &terms, now).await {
        Ok(found) => {
            note_reconciled(shared, &found);
            if let Err(error) = sweep.note(Step::Reconciled(found), now) {
                tracing::error!(%error, "the comparison of keys, rows and files is not in the records");
            }
        }
        Err(error) => tracing::error!(%error, "keys, rows and files could not be compared"),
    }
}

fn note_reconciled(shared: &Shared, found: &Reconciled) {
    gauge("recorder_overdue_keys", found.overdue_keys);
    gauge("recorder_overdue_files", found.overdue_files);
    gauge("recorder_keyless_files", found.keyless_files);
    gauge("recorder_missing_files", found.missing_files);
    gauge("recorder_unknown_files", found.unknown_files);
    metrics::counter!("recorder_reconciled_total").increment(1);
    let mut board = lock(&shared.board);
    board.set(Alarm::Overdue, found.is_overdue());
    board.set(Alarm::Disagreement, !found.is_clean() && !found.is_overdue());
    drop(board);
    if found.is_clean() {
        tracing::info!(keys = found.keys, files = found.files, "keys, rows and files agree");
    } else {
        tracing::error!(?found, "keys, rows and files do not agree");
    }
}
