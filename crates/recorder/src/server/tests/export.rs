//! What was recorded, as evidence: the stored pieces through a whole export and its check.

use std::path::PathBuf;
use std::sync::Arc;

use evidence::{
    Basis, CameraFacts, Digest, ExportingUnit, Footage, Frames, Gap, Job, Language, Manifest, Mark, Order, Person,
    Piece, Place, Purpose, SegmentFact, Signer, SignerName, SourceError, Step, Utc,
};

use super::*;
use crate::catalogue::Catalogue;
use crate::playback::{RangeError, StoredPiece, StoredRange};

/// The adapter: pieces of the recorder as those of an export.
struct Stored(StoredRange);

impl Footage for Stored {
    fn start(&mut self, _camera: usize, mark: Option<&Mark>) -> Result<(), SourceError> {
        self.0.seek(mark.map_or(0, |mark| usize::try_from(mark.pieces).unwrap()));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Piece>, SourceError> {
        let segment = self.0.segment().map_or_else(String::new, |segment| segment.to_string());
        let piece = self.0.piece().map_err(|error| match error {
            RangeError::Gone => SourceError::Erased { segment },
            RangeError::Damaged(_) => SourceError::Damaged { segment },
            RangeError::NoFootage
            | RangeError::TooLong
            | RangeError::Index(_)
            | RangeError::Keys
            | RangeError::Away
            | RangeError::Gated
            | RangeError::GateAway
            | RangeError::Container(_) => SourceError::Unavailable(error.to_string()),
        })?;
        Ok(piece.map(|piece| match piece {
            StoredPiece::Segment { segment, from, to, digest: digest_of } => {
                let digest = |raw| Digest { algorithm: "belfry-segment-blake3".to_owned(), value: hex::encode(raw) };
                let digests = digest_of.iter().copied().map(digest).collect();
                Piece::Segment(SegmentFact { id: segment.to_string(), from: Utc(from), to: Utc(to), digests })
            }
            StoredPiece::Frames(frames) => Piece::Frames(Box::new(Frames {
                segment: frames.segment.to_string(),
                record: frames.record,
                same_clock: frames.same_clock,
                sets: frames.sets,
                fragment: frames.fragment,
            })),
            StoredPiece::Gap(gap) => Piece::Gap(Gap {
                from: Utc::from_micros(gap.from_us),
                to: Utc::from_micros(gap.to_us.unwrap()),
                cause: serde_json::to_value(gap.cause).unwrap().as_str().unwrap().to_owned(),
            }),
        }))
    }
}

fn order(number: u32, seconds: u64) -> Order {
    let text = str::to_owned;
    let person = |id: &str| Person { id: text(id), role: text("P04"), organisation: text("org_1") };
    Order {
        export_id: format!("exp_{number}"),
        product: text("belfry"),
        started_at: Utc(START.0.plus(Duration::from_secs(90_000))),
        language: Language::Fr,
        exporting_unit: ExportingUnit { name: text("Belfry"), url: String::new(), mac: String::new() },
        from: Utc(START.0),
        to: Utc(START.0.plus(Duration::from_secs(seconds))),
        case_number: text("BR.11.L1.1/2026"),
        purpose: Purpose { code: text("JUDICIAL"), justification: text("réquisition") },
        requested_by: person("usr_1"),
        approved_by: Some(person("usr_2")),
        decision: None,
        cameras: vec![CameraFacts {
            camera: text("cam_1"),
            stream: stream(1).to_string(),
            number: text("12"),
            name: text("Kunstlaan"),
            url: String::new(),
            mac: String::new(),
            owner: text("org_1"),
            place: Place { name: text("Kunstlaan"), latitude_e6: None, longitude_e6: None },
            basis: Basis { document: text("besluit"), date: text("2024-03-01"), advice: String::new() },
            retention_class: text("RC-VID-OPEN"),
        }],
        log: None,
    }
}

fn signer() -> Arc<Signer> {
    let name = SignerName { organisation: "Test".to_owned(), installation: "Belfry".to_owned() };
    Arc::new(Signer::make(&[1; 32], [1; 16], &name, vms_core::WallTime::from_secs(1_790_000_000)).unwrap())
}

/// Exports, checks, and gives the manifest with the media bytes of the films.
fn export(out: &std::path::Path, order: Order, range: StoredRange) -> (Manifest, Vec<u8>) {
    let mut job = Job::create(out, order, signer()).unwrap();
    let mut footage = Stored(range);
    let path: PathBuf = loop {
        if let Step::Done(path) = job.step(&mut footage).unwrap() {
            break path;
        }
    };
    let trust = evidence::verify::Trust { certificate_sha256: Some(signer().fingerprint()), log_key: None };
    let report = evidence::verify::folder(&path, &trust);
    assert_eq!(report.verdict, evidence::verify::Verdict::Authentic, "{}", report.table());
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(path.join("manifest.json")).unwrap()).unwrap();
    let films = manifest.films.iter().map(|film| std::fs::read(path.join(&film.file)).unwrap());
    let media = films.flat_map(|film| mdats(&film)).collect();
    (manifest, media)
}

