//! The command line as a machine: a client certificate shown to the listener for machines, and the short token that it gives. For jobs
//! that run with nobody at the keyboard; whose certificate it is and whether it still counts stands in docs/IDENTITY.md.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::{Certificate, Client, Identity, Method, header};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::client::{self, Failure};

/// Where Belfry listens for machines, and which one this is.
#[derive(Debug, clap::Args)]
pub(crate) struct MachineArgs {
    /// Address of Belfry's listener for machines.
    #[arg(long, env = "BELFRY_MACHINES", default_value = "https://localhost:8443")]
    server: String,
    /// Client certificate with its chain (PEM), noted for the machine's account.
    #[arg(long, env = "BELFRY_CERTIFICATE")]
    certificate: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, env = "BELFRY_KEY")]
    key: Option<PathBuf>,
    /// Authority of Belfry's own certificate (PEM).
    #[arg(long, env = "BELFRY_AUTHORITY")]
    authority: Option<PathBuf>,
    /// Print JSON; a failure is a problem document on stderr then.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// A machine at a running Belfry.
pub(crate) struct Machine {
    http: Client,
    server: String,
    token: Mutex<String>,
}

fn given<'a>(what: &'static str, path: Option<&'a PathBuf>) -> anyhow::Result<&'a Path> {
    Ok(path.ok_or_else(|| Failure::Input(format!("give --{what} FILE")))?)
}

fn read(what: &'static str, path: Option<&PathBuf>) -> anyhow::Result<Vec<u8>> {
    let path = given(what, path)?;
    Ok(std::fs::read(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?)
}

impl Machine {
    /// Shows the certificate and gets a token.
    pub(crate) async fn open(args: &MachineArgs) -> anyhow::Result<Self> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut own = read("certificate", args.certificate.as_ref())?;
        own.push(b'\n');
        own.extend(read("key", args.key.as_ref())?);
        let bad = |what: &str| Failure::Input(format!("--{what} does not read as PEM"));
        let identity = Identity::from_pem(&own).map_err(|_| bad("certificate or --key"))?;
        let authorities = Certificate::from_pem_bundle(&read("authority", args.authority.as_ref())?);
        let authorities = authorities.map_err(|_| bad("authority"))?;
        // Only this authority: nobody else can be Belfry.
        let http = Client::builder().identity(identity).tls_certs_only(authorities).https_only(true).build();
        let server = args.server.trim_end_matches('/').to_owned();
        let machine = Self { http: http.context("the client certificate")?, server, token: Mutex::default() };
        machine.renew().await?;
        Ok(machine)
    }

    async fn renew(&self) -> anyhow::Result<()> {
        let response = self.http.post(format!("{}/api/v1/machine/token", self.server)).send().await;
        let response = response.map_err(|source| Failure::NotReached { server: self.server.clone(), source })?;
        let view = client::answer(response).await.map_err(|error| match error.downcast_ref::<Failure>() {
            Some(Failure::Refused(problem)) if problem.get("code").and_then(Value::as_str) == Some("login_failed") => {
                let words = "the certificate opens nothing: it is not noted for an account, was taken back, or is over";
                let problem = json!({ "status": 401, "code": "certificate_refused", "detail": words, "title": words });
                Failure::Refused(problem).into()
            }
            Some(_) | None => error,
        })?;
        let token = view.get("token").and_then(Value::as_str);
        *self.token.lock().await = token.context("an answer without a token")?.to_owned();
        Ok(())
    }

    /// One request; with a fresh token where the old one ran out.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let first = self.ask(method.clone(), path, body.clone()).await;
        let is_over = |problem: &Value| problem.get("status").and_then(Value::as_u64) == Some(401);
        match first {
            Err(error) if matches!(error.downcast_ref(), Some(Failure::Refused(problem)) if is_over(problem)) => {
                self.renew().await?;
                self.ask(method, path, body).await
            }
            outcome => outcome,
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let token = self.token.lock().await.clone();
        let mut request = self.http.request(method, format!("{}{path}", self.server)).bearer_auth(token);
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = request.send().await;
        client::answer(response.map_err(|source| Failure::NotReached { server: self.server.clone(), source })?).await
    }
}
