//! A witness of logs ([C2SP tlog-witness](https://c2sp.org/tlog-witness)): it cosigns a checkpoint only when the tree grew out of the
//! one that it cosigned last, so that a log cannot show one tree to one person and another to the next.
//!
//! Belongs here: the state folder, the check, the answers. Does not belong here: what the leaves mean (`audit`). One process holds a
//! state folder; each log has a lock of its own, held from the comparison until the new checkpoint is durable.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use audit::proof::{HASHES_MAX, hash_of_base64, is_consistent};
use audit::{Hash, NoteFailure, WitnessKey, cosign};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

/// Longest request that is read, bytes: 63 hashes and a checkpoint.
pub const BODY_MAX: usize = 64 * 1024;
/// Rejected histories that are kept as evidence; more are counted by the log of the process only.
pub const FORKS_MAX: usize = 100;
/// Media type of the answer that names the size that the witness knows.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// Why a witness cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A file of the state folder.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] std::io::Error),
    /// A key or a stored checkpoint does not read.
    #[error("{0}: {1}")]
    State(PathBuf, #[source] NoteFailure),
    /// Another process holds the state folder.
    #[error("{0} is held by another process")]
    Held(PathBuf),
}

/// Where the witness is with one log.
#[derive(Debug)]
struct Log {
    verifier: String,
    file: PathBuf,
    /// The newest checkpoint that it cosigned.
    newest: Mutex<(u64, Hash)>,
}

/// A witness.
#[derive(Debug)]
pub struct Witness {
    key: WitnessKey,
    logs: BTreeMap<String, Log>,
    forks: PathBuf,
    _held: File,
}

/// The answer to `add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: the cosignature line.
    Cosigned(String),
    /// 400: the request has no right form, or its old size is larger than the checkpoint's.
    Bad,
    /// 403: no trusted key signed it.
    Untrusted,
    /// 404: not a log of this witness.
    Unknown,
    /// 409: the witness knows this size; or another tree of the same size.
    Conflict(u64),
    /// 422: the tree did not grow out of the one that the witness knows.
    Inconsistent,
    /// 500: the new state could not be kept, so nothing was signed.
    NotKept,
}

impl Answer {
    /// The status code of the protocol.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Cosigned(_) => StatusCode::OK,
            Self::Bad => StatusCode::BAD_REQUEST,
            Self::Untrusted => StatusCode::FORBIDDEN,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Inconsistent => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotKept => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn into_response(self) -> Response {
        let status = self.status();
        match self {
            Self::Cosigned(line) => (status, line).into_response(),
            Self::Conflict(size) => (status, [(header::CONTENT_TYPE, SIZE_TYPE)], format!("{size}\n")).into_response(),
            Self::Bad | Self::Untrusted | Self::Unknown | Self::Inconsistent | Self::NotKept => status.into_response(),
        }
    }
}

/// A request, read.
#[derive(Clone, Debug, PartialEq)]
struct Request<'a> {
    old: u64,
    proof: Vec<Hash>,
    checkpoint: &'a str,
}

fn parse(body: &[u8]) -> Option<Request<'_>> {
    let text = std::str::from_utf8(body).ok().filter(|_| body.len() <= BODY_MAX)?;
    let (head, checkpoint) = text.split_once("\n\n")?;
    let mut lines = head.split('\n');
    let digits = lines.next()?.strip_prefix("old ")?;
    let old: u64 = digits.parse().ok()?;
    if old.to_string() != digits {
        return None;
    }
    let proof = lines.map(hash_of_base64).collect::<Option<Vec<_>>>()?;
    (proof.len() <= HASHES_MAX).then_some(Request { old, proof, checkpoint })
}

