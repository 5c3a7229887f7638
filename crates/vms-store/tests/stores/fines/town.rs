//! A town with findings, a job, and a process that dies at a chosen operation of its database or disk.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fines::{
    Batch, Disk, Ledger, LedgerError, Line, Manifest, Picture, RealDisk, RunError, RunFacts, Seal, SealKey, Totals,
    Waiting, verify,
};
use keys::{KeyRing, KeyStoreConfig, OpenOptions, RealDisk as KeyDisk, SystemRandom};
use policy::{CapabilitySigner, RoleTable};
use tokio::runtime::Handle;
use traffic_rules::lez::{
    History, LezInput, LezOutcome, LezVerdict, Lookup, NormSource, PlateReading, RuleSet, StatedNorm, VehicleSnapshot,
    decide,
};
use traffic_rules::plate_type;
use vms_app::cases::Extensions;
use vms_app::fakes::{FakeMedia, FixedIds, ManualClock, MemoryLog};
use vms_app::fines_ports::{
    Candidate, FineDesk, FineHeld, FineKind, FineLine, FineOpen, FineParts, FinePermit, FineRun, FineSeal, FineStore,
    FineTotals, FineWaits, HandedOver, KeptAnswer, KeptHolder, NewFineLine,
};
use vms_app::gate::action::{DecodeAnpr, ReviewFindings};
use vms_app::gate::{Actor, Gate, Permit, Why};
use vms_app::health::rfc3339;
use vms_app::lez::ReadService;
use vms_app::lez::findings::Verdict;
use vms_app::lez::service::BatchSettings;
use vms_app::lez_ports::{
    Direction, Finding, FindingDecision, FindingFile, FindingMeasure, FindingPermit, FindingState, FindingVerdict,
    LezStore as _, NewFinding, NewRead, PictureKind, PurposeCopy, ReadFacts, Settled, Settlement, Tally,
};
use vms_app::passwords::PasswordCost;
use vms_app::ports::store::Stored;
use vms_app::ports::{Clock as _, StoreError};
use vms_app::{Parts, Settings, UseCases};
use vms_core::{
    CameraId, Confidence, Country, FindingId, OrgId, Plate, Profile, Purpose, ReadId, RetentionClass, SessionId,
    StreamId, TimeRange, UserId, WallTime,
};
use vms_store::{LezVault, Store};

use crate::suite::permit_for;

/// 2026-10-05T10:00:00Z, a Monday.
pub(super) const START_S: i64 = 1_791_194_400;
pub(super) const MINUTE: i64 = 60_000_000;

/// What is left of the process's life, in operations of database and disk; negative: for ever.
#[derive(Debug)]
pub(super) struct Life {
    left: AtomicI64,
    /// 0 before, 1 after, 2 half.
    how: AtomicI64,
    pub(super) done: AtomicU64,
}

impl Life {
    fn for_ever() -> Arc<Self> {
        Arc::new(Self { left: AtomicI64::new(-1), how: AtomicI64::new(0), done: AtomicU64::new(0) })
    }

    pub(super) fn until(&self, left: i64, how: i64) {
        self.left.store(left, Ordering::SeqCst);
        self.how.store(how, Ordering::SeqCst);
        self.done.store(0, Ordering::SeqCst);
    }

    /// `None`: go on; `Some(how)`: die in this one; 3: dead already.
    fn step(&self) -> Option<i64> {
        self.done.fetch_add(1, Ordering::SeqCst);
        match self.left.load(Ordering::SeqCst) {
            left if left < 0 => None,
            0 => Some(3),
            left => {
                self.left.store(left - 1, Ordering::SeqCst);
                (left == 1).then(|| self.how.load(Ordering::SeqCst))
            }
        }
    }
}

pub(super) struct MortalDisk(Arc<Life>);

impl MortalDisk {
    fn within(&self, work: impl FnOnce() -> io::Result<()>, half: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self.0.step() {
            None => return work(),
            Some(1) => work()?,
            Some(2) => half()?,
            Some(_) => {}
        }
        Err(io::Error::other("killed"))
    }
}

