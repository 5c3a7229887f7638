//! Reads that others push, from a signed batch to a finding or a refusal: the real use cases over the real store, on both databases.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use reads_in::batch::ClockClaim;
use reads_in::{claim, onvif};
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vms_app::UseCaseError;
use vms_app::gate::Actor;
use vms_app::health::rfc3339;
use vms_app::identity::IdentityStore as _;
use vms_app::identity::machines::MachineCertificate;
use vms_app::lez::findings::Snapshot;
use vms_app::lez::push::{PushForm, PushOutcome, Pushed};
use vms_app::lez_ports::LezStore as _;
use vms_app::ports::{AccountStore as _, Clock as _};
use vms_core::{Profile, Purpose, WallTime};
use vms_store::Store;

use crate::suite::{account_of, postgres, sqlite};
use crate::traffic::{Town, counted, noon, read, town};

on_both!(
    a_pushed_pair_is_usable_with_clock_and_certificate_and_not_without,
    a_passage_that_comes_by_two_ways_is_one_read,
    who_is_not_admitted_is_refused_and_the_log_says_why,
);

/// A machine with a certificate that was noted for its account.
struct Machine {
    actor: Actor,
    key: KeyPair,
    der: Vec<u8>,
}

async fn machine(town: &Town, n: u8, org: &str) -> Machine {
    let actor = town.person(n, org, Profile::P24).await;
    let mut account = account_of(n, actor.org);
    account.profile = Profile::P24;
    town.store.account_insert(&account).await.unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let der = CertificateParams::new(vec![format!("m{n}")]).unwrap().self_signed(&key).unwrap().der().to_vec();
    let certificate = MachineCertificate {
        fingerprint: hex::encode(Sha256::digest(&der)),
        user: account.id,
        name: "signing".to_owned(),
        made_at: noon(),
        ends_at: noon().plus(Duration::from_secs(86_400)),
        revoked_at: None,
        used_at: None,
    };
    town.store.machine_insert(&certificate).await.unwrap();
    let actor = Actor { user: account.id, ..actor };
    Machine { actor, key, der }
}

impl Machine {
    fn signature(&self, body: &[u8]) -> String {
        let header = json!({ "alg": "EdDSA", "b64": false, "crit": ["b64"], "x5c": [STANDARD.encode(&self.der)] });
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.key.serialize_der()).unwrap();
        let signature = key.sign(&[header.as_bytes(), b".", body].concat());
        format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    async fn push(&self, town: &Town, reads: Vec<Value>, clocks: Vec<Value>) -> Pushed {
        let body = json!({ "v": 1, "reads": reads, "clocks": clocks }).to_string();
        let form = self.signature(body.as_bytes());
        town.cases.reads_push(&self.actor, PushForm::Detached(&form), body.as_bytes()).await.unwrap()
    }
}

fn at(seconds: u64) -> WallTime {
    noon().plus(Duration::from_secs(seconds))
}

fn clock(from_s: u64, until: WallTime, offset_us: i64) -> Value {
    let from = noon().minus(Duration::from_secs(from_s));
    json!({ "source": "ptp-gnss", "locked_from": rfc3339(from), "locked_until": rfc3339(until), "offset_us": offset_us,
        "uncertainty_us": 900, "synced_at": rfc3339(until) })
}

fn pushed(camera: &str, plate: &str, when: WallTime, more: &Value) -> Value {
    let mut read = json!({ "id": format!("{camera}-{}-{}", plate.len(), when.micros), "camera": camera, "at": rfc3339(when),
        "plate": plate, "confidence": 0.985, "countries": [{ "sign": "B", "confidence": 0.99 }], "second_at": rfc3339(when) });
    for (key, value) in more.as_object().unwrap() {
        read[key] = value.clone();
    }
    read
}

fn outcomes(pushed: &Pushed) -> Vec<PushOutcome> {
    pushed.reads.iter().map(|(_, outcome)| *outcome).collect()
}

