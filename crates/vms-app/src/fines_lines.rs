//! From an approved finding to a line of a batch: decided once more, with what was handed over of the vehicle, so that there is one
//! fine for each vehicle and period whatever the order in which people approved.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use traffic_rules::Day;
use traffic_rules::lez::{FineId, History, LezInput, LezOutcome, PriorFine, PriorWarning, RuleSet, decide};
use traffic_rules::trajectory::{self, TrajectoryInput, TrajectoryOutcome, TrajectoryVerdict};
use traffic_rules::zbt::{self, ZbtInput, ZbtOutcome};
use vms_core::{CameraId, FindingId, WallTime};

use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::fines_fate::{Fate, lez_fate, run_fate, zone_fate};
use crate::fines_pictures::{PicturePart, pictures_of};
use crate::fines_ports::{
    Candidate, DamagedFinding, EndedLine, FineHeld, FineKind, FineParts, FinePermit, FineTotals, HandedOver,
    KeptHolder, NewFineLine,
};
use crate::health::rfc3339;
use crate::lez_ports::{Finding, FindingMeasure, FindingVerdict};
use crate::sharing::board::ZBT_FLOW;

/// Version of the lines; `docs/FINES.md` tells the formats.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct CameraPart {
    id: String,
    code: String,
    name_nl: String,
    name_fr: String,
}

/// A line of `offences.jsonl`. The order of the fields is that of the contract.
#[derive(Serialize)]
struct RecordPart<'a> {
    schema: u32,
    offence: &'a str,
    run: &'a str,
    position: u64,
    finding: String,
    kind: &'static str,
    fine_rule: Option<String>,
    amount_cents: Option<u32>,
    currency: Option<String>,
    rule: Option<String>,
    rule_set: &'a str,
    read_at: String,
    day: String,
    camera: CameraPart,
    plate: &'a str,
    country: &'a str,
    reasons: Vec<Value>,
    snapshot_sha256: &'a str,
    approved_by: String,
    approved_at: String,
    pictures: Vec<PicturePart>,
    withheld: Vec<&'static str>,
    supersedes: Option<String>,
    #[serde(flatten)]
    own: OwnPart,
}

#[derive(Serialize)]
struct ExitPart {
    read_at: String,
    camera: CameraPart,
}

#[derive(Serialize)]
struct HolderPart {
    state: &'static str,
    kind: Option<&'static str>,
    id: Option<String>,
    flow: Option<&'static str>,
    request: Option<String>,
}

/// How an average speed was measured: everything that royal decree 12 October 2010 wants to be knowable from the record.
#[derive(Serialize)]
struct MeasurementPart {
    trajectory: String,
    certificate: String,
    certified_mm: u64,
    used_mm: u64,
    time_us: u64,
    favourable_us: u64,
    raw_kmh: Value,
    favourable_kmh: Value,
    measured_kmh: u16,
    margin: Option<Value>,
    margin_rule: Option<String>,
    corrected_kmh: u16,
    limit_kmh: u16,
    over_kmh: u16,
    instruments: Value,
    entry_clock: Value,
    exit_clock: Value,
    control: Value,
}

/// What only some kinds of findings have.
#[derive(Default, Serialize)]
struct OwnPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<ExitPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<HolderPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measurement: Option<MeasurementPart>,
}

/// What the tables say of a finding today, whatever its kind.
struct Decided {
    /// First instant from which that can change no more.
    final_from: Option<WallTime>,
    rule: Option<String>,
    rule_set: String,
    day: String,
    reasons: Vec<Value>,
    snapshot_sha256: String,
    own: OwnPart,
}

/// A line of `rejects.jsonl`.
#[derive(Serialize)]
struct RejectPart<'a> {
    schema: u32,
    run: &'a str,
    position: u64,
    finding: String,
    outcome: &'a str,
    reason: &'a str,
    until: Option<String>,
}

fn history(handed: &[HandedOver]) -> History {
    let mut history = History::default();
    for one in handed {
        match (one.verdict, &one.fine_id, one.amount_cents) {
            (FindingVerdict::Infraction, Some(fine), Some(amount_cents)) => history.fines.push(PriorFine {
                fine: FineId::new(fine.clone()),
                infraction_at: one.at,
                issued_at: one.issued_at,
                amount_cents,
            }),
            (FindingVerdict::Warning, _, _) => history.warnings.push(PriorWarning { infraction_at: one.at }),
            (FindingVerdict::Infraction | FindingVerdict::Undetermined, _, _) => {}
        }
    }
    history
}

