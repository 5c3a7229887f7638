//! `sim town` and `sim stills`: the traffic scene, drawn and encoded once, then served with its truth.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use sim::scene::{FilmEncoder as _, FrameSource as _, HEIGHT, RATE, Scene, SceneSettings, VERSION, WIDTH};
use sim::town::{CameraRow, Role, cameras_csv};
use sim::{CameraConfig, Film, SimConfig, SimServer};
use vms_core::StreamUse;

use super::encode::{FilmFormat, GstEncoder};
use super::{ServeArgs, open_film, say, serve_until_stopped, system_clock};

/// What the town looks like.
#[derive(Debug, Clone, Args)]
pub(crate) struct SceneArgs {
    /// Chooses vehicles, plates and times.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Length of the film, seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// By night.
    #[arg(long)]
    night: bool,
    /// In the rain.
    #[arg(long)]
    rain: bool,
    /// A lens out of focus: passes of softening.
    #[arg(long, default_value_t = 0)]
    blur: u8,
    /// Turn every camera by so many degrees.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    angle: f32,
    /// Sensor noise, grey levels.
    #[arg(long, default_value_t = 1.6)]
    noise: f32,
}

impl SceneArgs {
    fn scene(&self) -> anyhow::Result<Scene> {
        let Self { seed, seconds, night, rain, blur, angle, noise } = *self;
        Ok(Scene::new(SceneSettings { seed, seconds, night, rain, blur, angle, noise })?)
    }
}

/// Arguments of `sim town`.
#[derive(Debug, Args)]
pub(crate) struct TownArgs {
    /// Folder for films, truth.jsonl, fleet.jsonl, cameras.csv and started.json.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Draw and write, but do not serve.
    #[arg(long)]
    render_only: bool,
    /// Replayed cameras beside the four of the town.
    #[arg(long, default_value_t = 0, requires = "film", value_parser = clap::value_parser!(u16).range(0..=900))]
    extra: u16,
    /// Film of the replayed cameras.
    #[arg(long, value_name = "FILE")]
    film: Option<PathBuf>,
    /// Film of their sub-streams.
    #[arg(long, value_name = "FILE")]
    sub: Option<PathBuf>,
    #[command(flatten)]
    scene: SceneArgs,
    #[command(flatten)]
    serve: ServeArgs,
}

/// What the films in a folder were made from.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Made {
    version: u32,
    settings: SceneSettings,
}

/// When the films began, so that truth can be laid over wall time.
#[derive(Debug, Serialize)]
struct Started {
    /// Microseconds since 1970 at which every town camera stood at second 0 of its film.
    started_at_us: i64,
    film_seconds: u32,
}

impl TownArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let scene = Arc::new(self.scene.scene()?);
        std::fs::create_dir_all(&self.dir).with_context(|| format!("creating `{}`", self.dir.display()))?;
        render_missing(&scene, &self.dir).await?;
        write_lines(&self.dir.join("truth.jsonl"), &scene.truth())?;
        write_lines(&self.dir.join("fleet.jsonl"), &scene.fleet())?;
        let credentials = self.serve.credentials()?;
        let mut cameras = Vec::new();
        for (number, _) in (1_usize..).zip(scene.cameras()) {
            let main = open_film(&film_path(&self.dir, number, StreamUse::Main)).await?;
            let sub = open_film(&film_path(&self.dir, number, StreamUse::Sub)).await?;
            let audio = self.serve.audio;
            cameras.push(CameraConfig {
                credentials: credentials.clone(),
                audio,
                ..CameraConfig::new(main, Some(sub))
            });
        }
        cameras.extend(self.extra_cameras().await?);
        self.serve.apply_faults(&mut cameras)?;
        let with_sub: Vec<bool> = cameras.iter().map(|camera| camera.sub.is_some()).collect();
        let mut config = SimConfig::new(cameras, system_clock());
        config.bind = SocketAddr::new(self.serve.bind, self.serve.port);
        config.identity = self.serve.identity()?;
        let server = SimServer::start(config).await?;
        self.write_lists(&scene, &server, &with_sub)?;
        if self.render_only {
            server.stop().await;
            return Ok(());
        }
        say(&format!("{} camera(s) from {}", with_sub.len(), server.url(1, StreamUse::Main)))?;
        say(&format!("lists and truth in {}", self.dir.display()))?;
        serve_until_stopped(server).await
    }

    async fn extra_cameras(&self) -> anyhow::Result<Vec<CameraConfig>> {
        let Some(path) = self.film.as_ref().filter(|_| self.extra > 0) else { return Ok(Vec::new()) };
        let main: Arc<Film> = open_film(path).await?;
        let sub = match &self.sub {
            Some(path) => Some(open_film(path).await?),
            None => None,
        };
        let credentials = self.serve.credentials()?;
        let camera = CameraConfig { credentials, audio: self.serve.audio, ..CameraConfig::new(main, sub) };
        Ok(SimConfig::fleet(usize::from(self.extra), &camera, system_clock()).cameras)
    }

    fn write_lists(&self, scene: &Scene, server: &SimServer, with_sub: &[bool]) -> anyhow::Result<()> {
        let credentials = self.serve.credentials()?;
        let mut town = scene.cameras();
        let rows: Vec<CameraRow> = (1_usize..)
            .zip(with_sub)
            .map(|(number, sub)| match town.next() {
                Some((code, kind, place)) => {
                    let role = Role { number, code, kind: kind.as_str(), sub: *sub };
                    CameraRow::at(&place, role, server, credentials.as_ref())
                }
                None => CameraRow::replayed(number, server, *sub, credentials.as_ref()),
            })
            .collect();
        let list = cameras_csv(&rows)?;
        write(&self.dir.join("cameras.csv"), list.as_bytes())?;
        if let Some(path) = &self.serve.csv {
            write(path, list.as_bytes())?;
        }
        let started = Started { started_at_us: server.started_at().micros, film_seconds: scene.settings().seconds };
        write(&self.dir.join("started.json"), serde_json::to_string(&started)?.as_bytes())
    }
}

