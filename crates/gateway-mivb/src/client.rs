//! Fetches the document: a guarded address, no redirects, bounded size and time.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use ipnet::IpNet;
use vms_app::model::{Partner, PartnerCamera};
use vms_app::ports::{MediaError, PartnerCatalogue};
use vms_app::words::Cause;

use crate::translate::translate;

/// Largest document, bytes.
const DOCUMENT_MAX: usize = 8 << 20;
/// Longest wait for the whole document.
const FETCH_MAX: Duration = Duration::from_secs(15);

/// Where a partner's catalogue may be.
#[derive(Clone, Debug)]
pub struct CatalogueGuard {
    /// Networks; the address is resolved once, checked, and dialled as it is.
    pub allowed_networks: Vec<IpNet>,
}

/// Fetches partners' catalogues.
#[derive(Debug)]
pub struct CatalogueClient {
    guard: CatalogueGuard,
}

impl CatalogueClient {
    /// A client behind a guard.
    pub const fn new(guard: CatalogueGuard) -> Self {
        Self { guard }
    }

    async fn document(&self, address: &str) -> Result<Vec<u8>, MediaError> {
        let url = url::Url::parse(address).map_err(|_| MediaError::NoPicture(Cause::AddressRefused))?;
        let host = url.host_str().ok_or(MediaError::NoPicture(Cause::AddressRefused))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() {
            return Err(MediaError::NoPicture(Cause::AddressRefused));
        }
        let port = url.port_or_known_default().unwrap_or(443);
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host.trim_matches(['[', ']']), port))
            .await
            .map_err(|error| MediaError::Unavailable(error.into()))?
            .collect();
        let allowed =
            |at: &SocketAddr| self.guard.allowed_networks.iter().any(|net| net.contains(&at.ip().to_canonical()));
        if found.is_empty() || !found.iter().all(allowed) {
            return Err(MediaError::NoPicture(Cause::AddressRefused));
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(FETCH_MAX)
            .resolve_to_addrs(host, &found)
            .build()
            .map_err(|error| MediaError::Unavailable(error.into()))?;
        let response = client.get(url).send().await.map_err(|error| MediaError::Unavailable(error.into()))?;
        if !response.status().is_success() {
            let detail = format!("the partner answered {}", response.status());
            return Err(MediaError::Refused { code: "catalogue".to_owned(), detail });
        }
        let (mut document, mut pieces) = (Vec::new(), response.bytes_stream());
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| MediaError::Unavailable(error.into()))?;
            if document.len() + piece.len() > DOCUMENT_MAX {
                let detail = "the catalogue is larger than 8 MiB".to_owned();
                return Err(MediaError::Refused { code: "catalogue".to_owned(), detail });
            }
            document.extend_from_slice(&piece);
        }
        Ok(document)
    }
}

#[async_trait]
impl PartnerCatalogue for CatalogueClient {
    async fn fetch(&self, partner: &Partner) -> Result<Vec<PartnerCamera>, MediaError> {
        let document = self.document(&partner.catalogue_url).await?;
        translate(&document)
            .map_err(|refused| MediaError::Refused { code: "catalogue".to_owned(), detail: refused.to_string() })
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
            .route("/large", axum::routing::get(|| async { vec![b' '; DOCUMENT_MAX + 1] }));
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        address
    }

    #[tokio::test]
    async fn a_catalogue_comes_from_an_allowed_address_only() {
        let address = partner_server().await;
        let client =
            |network: &str| CatalogueClient::new(CatalogueGuard { allowed_networks: vec![network.parse().unwrap()] });
        let fetch = async |network: &str, path: &str| {
            client(network).document(&format!("http://{address}{path}")).await.map(|document| translate(&document))
        };
        assert_eq!(fetch("127.0.0.0/8", "/good").await.unwrap().unwrap().len(), 1);
        assert!(matches!(fetch("10.0.0.0/8", "/good").await, Err(MediaError::NoPicture(Cause::AddressRefused))));
        for path in ["/away", "/large", "/missing"] {
            assert!(matches!(fetch("127.0.0.0/8", path).await, Err(MediaError::Refused { .. })), "{path}");
        }
    }
}