impl Disk for MortalDisk {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.within(|| RealDisk.make_folder(path), || Ok(()))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.within(|| RealDisk.write(path, bytes), || RealDisk.write(path, &bytes[..bytes.len() / 2]))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.within(|| RealDisk.remove(path), || Ok(()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.within(|| RealDisk.rename(from, to), || Ok(()))
    }
}

#[derive(Debug)]
pub(super) struct MortalStore(Arc<LezVault>, Arc<Life>);

macro_rules! mortal {
    ($self:ident, $work:expr) => {{
        let how = $self.1.step();
        let outcome = match how {
            None | Some(1) => $work.await,
            Some(_) => Err(StoreError::Unavailable("killed".into())),
        };
        if how == Some(1) { outcome.and(Err(StoreError::Unavailable("killed".into()))) } else { outcome }
    }};
}

#[async_trait]
impl FineStore for MortalStore {
    async fn fine_candidates(&self, permit: &FinePermit, range: TimeRange, limit: u32) -> Stored<Vec<Candidate>> {
        mortal!(self, self.0.fine_candidates(permit, range, limit))
    }
    async fn fine_waits(&self, permit: &FinePermit, range: TimeRange) -> Stored<FineWaits> {
        mortal!(self, self.0.fine_waits(permit, range))
    }
    async fn fine_earlier(&self, permit: &FinePermit, finding: &Finding, to: WallTime) -> Stored<Option<WallTime>> {
        mortal!(self, self.0.fine_earlier(permit, finding, to))
    }
    async fn fine_waiting(&self, permit: &FinePermit, before: WallTime) -> Stored<FineOpen> {
        mortal!(self, self.0.fine_waiting(permit, before))
    }
    async fn fine_holder(&self, permit: &FinePermit, id: FindingId) -> Stored<Option<KeptHolder>> {
        mortal!(self, self.0.fine_holder(permit, id))
    }
    async fn fine_history(&self, vehicle: &str) -> Stored<Vec<HandedOver>> {
        mortal!(self, self.0.fine_history(vehicle))
    }
    async fn fine_superseded(&self, finding: FindingId) -> Stored<Option<String>> {
        mortal!(self, self.0.fine_superseded(finding))
    }
    async fn fine_picture(&self, permit: &FinePermit, id: FindingId, kind: PictureKind) -> Stored<Option<Bytes>> {
        mortal!(self, self.0.fine_picture(permit, id, kind))
    }
    async fn fine_open(
        &self,
        permit: &FinePermit,
        run: &FineRun,
        lines: &[NewFineLine],
        held: &[FineHeld],
    ) -> Stored<()> {
        mortal!(self, self.0.fine_open(permit, run, lines, held))
    }
    async fn fine_run(&self, permit: &FinePermit, id: &str) -> Stored<Option<FineRun>> {
        mortal!(self, self.0.fine_run(permit, id))
    }
    async fn fine_runs(&self, permit: &FinePermit, limit: u32) -> Stored<Vec<FineRun>> {
        mortal!(self, self.0.fine_runs(permit, limit))
    }
    async fn fine_hold(&self, id: &str, holder: &str, now: WallTime, until: WallTime) -> Stored<bool> {
        mortal!(self, self.0.fine_hold(id, holder, now, until))
    }
    async fn fine_lines(&self, permit: &FinePermit, run: &str, after: u64, limit: u32) -> Stored<Vec<FineLine>> {
        mortal!(self, self.0.fine_lines(permit, run, after, limit))
    }
    async fn fine_left(&self, run: &FineRun, span: (u64, u64), at: WallTime) -> Stored<()> {
        mortal!(self, self.0.fine_left(run, span, at))
    }
    async fn fine_void(&self, run: &FineRun) -> Stored<()> {
        mortal!(self, self.0.fine_void(run))
    }
    async fn fine_sign(&self, run: &FineRun, manifest_sha256: &str, at: WallTime) -> Stored<bool> {
        mortal!(self, self.0.fine_sign(run, manifest_sha256, at))
    }
    async fn fine_answered(&self, offence: &str) -> Stored<Option<KeptAnswer>> {
        mortal!(self, self.0.fine_answered(offence))
    }
    async fn fine_answer(
        &self,
        offence: &str,
        answer: (&str, Option<&str>),
        at: WallTime,
        ends: Option<WallTime>,
    ) -> Stored<bool> {
        mortal!(self, self.0.fine_answer(offence, answer, at, ends))
    }
    async fn fine_holds(&self, finding: FindingId) -> Stored<bool> {
        mortal!(self, self.0.fine_holds(finding))
    }
}

pub(super) fn facts_of(run: &FineRun) -> RunFacts {
    let FineTotals { taken, records, fines, warnings, files, amount_cents, merged, refused } = run.totals;
    RunFacts {
        run: run.id.clone(),
        batch: match run.kind {
            FineKind::Lez => Batch::Lez,
            FineKind::Zbt => Batch::Zbt,
            FineKind::Trajectory => Batch::Trajectory,
        },
        authority: run.authority.map(|org| org.to_string()),
        chain: run.chain,
        previous: run.previous.clone(),
        from: rfc3339(run.range.from),
        to: rfc3339(run.range.to),
        opened_at: rfc3339(run.opened_at),
        rule_set: run.rule_set.clone(),
        totals: Totals { taken, records, fines, warnings, files, amount_cents, merged, refused },
        waiting: run.waits.map(|waits| Waiting {
            approved: waits.approved,
            not_final: waits.not_final,
            until: waits.until.map(rfc3339),
            holder: waits.holder,
        }),
        signed: run.signed.as_ref().map(|(digest, _)| digest.clone()),
    }
}

#[derive(Debug)]
pub(super) struct Desk(SealKey);

impl FineDesk for Desk {
    fn is_masked(&self, jpeg: &[u8]) -> bool {
        jpeg.starts_with(b"masked")
    }

