//! `belfry demo`: a simulated town, a partner, a registry stub and Belfry, with accounts to look around. Safe to run again: what is
//! there is used, and the accounts' passwords are printed again.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;
use vms_app::UseCases;
use vms_app::accounts::AccountWish;
use vms_app::camera_import::ImportOptions;
use vms_app::grants::GrantWish;
use vms_app::identity::totp;
use vms_app::model::Camera;
use vms_app::words::{CameraKind, Language};
use vms_core::{Profile, Right};

mod partner;
mod traffic;

use crate::cli::DemoArgs;
use crate::complain;
use crate::config::Config;
use crate::keys::{secret_32, write_durably};
use crate::roles::serve::Core;
use crate::roles::{own_program, stop_signal};
use crate::run::{children, init_tracing};
use crate::supervisor::{ChildSpec, supervise};
use crate::wiring::system::SystemClock;

/// The zones beside the operator's own, 5340.
const OTHER_ZONES: [&str; 5] = ["5339", "5341", "5342", "5343", "5344"];
const SIM_PORT: u16 = 8554;
const REGISTRY_PORT: u16 = 8490;
/// The partner's cameras and its catalogue.
const PARTNER_RTSP_PORT: u16 = 8555;
const PARTNER_HTTP_PORT: u16 = 8491;

/// Name, what they are, organisation, profile, language.
type Person = (&'static str, &'static str, &'static str, Profile, Language);

/// Accounts of the demo.
const PEOPLE: [Person; 15] = [
    ("admin", "Platform administrator", "PARADIGM", Profile::P18, Language::En),
    ("operator", "Control-room operator, zone 5340", "5340", Profile::P01, Language::Nl),
    ("supervisor", "Supervisor of operators, zone 5340", "5340", Profile::P02, Language::En),
    ("chef", "Zone chief, zone 5340", "5340", Profile::P03, Language::Fr),
    ("recherche", "Investigator, zone 5340", "5340", Profile::P04, Language::Nl),
    ("lijsten", "Keeper of watchlists, zone 5340", "5340", Profile::P05, Language::Fr),
    ("dpo", "Data-protection officer, zone 5340", "5340", Profile::P20, Language::Nl),
    ("lez", "LEZ agent, tax administration", "FISC", Profile::P07, Language::Fr),
    ("gas", "Sanctioning official, Ixelles", "ELSENE", Profile::P09, Language::Fr),
    ("vergunning", "Keeper of permits, Ixelles", "ELSENE", Profile::P10, Language::Nl),
    ("snelheid", "Verifier of average speed, zone 5340", "5340", Profile::P06, Language::Nl),
    ("mobiliteit", "Mobility operator, Brussels Mobility", "BM", Profile::P11, Language::Nl),
    ("techniek", "Technician, operator company", "IRISNET", Profile::P17, Language::Nl),
    ("mivb", "Local administrator of the partner MIVB", "MIVB", Profile::P19, Language::Fr),
    ("toezicht", "Oversight commission", "CC", Profile::P21, Language::Nl),
];

/// Name of a demo in which every approved finding waits for a second person (`seed/lez/queue.toml`), and who that can be.
const SECOND_PERSON: &str = "demo-second-person";
const SECONDS: [Person; 3] = [
    ("lez2", "Second LEZ agent, tax administration", "FISC", Profile::P07, Language::Nl),
    ("gas2", "Second sanctioning official, Ixelles", "ELSENE", Profile::P09, Language::Nl),
    ("snelheid2", "Second verifier of average speed, zone 5340", "5340", Profile::P06, Language::Fr),
];

/// Whom this demo has.
fn people(config: &Config) -> impl Iterator<Item = &'static Person> {
    let has_seconds = config.identity.installation == SECOND_PERSON;
    PEOPLE.iter().chain(SECONDS.iter().filter(move |_| has_seconds))
}

