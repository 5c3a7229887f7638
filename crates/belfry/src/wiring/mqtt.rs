//! Reads that cameras publish at a broker: signed batches, and messages by the names of ONVIF Profile M.
//!
//! Belongs here: the connection and its promise. Does not belong here: what is believed of a message (`vms_app::lez::push`).
//!
//! The promise: a message is acknowledged (quality of service 1) after what was good in it is durable here and its delivery is in the log,
//! and not before. One message is worked on at a time, so nothing waits in this process: what we have not acknowledged the broker keeps,
//! under our lasting session. Overflow policy: none here; the broker's own limit of a session's queue is its operator's to set. When log or
//! database are away the connection ends and begins anew, and the broker delivers again. A message that will never be good is acknowledged,
//! counted and logged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reads_in::onvif;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, QoS, TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_app::lez::push::{PushForm, PushOutcome};
use vms_app::{UseCaseError, UseCases};

/// Largest message, bytes: the bound of the same thing over HTTPS.
const MESSAGE_MAX: usize = 2 * 1024 * 1024;
/// Messages that the broker sends ahead of our acknowledgements.
const IN_FLIGHT: u16 = 16;
/// A broker that says nothing for so long is dead.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Between two tries of a connection.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Commands to the broker that wait: an acknowledgement each, and the subscriptions.
const COMMANDS: usize = 64;
/// Under which signed batches are published.
const SIGNED: &str = "belfry/reads/v1";

/// `[reads.mqtt]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MqttConfig {
    /// Name or address of the broker.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User name of the machine's account in whose name messages are taken.
    pub account: String,
    /// What the broker knows this subscriber by; its session lasts under it.
    #[serde(default = "client_id")]
    pub client_id: String,
    /// Topic filters.
    #[serde(default = "topics")]
    pub topics: Vec<String>,
    /// Authority of the broker's certificate (PEM). Absent: no TLS, for a broker on this machine alone.
    pub authority: Option<PathBuf>,
    /// Our certificate with its chain (PEM).
    pub certificate: Option<PathBuf>,
    /// Its key (PEM).
    pub key: Option<PathBuf>,
}

fn client_id() -> String {
    "belfry-reads".to_owned()
}

fn topics() -> Vec<String> {
    ["belfry/reads/v1/#", "+/onvif-mj/VideoAnalytics/#", "+/onvif-ej/RuleEngine/Recognition/LicensePlate/#"]
        .map(str::to_owned)
        .to_vec()
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

impl MqttConfig {
    fn transport(&self) -> anyhow::Result<Transport> {
        let Some(authority) = &self.authority else {
            let is_here = ["localhost", "127.0.0.1", "::1"].contains(&self.host.as_str());
            anyhow::ensure!(is_here, "reads.mqtt: a broker on another machine is reached with TLS: give `authority`");
            return Ok(Transport::Tcp);
        };
        let mut roots = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&read(authority)?) {
            roots.add(root.context("reads.mqtt.authority")?).context("reads.mqtt.authority")?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.with_root_certificates(roots);
        let config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificate)?).collect();
                let key = PrivateKeyDer::from_pem_slice(&read(key)?).context("reads.mqtt.key")?;
                builder.with_client_auth_cert(chain.context("reads.mqtt.certificate")?, key)?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => anyhow::bail!("reads.mqtt: certificate and key belong together"),
        };
        Ok(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(config))))
    }

    fn options(&self) -> anyhow::Result<MqttOptions> {
        let mut options = MqttOptions::new(&self.client_id, &self.host, self.port);
        options.set_transport(self.transport()?);
        options.set_keep_alive(KEEP_ALIVE);
        options.set_inflight(IN_FLIGHT);
        options.set_max_packet_size(MESSAGE_MAX, MESSAGE_MAX);
        // The broker keeps our session while we are away, and we say ourselves what is done.
        options.set_clean_session(false);
        options.set_manual_acks(true);
        Ok(options)
    }
}

