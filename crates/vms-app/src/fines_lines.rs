//! From an approved finding to a line of a batch: decided once more, with what was handed over of the vehicle, so that there is one
//! fine for each vehicle and period whatever the order in which people approved.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use traffic_rules::lez::{FineId, History, LezInput, LezOutcome, LezVerdict, PriorFine, PriorWarning, RuleSet, decide};
use vms_core::WallTime;

use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::fines_ports::{FineParts, FineTotals, HandedOver, NewFineLine};
use crate::gate::Permit;
use crate::gate::action::SendFines;
use crate::health::rfc3339;
use crate::lez_ports::{Finding, FindingVerdict, PictureKind};

/// Version of the lines; `docs/FINES.md` tells the formats.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct CameraPart {
    id: String,
    code: String,
    name_nl: String,
    name_fr: String,
}

#[derive(Serialize)]
struct PicturePart {
    file: String,
    shows: &'static str,
    bytes: usize,
    sha256: String,
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
}

/// A line of `rejects.jsonl`.
#[derive(Serialize)]
struct RejectPart<'a> {
    schema: u32,
    run: &'a str,
    position: u64,
    finding: String,
    outcome: &'static str,
    reason: &'static str,
    until: Option<String>,
}

/// What a finding comes to in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Record,
    Merged(String),
    Refused(&'static str),
}

/// Compares what the tables say now with what the person approved: only the same thing becomes a record.
fn fate(approved: &Finding, outcome: &LezOutcome) -> Fate {
    let measure = &approved.measure;
    match (&outcome.verdict, measure.verdict) {
        (LezVerdict::Infraction { fine, amount_cents, currency }, FindingVerdict::Infraction) => {
            let same = measure.fine_id.as_deref() == Some(fine.as_str())
                && measure.amount_cents == Some(*amount_cents)
                && measure.currency.as_deref() == Some(currency.as_str());
            if same { Fate::Record } else { Fate::Refused("differs_from_approval") }
        }
        (LezVerdict::Warning { .. }, FindingVerdict::Warning) => Fate::Record,
        (LezVerdict::NoFineInWindow { until, .. }, _) => Fate::Merged(until.to_string()),
        (LezVerdict::Infraction { .. } | LezVerdict::Warning { .. }, _) => Fate::Refused("differs_from_approval"),
        (LezVerdict::Undetermined, _) => Fate::Refused("undetermined"),
        (LezVerdict::Allowed | LezVerdict::Exempt { .. } | LezVerdict::Pass | LezVerdict::OutOfScope, _) => {
            Fate::Refused("no_offence_any_more")
        }
    }
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

const fn shows(kind: PictureKind) -> &'static str {
    match kind {
        PictureKind::Crop | PictureKind::ExitCrop => "plate",
        PictureKind::Overview | PictureKind::ExitOverview => "overview",
    }
}

/// Path of a record's picture inside the folder.
pub(crate) fn picture_file(offence: &str, kind: PictureKind) -> String {
    format!("images/{offence}-{}.jpg", shows(kind))
}

/// Lines of one run as they are made.
pub(crate) struct Making<'a> {
    pub(crate) parts: &'a FineParts,
    pub(crate) permit: &'a Permit<SendFines>,
    pub(crate) run: &'a str,
    pub(crate) now: WallTime,
    pub(crate) lines: Vec<NewFineLine>,
    pub(crate) totals: FineTotals,
    /// What was handed over of each vehicle, this run's records too.
    handed: HashMap<String, Vec<HandedOver>>,
}

fn text_of(part: &impl Serialize) -> Result<String, UseCaseError> {
    serde_json::to_string(part).map_err(|error| UseCaseError::Internal(error.into()))
}

impl<'a> Making<'a> {
    pub(crate) fn new(parts: &'a FineParts, permit: &'a Permit<SendFines>, run: &'a str, now: WallTime) -> Self {
        Self { parts, permit, run, now, lines: Vec::new(), totals: FineTotals::default(), handed: HashMap::new() }
    }

    /// Decides one finding and makes its line. Findings come by the time of their read.
    pub(crate) async fn add(&mut self, cases: &UseCases, finding: &Finding) -> Result<(), UseCaseError> {
        let broken = |error: serde_json::Error| UseCaseError::Internal(error.into());
        let mut input: LezInput = serde_json::from_str(&finding.file.input).map_err(broken)?;
        let handed = match self.handed.get(&finding.vehicle) {
            Some(handed) => handed.clone(),
            None => self.parts.store.fine_history(&finding.vehicle).await?,
        };
        input.history = history(&handed);
        let outcome = decide(RuleSet::embedded_once(), &input);
        self.handed.insert(finding.vehicle.clone(), handed);
        self.totals.taken += 1;
        match fate(finding, &outcome) {
            Fate::Record => self.record(cases, finding, &outcome).await,
            Fate::Merged(until) => {
                self.totals.merged += 1;
                self.reject(finding, "merged", "in_window", Some(until))
            }
            Fate::Refused(reason) => {
                self.totals.refused += 1;
                self.reject(finding, "refused", reason, None)
            }
        }
    }

