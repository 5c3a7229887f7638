//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Belfry: shared video surveillance with number-plate recognition, for a region.
#[derive(Debug, Parser)]
#[command(name = "belfry", version, propagate_version = true)]
pub(crate) struct Args {
    /// Configuration file.
    #[arg(long, global = true, default_value = "belfry.toml", env = "BELFRY_CONFIG")]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start every role on this machine and keep them running.
    Run,
    /// Start everything with a simulated town and a registry stub, made for looking around.
    Demo(DemoArgs),
    /// Run one role in this process (what `run` and the systemd units start).
    Role(RoleArgs),
    /// Print the embedded default configuration, or check a file.
    Config {
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Bring the central database up to date.
    Migrate,
    /// Make the first administrator of an empty installation and print the one-time password.
    FirstAdministrator {
        /// Name for logging in.
        #[arg(default_value = "admin")]
        user_name: String,
    },
    /// Cameras: list, add, import, probe, remove.
    Camera(crate::camera::CameraArgs),
    /// Evidence exports: order, approve, follow, fetch.
    Export(crate::export::ExportArgs),
    /// Batches of approved findings for the tax administration, a municipality or the police: run, check, answers, status. Made for a job scheduler; the exit codes stand
    /// in docs/FINES.md.
    Fines(crate::fines::FinesArgs),
    /// The permit desk's register for zones with restricted access: list, import, revoke.
    Permits(crate::permits::PermitsArgs),
    /// Partners behind gateways: list, connect, switch on and off, import their cameras.
    Partner(crate::partner::PartnerArgs),
    /// Figures of the annual report of a year, as JSON and CSV.
    Report(crate::report::ReportArgs),
    /// Do rows, files, keys and deletion records of this machine's recorder agree? Reads only, beside a running recorder.
    Check(crate::keystore::CheckArgs),
    /// The keys that footage, or plate reads, are sealed with: status, check, change of the root, backup, restore.
    Keys {
        /// Which key store.
        #[arg(long, value_enum, default_value_t)]
        of: crate::keystore::WhichStore,
        #[command(subcommand)]
        what: crate::keystore::KeysCommand,
    },
    /// Play the vehicle registry for tests and demonstrations.
    RegistryStub(RegistryArgs),
    /// Play a partner's catalogue for tests and demonstrations: serves one file, read anew at every request.
    PartnerStub(PartnerStubArgs),
    /// Read plates in pictures and films (handed over to `belfry-media`).
    Anpr {
        /// Arguments for `belfry-media anpr`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Simulated cameras and traffic (handed over to `belfry-media`).
    Sim {
        /// Arguments for `belfry-media sim`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Check the folder of an export, offline. Exit code 0: everything holds; 1: something does not; 2: it could not be checked.
    Verify(crate::verify::VerifyArgs),
    /// The log of uses, for whoever watches over it: check a copy, prove a leaf, copy it, follow it. Exit code 0: it holds; 1: something
    /// does not; 2: it could not be checked.
    Audit(crate::audit::AuditArgs),
    /// The role matrix: show it, explain an answer, compare two, say what a profile may. Exit code 0: yes, or nothing differs; 1: no, or
    /// something does; 2: it could not be done.
    Matrix(crate::matrix::MatrixArgs),
    /// Print completions for a shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// `belfry demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Where the demo keeps its state.
    #[arg(long, default_value = ".demo")]
    pub(crate) dir: PathBuf,
    /// Address of the console.
    #[arg(long, default_value = "127.0.0.1:8480")]
    pub(crate) bind: SocketAddr,
    /// Cameras besides the four of the town, replaying `--film`.
    #[arg(long, default_value_t = 5)]
    pub(crate) extra: u32,
    /// Film of the extra cameras; a test pattern that scripts/make-films.sh makes.
    #[arg(long, default_value = "target/films/main-1080p.mp4")]
    pub(crate) film: PathBuf,
    /// Film of their sub-streams.
    #[arg(long, default_value = "target/films/sub-360p.mp4")]
    pub(crate) sub: PathBuf,
    /// Cameras of one's own (CSV as for `camera import`) instead of the simulated town.
    #[arg(long)]
    pub(crate) cameras: Option<PathBuf>,
    /// Every approved finding waits for a second person, not one in twenty; with log-ins for them. Of a demo that is set up anew.
    #[arg(long)]
    pub(crate) second_person: bool,
    /// Make configuration, accounts and cameras, and end.
    #[arg(long)]
    pub(crate) setup_only: bool,
    /// Print a code of the demo's second factor, and end.
    #[arg(long)]
    pub(crate) code: bool,
}

/// `belfry role …`.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    /// Which role.
    pub(crate) role: RoleName,
    /// Which of several processes of the role.
    #[arg(long, default_value_t = 0)]
    pub(crate) instance: u32,
    /// End when the process that started this one ends.
    #[arg(long)]
    pub(crate) supervised: bool,
    /// Ingest: the file in which it leaves the mark of the camera whose turn it is; a keeper reads it.
    #[arg(long, hide = true)]
    pub(crate) mark: Option<PathBuf>,
    /// Ingest: hand over to the relay that listens here. Relay: listen here.
    #[arg(long, hide = true)]
    pub(crate) uplink: Option<PathBuf>,
    /// Relay: a stream of a camera that lives alone; may be repeated.
    #[arg(long, hide = true)]
    pub(crate) apart: Vec<String>,
}

/// Roles of this program; the reader is one of `belfry-media`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// API, console, gate, log.
    Serve,
    /// Segments, index, live origin.
    Recorder,
    /// Camera sessions, without a keeper.
    Ingest,
    /// Keeps the ingest process of one shard running, and a camera that kills it apart.
    Keeper,
    /// Between the recorder and the processes of a shard one of whose cameras lives alone.
    #[value(hide = true)]
    Relay,
    /// Partner sessions.
    Gateway,
}

/// `belfry config …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the embedded default.
    Default,
    /// Check the file and say what is wrong with it.
    Check,
}