    fn seal(&self, run: &FineRun, manifest: &[u8], offences: &[u8], rejects: &[u8]) -> Result<FineSeal, &'static str> {
        Manifest::check(manifest, &facts_of(run), offences, rejects).map_err(|refusal| refusal.code)?;
        let seal = self.0.seal(manifest);
        Ok(FineSeal { signature: seal.signature, key: seal.key })
    }

    fn seal_again(&self, manifest: &[u8]) -> FineSeal {
        let seal = self.0.seal(manifest);
        FineSeal { signature: seal.signature, key: seal.key }
    }
}

pub(super) struct Town {
    pub(super) cases: Arc<UseCases>,
    pub(super) vault: Arc<LezVault>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) log: Arc<MemoryLog>,
    pub(super) life: Arc<Life>,
    /// Of which findings; job and agent are of its authority.
    pub(super) kind: FineKind,
    pub(super) service: ReadService,
    pub(super) registry: Arc<super::kinds::FakeHolders>,
    pub(super) job: Actor,
    pub(super) agent: Actor,
    pub(super) out: tempfile::TempDir,
    pub(super) made: AtomicU64,
    /// So long ago was a vehicle read whose finding is made: by default long enough that no day pass can be bought any more.
    pub(super) age_s: AtomicU64,
    _keys: tempfile::TempDir,
}

pub(super) async fn town(store: &Store) -> Town {
    town_with(store, false).await
}

pub(super) async fn town_with(store: &Store, samples: bool) -> Town {
    town_of(store, samples, false, None).await
}

