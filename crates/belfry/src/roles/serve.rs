//! The `serve` role: identity, gate, log, catalogue, reads, findings, API and console. Reads from top to bottom like the
//! picture in `docs/ARCHITECTURE.md`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use audit::LogKey;
use gateway_mivb::{CatalogueClient, CatalogueGuard};
use policy::{CapabilitySigner, RoleTable};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_app::gate::Gate;
use vms_app::passwords::PasswordCost;
use vms_app::ports::Clock as _;
use vms_app::{Parts, Settings, UseCases};
use vms_store::log::{CHECKPOINT_EVERY, LogSettings, Sequencer};
use vms_store::{Store, StoreSettings};

use crate::config::Config;
use crate::keys::{secret_32, write_durably};
use crate::roles::prepare_run_dir;
use crate::wiring::alarms::AlarmFollower;
use crate::wiring::copiers::{Guard, RecorderCopier, copy_details, every};
use crate::wiring::exports::EvidenceDesk;
use crate::wiring::log_tasks::{self, LogParts};
use crate::wiring::media_port::{Sockets, media_port};
use crate::wiring::system::{SystemClock, SystemRandom, random_32};
use crate::wiring::{identity, read_keys, reads, statistics};

/// Connections to the central database (SQLite: readers).
const CONNECTIONS_MAX: u32 = 8;
/// Ended sessions are kept for questions about the log, then deleted.
const SESSIONS_KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Between two looks at a database that is away when the role starts.
const DATABASE_LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long open requests may finish when the role stops.
const EDGE_GRACE: Duration = Duration::from_secs(5);

/// Everything of `serve` that lives below the edge; also what the command line uses when `serve` is not running.
pub(crate) struct Core {
    pub(crate) cases: Arc<UseCases>,
    pub(crate) log: Sequencer,
    pub(crate) store: Arc<Store>,
    exports: Arc<EvidenceDesk>,
    read_keys: Arc<recorder::vault::Vault>,
    log_key: String,
    log_thread: std::thread::JoinHandle<()>,
}

impl Core {
    /// Opens database and log, migrates, publishes the gate's key.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        prepare_run_dir(config)?;
        let key_dir = config.paths.state.join("keys");
        let signer = CapabilitySigner::from_seed(&secret_32(&key_dir.join("gate.key"))?);
        let log_key = LogKey::from_seed(&config.log.origin, &secret_32(&key_dir.join("log.key"))?)?;
        write_durably(&key_dir.join("log.pub"), log_key.verifier_key().as_bytes(), 0o644)?;
        let gate_public = hex::encode(signer.verifier().public());
        write_durably(&config.gate_key_file(), gate_public.as_bytes(), 0o644)?;

        let store = Arc::new(open_store(config)?);
        store.migrate(SystemClock.now()).await.context("bringing the central database up to date")?;
        let log_verifier = log_key.verifier_key().to_owned();
        let lock = key_dir.join("log.signed");
        let settings = LogSettings {
            dir: config.paths.state.join("log"),
            lock,
            key: log_key,
            salt: random_32,
            checkpoint_every: CHECKPOINT_EVERY,
        };
        let (log, log_thread) = Sequencer::start(settings).context("recovering the log of uses")?;

