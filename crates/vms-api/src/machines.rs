//! The listener for machines: TLS that asks for a client certificate, ended here and nowhere else.
//!
//! Belongs here: the handshake, its bounds, and handing the certificate's fingerprint to the routes. Does not belong here: whose
//! certificate it is (`vms_app::identity::machines`), the consoles of people (`http.bind`, which asks nobody for a certificate).
//!
//! A reverse proxy that ends TLS must not stand in front: what it would say about a certificate in a header is nobody's word, and no
//! header is read. One that passes the TCP stream on untouched may (its address is then every machine's source for the rate limit).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use vms_app::UseCases;

use crate::settings::Settings;

/// Handshakes under way; more wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 64;
/// A handshake takes milliseconds; whoever takes longer is gone or does not mean well.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// After an accept that failed (out of descriptors), before the next.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The certificate that the other side of this connection showed and proved: SHA-256 of its DER form, hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate(pub String);

/// Why the listener for machines can't be made.
#[derive(Debug, thiserror::Error)]
pub enum MachineTlsError {
    /// A file without what it should hold.
    #[error("{what} does not read as PEM")]
    Pem {
        /// Which.
        what: &'static str,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A file with nothing in it.
    #[error("{0} holds no certificate")]
    Empty(&'static str),
    /// Certificate and key do not fit, or an authority is none.
    #[error("the certificates can't be used")]
    Rustls(#[from] rustls::Error),
    /// No authority can be trusted.
    #[error("the authorities can't be used")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MachineTlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|source| MachineTlsError::Pem { what, source })?;
    if all.is_empty() { Err(MachineTlsError::Empty(what)) } else { Ok(all) }
}

/// TLS 1.2 and 1.3 with `ring`; a client without a certificate of one of `authorities` gets no connection at all. Chain, dates, the use
/// "client authentication" and the possession of the key are checked by rustls.
///
/// # Errors
/// [`MachineTlsError`].
pub fn server_config(certificate: &[u8], key: &[u8], authorities: &[u8]) -> Result<ServerConfig, MachineTlsError> {
    let chain = certificates("the certificate", certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key);
    let key = key.map_err(|source| MachineTlsError::Pem { what: "the key", source })?;
    let mut roots = RootCertStore::empty();
    for authority in certificates("the file of authorities", authorities)? {
        roots.add(authority)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    // A resumed session brings its certificate along; a full handshake each time proves the key each time.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

type Handshake = (io::Result<TlsStream<TcpStream>>, SocketAddr);

/// Accepts machines. Handshakes run beside each other, so that a slow one keeps nobody waiting.
pub struct MachineListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Handshake>,
}

impl std::fmt::Debug for MachineListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineListener").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl MachineListener {
    /// On a bound socket.
    pub fn new(tcp: TcpListener, config: ServerConfig) -> Self {
        Self { tcp, acceptor: TlsAcceptor::from(Arc::new(config)), handshakes: JoinSet::new() }
    }

    fn begin(&mut self, tcp: TcpStream, from: SocketAddr) {
        let acceptor = self.acceptor.clone();
        self.handshakes.spawn(async move {
            let outcome = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(tcp)).await;
            (outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())), from)
        });
    }
}

impl Listener for MachineListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let has_room = self.handshakes.len() < HANDSHAKES_MAX;
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok((Ok(stream), from)) => return (stream, from),
                    Ok((Err(error), _)) => tracing::debug!(%error, "a machine's handshake failed"),
                    Err(error) => tracing::error!(%error, "a handshake's task failed"),
                },
                accepted = self.tcp.accept(), if has_room => match accepted {
                    Ok((tcp, from)) => self.begin(tcp, from),
                    Err(error) => {
                        tracing::warn!(%error, "accepting a machine failed");
                        tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                    }
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct MachinePeer {
    address: SocketAddr,
    certificate: Option<ClientCertificate>,
}

impl Connected<IncomingStream<'_, MachineListener>> for MachinePeer {
    fn connect_info(stream: IncomingStream<'_, MachineListener>) -> Self {
        let (_, session) = stream.io().get_ref();
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.map(|der| ClientCertificate(hex::encode(Sha256::digest(der))));
        Self { address: *stream.remote_addr(), certificate }
    }
}

/// Puts what the connection knows where the routes look for it.
async fn with_peer(mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<MachinePeer>>().cloned() {
        request.extensions_mut().insert(ConnectInfo(peer.address));
        // The verifier lets nobody in without one; an empty fingerprint would fit no row.
        let certificate = peer.certificate.unwrap_or_else(|| ClientCertificate(String::new()));
        request.extensions_mut().insert(certificate);
    }
    next.run(request).await
}

/// The API for machines: the same routes, with a bearer token instead of a cookie. Serve it on a [`MachineListener`] with
/// `into_make_service_with_connect_info::<MachinePeer>()`.
pub fn router(cases: Arc<UseCases>, settings: Settings) -> Router {
    // No console, and no page of any origin: a browser has nothing to do here.
    let settings = Settings { console_dir: None, origins: Vec::new(), tls: true, ..settings };
    crate::shell::router(cases, settings).layer(from_fn(with_peer))
}