/// What the demo prints so that people can look around; derived from the demo's own key file.
struct Secrets {
    password: String,
    totp: Vec<u8>,
}

/// Starts everything and runs until a signal.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    init_tracing();
    let stop = stop_signal()?;
    std::fs::create_dir_all(&args.dir)?;
    let dir = std::path::absolute(&args.dir)?;
    let config_path = dir.join("belfry.toml");
    if !config_path.exists() {
        write_config(&args, &dir, &config_path)?;
    }
    let config = Config::load(&config_path)?;

    let key = secret_32(&dir.join("demo.key"))?;
    let secrets = Secrets {
        password: hex::encode(key.get(..10).unwrap_or_default()),
        totp: key.get(10..30).unwrap_or_default().to_vec(),
    };
    if args.code {
        let step = totp::step_of(vms_app::ports::Clock::now(&SystemClock));
        crate::print(&format!("{}\n", totp::code_of(&secrets.totp, step)));
        return Ok(());
    }
    write_durably(&dir.join("password.txt"), secrets.password.as_bytes(), 0o600)?;
    write_durably(&dir.join("totp.txt"), hex::encode(&secrets.totp).as_bytes(), 0o600)?;
    let with_town = args.cameras.is_none();
    if with_town {
        render_town(&config, &args, &dir).await.context("the simulated town")?;
    }
    let list = args.cameras.clone().unwrap_or_else(|| dir.join("town/cameras.csv"));
    let with_partner = with_town && partner::fits(&config);
    seed(&config, &dir, &list, &secrets, with_partner).await.context("setting the demo up")?;
    if args.setup_only {
        return Ok(());
    }

    let mut all = Vec::new();
    if with_town {
        all.extend([town(&config, &args, &dir, false), registry_stub(&dir)?]);
    }
    if with_partner {
        all.extend(partner::children(&config, &dir)?);
    }
    all.extend(children(&config, &config_path)?);
    announce(&config, &dir, &secrets);
    let time = traffic::is_there(&dir).then(|| tokio::spawn(traffic::keep_time(dir)));
    let ended = supervise(all, stop).await;
    if let Some(time) = time {
        time.abort();
    }
    ended
}

fn write_config(args: &DemoArgs, dir: &Path, path: &Path) -> anyhow::Result<()> {
    let here = std::env::current_dir()?;
    let mut config = Config::default();
    config.paths.state = dir.join("state");
    config.paths.run = dir.join("run");
    config.paths.web = here.join("web/dist");
    config.paths.models = here.join("models");
    config.paths.onnxruntime = here.join(&config.paths.onnxruntime);
    config.http.bind = args.bind;
    config.http.metrics_bind = ([127, 0, 0, 1], args.bind.port().saturating_add(1)).into();
    config.cameras.allowed_networks = vec!["127.0.0.0/8".into()];
    config.cameras.allowed_ports = vec![(SIM_PORT, PARTNER_RTSP_PORT)];
    config.registry.url = format!("http://127.0.0.1:{REGISTRY_PORT}");
    if args.cameras.is_none() {
        traffic::configure(&mut config, dir)?;
    }
    config.ingest.children = 1 + args.extra / 25;
    config.recorder.disk_cap_mib = 4 * 1024;
    config.recorder.time = crate::config::TimeSource::Host;
    config.log.origin = "demo.belfry.localhost/log".into();
    // Codes are enough here: seed/identity.toml says why.
    config.identity.installation = if args.second_person { SECOND_PERSON } else { "demo" }.into();
    write_durably(path, toml::to_string_pretty(&config)?.as_bytes(), 0o644)
}