#[tokio::test]
async fn what_was_recorded_becomes_evidence_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    let mut units = film(1, 0..200, 50);
    let late = (START.0.plus(Duration::from_secs(3_601)), MonoTime { micros: START.1.micros + 3_601_000_000 });
    units.extend((0..200).map(|seq| unit(late, 2, seq, 50)));
    send(&mut ingest, &units).await;
    acked(&mut ingest, 2, 199).await;
    let clock: Arc<dyn Clock> = rig.clock.clone();
    rig.end().await;
    let vault = crate::testfilm::vault(dir.path(), clock);
    let index = crate::index::Index::open(&dir.path().join("index.db")).await.unwrap();
    let stored = async |seconds| {
        let source = crate::playback::Source {
            root: dir.path().join("media"),
            vault: Arc::clone(&vault),
            tiers: crate::tiering::Tiers::default(),
            gate: None,
        };
        crate::playback::open_stored(source, &index, &Catalogue::default(), stream(1), span(0, seconds)).await.unwrap()
    };
    let out = tempfile::tempdir().unwrap();
    let (manifest, media) = export(out.path(), order(1, 3_700), stored(3_700).await);
    assert_eq!(media, payload(&units));
    let camera = &manifest.cameras[0];
    assert_eq!(camera.segments.len(), 2);
    assert!(camera.segments.iter().all(|segment| segment.digests.len() == 1), "closed segments have their digest");
    // The clock of the test film: the camera's own time on every second unit.
    assert_eq!((manifest.films[0].clock.agrees, manifest.films[0].lost_packets), (200, 1));
    // The hour without footage is told, whoever noted it.
    let silence = (START.0.plus(Duration::from_secs(60)), START.0.plus(Duration::from_secs(3_500)));
    assert!(camera.gaps.iter().any(|gap| gap.from.0 < silence.0 && silence.1 < gap.to.0), "{:?}", camera.gaps);
    // With its key gone, the first hour is a gap with its cause, and the rest is exported.
    let open = stored(3_700).await;
    let first = keys::Hour::of(START.0);
    vault.with(|ring| ring.destroy_hours(&|name| name.hour == first, 9, keys::Reason::EndOfTerm, START.0)).unwrap();
    let (manifest, media) = export(out.path(), order(2, 3_700), stored(3_700).await);
    assert_eq!(media, payload(&units[200..]));
    let causes: Vec<&str> = manifest.cameras[0].gaps.iter().map(|gap| gap.cause.as_str()).collect();
    assert!(causes.contains(&"key_destroyed"), "{causes:?}");
    // One that was open before ends with clear words.
    let mut job = Job::create(out.path(), order(3, 3_700), signer()).unwrap();
    let mut footage = Stored(open);
    let failure = loop {
        match job.step(&mut footage) {
            Ok(step) => assert_eq!(step, Step::More),
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.code(), "key_destroyed");
    job.cancel().unwrap();
}

/// Pulls the whole span in answers of `pieces`, with its own machine; the refusal, if one ends it.
async fn pull(serve: &mut Link, pieces: u32) -> Result<Vec<link::message::stored::StoredPiece>, String> {
    use link::message::stored::{StoredAssembler, StoredStep};
    let mut machine = StoredAssembler::new(stream(1));
    let mut all = Vec::new();
    loop {
        serve.sender.send(Control::ReadStored { pieces, bytes: 1 << 40 }).await.unwrap();
        let mut asked = 0;
        loop {
            match machine.take(serve.receiver.recv().await.unwrap()).unwrap() {
                StoredStep::Wait => {}
                StoredStep::Piece(piece) => {
                    asked += 1;
                    all.push(piece);
                }
                StoredStep::More => break,
                StoredStep::End => return Ok(all),
                StoredStep::Refused(code, _) => return Err(code),
            }
        }
        assert!(asked <= pieces, "the asker says how much it can take");
    }
}

