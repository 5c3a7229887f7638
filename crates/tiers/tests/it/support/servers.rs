//! Real S3 servers on a port of their own: `s3s-fs` in this process, `moto` (Python) beside it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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

/// `moto`, a child that ends when its standard input closes, or when dropped.
#[derive(Debug)]
pub(crate) struct Moto {
    pub(crate) endpoint: String,
    child: Child,
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const SERVE: &str = "
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
";

impl Moto {
    /// `None` where `scripts/setup.sh test` was not run; on CI (`CI=true`) that is a failure.
    pub(crate) async fn start() -> Option<Self> {
        let packages = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.venv-moto");
        if !packages.join("requirements.txt").exists() {
            let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!is_ci, "moto is not there; run scripts/setup.sh test");
            println!("DID NOT RUN: no moto in .venv-moto; `scripts/setup.sh test` installs it");
            return None;
        }
        let mut child = Command::new("python3")
            .args(["-c", SERVE])
            .env("PYTHONPATH", packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let port = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            line.trim().parse::<u16>().unwrap()
        });
        let port = port.await.unwrap();
        Some(Self { endpoint: format!("http://127.0.0.1:{port}"), child })
    }

    /// Makes the bucket, with versions or without.
    pub(crate) async fn bucket(&self, versions: bool) {
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::new();
        let url = format!("{}/belfry", self.endpoint);
        let made = client.put(&url).header("authorization", AUTH).send().await.unwrap();
        assert!(made.status().is_success(), "{made:?}");
        if versions {
            let body = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status>\
                </VersioningConfiguration>";
            let put = client.put(format!("{url}?versioning")).header("authorization", AUTH).body(body);
            let set = put.send().await.unwrap();
            assert!(set.status().is_success(), "{set:?}");
        }
    }
}

/// moto looks only at the service's name in it.
const AUTH: &str =
    "AWS4-HMAC-SHA256 Credential=test-key/20261122/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

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