        let clock = Arc::new(SystemClock);
        let ids = Arc::new(SystemRandom);
        let table = RoleTable::embedded().context("the role table")?;
        let gate = Arc::new(Gate::new(table, Arc::new(log.clone()), clock.clone(), ids.clone(), signer));
        let media = media_port(Sockets {
            recorder: config.socket("recorder"),
            reader: config.socket("reader"),
            gateway: config.socket("gateway"),
        });
        let stores: Arc<dyn vms_app::ports::Stores> = store.clone();
        if let Err(error) = keys::lock_memory() {
            tracing::debug!(%error, "keys of reads may reach the swap: give the unit LimitMEMLOCK=infinity, or run without swap");
        }
        let read_keys = read_keys::open(config, &store).await?;
        let approvals = read_keys::reads_dir(config).join("deletions");
        let keys = Arc::new(read_keys::VaultKeys { vault: Arc::clone(&read_keys), approvals });
        let mut extensions = reads::extensions(
            &config.paths.state,
            &config.traffic,
            &store,
            Arc::clone(&stores),
            Arc::clone(&gate),
            keys,
        )?;
        let exports = Arc::new(
            EvidenceDesk::open(config, (log.public_dir().to_owned(), log_verifier.clone()))
                .context("the place of evidence exports")?,
        );
        extensions.exports = Some(exports.clone());
        extensions.statistics = statistics::desk(&config.statistics, Arc::clone(&store) as _)?;
        extensions.fines = extensions.fines.map(|parts| parts.with_samples(&config.identity.installation));
        extensions.identity = identity::parts(config, &secret_32(&key_dir.join("factors.key"))?)?;
        let cases = UseCases::new(Parts {
            stores,
            gate,
            media,
            catalogue: Some(Arc::new(catalogue_client(config)?)),
            clock,
            ids,
            settings: settings_of(config)?,
            extensions,
        })
        .map_err(|error| anyhow::anyhow!("{error}"))?;
        cases.seed_organisations().await.context("seeding organisations")?;
        cases.matrix_take_up().await.context("the role matrix")?;
        Ok(Self { cases: Arc::new(cases), log, store, exports, read_keys, log_key: log_verifier, log_thread })
    }

    /// Signs a last checkpoint and closes the database.
    pub(crate) async fn close(self) {
        self.exports.halt_all().await;
        if let Err(error) = self.cases.exports_let_go().await {
            tracing::debug!(%error, "the lease of the exports runs out by itself");
        }
        self.log.stop();
        let ended = tokio::task::spawn_blocking(move || self.log_thread.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::error!("the log's thread did not end well");
        }
        self.store.close().await;
        let keys = self.read_keys;
        if tokio::task::spawn_blocking(move || keys.close()).await.is_err() {
            tracing::error!("the key store of reads did not close in order");
        }
    }
}

/// Fetches partners' catalogues from the networks that cameras may live in.
fn catalogue_client(config: &Config) -> anyhow::Result<CatalogueClient> {
    let networks: Result<Vec<_>, _> = config.cameras.allowed_networks.iter().map(|text| text.parse()).collect();
    let allowed_networks = networks.context("cameras.allowed_networks")?;
    let file = &config.gateway.catalogue_authorities;
    let authorities = if file.as_os_str().is_empty() {
        Vec::new()
    } else {
        let pem = std::fs::read(file).with_context(|| format!("gateway.catalogue_authorities: {}", file.display()))?;
        gateway_mivb::authorities(&pem).context("gateway.catalogue_authorities")?
    };
    Ok(CatalogueClient::new(CatalogueGuard { allowed_networks, authorities }))
}

/// The central database, connected lazily.
pub(crate) fn open_store(config: &Config) -> anyhow::Result<Store> {
    let settings = StoreSettings { url: config.database.url.clone(), connections_max: CONNECTIONS_MAX };
    Store::open_bounded(&settings, answer_max(config) * 9 / 10).context("opening the central database")
}

fn answer_max(config: &Config) -> Duration {
    Duration::from_secs(config.http.answer_max_s.into())
}

fn settings_of(config: &Config) -> anyhow::Result<Settings> {
    let networks: Result<Vec<_>, _> = config.cameras.allowed_networks.iter().map(|text| text.parse()).collect();
    Ok(Settings {
        password_cost: PasswordCost { memory_kib: 64 * 1024, passes: 3 },
        allowed_networks: networks.context("cameras.allowed_networks")?,
        allowed_ports: config.cameras.allowed_ports.clone(),
        health_lag_max: Duration::from_secs(10),
    })
}