#[tokio::test]
async fn stored_footage_travels_under_a_capability_and_goes_on_where_it_was() {
    use link::message::stored::StoredPiece as Wire;
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(dir.path()).await;
    let mut ingest = rig.assign(1, false).await;
    let mut units = film(1, 0..1_750, 50);
    for unit in &mut units[1_700..] {
        unit.param_set = other_sets().id;
    }
    send(&mut ingest, &units).await;
    acked(&mut ingest, 1, 1_749).await;
    let range = span(0, 75);
    let ask = |life_ms: i64, skip: u64, after: Option<(String, u32)>| Control::OpenStored {
        capability: rig.gate.sign(&rig.capability(Scope::Range(range), life_ms)),
        stream: stream(1).to_string(),
        from_us: range.from.micros,
        to_us: range.to.micros,
        skip,
        after,
    };
    let mut serve = rig.connect(Role::Serve).await;
    let info = serve.ask(ask(15_000, 0, None)).await.unwrap();
    let whole = pull(&mut serve, 7).await.unwrap();
    assert_eq!(info, Control::StoredInfo { pieces: u64::try_from(whole.len()).unwrap() });
    let got: Vec<AccessUnit> = whole
        .iter()
        .filter_map(
            |piece| if let Wire::Frames(_, _, fragment) = piece { Some(fragment.units().to_vec()) } else { None },
        )
        .flatten()
        .collect();
    assert_eq!(payload(&got), payload(&units));
    let facts = |unit: &AccessUnit| (unit.seq, unit.clocks, unit.pts, unit.is_key, unit.lost_before, unit.param_set);
    assert_eq!(got.iter().map(facts).collect::<Vec<_>>(), units.iter().map(facts).collect::<Vec<_>>());
    assert_eq!(whole.iter().filter(|piece| matches!(piece, Wire::Segment(_))).count(), 3);

    // It goes on behind what the asker has, and says so when that is not what it was.
    let at = whole.iter().position(|piece| matches!(piece, Wire::Frames(head, ..) if head.record > 20)).unwrap();
    let Wire::Frames(head, ..) = &whole[at] else { panic!() };
    let after = Some((head.segment.clone(), head.record));
    let skip = u64::try_from(at + 1).unwrap();
    serve.ask(ask(15_000, skip, after.clone())).await.unwrap();
    assert_eq!(pull(&mut serve, 1_000).await.unwrap(), whole[at + 1..]);
    for (skip, after) in [(skip - 1, after), (skip, None), (0, Some(("seg_1".to_owned(), 1)))] {
        let answer = serve.ask(ask(15_000, skip, after)).await.unwrap();
        assert!(matches!(&answer, Control::Refused { code, .. } if code == "range_changed"), "{answer:?}");
    }

    // A capability that runs out ends it; a fresh one goes on; one for less, or revoked, does not.
    serve.ask(ask(15_000, 0, None)).await.unwrap();
    rig.clock.step_wall(16_000_000);
    assert_eq!(pull(&mut serve, 3).await, Err("capability_expired".to_owned()));
    let fresh = |scope| rig.gate.sign(&rig.capability(scope, 15_000));
    assert_eq!(serve.ask(Control::Renew { capability: fresh(Scope::Range(range)) }).await.unwrap(), Control::Done);
    assert_eq!(pull(&mut serve, 3).await.unwrap().len(), whole.len());
    for scope in [Scope::Live, Scope::Range(span(0, 60))] {
        let answer = serve.ask(Control::Renew { capability: fresh(scope) }).await.unwrap();
        assert!(matches!(&answer, Control::Refused { code, .. } if code == "capability_out_of_scope"), "{answer:?}");
    }
    serve.ask(ask(15_000, 0, None)).await.unwrap();
    let mut other = rig.connect(Role::Serve).await;
    let decision = DecisionId::from_bytes([1; 16]).to_string();
    assert_eq!(other.ask(Control::Revoke { decision }).await.unwrap(), Control::Done);
    assert_eq!(pull(&mut serve, 3).await, Err("revoked".to_owned()));
    rig.end().await;
}
