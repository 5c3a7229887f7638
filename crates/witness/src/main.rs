//! `belfry-witness`: cosigns the checkpoints of logs, for whoever watches over them. `docs/LOG.md` says how to run it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use rand::Rng as _;
use witness::Witness;

/// A witness of logs: cosigns a checkpoint when the log only grew since the last one.
#[derive(Debug, Parser)]
#[command(name = "belfry-witness", version)]
struct Args {
    /// Folder for key and state; made when absent. Back it up never: an older state would let a log go back.
    #[arg(long, default_value = "/var/lib/belfry-witness")]
    state: PathBuf,
    /// Name of this witness, such as `witness.commission.example`; stands in every cosignature.
    #[arg(long)]
    name: String,
    /// Where to listen. TLS belongs in front of it when others than this machine reach it.
    #[arg(long, default_value = "127.0.0.1:8495")]
    bind: SocketAddr,
    /// Public key of a log to watch (NAME+ID+BASE64), or a file that holds it; may be repeated.
    #[arg(long = "log", required = true)]
    logs: Vec<String>,
    /// Print the public key and end.
    #[arg(long)]
    print_key: bool,
}

#[expect(clippy::disallowed_methods, reason = "the one place of this program that reads the clock")]
fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn key_text(given: &str) -> anyhow::Result<String> {
    if given.contains('+') {
        return Ok(given.trim().to_owned());
    }
    Ok(std::fs::read_to_string(given).with_context(|| given.to_owned())?.trim().to_owned())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args = Args::parse();
    let logs = args.logs.iter().map(|given| key_text(given)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut seed = [0_u8; 32];
    rand::rng().fill_bytes(&mut seed);
    let witness = Arc::new(Witness::open(&args.state, &args.name, &logs, seed).context("opening the state")?);
    writeln!(std::io::stdout(), "{}", witness.verifier_key())?;
    if args.print_key {
        return Ok(());
    }
    let listener = tokio::net::TcpListener::bind(args.bind).await.with_context(|| args.bind.to_string())?;
    tracing::info!(address = %listener.local_addr()?, logs = logs.len(), "the witness listens");
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = term.recv() => {}
            interrupted = tokio::signal::ctrl_c() => drop(interrupted),
        }
    };
    axum::serve(listener, witness::router(witness, now_s)).with_graceful_shutdown(stop).await.context("serving")
}