/// Waits until the central database answers; meanwhile everybody who asks is told why nothing is served. False: told to stop.
async fn wait_for_database(config: &Config, stop: &CancellationToken) -> anyhow::Result<bool> {
    let store = open_store(config)?;
    if let Err(error) = store.ping().await {
        tracing::error!(%error, "the central database does not answer: nothing is served until it does; recording goes on");
        let listener =
            TcpListener::bind(config.http.bind).await.with_context(|| format!("binding {}", config.http.bind))?;
        let there = CancellationToken::new();
        let (serving, mut failed) = (there.clone(), true);
        let server = axum::serve(listener, vms_api::waiting_router())
            .with_graceful_shutdown(async move { serving.cancelled().await });
        let mut server = tokio::spawn(server.into_future());
        while failed && !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(DATABASE_LOOK_EVERY) => failed = store.ping().await.is_err(),
            }
        }
        there.cancel();
        if tokio::time::timeout(DATABASE_LOOK_EVERY, &mut server).await.is_err() {
            server.abort();
        }
        tracing::info!("the central database answers");
    }
    store.close().await;
    Ok(!stop.is_cancelled())
}

/// Serves until told to stop.
pub(crate) async fn run(config: &Config, stop: CancellationToken) -> anyhow::Result<()> {
    if !wait_for_database(config, &stop).await? {
        return Ok(());
    }
    let core = Core::open(config).await?;
    core.cases.playbacks_close_left_over().await.context("closing what an earlier run left open")?;
    core.cases.exports_take_up().await.context("taking up exports that an earlier run left open")?;
    let log = Arc::new(LogParts {
        cases: Arc::clone(&core.cases),
        store: Arc::clone(&core.store),
        log: core.log.clone(),
        key: core.log_key.clone(),
    });
    let tasks = TaskTracker::new();
    let background = stop.child_token();
    spawn_reconcilers(config, &core, &tasks, &background);
    log_tasks::spawn(config, &log, &tasks, &background).await?;
    reads::spawn(config, &core.cases, &tasks, &background)?;
    statistics::spawn(&core.cases, &tasks, &background);
    read_keys::tend(&core.read_keys, &tasks, &background);
    serve_metrics(config, &tasks, &background).await?;

    let settings = vms_api::Settings {
        console_dir: Some(config.paths.web.clone()),
        log_dir: config.log.public.then(|| core.log.public_dir().to_owned()),
        origins: config.http.origins.clone(),
        tls: config.http.tls_in_front,
        answer_max: answer_max(config),
        ..vms_api::Settings::default()
    };
    let machines = identity::machines_listen(config).await?;
    harden::filter_calls()?;
    if let Some(listener) = machines {
        identity::machines_serve(listener, Arc::clone(&core.cases), settings.clone(), &tasks, &background);
    }
    let router = vms_api::router(Arc::clone(&core.cases), settings);
    let listener =
        TcpListener::bind(config.http.bind).await.with_context(|| format!("binding {}", config.http.bind))?;
    tracing::info!(address = %listener.local_addr()?, "the console and the API listen");
    let service = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let (serving, asked) = (stop.clone(), stop.clone());
    let server = axum::serve(listener, service).with_graceful_shutdown(async move { serving.cancelled().await });
    let mut running = tokio::spawn(async move { server.await });
    tokio::select! {
        outcome = &mut running => outcome?.context("serving HTTP")?,
        () = asked.cancelled() => {
            // Live sockets end by themselves when their use case sees the stop; the grace is for what does not.
            if tokio::time::timeout(EDGE_GRACE, &mut running).await.is_err() {
                running.abort();
            }
        }
    }
    background.cancel();
    tasks.close();
    drop(tokio::time::timeout(EDGE_GRACE, tasks.wait()).await);
    log.stopped().await;
    drop(log);
    core.close().await;
    Ok(())
}