fn town(config: &Config, args: &DemoArgs, dir: &Path, only_render: bool) -> ChildSpec {
    let mut list: Vec<OsString> = vec!["sim".into(), "town".into(), "--dir".into(), dir.join("town").into()];
    list.extend(["--port".into(), SIM_PORT.to_string().into()]);
    list.extend(["--extra".into(), args.extra.to_string().into()]);
    list.extend(["--user".into(), "belfry".into(), "--password-file".into(), dir.join("password.txt").into()]);
    if args.film.exists() {
        list.extend(["--film".into(), args.film.clone().into()]);
        if args.sub.exists() {
            list.extend(["--sub".into(), args.sub.clone().into()]);
        }
    }
    if only_render {
        list.push("--render-only".into());
    }
    let program = config.paths.media_program.clone();
    ChildSpec { name: "town".into(), program, args: list, grace: Duration::from_secs(3), notes: None }
}

/// Renders and encodes the town's films if they are not there, with its own progress bar.
async fn render_town(config: &Config, args: &DemoArgs, dir: &Path) -> anyhow::Result<()> {
    let spec = town(config, args, dir, true);
    let status = Command::new(&spec.program).args(&spec.args).stdin(Stdio::null()).status().await;
    let status = status.with_context(|| format!("starting {}", spec.program.display()))?;
    anyhow::ensure!(status.success(), "rendering ended with {status}");
    Ok(())
}

fn registry_stub(dir: &Path) -> anyhow::Result<ChildSpec> {
    let mut args: Vec<OsString> = vec!["registry-stub".into(), "--bind".into()];
    args.push(format!("127.0.0.1:{REGISTRY_PORT}").into());
    args.extend(["--fleet".into(), dir.join("town/fleet.jsonl").into()]);
    let grace = Duration::from_secs(2);
    Ok(ChildSpec { name: "registry-stub".into(), program: own_program()?, args, grace, notes: None })
}

/// Accounts and cameras, with a recorder (and for the partner a gateway) running just for its sealing key.
async fn seed(config: &Config, dir: &Path, list: &Path, secrets: &Secrets, with_partner: bool) -> anyhow::Result<()> {
    let core = Core::open(config).await?;
    let mut outcome = seed_in(config, &core.cases, dir, list, secrets).await;
    if outcome.is_ok() && with_partner {
        outcome = partner::seed(config, &core.cases, dir).await.context("the partner");
    }
    core.close().await;
    outcome
}

async fn seed_in(config: &Config, cases: &UseCases, dir: &Path, list: &Path, secrets: &Secrets) -> anyhow::Result<()> {
    for &(user_name, what, org, profile, language) in people(config) {
        if cases.actor_of_command_line(user_name).await.is_err() {
            make_account(cases, user_name, what, org, profile, language, &secrets.password).await?;
        }
        second_factor(cases, user_name, profile, secrets).await?;
    }
    for zone in OTHER_ZONES {
        let name = format!("chef-{zone}");
        if cases.actor_of_command_line(&name).await.is_err() {
            make_account(cases, &name, "Zone chief", zone, Profile::P03, Language::Fr, &secrets.password).await?;
        }
        second_factor(cases, &name, Profile::P03, secrets).await?;
    }
    let admin = cases.actor_of_command_line("admin").await?;
    let known = cases.camera_list(&admin, "", None, 1).await?;
    if known.is_empty() {
        let csv = std::fs::read(list).with_context(|| format!("reading {}", list.display()))?;
        with_role(config, dir, link::Role::Recorder, async {
            let options = ImportOptions { dry_run: false, partial: false };
            let outcome = cases.camera_import(&admin, &csv, options).await?;
            anyhow::ensure!(outcome.bad.is_empty(), "the camera list has bad rows: {:?}", outcome.bad);
            for camera in &outcome.written {
                approve(cases, camera.id).await?;
            }
            share(cases, &outcome.written).await?;
            if traffic::is_there(dir) { traffic::share(cases, &outcome.written).await } else { Ok(()) }
        })
        .await?;
    }
    Ok(())
}

/// Whose profile needs a second factor gets the demo's one, which it prints: so the demo asks for codes as the real thing does.
async fn second_factor(cases: &UseCases, user_name: &str, profile: Profile, secrets: &Secrets) -> anyhow::Result<()> {
    if cases.needs_factor(profile) {
        cases.totp_by_command_line(user_name, &secrets.totp).await?;
    }
    Ok(())
}

