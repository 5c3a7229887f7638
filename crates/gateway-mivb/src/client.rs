//! Fetches the document: a guarded address, no redirects, bounded size and time.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use ipnet::IpNet;
use vms_app::catalogue_fault::CatalogueFault;
use vms_app::model::{Partner, PartnerCamera};
use vms_app::ports::PartnerCatalogue;

use crate::translate::translate;

/// Largest document, MiB. The largest partner's 3,500 cameras take about one.
const DOCUMENT_MAX_MIB: usize = 4;
/// Longest wait for the whole document.
const FETCH_MAX: Duration = Duration::from_secs(15);

/// Where a partner's catalogue may be.
#[derive(Clone, Debug)]
pub struct CatalogueGuard {
    /// Networks; the address is resolved once, checked, and dialled as it is.
    pub allowed_networks: Vec<IpNet>,
    /// The partners' own certificate authorities (PEM) for `https`; the machine's authorities when there is none.
    pub authorities: Vec<reqwest::Certificate>,
}

/// Certificate authorities from a PEM file.
///
/// # Errors
/// The file is no PEM, or holds no certificate that can be used.
pub fn authorities(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, reqwest::Error> {
    reqwest::Certificate::from_pem_bundle(pem)
}

/// Fetches partners' catalogues.
#[derive(Debug)]
pub struct CatalogueClient {
    guard: CatalogueGuard,
}

impl CatalogueClient {
    /// A client behind a guard.
    pub fn new(guard: CatalogueGuard) -> Self {
        // The cryptography of TLS for the whole process; an earlier choice stays.
        rustls::crypto::ring::default_provider().install_default().ok();
        Self { guard }
    }

    async fn document(&self, address: &str) -> Result<Vec<u8>, CatalogueFault> {
        let url = url::Url::parse(address).map_err(|_| CatalogueFault::AddressRefused)?;
        let host = url.host_str().ok_or(CatalogueFault::AddressRefused)?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() {
            return Err(CatalogueFault::AddressRefused);
        }
        let port = url.port_or_known_default().unwrap_or(443);
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host.trim_matches(['[', ']']), port))
            .await
            .map_err(|error| unreachable_for(&error))?
            .collect();
        let allowed =
            |at: &SocketAddr| self.guard.allowed_networks.iter().any(|net| net.contains(&at.ip().to_canonical()));
        if found.is_empty() || !found.iter().all(allowed) {
            return Err(CatalogueFault::AddressRefused);
        }
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(FETCH_MAX)
            .resolve_to_addrs(host, &found);
        if !self.guard.authorities.is_empty() {
            builder = builder.tls_certs_only(self.guard.authorities.iter().cloned());
        }
        let client = builder.build().map_err(|error| unreachable_for(&error))?;
        let response = client.get(url).send().await.map_err(|error| unreachable_for(&error))?;
        if !response.status().is_success() {
            return Err(CatalogueFault::Answered(response.status().as_u16()));
        }
        let (mut document, mut pieces) = (Vec::new(), response.bytes_stream());
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| unreachable_for(&error))?;
            if document.len() + piece.len() > DOCUMENT_MAX_MIB << 20 {
                return Err(CatalogueFault::TooLarge { max_mib: DOCUMENT_MAX_MIB });
            }
            document.extend_from_slice(&piece);
        }
        Ok(document)
    }
}

/// The partner hears of its own outage in one word; the cause stays in our log.
fn unreachable_for(error: &dyn std::error::Error) -> CatalogueFault {
    tracing::debug!(%error, "a partner's catalogue can't be reached");
    CatalogueFault::Unreachable
}

#[async_trait]
impl PartnerCatalogue for CatalogueClient {
    async fn fetch(&self, partner: &Partner) -> Result<Vec<PartnerCamera>, CatalogueFault> {
        translate(&self.document(&partner.catalogue_url).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn partner_server() -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let good = r#"{"version":1,"cameras":[{"ref":"A","naam":"a","nom":"a","lat":50.85,"lon":4.36,
            "rtsp":"rtsp://10.0.0.1/a","gedeeld":true}]}"#;
        let router = axum::Router::new()
            .route("/good", axum::routing::get(move || async move { good }))
            .route("/away", axum::routing::get(|| async { axum::response::Redirect::temporary("/good") }))
            .route("/large", axum::routing::get(|| async { vec![b' '; (DOCUMENT_MAX_MIB << 20) + 1] }));
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        address
    }

    #[tokio::test]
    async fn a_catalogue_comes_from_an_allowed_address_only() {
        let address = partner_server().await;
        let client = |network: &str| {
            let allowed_networks = vec![network.parse().unwrap()];
            CatalogueClient::new(CatalogueGuard { allowed_networks, authorities: vec![] })
        };
        let fetch = async |network: &str, path: &str| {
            client(network).document(&format!("http://{address}{path}")).await.map(|document| translate(&document))
        };
        assert_eq!(fetch("127.0.0.0/8", "/good").await.unwrap().unwrap().len(), 1);
        for (network, path, wanted) in [
            ("10.0.0.0/8", "/good", CatalogueFault::AddressRefused),
            ("127.0.0.0/8", "/away", CatalogueFault::Answered(307)),
            ("127.0.0.0/8", "/missing", CatalogueFault::Answered(404)),
            ("127.0.0.0/8", "/large", CatalogueFault::TooLarge { max_mib: DOCUMENT_MAX_MIB }),
        ] {
            assert_eq!(fetch(network, path).await, Err(wanted), "{path}");
        }
        for address in ["ftp://127.0.0.1/", "http://user@127.0.0.1/", "nonsense"] {
            assert_eq!(client("127.0.0.0/8").document(address).await, Err(CatalogueFault::AddressRefused), "{address}");
        }
        assert_eq!(client("127.0.0.0/8").document("http://127.0.0.1:1/").await, Err(CatalogueFault::Unreachable));
    }

    /// A partner whose certificate its own authority signed, under the name `localhost`.
    async fn secure_server() -> (SocketAddr, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let mut request = [0; 1_024];
                let taken = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.unwrap();
                assert!(taken > 0);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
                tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
            }
        }));
        (address, made.cert.pem())
    }

    #[tokio::test]
    async fn over_https_only_a_known_authority_counts() {
        let (address, pem) = secure_server().await;
        let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
        let fetch = async |pem: &str, host: &str| {
            let authorities = authorities(pem.as_bytes()).unwrap();
            let guard = CatalogueGuard { allowed_networks: vec!["127.0.0.0/8".parse().unwrap()], authorities };
            CatalogueClient::new(guard).document(&format!("https://{host}:{}/", address.port())).await
        };
        assert_eq!(fetch(&pem, "localhost").await.unwrap(), b"{}");
        // Another authority, none but the machine's own, and the right one for another name.
        for (pem, host) in [(other.as_str(), "localhost"), ("", "localhost"), (pem.as_str(), "127.0.0.1")] {
            assert_eq!(fetch(pem, host).await, Err(CatalogueFault::Unreachable), "{host}");
        }
    }
}
