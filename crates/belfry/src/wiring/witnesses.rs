//! Hands every new checkpoint of the log to the witnesses, and raises an alarm when none of them cosigned for a while, or when one
//! says that the log was forked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use audit::folder::Folder as _;
use audit::proof::{consistency, hash_to_base64};
use audit::{Hash, WitnessVerifier, cosign};
use reqwest::StatusCode;
use vms_app::UseCases;
use vms_app::gate::AuditLog as _;
use vms_core::WallTime;
use vms_store::log::Sequencer;

use crate::audit::mirror::DirFolder;

/// Longest wait for a witness.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A checkpoint that did not change is cosigned again this often, so that its date says that the log is alive.
const AGAIN_US: i64 = 45_000_000;
/// An alarm when a witness did not cosign for so long: with the longest round it is raised within 5 minutes (reliability.md L3).
const ALARM_US: i64 = 285_000_000;
/// Longest answer that is read, bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Stable words for `/health` (docs/operations.md).
const NOT_WRITABLE: &str = "log_not_writable";
const NOT_SIGNED: &str = "log_not_signed";
const NOT_COSIGNED: &str = "log_not_cosigned";
const FORKED: &str = "log_fork";

/// One witness, and how far it is.
#[derive(Debug)]
struct Peer {
    url: String,
    key: WitnessVerifier,
    /// Size that it knows.
    known: u64,
    cosigned_at: WallTime,
    forked: bool,
}

/// What a witness answered.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Cosigned(String),
    Knows(u64),
    Fork,
}

#[derive(Debug)]
struct Inner {
    peers: Vec<Peer>,
    done: Option<(u64, Hash)>,
    done_at: WallTime,
}

/// What wants a person, in stable words.
fn alarms(peers: &[Peer], now: WallTime, is_writable: bool, is_signed: bool) -> Vec<String> {
    let late = |peer: &Peer| now.micros_since(peer.cosigned_at) > ALARM_US;
    let words = [
        (!is_writable, NOT_WRITABLE),
        (!is_signed, NOT_SIGNED),
        (peers.iter().any(late), NOT_COSIGNED),
        (peers.iter().any(|peer| peer.forked), FORKED),
    ];
    words.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word.to_owned()).collect()
}

/// Follows the log's checkpoints.
#[derive(Debug)]
pub(crate) struct Witnesses {
    cases: Arc<UseCases>,
    log: Sequencer,
    log_key: String,
    public: PathBuf,
    http: reqwest::Client,
    inner: tokio::sync::Mutex<Inner>,
}