fn spawn_reconcilers(config: &Config, core: &Core, tasks: &TaskTracker, stop: &CancellationToken) {
    let guard = Guard {
        allowed_networks: config.cameras.allowed_networks.clone(),
        allowed_ports: config.cameras.allowed_ports.clone(),
    };
    let second = Duration::from_secs(1);
    let checkpoint = core.log.public_dir().join("checkpoint");
    let recorder = Arc::new(RecorderCopier::recorder(
        Arc::clone(&core.cases),
        config.socket("recorder"),
        guard.clone(),
        checkpoint,
    ));
    tasks.spawn(every("recorder copy", second, stop.clone(), move || {
        let recorder = Arc::clone(&recorder);
        async move { recorder.round().await }
    }));
    let alarms = Arc::new(AlarmFollower::new(Arc::clone(&core.cases), config.socket("recorder")));
    tasks.spawn(every("recorder alarms", second, stop.clone(), move || {
        let alarms = Arc::clone(&alarms);
        async move { alarms.follow().await }
    }));
    if config.gateway.enabled {
        let gateway = Arc::new(RecorderCopier::gateway(Arc::clone(&core.cases), config.socket("gateway"), guard));
        tasks.spawn(every("gateway copy", second, stop.clone(), move || {
            let gateway = Arc::clone(&gateway);
            async move { gateway.round().await }
        }));
    }
    if config.gateway.enabled {
        let (cases, period) = (Arc::clone(&core.cases), config.gateway.catalogue_every_s);
        let period = Duration::from_secs(u64::from(period));
        tasks.spawn(every("partners' catalogues", second, stop.clone(), move || {
            let cases = Arc::clone(&cases);
            async move { Ok(cases.catalogues_follow(period).await?) }
        }));
    }
    let cases = Arc::clone(&core.cases);
    tasks.spawn(every("housekeeping", second, stop.clone(), move || {
        let cases = Arc::clone(&cases);
        async move { Ok(cases.housekeeping().await?) }
    }));
    let cases = Arc::clone(&core.cases);
    tasks.spawn(every("role matrix", second, stop.clone(), move || {
        let cases = Arc::clone(&cases);
        async move { Ok(cases.matrix_round().await?) }
    }));
    let cases = Arc::clone(&core.cases);
    tasks.spawn(every("exports", second, stop.clone(), move || {
        let cases = Arc::clone(&cases);
        async move { Ok(cases.exports_round().await?) }
    }));
    let cases = Arc::clone(&core.cases);
    tasks.spawn(every("old sessions", Duration::from_secs(3_600), stop.clone(), move || {
        let cases = Arc::clone(&cases);
        async move {
            let before = cases.clock().now().minus(SESSIONS_KEPT);
            cases.stores().session_prune(before).await?;
            Ok(())
        }
    }));
    let (store, log) = (Arc::clone(&core.store), core.log.clone());
    let next = Arc::new(tokio::sync::Mutex::new(0_u64));
    tasks.spawn(every("log details", second, stop.clone(), move || {
        let (store, log, next) = (Arc::clone(&store), log.clone(), Arc::clone(&next));
        async move { copy_details(&store, &log, &mut *next.lock().await).await }
    }));
}

async fn serve_metrics(config: &Config, tasks: &TaskTracker, stop: &CancellationToken) -> anyhow::Result<()> {
    let handle = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().context("metrics")?;
    let listener = TcpListener::bind(config.http.metrics_bind)
        .await
        .with_context(|| format!("binding {}", config.http.metrics_bind))?;
    // One scrape for this machine: the other roles are asked when somebody asks us.
    let run = config.paths.run.clone();
    let router = axum::Router::new().route(
        "/metrics",
        axum::routing::get(move || {
            let (text, run) = (handle.render(), run.clone());
            async move { crate::figures::gather(&run, &text).await }
        }),
    );
    let stop = stop.clone();
    tasks.spawn(async move {
        let server = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(error) = server.await {
            tracing::error!(error = %error, "the metrics listener failed");
        }
    });
    Ok(())
}
