//! `belfry`: the supervisor, every role that needs no C media code, and the command line.

mod audit;
mod camera;
mod cli;
mod client;
mod config;
mod demo;
mod export;
mod figures;
mod fines;
mod fines_passes;
mod keys;
mod keystore;
mod machine;
mod matrix;
mod partner;
mod permits;
mod report;
mod roles;
mod run;
mod shard;
mod supervisor;
mod verify;
mod wiring;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Args, Command, ConfigCommand, PartnerStubArgs, RegistryArgs, RoleArgs, RoleName};
use crate::config::Config;

fn main() -> ExitCode {
    let args = Args::parse();
    let as_json = match &args.command {
        Command::Camera(what) => what.server.json,
        Command::Export(what) => what.server.json,
        Command::Permits(what) => what.server.json,
        Command::Partner(what) => what.server.json,
        Command::Report(what) => what.server.json,
        Command::Fines(what) => what.as_json(),
        Command::Verify(what) => what.json,
        Command::Audit(what) => what.json,
        Command::Matrix(what) => what.json,
        Command::Run
        | Command::Demo(_)
        | Command::Role(_)
        | Command::Config { .. }
        | Command::Migrate
        | Command::FirstAdministrator { .. }
        | Command::Keys { .. }
        | Command::Check(_)
        | Command::RegistryStub(_)
        | Command::PartnerStub(_)
        | Command::Anpr { .. }
        | Command::Sim { .. }
        | Command::Completion { .. } => false,
    };
    let outcome = match args.command {
        Command::Config { what: ConfigCommand::Default } => config_default(),
        Command::Config { what: ConfigCommand::Check } => config_check(&args.config),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "belfry", &mut std::io::stdout());
            Ok(())
        }
        Command::Verify(what) => return coded(verify::run(&what), as_json),
        Command::Audit(what) => return coded(audit::run(what, &args.config), as_json),
        Command::Matrix(what) => return coded(matrix::run(&what), as_json),
        Command::Anpr { args } => run::hand_over("anpr", args),
        Command::Sim { args } => run::hand_over("sim", args),
        Command::Camera(what) => in_runtime(camera::run(what)),
        Command::Export(what) => in_runtime(export::run(what)),
        Command::Permits(what) => in_runtime(permits::run(what)),
        Command::Partner(what) => in_runtime(partner::run(what)),
        Command::Report(what) => in_runtime(report::run(what)),
        Command::Fines(what) => return ExitCode::from(fines::run(what)),
        Command::Check(what) => with_config(&args.config, |config| in_runtime(keystore::check_recorder(&config, what))),
        Command::Keys { of, what } => with_config(&args.config, |config| keystore::run(&config, of, what)),
        Command::RegistryStub(what) => in_runtime(registry_stub(what)),
        Command::PartnerStub(what) => in_runtime(partner_stub(what)),
        Command::Demo(what) => in_runtime(demo::run(what)),
        Command::Run => with_config(&args.config, |config| in_runtime(run::run(config, args.config.clone()))),
        Command::Role(what) => with_config(&args.config, |config| role(&config, &args.config, &what)),
        Command::Migrate => with_config(&args.config, |config| in_runtime(migrate(config))),
        Command::FirstAdministrator { user_name } => {
            with_config(&args.config, |config| in_runtime(first_administrator(config, user_name)))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(client::report(&error, as_json)),
    }
}

/// The exit code of a command whose code says more than success and failure; 2 also where it could not even begin.
fn coded(outcome: anyhow::Result<u8>, as_json: bool) -> ExitCode {
    let code = outcome.unwrap_or_else(|error| {
        client::report(&error, as_json);
        2
    });
    ExitCode::from(code)
}

fn with_config(path: &std::path::Path, work: impl FnOnce(Config) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let config = Config::load(path).context("`belfry config default > belfry.toml` writes a file to start from")?;
    run::init_tracing();
    work(config)
}

/// As `in_runtime`, for work that gives something.
fn in_runtime_of<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?.block_on(work)
}

fn in_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    in_runtime_of(work)
}

/// A role in this process. Ingest, its keeper, its relay and the gateway live on one thread each: cheap, and no camera waits for a
/// core.
fn role(config: &Config, args_config: &std::path::Path, args: &RoleArgs) -> anyhow::Result<()> {
    if args.supervised {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    }
    let memory_max =
        matches!(args.role, RoleName::Ingest).then(|| config.ingest.memory_max_mib.saturating_mul(1 << 20));
    harden::limit(memory_max)?;
    // Who keeps this process notes that itself.
    let notes = (!args.supervised).then(|| wiring::log_notes::folder(&config.paths.state));
    let name = serde_json::json!(format!("{:?}-{}", args.role, args.instance).to_lowercase());
    if let Some(notes) = &notes {
        let details =
            serde_json::json!({ "role": name, "pid": std::process::id(), "release": env!("CARGO_PKG_VERSION") });
        wiring::log_notes::leave_or_warn(notes, wiring::log_notes::ROLE_STARTED, details);
    }
    let outcome = role_of(config, args_config, args);
    if let Some(notes) = &notes {
        let how = if outcome.is_ok() { "stopped" } else { "failed" };
        let details = serde_json::json!({ "role": name, "asked": outcome.is_ok(), "how": how });
        wiring::log_notes::leave_or_warn(notes, wiring::log_notes::ROLE_ENDED, details);
    }
    outcome
}

