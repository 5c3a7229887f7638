//! `belfry fines` as a job scheduler runs it: over the listener for machines, after reads, the registry stub and people.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::Value;
use vms_api::machines::{MachineListener, MachinePeer, server_config};
use vms_app::accounts::AccountWish;
use vms_app::words::Language;

use super::*;
use crate::cli::{Args, Command};

/// Certificates of an authority, of Belfry and of the job, as files.
pub(super) struct Papers {
    dir: PathBuf,
    fingerprint: String,
}

pub(super) fn papers(dir: &Path) -> Papers {
    use sha2::Digest as _;
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = authority.self_signed(&key).unwrap();
    std::fs::write(dir.join("authority.pem"), own.pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let mut fingerprint = String::new();
    for (name, purpose) in
        [("server", ExtendedKeyUsagePurpose::ServerAuth), ("job", ExtendedKeyUsagePurpose::ClientAuth)]
    {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        fingerprint = hex::encode(sha2::Sha256::digest(certificate.der()));
    }
    Papers { dir: dir.to_owned(), fingerprint }
}

/// The listener for machines, and an account of an organisation that the job's certificate opens.
pub(super) async fn listen(stage: &mut Stage, papers: &Papers, code: &str) -> String {
    let file = |name: &str| std::fs::read(papers.dir.join(name)).unwrap();
    let tls = server_config(&file("server.pem"), &file("server.key"), &file("authority.pem")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://localhost:{}", tcp.local_addr().unwrap().port());
    let router = vms_api::machines::router(Arc::clone(&stage.cases), vms_api::Settings::default());
    let service = router.into_make_service_with_connect_info::<MachinePeer>();
    let listener = MachineListener::new(tcp, tls);
    stage.tasks.spawn(async move { axum::serve(listener, service).await.unwrap() });
    let wish = AccountWish {
        user_name: "boetes".to_owned(),
        name: "Job of the batches".to_owned(),
        org: org(&stage.cases, code).await,
        profile: Profile::P24,
        language: Language::Nl,
    };
    let made =
        stage.cases.account_by_command_line(wish, Some("nobody types this one".to_owned().into())).await.unwrap();
    let admin = stage.person("PARADIGM", Profile::P18).await;
    let ends_at = stage.clock.now().plus(Duration::from_secs(10 * 86_400));
    let (user, print) = (made.account.id, &papers.fingerprint);
    stage.cases.machine_certificate_add(&admin, user, print, "job host", ends_at).await.unwrap();
    address
}

/// Runs the command as `main` does; the exit code.
pub(super) async fn says(papers: &Papers, server: &str, words: &[&str]) -> u8 {
    let path = |name: &str| papers.dir.join(name).display().to_string();
    let mut line: Vec<String> = vec!["belfry".to_owned(), "fines".to_owned()];
    line.extend(words.iter().map(|word| (*word).to_owned()));
    if words[0] != "verify" {
        for (option, value) in [
            ("--server", server.to_owned()),
            ("--certificate", path("job.pem")),
            ("--key", path("job.key")),
            ("--authority", path("authority.pem")),
        ] {
            line.extend([option.to_owned(), value]);
        }
    }
    let Command::Fines(args) = Args::try_parse_from(line).unwrap().command else { panic!("not fines") };
    tokio::task::spawn_blocking(move || crate::fines::run(args)).await.unwrap()
}

pub(super) fn offences(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("offences.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
pub(super) async fn a_job_hands_over_what_people_approved(mut stage: Stage) {
    stage.spooled([row(2, "1BBB222", "B", noon()), row(3, "1CCC333", "B", noon()), row(4, "1DDD444", "B", noon())]);
    stage.clock.pass_s(130);
    stage.decide().await;
    let agent = stage.person("FISC", Profile::P07).await;
    for sight in stage.findings().await {
        if sight.finding.measure.verdict != vms_app::lez_ports::FindingVerdict::Undetermined {
            let (id, seen) = (sight.finding.id, sight.finding.version);
            stage.cases.finding_decide(&agent, id, seen, Verdict::Approve).await.unwrap();
        }
    }
    let files = tempfile::tempdir().unwrap();
    let papers = papers(files.path());
    let server = listen(&mut stage, &papers, "FISC").await;
    let out = files.path().join("out");
    let to = out.display().to_string();
    // Read at noon on Friday: until Saturday night somebody can buy a day pass, and the window of the approvals has nothing.
    let early = out.join("early").display().to_string();
    let approvals = "2026-11-20T11:00:00Z/2026-11-20T11:05:00Z";
    stage.clock.pass_s(300);
    assert_eq!(says(&papers, &server, &["run", "--window", approvals, "--to", &early]).await, 0);
    let empty = out.join("early/fines-20261120T1100Z-20261120T1105Z");
    assert_eq!(offences(&empty).len(), 0);
    let manifest = std::fs::read_to_string(empty.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"not_final\": 2") && manifest.contains("2026-11-21T23:00:00.000000Z"), "{manifest}");
    assert_eq!(says(&papers, &server, &["status"]).await, 0);
    let window = "2026-11-21T23:00:00Z/2026-11-21T23:05:00Z";
    let run = ["run", "--window", window, "--to", &to];
    assert_eq!(says(&papers, &server, &run).await, 4, "the window is not over");
    stage.clock.pass_s(2 * 86_400);
    assert_eq!(says(&papers, &server, &["run", "--window", window, "--to", &to, "--dry-run"]).await, 0);
    assert!(!out.join("fines-20261121T2300Z-20261121T2305Z").exists(), "a dry run writes no batch");
    assert_eq!(says(&papers, &server, &run).await, 0);
    let folder = out.join("fines-20261121T2300Z-20261121T2305Z");
    let records = offences(&folder);
    let mut plates: Vec<&str> = records.iter().map(|record| record["plate"].as_str().unwrap()).collect();
    plates.sort_unstable();
    assert_eq!(plates, ["1BBB222", "1CCC333"]);
    assert_eq!(records[0]["camera"]["code"], "LEZ-1");
    assert_eq!(says(&papers, &server, &run).await, 0, "again: it is there");

    // Offline, with the published key.
    let key = stage.dir.path().join("keys/fines.pem").display().to_string();
    let name = folder.display().to_string();
    assert_eq!(says(&papers, &server, &["verify", &name, "--key", &key]).await, 0);
    let table = std::fs::read(folder.join("offences.csv")).unwrap();
    std::fs::write(folder.join("offences.csv"), b"x").unwrap();
    assert_eq!(says(&papers, &server, &["verify", &name, "--key", &key]).await, 1);
    assert_eq!(says(&papers, &server, &run).await, 1, "a batch that was changed is no batch");
    std::fs::write(folder.join("offences.csv"), table).unwrap();
    assert_eq!(says(&papers, &server, &["verify", &to]).await, 2);

    // Answers.
    let answers = files.path().join("ack.jsonl");
    let keys: Vec<&str> = records.iter().map(|record| record["offence"].as_str().unwrap()).collect();
    let text = format!("{{\"offence\":\"{}\",\"answer\":\"accepted\"}}\n", keys[0]);
    let given = answers.display().to_string();
    std::fs::write(&answers, &text).unwrap();
    for _ in 0..2 {
        assert_eq!(says(&papers, &server, &["ack", &given]).await, 0);
    }
    std::fs::write(&answers, text.replace("\"accepted\"", "\"refused\",\"code\":\"X\"")).unwrap();
    assert_eq!(says(&papers, &server, &["ack", &given]).await, 1, "it contradicts");
    std::fs::write(&answers, "{}").unwrap();
    assert_eq!(says(&papers, &server, &["ack", &given]).await, 4);
    assert_eq!(says(&papers, &server, &["status", "--json"]).await, 0);

    // Overlap, nobody there, a certificate that was taken back.
    let overlap = ["run", "--window", "2026-11-21T23:01:00Z/2026-11-21T23:02:00Z", "--to", &to];
    assert_eq!(says(&papers, &server, &overlap).await, 4);
    assert_eq!(says(&papers, "https://localhost:1", &["status"]).await, 5);
    let admin = stage.person("PARADIGM", Profile::P18).await;
    let account = stage.cases.stores().account_by_user_name("boetes").await.unwrap().unwrap();
    stage.cases.machine_certificate_revoke(&admin, account.id, &papers.fingerprint).await.unwrap();
    assert_eq!(says(&papers, &server, &["status"]).await, 3);
    let said = format!("{:?}", stage.log.entries());
    for word in ["fine_run_opened", "fine_handed_over", "fine_run_signed", "fine_answered", "fine_answer_refused"] {
        assert!(said.contains(word), "{word}");
    }
    assert!(!said.contains("CCC333"), "no plate in the log");
}