    fn line(&self, finding: &Finding) -> NewFineLine {
        NewFineLine {
            position: self.totals.taken,
            finding: finding.id,
            seen: finding.version,
            offence: None,
            vehicle: finding.vehicle.clone(),
            verdict: finding.measure.verdict,
            fine_id: finding.measure.fine_id.clone(),
            amount_cents: finding.measure.amount_cents,
            at: finding.at,
            pictures: Vec::new(),
            text: String::new(),
        }
    }

    fn reject(
        &mut self,
        finding: &Finding,
        outcome: &'static str,
        reason: &'static str,
        until: Option<String>,
    ) -> Result<(), UseCaseError> {
        let (position, finding_id) = (self.totals.taken, finding.id.to_string());
        let part = RejectPart { schema: SCHEMA, run: self.run, position, finding: finding_id, outcome, reason, until };
        let line = NewFineLine { text: text_of(&part)?, ..self.line(finding) };
        self.lines.push(line);
        Ok(())
    }

    /// Pictures that go along, and those that are kept back since they show more than the vehicle.
    async fn pictures(
        &self,
        finding: &Finding,
        offence: &str,
    ) -> Result<(Vec<PictureKind>, Vec<PicturePart>, Vec<&'static str>), UseCaseError> {
        let (mut kinds, mut parts, mut withheld) = (Vec::new(), Vec::new(), Vec::new());
        for kind in [PictureKind::Crop, PictureKind::Overview] {
            let Some(bytes) = self.parts.store.fine_picture(self.permit, finding.id, kind).await? else { continue };
            let is_shown = match kind {
                // The plate and a little around it: there is nobody in it.
                PictureKind::Crop | PictureKind::ExitCrop => true,
                PictureKind::Overview | PictureKind::ExitOverview => {
                    let (desk, picture) = (Arc::clone(&self.parts.desk), bytes.clone());
                    let looked = tokio::task::spawn_blocking(move || desk.is_masked(&picture)).await;
                    looked.map_err(|error| UseCaseError::Internal(error.into()))?
                }
            };
            if is_shown {
                let (file, sha256) = (picture_file(offence, kind), hex::encode(Sha256::digest(&bytes)));
                kinds.push(kind);
                parts.push(PicturePart { file, shows: shows(kind), bytes: bytes.len(), sha256 });
            } else {
                withheld.push(shows(kind));
            }
        }
        Ok((kinds, parts, withheld))
    }

    async fn record(&mut self, cases: &UseCases, finding: &Finding, outcome: &LezOutcome) -> Result<(), UseCaseError> {
        let (measure, offence) = (&finding.measure, offence_of(self.run, finding));
        let kind = if measure.verdict == FindingVerdict::Warning { "warning" } else { "fine" };
        let (kinds, pictures, withheld) = self.pictures(finding, &offence).await?;
        let camera = cases.camera_known(finding.camera).await?;
        let name = |of: fn(&crate::model::Camera) -> &String| camera.as_ref().map(of).cloned().unwrap_or_default();
        let reasons = outcome.reasons.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
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
            rule: outcome.rule.as_ref().map(ToString::to_string),
            rule_set: outcome.rule_set_version.as_str(),
            read_at: rfc3339(finding.at),
            day: outcome.day.to_string(),
            camera: CameraPart {
                id: finding.camera.to_string(),
                code: name(|camera| &camera.code),
                name_nl: name(|camera| &camera.name_nl),
                name_fr: name(|camera| &camera.name_fr),
            },
            plate: finding.file.plate.reveal(),
            country: finding.file.country.as_str(),
            reasons: reasons.map_err(|error| UseCaseError::Internal(error.into()))?,
            snapshot_sha256: &outcome.snapshot_hash,
            approved_by: finding.decided_by.map(|user| user.to_string()).unwrap_or_default(),
            approved_at: finding.decided_at.map(rfc3339).unwrap_or_default(),
            pictures,
            withheld,
            supersedes: self.parts.store.fine_superseded(finding.id).await?,
        };
        let line = NewFineLine {
            offence: Some(offence.clone()),
            pictures: kinds,
            text: text_of(&part)?,
            ..self.line(finding)
        };
        self.totals.records += 1;
        if measure.verdict == FindingVerdict::Warning {
            self.totals.warnings += 1;
        } else {
            self.totals.fines += 1;
            self.totals.amount_cents += u64::from(measure.amount_cents.unwrap_or(0));
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