fn film_path(dir: &Path, camera: usize, stream_use: StreamUse) -> PathBuf {
    dir.join(format!("town-{camera}-{stream_use}.h264"))
}

/// Draws and encodes the films that are not there yet, all cameras at a time.
async fn render_missing(scene: &Arc<Scene>, dir: &Path) -> anyhow::Result<()> {
    let made = Made { version: VERSION, settings: scene.settings().clone() };
    let note = dir.join("scene.json");
    let before: Option<Made> = std::fs::read(&note).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let is_same = before.as_ref() == Some(&made);
    let count = scene.cameras().count();
    let missing: Vec<usize> = (1..=count)
        .filter(|n| !is_same || [StreamUse::Main, StreamUse::Sub].iter().any(|u| !film_path(dir, *n, *u).is_file()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_same {
        // Films of other settings go first, so that the note never speaks of what is not there.
        for number in &missing {
            for stream_use in [StreamUse::Main, StreamUse::Sub] {
                remove_if_there(&film_path(dir, *number, stream_use))?;
            }
        }
        write(&note, serde_json::to_string(&made)?.as_bytes())?;
    }
    gstreamer::init().context("starting GStreamer")?;
    let frames = u64::from(scene.settings().seconds).saturating_mul(u64::from(RATE));
    let bar = ProgressBar::new(frames.saturating_mul(u64::try_from(missing.len())?));
    bar.set_style(ProgressStyle::with_template("drawing the town {wide_bar} {percent}% {eta} left")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut tasks = tokio::task::JoinSet::new();
    for number in missing {
        let (scene, dir, bar) = (Arc::clone(scene), dir.to_path_buf(), bar.clone());
        tasks.spawn_blocking(move || render(&scene, number, &dir, &bar));
    }
    while let Some(outcome) = tasks.join_next().await {
        let number = outcome??;
        tracing::info!(camera = number, "camera {number} of the town is drawn");
    }
    bar.finish_and_clear();
    Ok(())
}

/// Draws and encodes one camera; blocking.
fn render(scene: &Scene, number: usize, dir: &Path, bar: &ProgressBar) -> anyhow::Result<usize> {
    let mut film = scene.film(number).with_context(|| format!("the town has no camera {number}"))?;
    let main = FilmFormat { width: WIDTH, height: HEIGHT, bits_per_second: 4_000_000, gop: 2 * RATE };
    let sub = FilmFormat { width: WIDTH / 2, height: HEIGHT / 2, bits_per_second: 700_000, gop: 2 * RATE };
    let mut main = GstEncoder::create(&film_path(dir, number, StreamUse::Main), main)?;
    let mut sub = GstEncoder::create(&film_path(dir, number, StreamUse::Sub), sub)?;
    for index in 0..film.len() {
        let frame = film.frame(index);
        main.push(frame)?;
        sub.push(&frame.halved())?;
        bar.inc(1);
    }
    main.finish()?;
    sub.finish()?;
    Ok(number)
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing `{}`", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("writing `{}`", path.display()))
}

fn write_lines<T: Serialize>(path: &Path, rows: &[T]) -> anyhow::Result<()> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(row)?);
        text.push('\n');
    }
    write(path, text.as_bytes())
}

/// Arguments of `sim stills`.
#[derive(Debug, Args)]
pub(crate) struct StillsArgs {
    /// Folder for the pictures.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    scene: SceneArgs,
}

impl StillsArgs {
    /// Draws each camera at its first passages.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        tokio::task::spawn_blocking(move || self.draw()).await?
    }

    fn draw(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let scene = self.scene.scene()?;
        let truth = scene.truth();
        for (number, (code, ..)) in (1_usize..).zip(scene.cameras()) {
            let mut film = scene.film(number).with_context(|| format!("the town has no camera {number}"))?;
            let times: Vec<f64> = truth.iter().filter(|row| row.camera == code).map(|row| row.t_line).take(3).collect();
            let times = if times.is_empty() { vec![8.0] } else { times };
            for (n, time) in times.iter().enumerate() {
                let index = (0..film.len()).find(|n| f64::from(*n) >= time * f64::from(RATE)).unwrap_or(0);
                let frame = film.frame(index);
                let path = self.dir.join(format!("{code}-{n}.png"));
                let (width, height) = (u32::try_from(frame.width())?, u32::try_from(frame.height())?);
                image::save_buffer(&path, frame.rgb(), width, height, image::ExtendedColorType::Rgb8)?;
                say(&path.display().to_string())?;
            }
        }
        Ok(())
    }
}
