//! What follows a day of reads: an agent goes through the queue, a job of the tax administration fetches the batch and checks it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use vms_benches::process::wall_us;
use vms_testkit::rig::{Rig, free_port};

use crate::say;

const MINUTE_US: i64 = 60_000_000;
/// Findings fetched at once.
const PAGE: usize = 100;

/// The job of the batches: its certificate, and where Belfry listens for machines.
pub(crate) struct Job {
    folder: PathBuf,
    at: SocketAddr,
    fingerprint: String,
}

impl Job {
    /// Makes the certificates of both ends; the lines that `belfry.toml` needs come with it.
    pub(crate) fn prepare(rig: &Rig) -> anyhow::Result<(Self, String)> {
        let folder = rig.path().to_owned();
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        std::fs::write(folder.join("machines-ca.pem"), authority.pem())?;
        let mut fingerprint = String::new();
        for (name, purpose) in
            [("machines", ExtendedKeyUsagePurpose::ServerAuth), ("job", ExtendedKeyUsagePurpose::ClientAuth)]
        {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
            params.extended_key_usages = vec![purpose];
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?;
            std::fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
            std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
            fingerprint = hex::encode(Sha256::digest(certificate.der()));
        }
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let lines = format!(
            "[identity.machines]\nbind = '{at}'\ncertificate = 'machines.pem'\nkey = 'machines.key'\nauthorities = 'machines-ca.pem'\n"
        );
        Ok((Self { folder, at, fingerprint }, lines))
    }

    /// An account of the tax administration that the certificate opens.
    async fn admit(&self, rig: &Rig) -> anyhow::Result<()> {
        let admin = rig.log_in("admin").await?;
        let orgs = admin.ask("GET", "/api/v1/orgs", None).await?;
        let orgs = orgs.get("items").and_then(Value::as_array).context("no organisations")?;
        let fisc = orgs.iter().find(|org| org.get("code").and_then(Value::as_str) == Some("FISC"));
        let org = fisc.and_then(|org| org.get("id")).context("no tax administration")?;
        let wish = json!({ "user_name": "hammer-job", "name": "hammer-job", "org_id": org, "profile": "P24" });
        let made = admin.ask("POST", "/api/v1/users", Some(wish)).await?;
        let user = made.get("id").and_then(Value::as_str).context("an account without an id")?;
        let ends_at = jiff::Timestamp::from_microsecond(wall_us() + 86_400_000_000)?;
        let note = json!({ "fingerprint": self.fingerprint, "name": "hammer", "ends_at": ends_at.to_string() });
        admin.ask("POST", &format!("/api/v1/users/{user}/certificates"), Some(note)).await?;
        Ok(())
    }

    /// `belfry fines …` as the scheduler starts it; what it printed.
    fn fines(&self, belfry: &PathBuf, words: &[&str]) -> anyhow::Result<String> {
        let path = |name: &str| self.folder.join(name);
        let mut command = Command::new(belfry);
        command.arg("fines").args(words);
        if words.first() != Some(&"verify") {
            command.arg("--server").arg(format!("https://localhost:{}", self.at.port()));
            command.arg("--certificate").arg(path("job.pem")).arg("--key").arg(path("job.key"));
            command.arg("--authority").arg(path("machines-ca.pem"));
        }
        let done = command.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&done.stdout).trim().to_owned();
        ensure!(
            done.status.success(),
            "belfry fines {words:?}: {} {said} {}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(said)
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// One agent approves the oldest findings, one after the other; how many, and how many the queue has left out (undetermined).
async fn approve(rig: &Rig, wanted: usize) -> anyhow::Result<(usize, usize)> {
    let agent = rig.log_in("lez").await?;
    let (mut approved, mut undetermined, mut after) = (0, 0, String::new());
    while approved < wanted {
        let page = agent.ask("GET", &format!("/api/v1/findings?state=open&limit={PAGE}{after}"), None).await?;
        let items = page.get("items").and_then(Value::as_array).context("no items")?;
        for finding in items {
            if text(finding, "verdict") == "undetermined" {
                undetermined += 1;
            } else if approved < wanted {
                let body = json!({ "verdict": "approve", "seen_etag": text(finding, "etag") });
                let path = format!("/api/v1/findings/{}/decide", text(finding, "id"));
                agent.ask("POST", &path, Some(body)).await?;
                approved += 1;
            }
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(cursor) => after = format!("&cursor={cursor}"),
            None => break,
        }
    }
    Ok((approved, undetermined))
}

/// Queue and batch.
pub(crate) async fn phase(rig: &Rig, job: &Job, programs: &std::path::Path, wanted: usize) -> anyhow::Result<()> {
    job.admit(rig).await?;
    let first = wall_us().div_euclid(MINUTE_US) * MINUTE_US;
    let began = Instant::now();
    let (approved, undetermined) = approve(rig, wanted).await?;
    let seconds = began.elapsed().as_secs_f64();
    say(&format!(
        "queue: {approved} approved one after the other in {seconds:.0} s; {undetermined} on the way can't be told yet"
    ));
    // A window must be over.
    let last = (wall_us().div_euclid(MINUTE_US) + 1) * MINUTE_US;
    while wall_us() <= last {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let instant = |us: i64| jiff::Timestamp::from_microsecond(us).map(|at| at.to_string());
    let window = format!("{}/{}", instant(first)?, instant(last)?);
    let out = rig.path().join("fines");
    let (belfry, to) = (programs.join("belfry"), out.display().to_string());
    let began = Instant::now();
    let said =
        tokio::task::block_in_place(|| job.fines(&belfry, &["run", "--window", &window, "--to", &to, "--json"]))?;
    say(&format!("batch, signed after {:.1} s: {said}", began.elapsed().as_secs_f64()));
    let folder = std::fs::read_dir(&out)?.next().context("no batch")??.path();
    let key = rig.path().join("state/keys/fines.pem").display().to_string();
    let name = folder.display().to_string();
    let began = Instant::now();
    tokio::task::block_in_place(|| job.fines(&belfry, &["verify", &name, "--key", &key]))?;
    let lines = std::fs::read_to_string(folder.join("offences.jsonl"))?.lines().count();
    say(&format!("a stranger verified its {lines} records in {:.1} s", began.elapsed().as_secs_f64()));
    ensure!(lines > 0, "a batch of nothing: was each read too young to be final?");
    Ok(())
}
