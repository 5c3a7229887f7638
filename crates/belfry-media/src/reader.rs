//! `belfry-media role reader`: the reader role of crate `anpr` with GStreamer's decoders and the real clocks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anpr::InputSize;
use anpr::role::ReaderConfig;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use policy::CapabilityVerifier;
use tokio_util::sync::CancellationToken;

use crate::decode::{DecoderChoice, GstDecoders};
use crate::host::HOST;

/// The shared library as `scripts/fetch-onnxruntime.sh` puts it.
const LIBRARY: &str = ".onnxruntime/lib/libonnxruntime.so.1.31.1";

/// How often the gate's key file is looked for.
const KEY_POLL: Duration = Duration::from_millis(200);

/// Input size of the detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Size {
    /// 640×384.
    Normal,
    /// 1280×736 for plates far away and 640×384 for near ones; five times the work.
    Fine,
}

impl Size {
    pub(crate) const fn input(self) -> InputSize {
        match self {
            Self::Normal => InputSize::NORMAL,
            Self::Fine => InputSize::FINE,
        }
    }
}

/// Where the models and their runtime are.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Folder with `plate-detector` and `plate-reader`; default: `models` beside the program or the repository.
    #[arg(long, value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
    /// ONNX Runtime's shared library; default: beside the program or the repository.
    #[arg(long, env = "BELFRY_ORT", value_name = "FILE")]
    pub(crate) ort: Option<PathBuf>,
    /// Threads of one inference.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Input of the detector.
    #[arg(long, value_enum, default_value = "normal")]
    pub(crate) size: Size,
    /// Decoder for H.264.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) decoder: DecoderChoice,
}

impl ModelArgs {
    pub(crate) fn models(&self) -> PathBuf {
        self.models.clone().or_else(|| beside("models")).unwrap_or_else(|| PathBuf::from("models"))
    }

    pub(crate) fn library(&self) -> PathBuf {
        let name = Path::new(LIBRARY).file_name().unwrap_or_default();
        let found = || beside(LIBRARY).or_else(|| beside(Path::new(name)));
        self.ort.clone().or_else(found).unwrap_or_else(|| PathBuf::from(LIBRARY))
    }
}

/// `name` in the working directory, or next to the program or in a folder above it (`target/debug` of a repository).
fn beside(name: impl AsRef<Path>) -> Option<PathBuf> {
    let name = name.as_ref();
    if name.exists() {
        return Some(name.to_owned());
    }
    let program = std::env::current_exe().ok()?;
    program.ancestors().skip(1).take(4).map(|folder| folder.join(name)).find(|path| path.exists())
}

/// Arguments of the role.
#[derive(Debug, Args)]
pub(crate) struct ReaderArgs {
    /// Folder of the sockets.
    #[arg(long, value_name = "DIR")]
    run_dir: PathBuf,
    /// Folder of the sealed spool and its key.
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// The gate's public key, 64 hexadecimal digits; may appear later.
    #[arg(long, value_name = "FILE")]
    gate_key: PathBuf,
    /// User id that may connect besides our own; may be repeated.
    #[arg(long = "allow-user", value_name = "UID")]
    users: Vec<u32>,
    /// Cameras with this purpose code (`LEZ`, `ZBT`, `TRAJECT`) get the fine input of the detector, the others that of --size; may be repeated or a list.
    #[arg(long = "fine-for", value_name = "PURPOSE", value_delimiter = ',')]
    fine_for: Vec<String>,
    /// File with the line of `chronyc -n -c tracking`, kept fresh by a timer; without it no clock of a read is known to be right.
    #[arg(long, value_name = "FILE")]
    time_tracking: Option<PathBuf>,
    #[command(flatten)]
    models: ModelArgs,
}

/// Runs the role until `stop`.
pub(crate) async fn run(args: ReaderArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let verifier = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        verifier = gate_key(&args.gate_key) => verifier?,
    };
    let config = ReaderConfig {
        models: args.models.models(),
        library: args.models.library(),
        threads: args.models.threads,
        size: args.models.size.input(),
        fine_for: args.fine_for,
        time_tracking: args.time_tracking,
        run_dir: args.run_dir,
        state_dir: args.state_dir,
        users: args.users,
    };
    let decoders = Arc::new(GstDecoders { choice: args.models.decoder });
    anpr::role::run(config, HOST, verifier, decoders, stop).await.context("the reader ended")
}

/// Waits for the key file; a file that is there but no key is an error.
async fn gate_key(path: &Path) -> anyhow::Result<CapabilityVerifier> {
    let mut told = false;
    loop {
        match tokio::fs::read_to_string(path).await {
            // An empty file is being written.
            Ok(text) if !text.trim().is_empty() => {
                return parse_key(&text).with_context(|| format!("`{}` is not the gate's key", path.display()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        }
        if !told {
            tracing::info!(path = %path.display(), "waiting for the gate's key");
            told = true;
        }
        tokio::time::sleep(KEY_POLL).await;
    }
}

fn parse_key(text: &str) -> anyhow::Result<CapabilityVerifier> {
    let mut raw = [0_u8; 32];
    hex::decode_to_slice(text.trim(), &mut raw)?;
    Ok(CapabilityVerifier::from_public(&raw)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::CapabilitySigner;

    #[tokio::test]
    async fn the_key_may_appear_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gate.pub");
        let key = CapabilitySigner::from_seed(&[5; 32]).verifier().public();
        let waiting = tokio::spawn({
            let path = path.clone();
            async move { gate_key(&path).await.map(|verifier| verifier.public()) }
        });
        std::fs::write(&path, format!("{}\n", hex::encode(key))).unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), key);
        for text in ["zz", "00", ""] {
            assert!(parse_key(text).is_err());
        }
    }
}