/// The key of a record: the same for the same approval in the same run, and no other.
fn offence_of(run: &str, finding: &Finding) -> String {
    let text = format!("belfry offence v1|{run}|{}|{}", finding.id, finding.version);
    let mut digits = hex::encode(Sha256::digest(text.as_bytes()));
    digits.truncate(32);
    format!("ofc_{digits}")
}

/// Lines of one run as they are made.
pub(crate) struct Making<'a> {
    pub(crate) parts: &'a FineParts,
    pub(crate) permit: &'a FinePermit,
    pub(crate) run: &'a str,
    pub(crate) now: WallTime,
    /// End of the run's window.
    pub(crate) to: WallTime,
    /// First instant that no window of an earlier run reaches: what waits can wait to no earlier one, or no run would ever take it.
    pub(crate) free_from: WallTime,
    pub(crate) lines: Vec<NewFineLine>,
    pub(crate) totals: FineTotals,
    /// Findings that wait for a later window, their own outcome or that of an earlier one of the vehicle not being final.
    pub(crate) held: Vec<FineHeld>,
    /// Vehicles of these, and until when.
    holding: HashMap<String, WallTime>,
    /// What was handed over of each vehicle, this run's records too.
    handed: HashMap<String, Vec<HandedOver>>,
}

fn text_of(part: &impl Serialize) -> Result<String, UseCaseError> {
    serde_json::to_string(part).map_err(|error| UseCaseError::Internal(error.into()))
}

fn broken(error: serde_json::Error) -> UseCaseError {
    UseCaseError::Internal(error.into())
}

fn values<T: Serialize>(parts: &[T]) -> Result<Vec<Value>, UseCaseError> {
    parts.iter().map(|part| serde_json::to_value(part).map_err(broken)).collect()
}

/// The line of a finding that is erased: its term ended before its run was signed, or its vehicle was allowed after all.
pub(crate) fn ended_text(
    run: &str,
    position: u64,
    finding: FindingId,
    ended: &EndedLine,
) -> Result<String, UseCaseError> {
    let (finding, EndedLine { outcome, reason }) = (finding.to_string(), ended);
    text_of(&RejectPart { schema: SCHEMA, run, position, finding, outcome, reason, until: None })
}

/// First instant from which the outcome that a person approved could change no more.
fn approved_final(kind: FineKind, finding: &Finding) -> Result<Option<WallTime>, UseCaseError> {
    let outcome = finding.file.outcome.as_str();
    let of_file = match kind {
        FineKind::Lez => serde_json::from_str::<LezOutcome>(outcome).map_err(broken)?.final_from,
        FineKind::Zbt => serde_json::from_str::<ZbtOutcome>(outcome).map_err(broken)?.final_from,
        FineKind::Trajectory => None,
    };
    Ok(of_file.max(finding.measure.final_from))
}

async fn camera_of(cases: &UseCases, id: CameraId) -> Result<CameraPart, UseCaseError> {
    let camera = cases.camera_known(id).await?;
    let name = |of: fn(&crate::model::Camera) -> &String| camera.as_ref().map(of).cloned().unwrap_or_default();
    Ok(CameraPart {
        id: id.to_string(),
        code: name(|camera| &camera.code),
        name_nl: name(|camera| &camera.name_nl),
        name_fr: name(|camera| &camera.name_fr),
    })
}

async fn exit_of(cases: &UseCases, finding: &Finding) -> Result<Option<ExitPart>, UseCaseError> {
    let Some(exit) = &finding.exit else { return Ok(None) };
    Ok(Some(ExitPart { read_at: rfc3339(exit.at), camera: camera_of(cases, exit.camera).await? }))
}