/// Whether a message is done with; `false`: log or database are away, and it must come again.
async fn take(cases: &UseCases, account: &str, message: &Publish) -> bool {
    let form = if message.topic == SIGNED || message.topic.starts_with("belfry/reads/v1/") {
        PushForm::Whole
    } else if let Some((camera, kind)) = onvif::topic(&message.topic) {
        PushForm::Onvif { camera, kind: Some(kind) }
    } else {
        metrics::counter!("belfry_mqtt_messages_total", "outcome" => "other_topic").increment(1);
        return true;
    };
    let pushed = match cases.push_actor(account).await {
        Ok(actor) => cases.reads_push(&actor, form, &message.payload).await,
        Err(error) => Err(error),
    };
    match pushed {
        Ok(pushed) => {
            for (_, outcome) in &pushed.reads {
                let word = match outcome {
                    PushOutcome::Kept => "kept",
                    PushOutcome::Duplicate => "duplicate",
                    PushOutcome::Refused(word) => word,
                };
                metrics::counter!("belfry_mqtt_reads_total", "outcome" => word).increment(1);
            }
            metrics::counter!("belfry_mqtt_messages_total", "outcome" => "taken").increment(1);
            true
        }
        // These say of the message that it is no good, or of the account that it may not: it is no better next time.
        Err(error @ (UseCaseError::Invalid(_) | UseCaseError::NotFound(_) | UseCaseError::Denied { .. })) => {
            metrics::counter!("belfry_mqtt_messages_total", "outcome" => "refused").increment(1);
            tracing::warn!(%error, bytes = message.payload.len(), "a message of the broker was refused");
            true
        }
        Err(error) => {
            tracing::warn!(%error, "a message of the broker could not be taken now; it comes again");
            false
        }
    }
}

/// One connection, until it ends.
async fn session(config: &MqttConfig, cases: &UseCases, told: &mut bool) -> anyhow::Result<()> {
    let (client, mut broker): (AsyncClient, EventLoop) = AsyncClient::new(config.options()?, COMMANDS);
    loop {
        match broker.poll().await.context("the broker")? {
            Event::Incoming(Packet::ConnAck(_)) => {
                tracing::info!(host = config.host, port = config.port, "connected to the broker");
                *told = false;
                metrics::gauge!("belfry_mqtt_connected").set(1.0);
                for topic in &config.topics {
                    client.try_subscribe(topic, QoS::AtLeastOnce).context("subscribing")?;
                }
            }
            Event::Incoming(Packet::Publish(message)) => {
                if message.qos == QoS::AtMostOnce {
                    metrics::counter!("belfry_mqtt_unacknowledged_total").increment(1);
                }
                anyhow::ensure!(take(cases, &config.account, &message).await, "what was delivered could not be kept");
                client.try_ack(&message).context("acknowledging")?;
            }
            Event::Incoming(Packet::Disconnect) => anyhow::bail!("the broker ended the session"),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
}

/// Starts the subscriber; what is wrong with its files is told at once.
pub(crate) fn spawn(
    config: &MqttConfig,
    cases: &Arc<UseCases>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    drop(config.options()?);
    tasks.spawn(run(config.clone(), Arc::clone(cases), stop.clone()));
    Ok(())
}

/// Keeps a connection until `stop`.
pub(crate) async fn run(config: MqttConfig, cases: Arc<UseCases>, stop: CancellationToken) {
    let mut told = false;
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = session(&config, &cases, &mut told) => ended,
        };
        metrics::gauge!("belfry_mqtt_connected").set(0.0);
        if let Err(error) = ended {
            // Once as a warning; a broker that stays away is no news every five seconds.
            if told {
                tracing::debug!("{error:#}")
            } else {
                tracing::warn!("reads over MQTT: {error:#}")
            }
            told = true;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(AGAIN_AFTER) => {}
        }
    }
}
