//! `moto`, an S3 server in Python that shares no code with ours: a child of the test on a port of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

const SERVE: &str = "
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
";

/// What requests past the client carry as their signature: moto looks only at the service's name in it.
pub const AUTH: &str =
    "AWS4-HMAC-SHA256 Credential=test-key/20261122/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// The server; it ends when dropped, or with the test, whose end closes its standard input.
#[derive(Debug)]
pub struct Moto {
    port: u16,
    child: Child,
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Moto {
    /// Starts it. `None` where `scripts/setup.sh test` was not run, said on standard error.
    ///
    /// # Errors
    /// It does not start; on CI (`CI=true`) also when it is not there.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv-moto");
        if !packages.join("requirements.txt").exists() {
            let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            anyhow::ensure!(!is_ci, "moto is not there; run scripts/setup.sh test");
            #[expect(clippy::print_stderr, reason = "a test that did not run must not look as if it had")]
            {
                eprintln!("DID NOT RUN: no moto in .venv-moto; `scripts/setup.sh test` installs it");
            }
            return Ok(None);
        }
        let mut child = Command::new("python3")
            .args(["-c", SERVE])
            .env("PYTHONPATH", packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("python3")?;
        let mut output = BufReader::new(child.stdout.take().context("its output")?);
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).map(|_| line)
        });
        let line = reading.await??;
        let port = line.trim().parse().with_context(|| format!("moto said `{line}`"))?;
        Ok(Some(Self { port, child }))
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes the bucket `belfry`, with versions or without.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn bucket(&self, versions: bool) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let url = format!("{}/belfry", self.endpoint());
        client.put(&url).header("authorization", AUTH).send().await?.error_for_status()?;
        if versions {
            let body = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status>\
                </VersioningConfiguration>";
            let put = client.put(format!("{url}?versioning")).header("authorization", AUTH).body(body);
            put.send().await?.error_for_status()?;
        }
        Ok(())
    }
}
