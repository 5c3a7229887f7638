//! Settings of the HTTP side.

use std::path::PathBuf;
use std::time::Duration;

/// Wiring makes them from the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of the built console; without one only the API answers.
    pub console_dir: Option<PathBuf>,
    /// Public folder of the log (`checkpoint`, `tile/…`), served under `/log`.
    pub log_dir: Option<PathBuf>,
    /// Origins besides the request's own host that may open WebSockets and send forms, such as `https://belfry.brussels`.
    pub origins: Vec<String>,
    /// Behind TLS: the cookie gets `Secure` and the `__Host-` prefix, and HSTS is sent.
    pub tls: bool,
    /// Largest request body, bytes.
    pub body_max: usize,
    /// Longest wait for the head of an answer; past it the answer is 503. The store gives up before.
    pub answer_max: Duration,
    /// The same for the few routes that wait for somebody else: a camera, a partner, a long file, a password's hash.
    pub slow_answer_max: Duration,
    /// "Not there" and "not allowed" leave at whole steps of this after the request came, so that their time does not tell what was looked
    /// up (`reliability.md` A4). Longer than the look-ups take on a busy machine; zero only in tests that do not look at the time.
    pub no_step: Duration,
}

impl Settings {
    /// Name of the session cookie.
    pub const fn cookie_name(&self) -> &'static str {
        if self.tls { "__Host-belfry_session" } else { "belfry_session" }
    }
}

impl Settings {
    /// Name of the cookie that binds a log-in at the identity provider to the browser that began it.
    pub const fn provider_cookie_name(&self) -> &'static str {
        if self.tls { "__Host-belfry_provider" } else { "belfry_provider" }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            console_dir: None,
            log_dir: None,
            origins: Vec::new(),
            tls: false,
            body_max: 2 * 1024 * 1024,
            answer_max: Duration::from_secs(10),
            slow_answer_max: Duration::from_secs(60),
            no_step: Duration::from_millis(20),
        }
    }
}
