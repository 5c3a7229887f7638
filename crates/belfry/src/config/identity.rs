//! Identity: exceptions of this installation, log-in at an identity provider, the listener for machines.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Identity (docs/IDENTITY.md).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Identity {
    /// Name of this installation among the exceptions of the rules (seed/identity.toml); empty: it is none of them.
    pub installation: String,
    /// A file of SHA-1 digests of breached passwords in rising order, such as that of haveibeenpwned.com; none of them can be chosen. Empty: the
    /// lists inside the program alone.
    pub breached_passwords: PathBuf,
    /// Where people may log in besides their password here. Absent: nowhere.
    pub provider: Option<Provider>,
    /// Where machines connect with a client certificate. Absent: nowhere.
    pub machines: Option<Machines>,
}

/// An `OpenID` Connect provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    /// What people call it: stands on the button of the log-in page.
    pub name: String,
    /// Its issuer, exactly as it names itself; `https`, or `http` on this machine alone.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// File with our secret there; empty: none, and PKCE alone proves that it is us.
    #[serde(default)]
    pub client_secret_file: PathBuf,
    /// Its certificate authorities (a PEM file); empty: those of this machine.
    #[serde(default)]
    pub authorities: PathBuf,
    /// It must have asked the person itself within so many minutes.
    #[serde(default = "quarter")]
    pub asked_within_minutes: u32,
    /// Values of `acr` that count as a second factor here. Empty, with the next two: nothing of it does, and ours follows.
    #[serde(default)]
    pub acr: Vec<String>,
    /// The same of `amr`, such as `mfa`.
    #[serde(default)]
    pub amr: Vec<String>,
    /// Values of `amr` that count as a hardware key, such as `hwk`.
    #[serde(default)]
    pub hardware_amr: Vec<String>,
}

const fn quarter() -> u32 {
    15
}

/// The listener for machines. It ends TLS itself: nothing that ends TLS may stand in front.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machines {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Our certificate with its chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Authorities whose client certificates are let in at all, PEM; best one of one's own for machines.
    pub authorities: PathBuf,
}

impl Identity {
    pub(super) fn resolve(&mut self, folder: &Path) {
        if !self.breached_passwords.as_os_str().is_empty() {
            self.breached_passwords = folder.join(&self.breached_passwords);
        }
        if let Some(provider) = &mut self.provider {
            for path in [&mut provider.client_secret_file, &mut provider.authorities] {
                if !path.as_os_str().is_empty() {
                    *path = folder.join(&*path);
                }
            }
        }
        if let Some(machines) = &mut self.machines {
            for path in [&mut machines.certificate, &mut machines.key, &mut machines.authorities] {
                *path = folder.join(&*path);
            }
        }
    }

    /// What cannot work: key and what to do.
    pub(super) fn problem(&self, http: SocketAddr) -> Option<(&'static str, &'static str)> {
        if let Some(provider) = &self.provider {
            if provider.name.trim().is_empty() || provider.name.chars().count() > 40 {
                return Some(("identity.provider.name", "must have 1 to 40 characters: it stands on a button"));
            }
            if provider.client_id.is_empty() {
                return Some(("identity.provider.client_id", "must not be empty"));
            }
            if !(provider.issuer.starts_with("https://") || provider.issuer.starts_with("http://")) {
                return Some(("identity.provider.issuer", "must be an address"));
            }
            if !(1..=720).contains(&provider.asked_within_minutes) {
                return Some(("identity.provider.asked_within_minutes", "must be 1 to 720"));
            }
        }
        let machines = self.machines.as_ref().filter(|machines| machines.bind == http && http.port() != 0);
        machines.map(|_| ("identity.machines.bind", "must differ from `http.bind`: they are two listeners"))
    }
}
