//! `sim cameras`: one film, many cameras.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use sim::town::CameraRow;
use sim::{CameraConfig, Faults, SimConfig, SimServer};
use vms_core::StreamUse;

use super::{ServeArgs, open_film, say, serve_until_stopped, system_clock};

/// Arguments of `sim cameras`.
#[derive(Debug, Args)]
pub(crate) struct CamerasArgs {
    /// Film of the main streams: .mp4, or .h264 and .h265 (Annex B). May be repeated: the cameras take the films in turn,
    /// each from its beginning.
    #[arg(long = "film", value_name = "FILE", required = true)]
    films: Vec<PathBuf>,
    /// Film of the sub-streams; without it there are none.
    #[arg(long, value_name = "FILE")]
    sub: Option<PathBuf>,
    /// Number of cameras; without it as many as films.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: Option<u16>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl CamerasArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut films = Vec::with_capacity(self.films.len());
        for path in &self.films {
            films.push(open_film(path).await.with_context(|| format!("opening `{}`", path.display()))?);
        }
        let main = Arc::clone(films.first().context("no film")?);
        let count = self.count.map_or(films.len(), usize::from);
        let sub = match &self.sub {
            Some(path) => Some(open_film(path).await.context("opening the sub film")?),
            None => None,
        };
        let camera = CameraConfig {
            credentials: self.serve.credentials()?,
            audio: self.serve.audio,
            faults: Faults::default(),
            ..CameraConfig::new(main, sub)
        };
        let mut config = SimConfig::fleet(count, &camera, system_clock());
        if films.len() > 1 {
            for (camera, film) in config.cameras.iter_mut().zip(films.iter().cycle()) {
                camera.main = Arc::clone(film);
                camera.phase = Duration::ZERO;
            }
        }
        config.identity = self.serve.identity()?;
        config.bind = SocketAddr::new(self.serve.bind, self.serve.port);
        self.serve.apply_faults(&mut config.cameras)?;
        let server = SimServer::start(config).await?;
        if let Some(path) = &self.serve.csv {
            let rows: Vec<CameraRow> = (1..=count)
                .map(|number| CameraRow::replayed(number, &server, camera.sub.is_some(), camera.credentials.as_ref()))
                .collect();
            std::fs::write(path, sim::town::cameras_csv(&rows)?)
                .with_context(|| format!("writing `{}`", path.display()))?;
        }
        say(&format!(
            "{} camera(s) from {} to {}, {:.1} Mbit/s each",
            count,
            server.url(1, StreamUse::Main),
            server.url(count, StreamUse::Main),
            // Shown to people only.
            f64::from(u32::try_from(camera.main.bits_per_second()).unwrap_or(u32::MAX)) / 1e6
        ))?;
        serve_until_stopped(server).await
    }
}