async fn a_pushed_pair_is_usable_with_clock_and_certificate_and_not_without(store: &Store) {
    let town = town(store).await;
    let (police, commune) = (machine(&town, 21, "5339").await, machine(&town, 22, "ELSENE").await);
    town.clock.pass_s(1);
    // 870 m in 40 s. What each pair lacks, and in whose favour that is.
    let entry = |lock_s: u64, offset_us: i64| json!({ "verification": "DEMO-VERIFICATION-1", "clock": clock(lock_s, at(0), offset_us) });
    let exit = || json!({ "verification": "DEMO-VERIFICATION-2", "clock": clock(3_600, at(41), 50) });
    let without = |whole: Value, field: &str| {
        let mut whole = whole;
        whole.as_object_mut().unwrap().remove(field);
        whole
    };
    let pairs = [
        ("1CAR001", entry(3_600, 100), exit()),
        ("1CAR002", entry(3_600, 100), without(exit(), "clock")),
        ("1CAR003", entry(3_600, 100), json!({ "verification": "OTHER-1", "clock": clock(3_600, at(41), 50) })),
        ("1CAR004", without(entry(3_600, 100), "verification"), exit()),
        // A lock of which nothing more is heard.
        ("1CAR005", entry(1_800, 100), exit()),
        ("1CAR006", entry(900, 60_000), exit()),
        ("1CAR007", without(entry(3_600, 100), "second_at"), exit()),
    ];
    let mut pairs = pairs;
    pairs[6].1["second_at"] = Value::Null;
    let entries = pairs.iter().map(|(plate, entry, _)| {
        let mut read = pushed("TRJ-1", plate, at(0), entry);
        read["id"] = json!(format!("e-{plate}"));
        read
    });
    let came = police.push(&town, entries.collect(), vec![]).await;
    assert_eq!(outcomes(&came), [PushOutcome::Kept; 7]);
    town.clock.pass_s(41);
    let exits = pairs.iter().map(|(plate, _, exit)| {
        let mut read = pushed("TRJ-2", plate, at(40), exit);
        read["id"] = json!(format!("x-{plate}"));
        read
    });
    assert_eq!(outcomes(&commune.push(&town, exits.collect(), vec![]).await), [PushOutcome::Kept; 7]);
    // The next word of both clocks, a minute later: only then is it known that the locks reached past the pair.
    town.pass(40).await;
    assert_eq!(town.queue(&town.officer().await).await.len(), 0, "nobody knows yet");
    let word = |camera: &str, lock_s: u64, offset_us: i64| json!({ "camera": camera, "clock": clock(lock_s, at(80), offset_us) });
    let came = police.push(&town, vec![], vec![word("TRJ-1", 3_600, 80), word("TRJ-1", 900, 60_000)]).await;
    assert_eq!(came.clocks, [None, None]);
    assert_eq!(commune.push(&town, vec![], vec![word("TRJ-2", 3_600, 50)]).await.clocks, [None]);
    town.pass(110).await;
    let queue = town.queue(&town.officer().await).await;
    let plates: Vec<&str> = queue.iter().map(|sight| sight.finding.file.plate.reveal()).collect();
    assert_eq!(plates, ["1CAR001"]);
    let Snapshot::Trajectory(both) = &queue[0].snapshot else { panic!("of another purpose") };
    assert_eq!(
        (both.0.entry_clock.offset_us, both.0.entry_clock.uncertainty_us),
        (100, 900),
        "the worst that was stated"
    );
    assert_eq!(both.0.entry_clock.locked_until, Some(at(80)), "what came later was carried over");
    assert_eq!(both.0.stated.exit.as_deref(), Some("DEMO-VERIFICATION-2"));
    let measured = both.1.measured.as_ref().unwrap();
    assert_eq!((measured.corrected_kmh, measured.instruments.len()), (71, 2));
    let counts = town.counts(Purpose::Trajectory).await;
    assert_eq!(counts, counted(&[("infraction", 1), ("not_usable", 6), ("paired", 7)]));
}