async fn make_account(
    cases: &UseCases,
    user_name: &str,
    what: &str,
    org: &str,
    profile: Profile,
    language: Language,
    password: &str,
) -> anyhow::Result<()> {
    let orgs = cases.org_list().await?;
    let org = orgs.iter().find(|known| known.code == org).with_context(|| format!("organisation {org}"))?.id;
    let wish = AccountWish { user_name: user_name.to_owned(), name: what.to_owned(), org, profile, language };
    cases.account_by_command_line(wish, Some(password.to_owned().into())).await?;
    Ok(())
}

/// The zone chief of the camera's own zone approves it.
async fn approve(cases: &UseCases, id: vms_core::CameraId) -> anyhow::Result<()> {
    let camera = cases.camera_known(id).await?.context("a camera that was just imported")?;
    let orgs = cases.org_list().await?;
    let zone = orgs.iter().find(|org| org.id == camera.owner).map_or("", |org| org.code.as_str());
    let name = if zone == "5340" { "chef".to_owned() } else { format!("chef-{zone}") };
    let chief = cases.actor_of_command_line(&name).await?;
    cases.camera_approve(&chief, id).await?;
    Ok(())
}

/// The other zones share their overview cameras with zone 5340 for a year, so that the demo shows a justified look and a full wall.
async fn share(cases: &UseCases, cameras: &[Camera]) -> anyhow::Result<()> {
    let orgs = cases.org_list().await?;
    let zone = |code: &str| orgs.iter().find(|org| org.code == code).map(|org| org.id);
    let Some(partner) = zone("5340") else { return Ok(()) };
    let now = cases.clock().now();
    let year = Duration::from_secs(365 * 86_400);
    let period = vms_core::TimeRange::new(now, now.plus(year)).context("a year from now")?;
    for code in OTHER_ZONES {
        let Some(owner) = zone(code) else { continue };
        let chief = cases.actor_of_command_line(&format!("chef-{code}")).await?;
        for camera in cameras.iter().filter(|camera| camera.owner == owner && camera.kind == CameraKind::Overview) {
            for right in [Right::Live, Right::Playback] {
                let wish = GrantWish { camera: camera.id, partner, profile: None, right, purpose: None, period };
                cases.grant_give(&chief, wish).await?;
            }
        }
    }
    Ok(())
}

/// Does something while one role runs.
async fn with_role<T>(
    config: &Config,
    dir: &Path,
    role: link::Role,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let mut command = Command::new(own_program()?);
    let name = if role == link::Role::Gateway { "gateway" } else { "recorder" };
    command.arg("--config").arg(dir.join("belfry.toml")).args(["role", name, "--supervised"]);
    let mut recorder = command.stdin(Stdio::null()).kill_on_drop(true).spawn()?;
    let socket = config.socket(name);
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while link::connect(&socket, link::Role::Serve, 0, role).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.with_context(|| format!("the {name} did not start"))?;
    let outcome = work.await;
    if let Some(pid) = recorder.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    }
    recorder.wait().await?;
    outcome
}

fn announce(config: &Config, dir: &Path, secrets: &Secrets) {
    complain(&format!(
        "\n  Belfry's console: http://{}\n  All demo accounts have the password  {}",
        config.http.bind, secrets.password
    ));
    for (user_name, what, ..) in people(config) {
        complain(&format!("    {user_name:<10} {what}"));
    }
    complain(&format!(
        "  Who administers, exports, approves or oversees is asked for a code too. DEMO ONLY: all share one secret,\n    {}\n  \
         Put it into an authenticator app, or ask for a code with  belfry demo --code --dir {}\n  Each code works once.",
        totp::base32(&secrets.totp),
        dir.display()
    ));
    complain("  Ctrl-C stops everything.\n");
}