/// A town where permits can be granted after a passage, or not, and whose runs take so many findings.
pub(super) async fn town_of(store: &Store, samples: bool, is_regularised: bool, take_max: Option<u32>) -> Town {
    let keys = tempfile::tempdir().unwrap();
    let options = OpenOptions { may_create: true, ..OpenOptions::default() };
    let config = KeyStoreConfig::on_one_disk(keys.path());
    let start = WallTime::from_secs(START_S);
    let ring = KeyRing::open(Arc::new(KeyDisk), Arc::new(SystemRandom::new()), config, options, start).unwrap();
    let ids = Arc::new(FixedIds::default());
    let vault = Arc::new(LezVault::new(store.clone(), [5; 32], ids.clone(), Arc::new(ring)));
    let (clock, log, life) = (Arc::new(ManualClock::at(start)), Arc::new(MemoryLog::default()), Life::for_ever());
    let table = RoleTable::embedded().unwrap();
    let gate = Gate::new(table, log.clone(), clock.clone(), ids.clone(), CapabilitySigner::from_seed(&[3; 32]));
    let mortal = Arc::new(MortalStore(Arc::clone(&vault), Arc::clone(&life)));
    let parts = FineParts::new(mortal, Arc::new(Desk(SealKey::from_seed(&[7; 32]))));
    let parts = if samples { parts.with_samples("test") } else { parts };
    let parts = if let Some(most) = take_max { parts.with_take_max(most) } else { parts };
    let cases = UseCases::new(Parts {
        stores: Arc::new(store.clone()),
        gate: Arc::new(gate),
        media: Arc::new(FakeMedia::default()),
        catalogue: None,
        clock: clock.clone(),
        ids,
        settings: Settings {
            password_cost: PasswordCost { memory_kib: 0, passes: 0 },
            allowed_networks: Vec::new(),
            allowed_ports: Vec::new(),
            health_lag_max: Duration::from_secs(10),
        },
        extensions: Extensions {
            lez: Some(vault.clone()),
            fines: Some(parts),
            traffic: Some(super::kinds::traffic(&vault, is_regularised)),
            ..Extensions::default()
        },
    })
    .unwrap();
    let cases = Arc::new(cases);
    cases.seed_organisations().await.unwrap();
    let orgs = cases.org_list().await.unwrap();
    let org = orgs.iter().find(|org| org.code == "FISC").unwrap().id;
    let actor = |n: u8, profile| Actor {
        user: UserId::from_bytes([n; 16]),
        session: SessionId::from_bytes([n; 16]),
        org,
        profile,
        user_name: format!("user {n}"),
        org_code: "FISC".to_owned(),
    };
    let (job, agent) = (actor(1, Profile::P24), actor(2, Profile::P07));
    let (out, registry, made) = (tempfile::tempdir().unwrap(), Arc::default(), AtomicU64::new(0));
    let wait = Duration::from_secs(5);
    let later = Duration::from_secs(3_600);
    let settings = BatchSettings { wait, retry: wait, retry_max: wait * 8, later };
    let holders: Arc<super::kinds::FakeHolders> = Arc::clone(&registry);
    let service = ReadService::new(Arc::clone(&cases), None, settings).unwrap().with_holders(holders);
    let kind = FineKind::Lez;
    let age_s = AtomicU64::new(3 * 86_400);
    Town { cases, vault, clock, log, life, kind, service, registry, job, agent, out, made, age_s, _keys: keys }
}

pub(super) fn input(plate: &str, at: WallTime, norm: &str) -> LezInput {
    let classified = plate_type(&Plate::parse(plate).unwrap(), Country::BELGIUM);
    let euro_norm = Some(StatedNorm { text: norm.to_owned(), source: NormSource::Certificate });
    let vehicle = VehicleSnapshot {
        category: Some("M1".to_owned()),
        fuels: vec!["diesel".to_owned()],
        euro_norm,
        ..VehicleSnapshot::default()
    };
    LezInput {
        at,
        country: Country::BELGIUM,
        reading: PlateReading {
            kind: classified.kind,
            corrected: false,
            country_sure: true,
            auto_accept: classified.auto_accept,
            confirmed: false,
        },
        segment: None,
        vehicle: Lookup::Found { vehicle: Box::new(vehicle) },
        foreign_registration: None,
        exemptions: Vec::new(),
        passes: Vec::new(),
        history: History::default(),
    }
}

pub(super) fn measure_of(outcome: &LezOutcome) -> FindingMeasure {
    let (verdict, fine_id, amount_cents, currency) = match &outcome.verdict {
        LezVerdict::Infraction { fine, amount_cents, currency } => {
            (FindingVerdict::Infraction, Some(fine.to_string()), Some(*amount_cents), Some(currency.clone()))
        }
        LezVerdict::Warning { fine, .. } => {
            (FindingVerdict::Warning, fine.as_ref().map(ToString::to_string), None, None)
        }
        LezVerdict::Allowed
        | LezVerdict::Exempt { .. }
        | LezVerdict::Pass
        | LezVerdict::NoFineInWindow { .. }
        | LezVerdict::Undetermined
        | LezVerdict::OutOfScope => panic!("no finding: {outcome:?}"),
    };
    let (rule_set, final_from) = (outcome.rule_set_version.as_str().to_owned(), outcome.final_from);
    FindingMeasure { verdict, rule_id: None, fine_id, amount_cents, currency, rule_set, final_from }
}

