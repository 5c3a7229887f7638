//! Models as files with a card: what a model is, that its bytes are the ones the card was written for, and its session.
//!
//! A folder `NAME/` holds `model.onnx` and `card.toml`. A file whose digest is not the card's, or whose inputs and
//! outputs are not those of its kind, is refused with the reason.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::ValueType;
use serde::Deserialize;
use sha2::Digest as _;

/// Folder of the detector under the models' folder.
pub const DETECTOR: &str = "plate-detector";
/// Folder of the reader under the models' folder.
pub const READER: &str = "plate-reader";

/// Largest model file that we load: the repository's models together stay under 12 MB.
const MODEL_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `image` f32 `[N,3,H,W]` → `pred` f32 `[N,M,13]`.
    Detector,
    /// `plates` f32 `[N,1,32,128]` → `logprobs` f32 `[N,T,C]`.
    Reader,
}

/// Why a model does not run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file is missing or unreadable.
    #[error("cannot read `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The card does not parse.
    #[error("the card `{path}` is not one we understand: {problem}")]
    Card {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The model is not the file that the card describes.
    #[error("`{path}` was altered: its SHA-256 begins with {found}, the card says {wanted}")]
    Altered {
        /// Which.
        path: PathBuf,
        /// First 12 digits.
        found: String,
        /// First 12 digits.
        wanted: String,
    },
    /// A model of another shape.
    #[error("`{path}` is not a {kind:?}: {problem}")]
    Shape {
        /// Which.
        path: PathBuf,
        /// What it should be.
        kind: Kind,
        /// What is wrong.
        problem: String,
    },
    /// ONNX Runtime refused.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
}

impl From<ort::Error> for ModelError {
    fn from(error: ort::Error) -> Self {
        Self::Runtime(error.to_string())
    }
}

/// What we need of a card; it says more, for people.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Card {
    /// Such as `plate-reader`.
    pub name: String,
    /// Version or date of the model.
    #[serde(default, deserialize_with = "text_or_number")]
    pub version: String,
    /// SHA-256 of `model.onnx`, hexadecimal.
    pub sha256: String,
    /// Characters of classes 1, 2, … of a reader; class 0 is blank.
    #[serde(default = "alphabet_default")]
    pub alphabet: String,
    /// Score from which a detection counts; chosen on synthetic data.
    #[serde(default = "score_default")]
    pub score_min: f32,
    /// The same for the fine input, where plates are larger and score higher; `score_min` when absent.
    #[serde(default)]
    pub score_min_fine: Option<f32>,
    /// Raw confidence of a whole text → probability that it is right, rising pairs; measured on synthetic data.
    #[serde(default)]
    pub calibration: Vec<[f64; 2]>,
    /// Confidence from which a read is right in 99.5 % of cases on synthetic data, when it was measured.
    #[serde(default)]
    pub confidence_threshold: Option<f64>,
}

fn alphabet_default() -> String {
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".to_owned()
}

const fn score_default() -> f32 {
    0.4
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Whole(i64),
        Real(f64),
        Date(toml::value::Datetime),
    }
    Ok(match Either::deserialize(from)? {
        Either::Text(text) => text,
        Either::Whole(number) => number.to_string(),
        Either::Real(number) => number.to_string(),
        Either::Date(date) => date.to_string(),
    })
}

impl Card {
    /// Reads a card's text.
    ///
    /// # Errors
    /// One sentence that names the problem.
    pub fn parse(text: &str) -> Result<Self, String> {
        let card: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if card.sha256.len() != 64 || !card.sha256.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err("`sha256` is not 64 hexadecimal digits".to_owned());
        }
        if card.alphabet.is_empty() || !card.alphabet.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) {
            return Err("`alphabet` holds something else than A to Z and digits".to_owned());
        }
        let pairs = card.calibration.iter().zip(card.calibration.iter().skip(1));
        let rising = pairs.clone().all(|([x0, y0], [x1, y1])| x0 < x1 && y0 <= y1);
        let inside = card.calibration.iter().flatten().all(|v| (0.0..=1.0).contains(v));
        if !rising || !inside {
            return Err("`calibration` does not rise from 0 to 1".to_owned());
        }
        Ok(card)
    }

    /// Name and version, as they stand in a read.
    pub fn label(&self) -> String {
        if self.version.is_empty() { self.name.clone() } else { format!("{} {}", self.name, self.version) }
    }
}

/// Feeds foreign bytes to the card's parser (fuzz target and corpus test).
pub fn fuzz_card(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        drop(Card::parse(text));
    }
}

/// The process's one environment. Never dropped: tearing it down while another thread builds one hangs ONNX Runtime.
static LOADED: Mutex<Option<Environment>> = Mutex::new(None);

/// ONNX Runtime, loaded once for the process: the first library wins.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
    threads: usize,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Runtime({} threads)", self.threads)
    }
}