fn role_of(config: &Config, args_config: &std::path::Path, args: &RoleArgs) -> anyhow::Result<()> {
    let single = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match args.role {
        RoleName::Ingest => {
            ingest::runtime()?.block_on(async { roles::ingest_child(config, args, roles::stop_signal()?).await })
        }
        RoleName::Relay => single()?.block_on(async { roles::relay(config, args, roles::stop_signal()?).await }),
        RoleName::Keeper => single()?.block_on(roles::keeper(config, args_config, args.instance)),
        RoleName::Gateway => single()?.block_on(async { roles::gateway(config, roles::stop_signal()?).await }),
        RoleName::Recorder => recording()?.block_on(async { roles::recorder(config, roles::stop_signal()?).await }),
        RoleName::Serve => in_runtime(async { roles::serve::run(config, roles::stop_signal()?).await }),
    }
}

/// The recorder's threads beside those of its disk: one worker for up to four cores. It moves bytes and seldom computes; a second
/// worker is woken for every unit and finds nothing to do.
fn recording() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread().worker_threads(cores.div_ceil(4)).enable_all().build()
}

fn config_default() -> anyhow::Result<()> {
    print(&Config::default_toml()?);
    Ok(())
}

fn config_check(path: &std::path::Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    if let Some(found) = keystore::room(&config)? {
        let word = if found.fits() { "enough" } else { "NOT ENOUGH" };
        print(&format!("disk of the recorder: {word}: {}\n", found.words()));
        anyhow::ensure!(
            !found.is_cap_too_large,
            "{}: `recorder.disk_cap_mib` is more than the volume has: the disk would run full before the cap is reached",
            path.display()
        );
    }
    print(&format!("{}: ok\n", path.display()));
    Ok(())
}

async fn migrate(config: Config) -> anyhow::Result<()> {
    use vms_app::ports::Clock as _;
    let store = roles::serve::open_store(&config)?;
    let applied = store.migrate(wiring::system::SystemClock.now()).await?;
    store.close().await;
    print(&format!("{applied} migrations applied\n"));
    Ok(())
}

async fn first_administrator(config: Config, user_name: String) -> anyhow::Result<()> {
    let core = roles::serve::Core::open(&config).await?;
    let made = core.cases.first_administrator(&user_name).await;
    core.close().await;
    match made? {
        Some(made) => {
            let password = made.password.as_ref().map_or("", |password| password.as_str());
            print(&format!(
                "log in as `{user_name}` with the one-time password {password}\nit opens one session, within 24 hours: choose a \
                 password of your own there, then enrol a second factor\n"
            ));
            Ok(())
        }
        None => anyhow::bail!("there are accounts already; an administrator makes further ones in the console"),
    }
}

async fn partner_stub(args: PartnerStubArgs) -> anyhow::Result<()> {
    run::init_tracing();
    let listener = tokio::net::TcpListener::bind(args.bind).await.with_context(|| format!("binding {}", args.bind))?;
    let stop = roles::stop_signal()?;
    tokio::select! {
        outcome = gateway_mivb::stub::serve(listener, args.catalogue) => outcome.context("partner stub"),
        () = stop.cancelled() => Ok(()),
    }
}

async fn registry_stub(args: RegistryArgs) -> anyhow::Result<()> {
    run::init_tracing();
    let listener = tokio::net::TcpListener::bind(args.bind).await.with_context(|| format!("binding {}", args.bind))?;
    let settings = registry::stub::StubSettings {
        // The truth of a simulated town is all there is; without one, a synthetic fleet answers.
        only_fleet_file: args.fleet.is_some(),
        fleet_file: args.fleet,
        delay: std::time::Duration::from_millis(args.delay_ms),
        error_ppm: args.errors_per_mille.saturating_mul(1_000),
        quota: args.quota_requests.map(|requests| registry::stub::Quota {
            requests,
            per: std::time::Duration::from_secs(args.quota_seconds),
        }),
        changed_ppm: args.changed_per_mille.saturating_mul(1_000),
        pending_ppm: args.pending_per_mille.saturating_mul(1_000),
        pending_for: std::time::Duration::from_secs(args.pending_seconds),
        contradictory_ppm: args.contradictory_per_mille.saturating_mul(1_000),
        reassigned_ppm: args.reassigned_per_mille.saturating_mul(1_000),
        new_holder_ppm: args.new_holder_per_mille.saturating_mul(1_000),
        ..registry::stub::StubSettings::default()
    };
    let stop = roles::stop_signal()?;
    tokio::select! {
        outcome = registry::stub::serve(listener, settings) => outcome.context("registry stub"),
        () = stop.cancelled() => Ok(()),
    }
}

/// The only way to stdout: what a caller may pipe on. A reader that went away (`| head`) has seen enough; the command goes on
/// to its end, so that its session is logged out.
pub(crate) fn print(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::debug!(%error, "nobody reads our output any more");
    }
}

/// The only way to stderr besides tracing.
#[expect(clippy::print_stderr, reason = "a command's complaint goes to stderr")]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}