impl Town {
    /// An open finding of a vehicle (diesel M1 of this norm) that was read [`Town::age_s`] ago.
    pub(super) async fn finding(&self, plate: &str, norm: &str) -> FindingId {
        let (read, read_at) = self.read(plate).await;
        self.settled(plate, norm, (read, read_at)).await
    }

    /// An undecided read with two pictures.
    pub(super) async fn read(&self, plate: &str) -> (ReadId, WallTime) {
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let (id, now) = (u128::from(number), self.clock.now());
        let (read, plate) = (ReadId::from_bytes(id.to_be_bytes()), Plate::parse(plate).unwrap());
        let read_at = now.minus(Duration::from_secs(self.age_s.load(Ordering::SeqCst)));
        let overview: &[u8] = if number % 2 == 1 { b"masked picture" } else { b"somebody's face" };
        let new = NewRead {
            read,
            camera: CameraId::from_bytes([4; 16]),
            stream: StreamId::from_bytes([2; 16]),
            at: read_at,
            facts: ReadFacts {
                plate: plate.clone(),
                countries: Vec::new(),
                confidence: Confidence::from_millionths(999_000),
                corrected: false,
                direction: Direction::Leaving,
                looks: 7,
                model: "m1".to_owned(),
                clock: None,
                from: vms_app::lez_ports::ReadFrom::Reader,
            },
            crop: Bytes::from(format!("crop {number}").into_bytes()),
            overview: Bytes::from_static(overview),
        };
        let copy = PurposeCopy {
            read: Arc::new(new),
            purpose: Purpose::Lez,
            class: RetentionClass::parse("RC-LEZ-RAW").unwrap(),
            owner: OrgId::from_bytes([3; 16]),
            received_at: now,
            expires_at: now.plus(Duration::from_secs(48 * 3_600)),
            key_ends_at: now.plus(Duration::from_secs(48 * 3_600)),
        };
        let why = Why { purpose: Some(Purpose::Lez), ..Why::default() };
        let permit: Permit<DecodeAnpr> = permit_for(Profile::P24, &why).await;
        self.vault.read_take(&permit, &[copy]).await.unwrap();
        (read, read_at)
    }

    /// What is decided on it.
    pub(super) async fn settled(&self, plate: &str, norm: &str, (read, read_at): (ReadId, WallTime)) -> FindingId {
        let (now, plate) = (self.clock.now(), Plate::parse(plate).unwrap());
        let why = Why { purpose: Some(Purpose::Lez), ..Why::default() };
        let permit: Permit<DecodeAnpr> = permit_for(Profile::P24, &why).await;
        let input = input(plate.reveal(), read_at, norm);
        let outcome = decide(&RuleSet::embedded(), &input);
        let id = FindingId::from_bytes(*read.as_bytes());
        let finding = NewFinding {
            id,
            measure: measure_of(&outcome),
            vehicle: self.vault.vehicle_token(Purpose::Lez, None, &plate, Country::BELGIUM),
            authority: None,
            slot: String::new(),
            class: RetentionClass::parse("RC-LEZ-FINE").unwrap(),
            expires_at: now.plus(Duration::from_secs(5 * 365 * 86_400)),
            file: FindingFile {
                plate,
                country: Country::BELGIUM,
                input: serde_json::to_string(&input).unwrap(),
                outcome: serde_json::to_string(&outcome).unwrap(),
            },
        };
        let tally = Tally::Infraction;
        let settlement = Settlement {
            purpose: Purpose::Lez,
            read,
            exit: None,
            camera: CameraId::from_bytes([4; 16]),
            at: read_at,
            tally,
            finding: Some(Box::new(finding)),
        };
        assert_eq!(self.vault.read_settle(&permit, &settlement).await.unwrap(), Settled::Found(id));
        id
    }

    pub(super) async fn approved(&self, plate: &str, norm: &str) -> FindingId {
        let id = match self.kind {
            FineKind::Lez => self.finding(plate, norm).await,
            FineKind::Zbt => self.passage(plate).await,
            FineKind::Trajectory => self.drive(plate).await,
        };
        self.cases.finding_decide(&self.agent, id, 1, Verdict::Approve).await.unwrap();
        id
    }

