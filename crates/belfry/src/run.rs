//! `belfry run`: every role on this machine as supervised children, and handing over to `belfry-media`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::config::Config;
use crate::figures;
use crate::roles::{own_program, prepare_run_dir, stop_signal};
use crate::supervisor::{ChildSpec, supervise};
use crate::wiring::log_notes;

/// Logs go to stderr; `RUST_LOG` chooses how much.
pub(crate) fn init_tracing() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn,retina=warn"));
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second call in tests finds the first one's subscriber in place.
    drop(format.try_init());
}

/// Replaces this process by `belfry-media WHAT ARGS…`.
pub(crate) fn hand_over(what: &str, args: Vec<OsString>) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let program = own_program()?.with_file_name("belfry-media");
    let error = std::process::Command::new(&program).arg(what).args(args).exec();
    Err(error).with_context(|| format!("starting {}; it is built with `make build`", program.display()))
}

/// The children of this configuration, in start order: what recording needs first.
pub(crate) fn children(config: &Config, config_path: &Path) -> anyhow::Result<Vec<ChildSpec>> {
    let own = own_program()?;
    let config_path = std::path::absolute(config_path)?;
    let notes = Some(log_notes::folder(&config.paths.state));
    let role = |name: &str, instance: u32, grace: u64| {
        let mut args: Vec<OsString> = vec!["--config".into(), config_path.clone().into(), "role".into(), name.into()];
        args.extend(["--instance".into(), instance.to_string().into(), "--supervised".into()]);
        let name = if name == "keeper" { format!("{name}-{instance}") } else { name.to_owned() };
        ChildSpec { name, program: own.clone(), args, grace: Duration::from_secs(grace), notes: notes.clone() }
    };
    let mut children = vec![role("recorder", 0, 15)];
    // Each keeps the ingest process of its shard, and knows what to do with a camera that kills it.
    children.extend((0..config.ingest.children).map(|instance| role("keeper", instance, 8)));
    children.extend((0..config.ingest.gst_children).map(|instance| gst_ingest(config, instance)));
    if config.reader.enabled {
        children.push(reader(config));
    }
    if config.gateway.enabled {
        children.push(role("gateway", 0, 5));
    }
    children.push(role("serve", 0, 10));
    Ok(children)
}

fn media_child(config: &Config, name: String, args: Vec<OsString>) -> ChildSpec {
    let notes = Some(log_notes::folder(&config.paths.state));
    ChildSpec { name, program: config.paths.media_program.clone(), args, grace: Duration::from_secs(5), notes }
}

fn gst_ingest(config: &Config, instance: u32) -> ChildSpec {
    let mut args: Vec<OsString> = vec!["role".into(), "ingest".into(), "--run-dir".into()];
    args.extend([config.paths.run.clone().into(), "--instance".into(), instance.to_string().into()]);
    for camera in &config.ingest.certificates {
        args.extend(["--certificate".into(), format!("{}={}", camera.address, camera.sha256).into()]);
    }
    media_child(config, format!("gst-ingest-{instance}"), args)
}

fn reader(config: &Config) -> ChildSpec {
    let flag = |name: &str, value: PathBuf| [OsString::from(name), value.into_os_string()];
    let mut args: Vec<OsString> = vec!["role".into(), "reader".into()];
    args.extend(flag("--run-dir", config.paths.run.clone()));
    args.extend(flag("--state-dir", config.paths.state.join("reader")));
    args.extend(flag("--models", config.paths.models.clone()));
    args.extend(flag("--gate-key", config.gate_key_file()));
    args.extend(flag("--ort", config.paths.onnxruntime.clone()));
    args.extend(["--threads".into(), config.reader.threads.to_string().into()]);
    args.extend(config.reader.fine_for.iter().flat_map(|purpose| ["--fine-for".into(), purpose.into()]));
    if let Some(file) = &config.reader.time_tracking {
        args.extend(flag("--time-tracking", file.clone()));
    }
    media_child(config, "reader".to_owned(), args)
}

/// Runs every role until a signal.
pub(crate) async fn run(config: Config, config_path: PathBuf) -> anyhow::Result<()> {
    prepare_run_dir(&config)?;
    harden::limit(None)?;
    figures::sweep(&config.paths.run);
    let stop = stop_signal()?;
    let figures = figures::serve(&config.paths.run, "supervisor", stop.clone())?;
    supervise(children(&config, &config_path)?, stop).await?;
    drop(figures.await);
    Ok(())
}