/// An average speed, measured again from the snapshot with the tables and certificates of today.
async fn trajectory_of(cases: &UseCases, finding: &Finding) -> Result<(Fate, Decided), UseCaseError> {
    let input: TrajectoryInput = serde_json::from_str(&finding.file.input).map_err(broken)?;
    let approved: TrajectoryOutcome = serde_json::from_str(&finding.file.outcome).map_err(broken)?;
    let outcome = trajectory::decide(&cases.traffic()?.roads, &input);
    let over_kmh = match outcome.verdict {
        TrajectoryVerdict::Infraction { over_kmh } | TrajectoryVerdict::BelowThreshold { over_kmh } => over_kmh,
        TrajectoryVerdict::Compliant | TrajectoryVerdict::NotUsable => 0,
    };
    let is_margin = |reason: &&trajectory::Reason| {
        matches!(reason, trajectory::Reason::MarginFlat { .. } | trajectory::Reason::MarginPercent { .. })
    };
    let measurement = match &outcome.measured {
        None => None,
        Some(measured) => Some(MeasurementPart {
            trajectory: outcome.trajectory.to_string(),
            certificate: measured.document.clone(),
            certified_mm: u64::from(measured.certified.0),
            used_mm: u64::from(measured.distance.0),
            time_us: measured.time_us,
            favourable_us: measured.favourable_us,
            raw_kmh: serde_json::to_value(measured.raw).map_err(broken)?,
            favourable_kmh: serde_json::to_value(measured.favourable).map_err(broken)?,
            measured_kmh: measured.truncated_kmh,
            margin: outcome.reasons.iter().find(is_margin).map(serde_json::to_value).transpose().map_err(broken)?,
            margin_rule: outcome.rule.as_ref().map(ToString::to_string),
            corrected_kmh: measured.corrected_kmh,
            limit_kmh: measured.limit_kmh,
            over_kmh,
            instruments: serde_json::to_value(&measured.instruments).map_err(broken)?,
            entry_clock: serde_json::to_value(input.entry_clock).map_err(broken)?,
            exit_clock: serde_json::to_value(input.exit_clock).map_err(broken)?,
            control: serde_json::to_value(input.control).map_err(broken)?,
        }),
    };
    let decided = Decided {
        final_from: None,
        rule: outcome.rule.as_ref().map(ToString::to_string),
        rule_set: outcome.rule_set_version.as_str().to_owned(),
        day: outcome.day.map(|day| day.to_string()).unwrap_or_default(),
        reasons: values(&outcome.reasons)?,
        snapshot_sha256: outcome.snapshot_hash.clone(),
        own: OwnPart { exit: exit_of(cases, finding).await?, measurement, ..OwnPart::default() },
    };
    Ok((run_fate(&approved, &outcome), decided))
}

impl<'a> Making<'a> {
    pub(crate) fn new(
        parts: &'a FineParts,
        permit: &'a FinePermit,
        run: &'a str,
        (now, to, free_from): (WallTime, WallTime, WallTime),
    ) -> Self {
        let (totals, handed, holding) = (FineTotals::default(), HashMap::new(), HashMap::new());
        Self { parts, permit, run, now, to, free_from, lines: Vec::new(), totals, held: Vec::new(), holding, handed }
    }

    /// Decides one finding and makes its line. Findings come by the time of their read.
    pub(crate) async fn add(&mut self, cases: &UseCases, candidate: &Candidate) -> Result<(), UseCaseError> {
        let finding = match candidate {
            Candidate::Whole(finding) => finding.as_ref(),
            Candidate::Damaged(damaged) => return self.damaged(damaged),
        };
        if self.totals.taken >= u64::from(self.parts.take_max) {
            // No room: the next window has it.
            self.held.push(FineHeld { finding: finding.id, seen: finding.version, until: self.free_from });
            return Ok(());
        }
        let (fate, decided) = match self.permit.kind() {
            FineKind::Lez => self.lez(cases, finding).await?,
            FineKind::Zbt => self.zone(cases, finding).await?,
            FineKind::Trajectory => trajectory_of(cases, finding).await?,
        };
        if let Some(until) = self.waits_until(finding, &fate, &decided).await? {
            self.holding.insert(finding.vehicle.clone(), until);
            self.held.push(FineHeld { finding: finding.id, seen: finding.version, until });
            return Ok(());
        }
        self.totals.taken += 1;
        match fate {
            Fate::Record => self.record(cases, finding, decided).await,
            Fate::Merged(until) => {
                self.totals.merged += 1;
                self.reject(self.line_of(finding), "merged", "in_window", Some(until))
            }
            Fate::Refused(reason) => {
                self.totals.refused += 1;
                self.reject(self.line_of(finding), "refused", reason, None)
            }
            Fate::Conforming(reason, tally) => {
                self.totals.refused += 1;
                self.reject(self.line_of(finding), "refused", reason, None)?;
                if let Some(line) = self.lines.last_mut() {
                    line.closes = Some((reason, tally));
                }
                Ok(())
            }
        }
    }

