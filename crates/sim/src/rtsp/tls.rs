//! RTSP over TLS (RTSPS): the camera's certificate, and one type for connections with and without.
//!
//! Test cameras only: there is no check of the client, as cameras have none.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The text holds no certificate, or no key.
    #[error("no PEM certificate or private key")]
    Pem(#[from] pem::Error),
    /// The two do not belong together, or are of a kind that is not spoken.
    #[error("certificate and private key cannot be used")]
    Unusable(#[from] tokio_rustls::rustls::Error),
}

/// Certificate and key of all cameras of one server.
#[derive(Clone)]
pub struct Identity(TlsAcceptor);

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// From PEM text: a chain of certificates, and the private key of its first.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(key)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// What requests come from.
pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// Where answers and pictures go.
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Both directions of a connection; with an identity, after the handshake.
pub(super) async fn open(stream: TcpStream, identity: Option<&Identity>) -> std::io::Result<(Reader, Writer)> {
    match identity {
        None => {
            let (reader, writer) = stream.into_split();
            Ok((Box::new(reader), Box::new(writer)))
        }
        Some(Identity(acceptor)) => {
            let (reader, writer) = tokio::io::split(acceptor.accept(stream).await?);
            Ok((Box::new(reader), Box::new(writer)))
        }
    }
}