async fn a_passage_that_comes_by_two_ways_is_one_read(store: &Store) {
    let town = town(store).await;
    let (police, commune) = (machine(&town, 21, "5339").await, machine(&town, 22, "ELSENE").await);
    town.clock.pass_s(30);
    let bare = json!({});
    let copies = |n: i64| (n, "select count(*) as n from lez_read where purpose = 'TRAJECT'");
    // Ours first, theirs three seconds later; the same again; by ONVIF; another plate; and the same plate much later.
    assert_eq!(town.take(vec![read(1, 4, "1CAR001", at(0))]).await, 2);
    let batch = vec![
        pushed("TRJ-1", "1CAR001", at(3), &bare),
        pushed("TRJ-1", "1CAR0022", at(3), &bare),
        pushed("TRJ-1", "1CAR001", at(14), &bare),
    ];
    let (kept, twice) = (PushOutcome::Kept, PushOutcome::Duplicate);
    assert_eq!(outcomes(&police.push(&town, batch.clone(), vec![]).await), [twice, kept, kept]);
    assert_eq!(outcomes(&police.push(&town, batch, vec![]).await), [twice, twice, twice], "delivered again");
    let event = json!({ "UtcTime": rfc3339(at(5)), "Source": { "VideoSource": "vs1" },
        "Data": { "LicensePlateInfo": { "LicensePlateInfo": { "PlateNumber": { "@Likelihood": 0.9, "#text": "1-CAR-0022" } } } } });
    let form = PushForm::Onvif { camera: "TRJ-1", kind: Some(onvif::Kind::Event) };
    let body = event.to_string();
    let came = town.cases.reads_push(&police.actor, form, body.as_bytes()).await.unwrap();
    assert_eq!(outcomes(&came), [twice], "by another transport");
    let (wanted, sql) = copies(3);
    assert_eq!(town.number(sql).await, wanted);
    // Theirs first: ours is the twin. What our own reader says twice stays two.
    assert_eq!(outcomes(&police.push(&town, vec![pushed("TRJ-1", "1CAR003", at(8), &bare)], vec![]).await), [kept]);
    assert_eq!(town.take(vec![read(2, 4, "1CAR003", at(6))]).await, 0);
    assert_eq!(town.take(vec![read(3, 4, "1CAR004", at(6)), read(4, 4, "1CAR004", at(9))]).await, 4);
    // A copy that was decided and erased at once: the passage is still one.
    assert_eq!(outcomes(&commune.push(&town, vec![pushed("ZBT-1", "1CAR005", at(9), &bare)], vec![]).await), [kept]);
    town.pass(2).await;
    assert_eq!(town.counts(Purpose::Zbt).await, counted(&[("infraction", 1)]));
    assert_eq!(town.take(vec![read(5, 1, "1CAR005", at(10))]).await, 0);
    town.pass(2).await;
    assert_eq!(town.counts(Purpose::Zbt).await, counted(&[("infraction", 1)]));
    // A quarter of an hour later nothing remembers any of it, and after the hour neither does a key.
    town.clock.pass_s(16 * 60);
    town.vault.lez_sweep(town.clock.now()).await.unwrap();
    assert_eq!(town.number("select count(*) as n from read_mark").await, 0);
    town.clock.pass_s(3_600);
    town.vault.lez_sweep(town.clock.now()).await.unwrap();
    assert_eq!(town.number("select count(*) as n from lez_key where purpose = 'ZBT' and object = ''").await, 0);
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn who_is_not_admitted_is_refused_and_the_log_says_why(store: &Store) {
    let town = town(store).await;
    let (police, commune) = (machine(&town, 21, "5339").await, machine(&town, 22, "ELSENE").await);
    town.clock.pass_s(1);
    let bare = json!({});
    let body = json!({ "v": 1, "reads": [pushed("TRJ-1", "1CAR001", at(0), &bare)] }).to_string();
    let send = async |who: &Machine, signature: String, text: &str| {
        town.cases.reads_push(&who.actor, PushForm::Detached(&signature), text.as_bytes()).await
    };
    let word = |error: UseCaseError| {
        let UseCaseError::Invalid(list) = error else { panic!("{error:?}") };
        list[0].problem.clone()
    };
    assert_eq!(word(send(&police, String::new(), &body).await.unwrap_err()), "signature_malformed");
    assert_eq!(
        word(send(&police, commune.signature(body.as_bytes()), &body).await.unwrap_err()),
        "signature_key_unknown"
    );
    assert_eq!(word(send(&police, police.signature(b"{}"), &body).await.unwrap_err()), "signature_wrong");
    assert_eq!(word(send(&police, police.signature(b"{}"), "{}").await.unwrap_err()), "malformed");
    let person = Actor { profile: Profile::P01, ..police.actor.clone() };
    let refused = town.cases.reads_push(&person, PushForm::Whole, b"").await;
    assert!(matches!(refused, Err(UseCaseError::Denied { .. })), "no person has this right");
    // A camera of somebody else, one that is not there, one that is read for nothing, and times that nobody can have.
    let ahead = json!({ "clock": clock(60, at(3_600), 0) });
    let reads = vec![
        pushed("ZBT-1", "1CAR001", at(0), &bare),
        pushed("NOWHERE", "1CAR001", at(0), &bare),
        pushed("TRJ-1", "1CAR001", at(60), &bare),
        pushed("TRJ-1", "1CAR002", at(0).minus(Duration::from_secs(90_000)), &bare),
        pushed("TRJ-1", "1CAR003", at(0), &ahead),
        json!({ "id": "x", "camera": "TRJ-1" }),
        pushed("TRJ-1", "1CAR004", at(0), &bare),
    ];
    let came = police.push(&town, reads, vec![json!({ "camera": "TRJ-2", "clock": clock(60, at(0), 0) })]).await;
    let words: Vec<&str> = outcomes(&came)
        .into_iter()
        .map(|outcome| match outcome {
            PushOutcome::Refused(word) => word,
            PushOutcome::Kept => "kept",
            PushOutcome::Duplicate => "duplicate",
        })
        .collect();
    let wanted = [
        "camera_not_admitted",
        "camera_not_admitted",
        "at_in_the_future",
        "at_too_old",
        "clock_in_the_future",
        "malformed",
        "kept",
    ];
    assert_eq!(words, wanted);
    assert_eq!(came.clocks, [Some("camera_not_admitted")]);
    let form = PushForm::Onvif { camera: "ZBT-1", kind: None };
    let refused = town.cases.reads_push(&police.actor, form, b"{}").await;
    assert!(matches!(refused, Err(UseCaseError::NotFound(_))), "{refused:?}");
    // A certificate that was taken back signs nothing any more.
    let fingerprint = hex::encode(Sha256::digest(&police.der));
    town.store.machine_revoke(police.actor.user, &fingerprint, town.clock.now()).await.unwrap();
    let signed = police.signature(body.as_bytes());
    assert_eq!(word(send(&police, signed, &body).await.unwrap_err()), "signature_key_unknown");
    // The leaf of the delivery: what was refused can be refused again from what it says, and it says no plate.
    let entries = town.log.entries();
    let leaf = entries.iter().rfind(|entry| entry.details["operation"] == "reads_pushed").unwrap();
    let details = &leaf.details["details"];
    assert_eq!((details["kept"].as_u64(), details["reads"].as_u64()), (Some(1), Some(7)));
    let received = WallTime::from_micros(details["received_us"].as_i64().unwrap());
    let mut again = 0;
    for refused in details["refused"].as_array().unwrap().iter().filter(|refused| !refused["at_us"].is_null()) {
        let number = |value: &Value| value.as_i64().map(WallTime::from_micros);
        let stated = &refused["clock"];
        let claimed = number(&stated["locked_from_us"]).map(|locked_from| ClockClaim {
            source: "x".to_owned(),
            locked_from,
            locked_until: number(&stated["locked_until_us"]),
            offset_us: stated["offset_us"].as_i64().unwrap(),
            uncertainty_us: stated["uncertainty_us"].as_u64().unwrap(),
            synced_at: number(&stated["synced_us"]),
        });
        let found = claim::check(number(&refused["at_us"]).unwrap(), claimed.as_ref(), None, received);
        if let Err(fault) = found {
            assert_eq!(refused["code"], fault.as_str());
            again += 1;
        }
    }
    assert_eq!(again, 3, "{details}");
    assert!(!format!("{entries:?}").contains("CAR00"), "no plate in the log");
    let admitted = entries.iter().filter(|entry| entry.details["right"] == "reads.push").count();
    assert_eq!(
        admitted, 5,
        "one opening leaf for TRJ-1; a refusal each for a person, TRJ-2, and ZBT-1 in two deliveries"
    );
}