    /// Refused, so that the totals reconcile and all others go; the finding itself stays to its term, in case that somebody can mend it.
    fn damaged(&mut self, finding: &DamagedFinding) -> Result<(), UseCaseError> {
        let DamagedFinding { id, version, vehicle, measure, at } = finding;
        if self.totals.taken >= u64::from(self.parts.take_max) {
            self.held.push(FineHeld { finding: *id, seen: *version, until: self.free_from });
            return Ok(());
        }
        self.totals.taken += 1;
        self.totals.refused += 1;
        let line = self.line((*id, *version), vehicle, measure, *at);
        self.reject(line, "refused", "damaged", None)
    }

    /// Until when a finding waits that the store thought ready: its own outcome by the tables of now, or by those of its approval, is not
    /// final; or an earlier one of the vehicle waits, which is the record of the two if it stands.
    async fn waits_until(
        &self,
        finding: &Finding,
        fate: &Fate,
        decided: &Decided,
    ) -> Result<Option<WallTime>, UseCaseError> {
        let own = approved_final(self.permit.kind(), finding)?.max(decided.final_from).filter(|at| *at >= self.to);
        let earlier = match fate {
            Fate::Record | Fate::Merged(_) => {
                let known = self.holding.get(&finding.vehicle).copied();
                known.max(self.parts.store.fine_earlier(self.permit, finding, self.to).await?)
            }
            Fate::Refused(_) | Fate::Conforming(..) => None,
        };
        Ok(own.max(earlier).map(|until| until.max(self.free_from)))
    }

    /// With what was handed over of the vehicle, and with the day passes of this moment.
    async fn lez(&mut self, cases: &UseCases, finding: &Finding) -> Result<(Fate, Decided), UseCaseError> {
        let mut input: LezInput = serde_json::from_str(&finding.file.input).map_err(broken)?;
        let (plate, country) = (&finding.file.plate, finding.file.country);
        input.passes = cases.lez_store()?.day_passes(plate, country, Day::at(finding.at)).await?;
        let handed = match self.handed.get(&finding.vehicle) {
            Some(handed) => handed.clone(),
            None => self.parts.store.fine_history(&finding.vehicle).await?,
        };
        input.history = history(&handed);
        let outcome = decide(RuleSet::embedded_once(), &input);
        self.handed.insert(finding.vehicle.clone(), handed);
        let decided = Decided {
            final_from: outcome.final_from,
            rule: outcome.rule.as_ref().map(ToString::to_string),
            rule_set: outcome.rule_set_version.as_str().to_owned(),
            day: outcome.day.to_string(),
            reasons: values(&outcome.reasons)?,
            snapshot_sha256: outcome.snapshot_hash.clone(),
            own: OwnPart::default(),
        };
        Ok((lez_fate(finding, &outcome), decided))
    }

    /// With the permits of this moment, as at the approval, and with the holder: without one there is nobody to fine.
    async fn zone(&self, cases: &UseCases, finding: &Finding) -> Result<(Fate, Decided), UseCaseError> {
        let traffic = cases.traffic()?;
        let mut input: ZbtInput = serde_json::from_str(&finding.file.input).map_err(broken)?;
        let rights = traffic.permits.rights_now(&finding.file.plate, finding.file.country).await?;
        (input.listings, input.permits, input.decided_at) = (rights.listings, rights.permits, self.now);
        let outcome = zbt::decide(&traffic.zones, &input);
        let (mut fate, mut holder) = (zone_fate(finding, &outcome), None);
        if fate == Fate::Record {
            let none = |state| HolderPart { state, kind: None, id: None, flow: None, request: None };
            match self.parts.store.fine_holder(self.permit, finding.id).await? {
                Some(KeptHolder::Found(found, request)) => {
                    let (kind, id, flow) = (Some(found.kind.as_str()), Some(found.id), Some(ZBT_FLOW));
                    holder = Some(HolderPart { state: "found", kind, id, flow, request: Some(request) });
                }
                // The municipality may have another way to it.
                Some(KeptHolder::NotAsked) => holder = Some(none("not_asked")),
                Some(KeptHolder::Unknown) => fate = Fate::Refused("holder_unknown"),
                Some(KeptHolder::Unusable) | None => fate = Fate::Refused("holder_unusable"),
            }
        }
        let decided = Decided {
            final_from: outcome.final_from,
            rule: outcome.rule.as_ref().map(ToString::to_string),
            rule_set: outcome.rule_set_version.as_str().to_owned(),
            day: outcome.day.to_string(),
            reasons: values(&outcome.reasons)?,
            snapshot_sha256: outcome.snapshot_hash.clone(),
            own: OwnPart {
                zone: Some(input.zone.to_string()),
                exit: exit_of(cases, finding).await?,
                holder,
                ..OwnPart::default()
            },
        };
        Ok((fate, decided))
    }

