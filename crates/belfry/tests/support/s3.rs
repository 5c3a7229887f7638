//! `moto`, an S3 server in Python, behind a line that the test can cut.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use vms_testkit::moto::{AUTH, Moto};

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Line {
    /// Every request goes through.
    Whole = 0,
    /// Nobody answers.
    Cut = 1,
    /// Requests that delete are refused.
    NoDeletes = 2,
}

/// The server, and the line to it.
#[derive(Debug)]
pub(crate) struct Store {
    moto: Moto,
    port: u16,
    line: Arc<AtomicU8>,
    proxy: tokio::task::JoinHandle<()>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.proxy.abort();
    }
}

impl Store {
    /// With the bucket `belfry`; `None` where `scripts/setup.sh test` was not run, which CI does not accept.
    pub(crate) async fn start() -> Option<Self> {
        let moto = Moto::start().await.unwrap()?;
        moto.bucket(false).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(AtomicU8::new(Line::Whole as u8));
        let proxy = tokio::spawn(forward(listener, moto.port(), Arc::clone(&line)));
        Some(Self { moto, port, line, proxy })
    }

    /// The section `[[recorder.tier.store]]` for it, with its credentials in a file beside the configuration.
    pub(crate) fn section(&self, folder: &Path, more: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let file = folder.join("s3.toml");
        std::fs::write(&file, "access_key_id = 'test-key'\nsecret_access_key = 'test-secret'\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!(
            "[[recorder.tier.store]]\nname = 'archive'\n{more}[recorder.tier.store.s3]\nendpoint = 'http://127.0.0.1:{}'\n\
             bucket = 'belfry'\nprefix = 'zone-5340'\ncredentials_file = 's3.toml'\nallow_http = true\n",
            self.port
        )
    }

    /// Changes the line; connections that are open end with their next bytes.
    pub(crate) fn set(&self, line: Line) {
        self.line.store(line as u8, Ordering::SeqCst);
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/belfry{rest}", self.moto.endpoint())
    }

    async fn get(&self, rest: &str) -> reqwest::Response {
        reqwest::Client::new().get(self.url(rest)).header("authorization", AUTH).send().await.unwrap()
    }

    /// Keys of the objects, past the line.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let text = self.get("?list-type=2&max-keys=1000").await.text().await.unwrap();
        assert!(text.contains("<IsTruncated>false"), "{text}");
        values(&text, "Key")
    }

    /// Multipart uploads that nobody ended.
    pub(crate) async fn unfinished(&self) -> usize {
        let text = self.get("?uploads").await.text().await.unwrap();
        values(&text, "UploadId").len()
    }

    /// An object.
    pub(crate) async fn object(&self, key: &str) -> Vec<u8> {
        let response = self.get(&format!("/{key}")).await;
        assert!(response.status().is_success());
        response.bytes().await.unwrap().to_vec()
    }
}

fn values(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let rest = xml.split(&open).skip(1);
    rest.filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}

async fn forward(listener: TcpListener, target: u16, line: Arc<AtomicU8>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        if line.load(Ordering::SeqCst) == Line::Cut as u8 {
            continue;
        }
        let line = Arc::clone(&line);
        connections.spawn(async move {
            let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
            drop(both_ways(near, far, &line).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn both_ways(near: TcpStream, far: TcpStream, line: &AtomicU8) -> std::io::Result<()> {
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = near_in.read(&mut up) => {
                let read = read?;
                let now = line.load(Ordering::SeqCst);
                if read == 0 || now == Line::Cut as u8 {
                    return Ok(());
                }
                // A client writes the head of a request on its own.
                let head = up[..read].split(|byte| *byte == b'\r').next().unwrap_or_default();
                let is_delete = head.starts_with(b"DELETE ")
                    || (head.starts_with(b"POST /belfry") && head.windows(7).any(|part| part == b"?delete"));
                if is_delete && now == Line::NoDeletes as u8 {
                    near_out.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
                    return Ok(());
                }
                far_out.write_all(&up[..read]).await?;
            }
            read = far_in.read(&mut down) => {
                let read = read?;
                if read == 0 || line.load(Ordering::SeqCst) == Line::Cut as u8 {
                    return Ok(());
                }
                near_out.write_all(&down[..read]).await?;
            }
        }
    }
}
