//! `belfry-media sim …`: simulated cameras for tests, the demo and benches.
//!
//! Belongs here: the command line, real time, signals, and the encoder behind [`sim::scene::FilmEncoder`].
//! Does not belong here: the simulator itself (crate `sim`).

mod cameras;
pub(crate) mod encode;
mod town;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use sim::{Credentials, Identity, SimServer, SimStats, WallClock};
use vms_core::WallTime;

/// What to simulate.
#[derive(Debug, Subcommand)]
pub(crate) enum Cmd {
    /// Replay a film as many RTSP cameras: rtsp://HOST:PORT/cam001/main and so on.
    Cameras(cameras::CamerasArgs),
    /// Draw a small town with traffic once, then serve its four cameras, with the truth beside them.
    Town(town::TownArgs),
    /// Draw some pictures of the town to look at.
    Stills(town::StillsArgs),
}

impl Cmd {
    /// Runs until a signal asks to stop.
    ///
    /// # Errors
    /// A film that cannot be read, a port that is taken, a file that cannot be written.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Cameras(args) => args.run().await,
            Self::Town(args) => Box::pin(args.run()).await,
            Self::Stills(args) => args.run().await,
        }
    }
}

/// Where to listen and who may log in.
#[derive(Debug, Args)]
struct ServeArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// RTSP port; 0 takes a free one.
    #[arg(long, default_value_t = 8554)]
    port: u16,
    /// User name that the cameras ask for (Digest); without it everybody may look.
    #[arg(long, requires = "password_file")]
    user: Option<String>,
    /// File whose first line is the password.
    #[arg(long, requires = "user", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// PEM certificate: the cameras then speak RTSP over TLS (rtsps://) only.
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// PEM private key of the certificate.
    #[arg(long, requires = "tls_certificate", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Offer a sound track, which a lawful client never sets up. Nothing is sent on it.
    #[arg(long)]
    audio: bool,
    /// A fault, such as `3:drop-every=10+udp-loss=20` for camera 3; `*` for all. May be repeated.
    #[arg(long = "fault", value_name = "CAMERA:FAULTS")]
    faults: Vec<String>,
    /// Write the list for `belfry camera import` here. Holds the password.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl ServeArgs {
    fn credentials(&self) -> anyhow::Result<Option<Credentials>> {
        let (Some(user), Some(file)) = (&self.user, &self.password_file) else { return Ok(None) };
        let text = std::fs::read_to_string(file).with_context(|| format!("reading `{}`", file.display()))?;
        let password = text.lines().next().unwrap_or("").to_owned();
        anyhow::ensure!(!password.is_empty(), "`{}` holds no password", file.display());
        Ok(Some(Credentials { user: user.clone(), password }))
    }

    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) else { return Ok(None) };
        let read = |file: &Path| std::fs::read(file).with_context(|| format!("reading `{}`", file.display()));
        Ok(Some(Identity::from_pem(&read(certificate)?, &read(key)?)?))
    }

    /// Puts the faults of the command line into the cameras.
    fn apply_faults(&self, cameras: &mut [sim::CameraConfig]) -> anyhow::Result<()> {
        for spec in &self.faults {
            let (which, words) = spec.split_once(':').with_context(|| format!("`{spec}` is not CAMERA:FAULTS"))?;
            let faults: sim::Faults = words.parse()?;
            if which == "*" {
                cameras.iter_mut().for_each(|camera| camera.faults = faults.clone());
            } else {
                let number: usize = which.parse().with_context(|| format!("`{which}` is no camera number"))?;
                let camera = number.checked_sub(1).and_then(|index| cameras.get_mut(index));
                camera.with_context(|| format!("there is no camera {number}"))?.faults = faults;
            }
        }
        Ok(())
    }
}

/// Time of day for the simulator.
fn system_clock() -> WallClock {
    WallClock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the executable is where real time comes in")]
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        WallTime::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    })
}

/// Serves until SIGINT or SIGTERM, with a line of figures every ten seconds, and the last ones on standard output.
async fn serve_until_stopped(server: SimServer) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut figures = tokio::time::interval(std::time::Duration::from_secs(10));
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = figures.tick() => {
                let stats = server.stats();
                tracing::info!(
                    connections = stats.connections_open,
                    frames = stats.frames_sent,
                    megabytes = stats.bytes_sent / 1_000_000,
                    skipped = stats.frames_skipped,
                    refused = stats.refused,
                    audio_setups = stats.audio_setups,
                    "simulator"
                );
            }
        }
    }
    let SimStats { frames_sent, frames_skipped, audio_setups, .. } = server.stats();
    server.stop().await;
    let figures = serde_json::json!({
        "frames_sent": frames_sent, "frames_skipped": frames_skipped, "audio_setups": audio_setups,
    });
    Ok(say(&figures.to_string())?)
}

/// Opens a film without blocking the runtime.
async fn open_film(path: &Path) -> anyhow::Result<std::sync::Arc<sim::Film>> {
    let path = path.to_path_buf();
    let film = tokio::task::spawn_blocking(move || sim::Film::open(&path)).await??;
    Ok(std::sync::Arc::new(film))
}

/// One line on standard output.
fn say(line: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout().lock(), "{line}")
}
