//! Identity from the configuration: the factors' key, the identity provider, and the listener for machines.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_api::machines::{MachineListener, MachinePeer, server_config};
use vms_app::UseCases;
use vms_app::identity::oidc::{IdentityProvider, ProviderFactors};
use vms_app::identity::seal::FactorKey;
use vms_app::identity::webauthn::Site;
use vms_app::identity::{BreachedPasswords, IdentityParts};
use zeroize::Zeroizing;

use crate::config::{Config, Provider};
use crate::wiring::breached::BreachedFile;

/// Where the provider sends browsers back to: a page of the console, which hands the answer on.
const ANSWER_PAGE: &str = "/login/answer";

/// Where security keys belong: the first configured origin that they can be bound to; a console on this machine alone goes by
/// the name `localhost`.
fn site_of(config: &Config) -> Option<Site> {
    let own = config.http.bind.ip().is_loopback() && !config.http.tls_in_front;
    let local = own.then(|| format!("http://localhost:{}", config.http.bind.port()));
    config.http.origins.iter().chain(&local).find_map(|address| Site::of(address))
}

fn read(key: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{key}: {}", path.display()))
}

fn provider_of(wanted: &Provider, site: Option<&Site>) -> anyhow::Result<oidc::Provider> {
    let site = site.context("identity.provider needs a console with a name: give `http.origins` its https address")?;
    let secret = if wanted.client_secret_file.as_os_str().is_empty() {
        None
    } else {
        let raw = Zeroizing::new(read("identity.provider.client_secret_file", &wanted.client_secret_file)?);
        let text = std::str::from_utf8(&raw).context("identity.provider.client_secret_file is no text")?.trim();
        anyhow::ensure!(!text.is_empty(), "identity.provider.client_secret_file is empty");
        Some(Zeroizing::new(text.to_owned()))
    };
    let authorities = if wanted.authorities.as_os_str().is_empty() {
        Vec::new()
    } else {
        let pem = read("identity.provider.authorities", &wanted.authorities)?;
        oidc::authorities(&pem).context("identity.provider.authorities")?
    };
    let settings = oidc::Settings {
        name: wanted.name.trim().to_owned(),
        issuer: wanted.issuer.clone(),
        client_id: wanted.client_id.clone(),
        client_secret: secret,
        redirect: format!("{}{ANSWER_PAGE}", site.origin),
        asked_within: Duration::from_secs(u64::from(wanted.asked_within_minutes) * 60),
        authorities,
    };
    oidc::Provider::new(settings).context("identity.provider")
}

/// What the use cases need of identity; `key` seals the secrets of second factors.
pub(crate) fn parts(config: &Config, key: &[u8; 32]) -> anyhow::Result<IdentityParts> {
    let key = FactorKey::new(key).map_err(|error| anyhow::anyhow!("{error}"))?;
    let site = site_of(config);
    if site.is_none() {
        tracing::warn!(
            "the console has no name that security keys can be bound to (`http.origins`): profiles that need a hardware key open nothing"
        );
    }
    if !config.identity.installation.is_empty() {
        tracing::warn!(installation = %config.identity.installation, "this installation may be an exception of seed/identity.toml");
    }
    let wanted = config.identity.provider.as_ref();
    let provider = wanted.map(|wanted| provider_of(wanted, site.as_ref())).transpose()?;
    let factors = wanted.map_or_else(ProviderFactors::default, |wanted| ProviderFactors {
        acr: wanted.acr.clone(),
        amr: wanted.amr.clone(),
        hardware_amr: wanted.hardware_amr.clone(),
    });
    let breached = &config.identity.breached_passwords;
    let breached = (!breached.as_os_str().is_empty()).then(|| BreachedFile::open(breached)).transpose()?;
    Ok(IdentityParts {
        key: Some(Arc::new(key)),
        breached: breached.map(|file| Arc::new(file) as Arc<dyn BreachedPasswords>),
        site,
        provider: provider.map(|provider| Arc::new(provider) as Arc<dyn IdentityProvider>),
        provider_factors: factors,
        installation: config.identity.installation.clone(),
    })
}

/// Binds the listener for machines, where one is configured, and serves it until told to stop. Its files are read here, before any
/// confinement.
pub(crate) async fn machines_listen(config: &Config) -> anyhow::Result<Option<MachineListener>> {
    let Some(wanted) = &config.identity.machines else { return Ok(None) };
    let certificate = read("identity.machines.certificate", &wanted.certificate)?;
    let key = Zeroizing::new(read("identity.machines.key", &wanted.key)?);
    let authorities = read("identity.machines.authorities", &wanted.authorities)?;
    let tls = server_config(&certificate, &key, &authorities).context("identity.machines")?;
    let tcp = TcpListener::bind(wanted.bind).await.with_context(|| format!("binding {}", wanted.bind))?;
    tracing::info!(address = %tcp.local_addr()?, "machines may connect");
    Ok(Some(MachineListener::new(tcp, tls)))
}

/// Serves machines beside people.
pub(crate) fn machines_serve(
    listener: MachineListener,
    cases: Arc<UseCases>,
    settings: vms_api::Settings,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let service = vms_api::machines::router(cases, settings).into_make_service_with_connect_info::<MachinePeer>();
    let stop = stop.clone();
    tasks.spawn(async move {
        let server = axum::serve(listener, service).with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(error) = server.await {
            tracing::error!(error = %error, "the listener for machines failed");
        }
    });
}
