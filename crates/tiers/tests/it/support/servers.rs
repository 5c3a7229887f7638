//! A real S3 server on a port of its own: `s3s-fs` in this process. (`moto`, beside it, is in `vms_testkit`.)

use std::path::Path;
use std::sync::Arc;

use super::short::Short;
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tiers::config::{S3Config, StoreConfig};
use tiers::{Credentials, Tier};

pub(crate) const KEY: &str = "test-key";
pub(crate) const SECRET: &str = "test-secret-of-the-tests";

/// `s3s-fs` over a folder, until dropped.
#[derive(Debug)]
pub(crate) struct S3s {
    pub(crate) endpoint: String,
    /// Goes with it.
    _folder: tempfile::TempDir,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for S3s {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl S3s {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Behind TLS with a certificate for 127.0.0.1 that it signed itself; gives the certificate in PEM.
    pub(crate) async fn start_tls() -> (Self, String) {
        rustls::crypto::ring::default_provider().install_default().ok();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        (Self::start_with(Some(Arc::new(config).into())).await, made.cert.pem())
    }

    async fn start_with(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("belfry")).unwrap();
        let mut builder = S3ServiceBuilder::new(Short::new(s3s_fs::FileSystem::new(folder.path()).unwrap()));
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (service, tls) = (service.clone(), tls.clone());
                connections.spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    match tls {
                        None => drop(server.serve_connection(TokioIo::new(socket), service).await),
                        Some(tls) => {
                            let Ok(socket) = tls.accept(socket).await else { return };
                            drop(server.serve_connection(TokioIo::new(socket), service).await);
                        }
                    }
                });
            }
        });
        Self { endpoint, _folder: folder, server }
    }
}

/// Configuration of bucket `belfry` at an endpoint.
pub(crate) fn store_config(endpoint: &str) -> StoreConfig {
    StoreConfig {
        name: "archive".to_owned(),
        directory: None,
        s3: Some(S3Config {
            endpoint: endpoint.to_owned(),
            region: "us-east-1".to_owned(),
            bucket: "belfry".to_owned(),
            prefix: "zone/a".to_owned(),
            path_style: true,
            credentials_file: None,
            credentials_env: Some("X".to_owned()),
            ca_file: None,
            allow_http: true,
        }),
        parallel: 4,
        rate_mb_s: 0,
        part_mib: 5,
        timeout_s: 20,
        read_back_one_in: 1,
        accept_versions: false,
    }
}

pub(crate) fn tier(endpoint: &str) -> Tier {
    tier_as(endpoint, SECRET)
}

pub(crate) fn tier_as(endpoint: &str, secret: &str) -> Tier {
    let credentials = Credentials::new(KEY.to_owned(), secret.to_owned(), None);
    Tier::open(&store_config(endpoint), Some(&credentials)).unwrap()
}

pub(crate) fn directory(folder: &Path) -> Tier {
    let config = StoreConfig {
        directory: Some(tiers::config::DirectoryConfig { folder: folder.to_owned() }),
        s3: None,
        ..store_config("")
    };
    Tier::open(&config, None).unwrap()
}
