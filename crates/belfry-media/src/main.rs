//! `belfry-media`: everything of Belfry that touches C media code. `belfry` starts the roles and hands `anpr` and `sim`
//! over to it.

mod anpr_cmd;
mod decode;
mod film;
mod gst_ingest;
mod host;
mod reader;
#[cfg(test)]
mod role_test;
mod sim_cmd;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Belfry's media side: reader, GStreamer ingest, simulator, plate tools.
#[derive(Debug, Parser)]
#[command(name = "belfry-media", version)]
struct Cli {
    /// What to log, such as `info` or `anpr=debug`; to standard error.
    #[arg(long, global = true, env = "BELFRY_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one role of an installation; started by `belfry run` or a systemd unit.
    #[command(subcommand)]
    Role(RoleCommand),
    /// Simulated cameras and traffic.
    #[command(subcommand)]
    Sim(sim_cmd::Cmd),
    /// Read plates in files, measure, bench.
    #[command(subcommand)]
    Anpr(anpr_cmd::Cmd),
}

#[derive(Debug, Subcommand)]
enum RoleCommand {
    /// Decode, read plates, make coarse pictures.
    Reader(reader::ReaderArgs),
    /// RTSP by GStreamer, for what the pure Rust client cannot do.
    Ingest(gst_ingest::IngestArgs),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let filter = EnvFilter::try_new(&cli.log)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match cli.command {
        Command::Anpr(command) => {
            gstreamer::init()?;
            command.run()
        }
        Command::Sim(command) => {
            gstreamer::init()?;
            runtime()?.block_on(command.run())
        }
        // It confines the process before anything else runs in it.
        Command::Role(RoleCommand::Ingest(args)) => {
            harden::limit(None)?;
            gst_ingest::run_role(&args, stop_on_signal)
        }
        Command::Role(RoleCommand::Reader(args)) => {
            harden::limit(None)?;
            gstreamer::init()?;
            // GStreamer has looked at its plug-ins, which it does in a process of its own.
            harden::filter_calls()?;
            runtime()?.block_on(async {
                let stop = CancellationToken::new();
                let signals = tokio::spawn(stop_on_signal(stop.clone()));
                let ended = reader::run(args, stop).await;
                signals.abort();
                ended
            })
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// SIGTERM or SIGINT asks for an orderly end; a second one ends the process at once.
async fn stop_on_signal(stop: CancellationToken) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    for _ in 0..2 {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        if stop.is_cancelled() {
            std::process::exit(130);
        }
        stop.cancel();
    }
    Ok(())
}