    /// Approved past the use case, as if two people had approved two findings of a vehicle at the same moment.
    pub(super) async fn forced(&self, plate: &str, norm: &str) -> FindingId {
        let id = self.finding(plate, norm).await;
        let permit: Permit<ReviewFindings> = {
            let why = Why::default();
            self.review(&why).await
        };
        let decision = FindingDecision {
            id,
            seen: 1,
            state: FindingState::Approved,
            reason: None,
            user: self.agent.user,
            at: self.clock.now(),
            decision: permit.decision(),
            renewed: None,
            expires_at: None,
            first_by: None,
        };
        self.vault.finding_decide(FindingPermit::Lez(&permit), &decision).await.unwrap();
        id
    }

    pub(super) async fn review(&self, why: &Why) -> Permit<ReviewFindings> {
        let target = vms_app::gate::Target {
            circumstances: vms_app::gate::Circumstances { flow_active: true, ..Default::default() },
            ..vms_app::gate::Target::none()
        };
        self.cases.gate().permit::<ReviewFindings>(&self.agent, target, why).await.unwrap()
    }

    /// From the last whole minute that `from` is in to the next whole minute, which the clock is set to.
    pub(super) fn window(&self, from: WallTime) -> TimeRange {
        let start = from.micros.div_euclid(MINUTE) * MINUTE;
        let end = (self.clock.now().micros.div_euclid(MINUTE) + 1) * MINUTE;
        self.clock.pass_s((end - self.clock.now().micros) / 1_000_000 + 1);
        TimeRange::new(WallTime::from_micros(start), WallTime::from_micros(end)).unwrap()
    }

    /// One process of the job.
    pub(super) fn process(&self, window: TimeRange, holder: &str) -> Result<fines::Done, RunError> {
        let mut book = Book { town: self, window, holder: holder.to_owned(), handle: Handle::current() };
        let disk = MortalDisk(Arc::clone(&self.life));
        tokio::task::block_in_place(|| fines::run(&disk, self.out.path(), &mut book, &mut |_| {}))
    }

    pub(super) fn batch(&self, window: TimeRange) -> fines::Done {
        let done = self.process(window, "holder01").unwrap();
        let report = verify::folder(&done.folder, &verify::Trust::default());
        assert_eq!(report.verdict, verify::Verdict::Holds, "{}", report.table());
        done
    }

    pub(super) fn leaves(&self, word: &str) -> usize {
        let is =
            |entry: &&vms_app::gate::LogEntry| entry.details.get("operation").and_then(|o| o.as_str()) == Some(word);
        self.log.entries().iter().filter(is).count()
    }
}

/// The ledger: the use cases themselves.
struct Book<'a> {
    town: &'a Town,
    window: TimeRange,
    holder: String,
    handle: Handle,
}

impl Ledger for Book<'_> {
    fn open(&mut self) -> Result<RunFacts, LedgerError> {
        let run = self.town.cases.fine_run(&self.town.job, self.town.kind, self.window, &self.holder, false);
        Ok(facts_of(&self.handle.block_on(run)?.ok_or("still opening")?))
    }

    fn lines(&mut self, run: &str, after: u64) -> Result<Vec<Line>, LedgerError> {
        let lines = self.town.cases.fine_lines(&self.town.job, run, &self.holder, after);
        let line = |delivery: vms_app::fines::FineDelivery| Line {
            position: delivery.line.position,
            is_record: delivery.line.offence.is_some(),
            text: delivery.line.text,
            pictures: delivery.pictures.into_iter().map(|(file, b)| Picture { file, bytes: b.to_vec() }).collect(),
        };
        Ok(self.handle.block_on(lines)?.into_iter().map(line).collect())
    }

    fn seal(&mut self, run: &str, manifest: &[u8]) -> Result<Seal, LedgerError> {
        let seal = self.handle.block_on(self.town.cases.fine_sign(&self.town.job, run, &self.holder, manifest))?;
        Ok(Seal { signature: seal.signature, key: seal.key })
    }
}