    fn line_of(&self, finding: &Finding) -> NewFineLine {
        self.line((finding.id, finding.version), &finding.vehicle, &finding.measure, finding.at)
    }

    fn line(
        &self,
        (finding, seen): (FindingId, u64),
        vehicle: &str,
        measure: &FindingMeasure,
        at: WallTime,
    ) -> NewFineLine {
        NewFineLine {
            position: self.totals.taken,
            finding,
            seen,
            offence: None,
            outcome: None,
            vehicle: vehicle.to_owned(),
            verdict: measure.verdict,
            fine_id: measure.fine_id.clone(),
            amount_cents: measure.amount_cents,
            at,
            pictures: Vec::new(),
            text: String::new(),
            closes: None,
        }
    }

    fn reject(
        &mut self,
        line: NewFineLine,
        outcome: &'static str,
        reason: &'static str,
        until: Option<String>,
    ) -> Result<(), UseCaseError> {
        let (position, finding) = (line.position, line.finding.to_string());
        let part = RejectPart { schema: SCHEMA, run: self.run, position, finding, outcome, reason, until };
        self.lines.push(NewFineLine { outcome: Some(outcome), text: text_of(&part)?, ..line });
        Ok(())
    }

    async fn record(&mut self, cases: &UseCases, finding: &Finding, decided: Decided) -> Result<(), UseCaseError> {
        let (measure, offence) = (&finding.measure, offence_of(self.run, finding));
        let kind = match (self.permit.kind(), measure.verdict) {
            (FineKind::Trajectory, _) => "file",
            (FineKind::Lez | FineKind::Zbt, FindingVerdict::Warning) => "warning",
            (FineKind::Lez | FineKind::Zbt, _) => "fine",
        };
        let Some((kinds, pictures, withheld)) = pictures_of((self.parts, self.permit), finding, &offence).await? else {
            self.totals.refused += 1;
            return self.reject(self.line_of(finding), "refused", "damaged", None);
        };
        let part = RecordPart {
            schema: SCHEMA,
            offence: &offence,
            run: self.run,
            position: self.totals.taken,
            finding: finding.id.to_string(),
            kind,
            fine_rule: measure.fine_id.clone(),
            amount_cents: measure.amount_cents,
            currency: measure.currency.clone(),
            rule: decided.rule,
            rule_set: &decided.rule_set,
            read_at: rfc3339(finding.at),
            day: decided.day,
            camera: camera_of(cases, finding.camera).await?,
            plate: finding.file.plate.reveal(),
            country: finding.file.country.as_str(),
            reasons: decided.reasons,
            snapshot_sha256: &decided.snapshot_sha256,
            approved_by: finding.decided_by.map(|user| user.to_string()).unwrap_or_default(),
            approved_at: finding.decided_at.map(rfc3339).unwrap_or_default(),
            pictures,
            withheld,
            supersedes: self.parts.store.fine_superseded(finding.id).await?,
            own: decided.own,
        };
        let line = NewFineLine {
            offence: Some(offence.clone()),
            pictures: kinds,
            text: text_of(&part)?,
            ..self.line_of(finding)
        };
        self.totals.records += 1;
        match kind {
            "file" => self.totals.files += 1,
            "warning" => self.totals.warnings += 1,
            _ => {
                self.totals.fines += 1;
                self.totals.amount_cents += u64::from(measure.amount_cents.unwrap_or(0));
            }
        }
        let handed = HandedOver {
            verdict: measure.verdict,
            fine_id: measure.fine_id.clone(),
            amount_cents: measure.amount_cents,
            at: finding.at,
            issued_at: Some(self.now),
        };
        self.handed.entry(finding.vehicle.clone()).or_default().push(handed);
        self.lines.push(line);
        Ok(())
    }
}