impl Witnesses {
    /// `peers`: address and public key of each.
    ///
    /// # Errors
    /// A key does not read.
    pub(crate) fn new(
        cases: Arc<UseCases>,
        log: Sequencer,
        log_key: String,
        peers: &[(String, String)],
    ) -> anyhow::Result<Self> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .timeout(ANSWER_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("the client for witnesses")?;
        let now = cases.clock().now();
        let peers = peers
            .iter()
            .map(|(url, key)| {
                let key = WitnessVerifier::new(key).with_context(|| format!("log.witness: the key of {url}"))?;
                let url = url.trim_end_matches('/').to_owned();
                Ok(Peer { url, key, known: 0, cosigned_at: now, forked: false })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let public = log.public_dir().to_owned();
        let inner = tokio::sync::Mutex::new(Inner { peers, done: None, done_at: now });
        Ok(Self { cases, log, log_key, public, http, inner })
    }

    /// One round: what is new goes to every witness; then the alarms.
    pub(crate) async fn round(&self) -> anyhow::Result<()> {
        let mut inner = self.inner.lock().await;
        let outcome = if inner.peers.is_empty() { Ok(()) } else { self.submit(&mut inner).await };
        let is_writable = self.log.stands().await.is_ok();
        let is_signed = self.log.health().borrow().refused.is_none();
        let now = self.cases.clock().now();
        self.cases.log_report(alarms(&inner.peers, now, is_writable, is_signed));
        outcome
    }

    async fn submit(&self, inner: &mut Inner) -> anyhow::Result<()> {
        let folder = DirFolder::new(&self.public);
        let mut note = folder.get("checkpoint").context("there is no checkpoint yet")?;
        let at = cosign::open(&note, &self.log_key, &[]).context("our own checkpoint")?;
        let now = self.cases.clock().now();
        let is_new = inner.done != Some(at);
        if !is_new && now.micros_since(inner.done_at) < AGAIN_US {
            return Ok(());
        }
        let mut failed = None;
        let mut count = 0;
        for peer in &mut inner.peers {
            match self.ask(peer, &folder, &note, at).await {
                Ok(line) => {
                    note = cosign::add(&note, &line, &peer.key).context("the cosignature is not of the pinned key")?;
                    (peer.known, peer.cosigned_at, peer.forked) = (at.0, now, false);
                    count += 1;
                }
                Err(error) => failed = Some(error.context(peer.url.clone())),
            }
        }
        if count > 0 {
            self.log.cosigned(note);
            (inner.done, inner.done_at) = (Some(at), now);
        }
        failed.map_or(Ok(()), Err)
    }

    /// The cosignature line of one witness; asked again once when it knows another size than we thought.
    async fn ask(&self, peer: &mut Peer, folder: &DirFolder, note: &[u8], at: (u64, Hash)) -> anyhow::Result<String> {
        for _ in 0..2 {
            let proof = consistency(folder, peer.known.min(at.0), at)?;
            let mut body = format!("old {}\n", peer.known.min(at.0)).into_bytes();
            for hash in &proof {
                body.extend_from_slice(format!("{}\n", hash_to_base64(hash)).as_bytes());
            }
            body.push(b'\n');
            body.extend_from_slice(note);
            match self.post(&peer.url, body).await? {
                Answer::Cosigned(line) => return Ok(line),
                Answer::Knows(size) if size < at.0 && size != peer.known => peer.known = size,
                Answer::Knows(size) if size == at.0 && size != peer.known => peer.known = size,
                // It knows a larger tree than ours, or another one of this size.
                Answer::Knows(_) | Answer::Fork => {
                    if !peer.forked {
                        tracing::error!(witness = %peer.url, "a witness says that the log was forked or rolled back: somebody must look");
                    }
                    peer.forked = true;
                    anyhow::bail!("the witness knows another history of this log");
                }
            }
        }
        anyhow::bail!("the witness names another size each time")
    }

    async fn post(&self, url: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        let response = self.http.post(format!("{url}/add-checkpoint")).body(body).send().await?;
        let status = response.status();
        anyhow::ensure!(
            response.content_length().unwrap_or(0) <= u64::try_from(ANSWER_BYTES_MAX).unwrap_or(0),
            "the answer is too long"
        );
        let bytes = response.bytes().await?;
        let text = String::from_utf8_lossy(bytes.get(..ANSWER_BYTES_MAX.min(bytes.len())).unwrap_or(&[])).into_owned();
        match status {
            StatusCode::OK => Ok(Answer::Cosigned(text)),
            StatusCode::CONFLICT => Ok(Answer::Knows(text.trim().parse().context("the size that the witness knows")?)),
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Answer::Fork),
            status => anyhow::bail!("it answers {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_witness_that_is_silent_is_told_within_five_minutes_and_forgiven_when_it_cosigns() {
        let key = audit::WitnessKey::from_seed("witness.test/w", &[2; 32]).unwrap();
        let key = WitnessVerifier::new(&key.verifier_key()).unwrap();
        let began = WallTime::from_secs(1_790_000_000);
        let peer = |cosigned_at| Peer { url: String::new(), key: key.clone(), known: 0, cosigned_at, forked: false };
        // Rounds as `serve` runs them: every two seconds, each at most as long as a witness is waited for.
        let round = Duration::from_secs(2) + ANSWER_MAX;
        let mut peers = [peer(began), peer(began)];
        let mut now = began;
        let mut raised_at = None;
        while raised_at.is_none() {
            now = now.plus(round);
            // One goes on cosigning; it does not speak for the other.
            peers[1].cosigned_at = now;
            raised_at = (alarms(&peers, now, true, true) == [NOT_COSIGNED]).then_some(now);
        }
        let waited_s = raised_at.unwrap().micros_since(began) / 1_000_000;
        assert!((240..=300).contains(&waited_s), "raised after {waited_s} s");
        peers[0].cosigned_at = now;
        assert_eq!(alarms(&peers, now, true, true), Vec::<String>::new());
        peers[0].forked = true;
        assert_eq!(alarms(&peers, now, false, false), [NOT_WRITABLE, NOT_SIGNED, FORKED]);
    }
}