impl Witness {
    /// Opens the state folder; makes the key at the first start. `logs` are the public keys of the logs to watch, `seed` 32 random
    /// bytes, used at the first start only.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn open(dir: &Path, name: &str, logs: &[String], seed: [u8; 32]) -> Result<Self, WitnessError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| WitnessError::File(path, error)
        };
        let forks = dir.join("forks");
        std::fs::create_dir_all(&forks).map_err(at(&forks))?;
        let lock = dir.join("lock");
        let held = File::create(&lock).map_err(at(&lock))?;
        held.try_lock().map_err(|_| WitnessError::Held(dir.to_owned()))?;
        let key = load_key(dir, name, seed)?;
        let mut known = BTreeMap::new();
        for verifier in logs {
            let origin = verifier.split('+').next().unwrap_or("").to_owned();
            let file = dir.join(format!("{}.checkpoint", hex::encode(sha(origin.as_bytes()))));
            // A key that does not read would answer 403 to everything, silently.
            audit::LogKey::check(verifier).map_err(|failure| WitnessError::State(PathBuf::from(verifier), failure))?;
            let newest = match std::fs::read(&file) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => (0, audit::EMPTY_HASH),
                text => cosign::open(&text.map_err(at(&file))?, verifier, &[])
                    .map_err(|failure| WitnessError::State(file.clone(), failure))?,
            };
            known.insert(origin, Log { verifier: verifier.clone(), file, newest: Mutex::new(newest) });
        }
        Ok(Self { key, logs: known, forks, _held: held })
    }

    /// The public key: what the operator configures and every overseer pins.
    pub fn verifier_key(&self) -> String {
        self.key.verifier_key()
    }

    /// Takes a checkpoint, at `at_s` seconds since 1970. The new state is durable before the cosignature exists.
    pub fn add_checkpoint(&self, body: &[u8], at_s: u64) -> Answer {
        let Some(request) = parse(body) else { return Answer::Bad };
        let origin = request.checkpoint.split('\n').next().unwrap_or("");
        let Some(log) = self.logs.get(origin) else { return Answer::Unknown };
        let text = request.checkpoint.as_bytes();
        let (size, root) = match cosign::open(text, &log.verifier, &[]) {
            Ok(opened) => opened,
            Err(NoteFailure::Malformed) => return Answer::Bad,
            Err(NoteFailure::Name | NoteFailure::Signature | NoteFailure::Origin | NoteFailure::Witness(_)) => {
                return Answer::Untrusted;
            }
        };
        if request.old > size {
            return Answer::Bad;
        }
        let mut newest = log.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if request.old != newest.0 {
            return Answer::Conflict(newest.0);
        }
        if size == newest.0 && newest.0 > 0 && root != newest.1 {
            self.keep_fork(body);
            return Answer::Conflict(newest.0);
        }
        if !is_consistent(&request.proof, *newest, (size, root)) {
            self.keep_fork(body);
            return Answer::Inconsistent;
        }
        let Ok(line) = self.key.cosign(text, at_s) else { return Answer::Bad };
        if let Err(error) = replace(&log.file, text) {
            tracing::error!(%error, "the new checkpoint could not be kept: nothing is cosigned");
            return Answer::NotKept;
        }
        *newest = (size, root);
        Answer::Cosigned(line)
    }

    /// The newest checkpoint of each log that this witness cosigned, by origin and size.
    pub fn known(&self) -> Vec<(String, u64)> {
        let size = |log: &Log| log.newest.lock().unwrap_or_else(PoisonError::into_inner).0;
        self.logs.iter().map(|(origin, log)| (origin.clone(), size(log))).collect()
    }

    /// A signed checkpoint that contradicts what was signed before is proof of a fork, whoever shows it.
    fn keep_fork(&self, body: &[u8]) {
        tracing::error!("a signed checkpoint does not continue the tree that this witness knows; kept as evidence");
        let count = std::fs::read_dir(&self.forks).map_or(FORKS_MAX, Iterator::count);
        let path = self.forks.join(format!("{}.txt", hex::encode(sha(body))));
        if count < FORKS_MAX
            && let Err(error) = replace(&path, body)
        {
            tracing::error!(%error, "the evidence of a fork could not be kept");
        }
    }
}

fn sha(data: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(data).into()
}

fn load_key(dir: &Path, name: &str, seed: [u8; 32]) -> Result<WitnessKey, WitnessError> {
    let path = dir.join("witness.key");
    let file = |error| WitnessError::File(path.clone(), error);
    let seed = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            replace(&path, hex::encode(seed).as_bytes()).map_err(file)?;
            seed
        }
        text => {
            let mut seed = [0; 32];
            hex::decode_to_slice(text.map_err(file)?.trim(), &mut seed)
                .map_err(|_| WitnessError::State(path.clone(), NoteFailure::Malformed))?;
            seed
        }
    };
    let key = WitnessKey::from_seed(name, &seed).map_err(|failure| WitnessError::State(path.clone(), failure))?;
    let public = dir.join("witness.pub");
    replace(&public, key.verifier_key().as_bytes()).map_err(|error| WitnessError::File(public.clone(), error))?;
    Ok(key)
}

/// Temporary name for the owner only, write, sync, rename, sync of the folder.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut temporary = path.to_owned().into_os_string();
    temporary.push(".tmp");
    let mut file = File::options().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Seconds since 1970.
pub type Clock = fn() -> u64;

/// The witness's HTTP side: `POST /add-checkpoint`, and `GET /` with its key and what it knows.
pub fn router(witness: Arc<Witness>, clock: Clock) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/", get(about))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state((witness, clock))
}

async fn add_checkpoint(State((witness, clock)): State<(Arc<Witness>, Clock)>, body: Bytes) -> Response {
    let answer = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body, clock())).await;
    answer.map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), Answer::into_response)
}

async fn about(State((witness, _)): State<(Arc<Witness>, Clock)>) -> String {
    let mut text = format!("{}\n", witness.verifier_key());
    for (origin, size) in witness.known() {
        text.push_str(&format!("{origin} {size}\n"));
    }
    text
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_request(data: &[u8]) {
    drop(parse(data));
}