impl Runtime {
    /// Loads the shared library; `threads` (at least 1) is what one inference may use.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] when the library cannot be loaded.
    pub fn load(library: &Path, threads: usize) -> Result<Self, ModelError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let environment = match loaded.as_ref() {
            Some(environment) => environment.clone(),
            None => {
                let builder = ort::init_from(library).map_err(|error| ModelError::Runtime(error.to_string()))?;
                let fresh = builder.with_name("belfry").build()?;
                loaded.insert(fresh).clone()
            }
        };
        drop(loaded);
        Ok(Self { environment, threads: threads.max(1) })
    }
}

/// A checked model with its card.
#[derive(Debug)]
pub struct Model {
    /// What it is.
    pub card: Card,
    pub(crate) session: Session,
}

impl Model {
    /// Opens the model of `kind` in `folder`.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with it.
    pub fn open(runtime: &Runtime, folder: &Path, kind: Kind) -> Result<Self, ModelError> {
        let (card, bytes, path) = checked(folder)?;
        let mut builder = Session::builder(&runtime.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(|error| ModelError::Runtime(error.to_string()))?
            .with_intra_threads(runtime.threads)
            .map_err(|error| ModelError::Runtime(error.to_string()))?
            // A pool that spins while it waits would take a core from the decoders.
            .with_config_entry("session.intra_op.allow_spinning", "0")
            .map_err(|error| ModelError::Runtime(error.to_string()))?;
        let session = builder.commit_from_memory(&bytes)?;
        let (input, output, in_rank, out_rank) = match kind {
            Kind::Detector => ("image", "pred", 4, 3),
            Kind::Reader => ("plates", "logprobs", 4, 3),
        };
        let fits = |outlets: &[ort::value::Outlet], name: &str, rank: usize| {
            outlets.iter().any(|outlet| outlet.name() == name && tensor_rank(outlet.dtype()) == Some(rank))
        };
        let problem = if !fits(session.inputs(), input, in_rank) {
            format!("it has no input `{input}` of {in_rank} dimensions")
        } else if !fits(session.outputs(), output, out_rank) {
            format!("it has no output `{output}` of {out_rank} dimensions")
        } else {
            return Ok(Self { card, session });
        };
        Err(ModelError::Shape { path, kind, problem })
    }
}

fn tensor_rank(kind: &ValueType) -> Option<usize> {
    match kind {
        ValueType::Tensor { shape, .. } => Some(shape.len()),
        ValueType::Sequence(_) | ValueType::Map { .. } | ValueType::Optional(_) => None,
    }
}

/// The card and the bytes it vouches for.
fn checked(folder: &Path) -> Result<(Card, Vec<u8>, PathBuf), ModelError> {
    let card_path = folder.join("card.toml");
    let file = |path: &Path, source| ModelError::File { path: path.to_owned(), source };
    let text = std::fs::read_to_string(&card_path).map_err(|e| file(&card_path, e))?;
    let card = Card::parse(&text).map_err(|problem| ModelError::Card { path: card_path, problem })?;
    let path = folder.join("model.onnx");
    if std::fs::metadata(&path).map_err(|e| file(&path, e))?.len() > MODEL_BYTES_MAX {
        return Err(file(&path, std::io::Error::from(std::io::ErrorKind::FileTooLarge)));
    }
    let bytes = std::fs::read(&path).map_err(|e| file(&path, e))?;
    let digest = hex::encode(sha2::Sha256::digest(&bytes));
    if !digest.eq_ignore_ascii_case(&card.sha256) {
        let short = |text: &str| text.chars().take(12).collect();
        return Err(ModelError::Altered { path, found: short(&digest), wanted: short(&card.sha256) });
    }
    Ok((card, bytes, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; // of nothing

    #[test]
    fn a_card_says_what_is_wrong_with_it() {
        let good = format!("name = \"plate-reader\"\nversion = 2026-11-22\nsha256 = \"{SUM}\"\nlimits = \"x\"");
        assert_eq!(Card::parse(&good).unwrap().label(), "plate-reader 2026-11-22");
        for (text, wanted) in [
            ("name = \"a\"".to_owned(), "missing field `sha256`"),
            ("name = \"a\"\nsha256 = \"12\"".to_owned(), "`sha256` is not"),
            (format!("{good}\nalphabet = \"ab\""), "`alphabet` holds"),
            (format!("{good}\ncalibration = [[0.5, 0.9], [0.4, 0.95]]"), "`calibration` does not"),
        ] {
            let problem = Card::parse(&text).unwrap_err();
            assert!(problem.contains(wanted), "{problem}");
            fuzz_card(text.as_bytes());
        }
    }

    #[test]
    fn an_altered_or_missing_model_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(checked(dir.path()), Err(ModelError::File { .. })));
        std::fs::write(dir.path().join("card.toml"), format!("name = \"a\"\nsha256 = \"{SUM}\"")).unwrap();
        std::fs::write(dir.path().join("model.onnx"), b"").unwrap();
        assert!(checked(dir.path()).is_ok());
        std::fs::write(dir.path().join("model.onnx"), b"x").unwrap();
        let error = checked(dir.path()).unwrap_err();
        assert!(matches!(&error, ModelError::Altered { wanted, .. } if wanted == "e3b0c44298fc"), "{error}");
    }
}