/// `belfry partner-stub …`.
#[derive(Debug, clap::Args)]
pub(crate) struct PartnerStubArgs {
    /// Where to listen; the catalogue is at `/catalogue.json`.
    #[arg(long, default_value = "127.0.0.1:8491")]
    pub(crate) bind: SocketAddr,
    /// The catalogue, JSON as in `gateway-mivb`'s wire format.
    #[arg(long)]
    pub(crate) catalogue: PathBuf,
}

/// `belfry registry-stub …`.
#[derive(Debug, clap::Args)]
pub(crate) struct RegistryArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8490")]
    pub(crate) bind: SocketAddr,
    /// Vehicles that override the synthetic fleet, JSON Lines.
    #[arg(long)]
    pub(crate) fleet: Option<PathBuf>,
    /// Share of requests that fail, per mille.
    #[arg(long, default_value_t = 0)]
    pub(crate) errors_per_mille: u32,
    /// Delay of every answer, milliseconds.
    #[arg(long, default_value_t = 0)]
    pub(crate) delay_ms: u64,
    /// Requests allowed in every `--quota-seconds`; beyond them 429. Without it there is no quota.
    #[arg(long)]
    pub(crate) quota_requests: Option<u32>,
    /// Span of the quota, seconds.
    #[arg(long, default_value_t = 3_600)]
    pub(crate) quota_seconds: u64,
    /// Plates whose later answers differ from the first, per mille.
    #[arg(long, default_value_t = 0)]
    pub(crate) changed_per_mille: u32,
    /// Plates answered late, per mille: `pending` for `--pending-seconds` after the start.
    #[arg(long, default_value_t = 0)]
    pub(crate) pending_per_mille: u32,
    /// How long after the start answers are late, seconds.
    #[arg(long, default_value_t = 86_400)]
    pub(crate) pending_seconds: u64,
    /// Plates answered twice and differently, per mille.
    #[arg(long, default_value_t = 0)]
    pub(crate) contradictory_per_mille: u32,
    /// Plates of another vehicle until the start of 2024, per mille.
    #[arg(long, default_value_t = 0)]
    pub(crate) reassigned_per_mille: u32,
    /// Vehicles with another holder since 2 March 2026, per mille.
    #[arg(long, default_value_t = 0)]
    pub(crate) new_holder_per_mille: u32,
}
