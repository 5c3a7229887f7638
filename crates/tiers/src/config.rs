//! Configuration of tiers and policy: strict TOML, checked with sentences that say what to do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vms_core::{CameraId, RetentionClass};
use zeroize::Zeroizing;

use crate::name::RecorderName;
use crate::plan::{Policy, Rule, TierName};

/// Smallest part of a multipart upload that S3 takes, bytes (all parts but the last).
const S3_PART_MIN: u64 = 5 * 1024 * 1024;
/// Largest part that we hold in memory, bytes.
const PART_MAX: u64 = 64 * 1024 * 1024;
/// Most uploads at once.
const PARALLEL_MAX: usize = 64;
/// Longest prefix; names, prefix and bucket together stay below the 1,024 bytes of S3.
const PREFIX_LEN_MAX: usize = 200;

/// What is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {say}")]
pub struct ConfigError {
    /// Where.
    pub field: String,
    /// What to do.
    pub say: String,
}

fn wrong<T>(field: impl Into<String>, say: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError { field: field.into(), say: say.into() })
}

/// Section `[recorder.tier]` of the configuration, or a file of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this recorder in the stores; unique in a bucket. Never change it: its objects are found under it.
    pub recorder: String,
    /// Stores.
    #[serde(default, rename = "store")]
    pub stores: Vec<StoreConfig>,
    /// What goes where; the first rule that fits a segment counts.
    #[serde(default, rename = "rule")]
    pub rules: Vec<RuleConfig>,
    /// Below this much free space on the local disk, copies that are verified elsewhere go before their hot hours end, GB (10^9 bytes).
    #[serde(default)]
    pub local_wanted_gb: u32,
    /// Room for segments fetched back for playback, GB.
    #[serde(default = "cache_gb")]
    pub cache_gb: u32,
}

/// One store. Exactly one of `directory` and `s3` is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Name in rules, alarms and figures: 1 to 32 of `a`–`z`, `0`–`9`, `-`.
    pub name: String,
    /// A folder, on another disk or a mounted share.
    pub directory: Option<DirectoryConfig>,
    /// An S3-compatible store.
    pub s3: Option<S3Config>,
    /// Uploads at once.
    #[serde(default = "parallel")]
    pub parallel: usize,
    /// Upload rate over all of them, MB/s (10^6 bytes); 0 is unbounded.
    #[serde(default)]
    pub rate_mb_s: u32,
    /// Part of a multipart upload, MiB; memory is `parallel` times this. A smaller segment goes in one request.
    #[serde(default = "part_mib")]
    pub part_mib: u32,
    /// A request that takes longer failed, seconds.
    #[serde(default = "timeout_s")]
    pub timeout_s: u32,
    /// One of so many objects is read back whole after its upload; the others are compared by the store's own `ETag` where it is an MD5,
    /// and read back where it is not. 1 is all, and the only setting that finds a store which lies.
    #[serde(default = "one")]
    pub read_back_one_in: u32,
    /// A person has read what versions in the bucket mean (docs/TIERS.md) and wants it so; without it a versioned bucket is warned about.
    #[serde(default)]
    pub accept_versions: bool,
}

/// A folder as a tier.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryConfig {
    /// The folder; it must be there (a share that is not mounted must not look like an empty store).
    pub folder: PathBuf,
}

/// A bucket as a tier.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// Such as `https://s3.example.org`.
    pub endpoint: String,
    /// Region; many stores take any.
    #[serde(default = "region")]
    pub region: String,
    /// Bucket; it must be there.
    pub bucket: String,
    /// Folder in the bucket.
    #[serde(default)]
    pub prefix: String,
    /// `https://host/bucket/key` (true) or `https://bucket.host/key` (false).
    #[serde(default = "yes")]
    pub path_style: bool,
    /// TOML file with `access_key_id`, `secret_access_key` and perhaps `session_token`, readable by its owner alone.
    pub credentials_file: Option<PathBuf>,
    /// Or the variables `NAME_ACCESS_KEY_ID`, `NAME_SECRET_ACCESS_KEY`, `NAME_SESSION_TOKEN` of the environment.
    pub credentials_env: Option<String>,
    /// PEM file of the authority that signed the store's certificate, beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// Without TLS: only towards this host itself or a protected network; names, sizes and times are then read by whoever listens.
    #[serde(default)]
    pub allow_http: bool,
}

/// One rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// Only this camera.
    pub camera: Option<String>,
    /// Only this retention class.
    pub class: Option<String>,
    /// Store; absent: stays on the local disk alone.
    pub store: Option<String>,
    /// Hours after its end that a segment stays on the local disk also when it is stored.
    #[serde(default = "hot_hours")]
    pub hot_hours: u32,
    /// Keep the local copy to the end of the term.
    #[serde(default)]
    pub keep_both: bool,
    /// Minutes after its end that a segment waits before it goes.
    #[serde(default)]
    pub upload_after_minutes: u32,
}

const fn cache_gb() -> u32 {
    2
}
const fn parallel() -> usize {
    4
}
const fn part_mib() -> u32 {
    8
}
const fn timeout_s() -> u32 {
    60
}
const fn one() -> u32 {
    1
}
const fn yes() -> bool {
    true
}
fn region() -> String {
    "us-east-1".to_owned()
}
const fn hot_hours() -> u32 {
    24
}

impl Config {
    /// Reads the TOML of this section alone.
    ///
    /// # Errors
    /// [`ConfigError`] for bad TOML, unknown fields and everything of [`Config::check`].
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|error| ConfigError { field: "tier".to_owned(), say: error.message().to_owned() })?;
        config.check()?;
        Ok(config)
    }

    /// Looks for what cannot work.
    ///
    /// # Errors
    /// The first [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        self.recorder_name()?;
        for store in &self.stores {
            store.check()?;
            if self.stores.iter().filter(|other| other.name == store.name).count() > 1 {
                return wrong("store.name", format!("`{}` is there twice; give each store its own name", store.name));
            }
        }
        self.policy().map(|_| ())
    }

    /// Every path in it, for a program that counts relative ones from the folder of its own configuration.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.stores.iter_mut().flat_map(|store| {
            let folder = store.directory.as_mut().map(|directory| &mut directory.folder);
            let files = store.s3.iter_mut().flat_map(|s3| [s3.credentials_file.as_mut(), s3.ca_file.as_mut()]);
            folder.into_iter().chain(files.flatten())
        })
    }

    /// The recorder's name.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn recorder_name(&self) -> Result<RecorderName, ConfigError> {
        RecorderName::parse(&self.recorder).ok_or_else(|| ConfigError {
            field: "recorder".to_owned(),
            say: "use 1 to 32 of a-z, 0-9 and -, the same for ever, such as `recorder-centre`".to_owned(),
        })
    }

    /// The rules as the planner takes them.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        let rules = self.rules.iter().map(|rule| self.rule(rule)).collect::<Result<_, _>>()?;
        Ok(Policy { rules, local_wanted: u64::from(self.local_wanted_gb) * 1_000_000_000 })
    }

    fn rule(&self, rule: &RuleConfig) -> Result<Rule, ConfigError> {
        let camera = rule.camera.as_deref().map(str::parse::<CameraId>).transpose();
        let Ok(camera) = camera else { return wrong("rule.camera", "write the camera's id: cam_ and 32 digits") };
        let class = match &rule.class {
            None => None,
            Some(code) => Some(RetentionClass::parse(code).ok_or_else(|| ConfigError {
                field: "rule.class".to_owned(),
                say: format!("`{code}` is no retention class; write one such as RC-VID-OPEN"),
            })?),
        };
        let tier = match &rule.store {
            None => None,
            Some(name) if self.stores.iter().any(|store| store.name == *name) => Some(TierName(name.as_str().into())),
            Some(name) => {
                return wrong("rule.store", format!("there is no [[store]] named `{name}`; add it or mend the name"));
            }
        };
        let hours = |n: u32| Duration::from_secs(u64::from(n) * 3_600);
        Ok(Rule {
            camera,
            class,
            tier,
            hot: hours(rule.hot_hours),
            keep_both: rule.keep_both,
            upload_after: Duration::from_secs(u64::from(rule.upload_after_minutes) * 60),
        })
    }
}

impl StoreConfig {
    /// Bytes of a part.
    pub fn part_bytes(&self) -> u64 {
        u64::from(self.part_mib) * 1024 * 1024
    }

    fn check(&self) -> Result<(), ConfigError> {
        let field = |name: &str| format!("store `{}`: {name}", self.name);
        if RecorderName::parse(&self.name).is_none() {
            return wrong("store.name", "use 1 to 32 of a-z, 0-9 and -");
        }
        if !(1..=PARALLEL_MAX).contains(&self.parallel) {
            return wrong(field("parallel"), format!("use 1 to {PARALLEL_MAX}; 4 suits most stores"));
        }
        if self.timeout_s == 0 {
            return wrong(field("timeout_s"), "use at least 1; 60 suits most stores");
        }
        if self.read_back_one_in == 0 {
            return wrong(field("read_back_one_in"), "use 1 to read all back, or n for one in n");
        }
        if !(S3_PART_MIN..=PART_MAX).contains(&self.part_bytes()) {
            return wrong(
                field("part_mib"),
                "use 5 to 64; S3 takes no smaller part, and each upload holds one in memory",
            );
        }
        match (&self.directory, &self.s3) {
            (Some(directory), None) if directory.folder.is_absolute() => Ok(()),
            (Some(_), None) => wrong(field("directory.folder"), "write the whole path, from /"),
            (None, Some(s3)) => s3.check().map_err(|error| ConfigError { field: field(&error.field), say: error.say }),
            (None, None) | (Some(_), Some(_)) => {
                wrong(field("kind"), "give either [store.directory] or [store.s3], one of them")
            }
        }
    }
}

impl S3Config {
    fn check(&self) -> Result<(), ConfigError> {
        let Ok(endpoint) = url::Url::parse(&self.endpoint) else {
            return wrong("s3.endpoint", "write a URL such as https://s3.example.org");
        };
        match endpoint.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return wrong("s3.endpoint", "use https, or set allow_http = true for a store on this host"),
            _ => return wrong("s3.endpoint", "write a URL that begins with https://"),
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return wrong("s3.endpoint", "credentials do not belong in a URL; put them into credentials_file");
        }
        if endpoint.query().is_some() || endpoint.fragment().is_some() || endpoint.path().len() > 1 {
            return wrong("s3.endpoint", "only scheme, host and port; bucket and prefix have fields of their own");
        }
        let in_bucket = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.');
        if !(3..=63).contains(&self.bucket.len()) || !self.bucket.bytes().all(in_bucket) {
            return wrong("s3.bucket", "a bucket's name is 3 to 63 of a-z, 0-9, - and .");
        }
        let in_prefix = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'/');
        let is_prefix = self.prefix.len() <= PREFIX_LEN_MAX
            && self.prefix.bytes().all(in_prefix)
            && self.prefix.split('/').all(|part| !part.is_empty() || self.prefix.is_empty());
        if !is_prefix {
            return wrong("s3.prefix", "use letters, digits, - and _, with / between folders, none at the ends");
        }
        match (&self.credentials_file, &self.credentials_env) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            (None, None) | (Some(_), Some(_)) => {
                wrong("s3.credentials_file", "give either credentials_file or credentials_env")
            }
        }
    }

    /// The credentials, from the file or from the environment that the program hands in.
    ///
    /// # Errors
    /// [`ConfigError`] that never quotes what stands in the file.
    pub fn credentials(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Credentials, ConfigError> {
        match (&self.credentials_file, &self.credentials_env) {
            (Some(file), _) => Credentials::from_file(file),
            (None, Some(name)) => Credentials::from_environment(name, environment),
            (None, None) => wrong("s3.credentials_file", "give either credentials_file or credentials_env"),
        }
    }
}

/// What opens a bucket. Hidden in every log line.
#[derive(Clone)]
pub struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Zeroizing<String>,
    pub(crate) session_token: Option<Zeroizing<String>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsFile {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl Credentials {
    /// From its parts.
    pub fn new(access_key_id: String, secret_access_key: String, session_token: Option<String>) -> Self {
        Self {
            access_key_id,
            secret_access_key: Zeroizing::new(secret_access_key),
            session_token: session_token.map(Zeroizing::new),
        }
    }

    fn from_file(path: &Path) -> Result<Self, ConfigError> {
        use std::os::unix::fs::PermissionsExt as _;
        let field = || format!("s3.credentials_file `{}`", path.display());
        let mode = match std::fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(error) => {
                return wrong(field(), format!("cannot be read ({error}); make it, owned by the recorder's account"));
            }
        };
        if mode & 0o077 != 0 {
            return wrong(field(), "others may read it; chmod 600 it, and change the key if it lay open");
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) => return wrong(field(), format!("cannot be read ({error})")),
        };
        // The parser's message could quote the secret.
        match toml::from_str::<CredentialsFile>(&text) {
            Ok(file) => Ok(Self::new(file.access_key_id, file.secret_access_key, file.session_token)),
            Err(_) => wrong(
                field(),
                "write access_key_id = \"…\" and secret_access_key = \"…\", perhaps session_token, nothing else",
            ),
        }
    }

    fn from_environment(name: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |end: &str| format!("{name}_{end}");
        let given = |end: &str| {
            environment(&variable(end)).filter(|value| !value.is_empty()).ok_or_else(|| ConfigError {
                field: "s3.credentials_env".to_owned(),
                say: format!("set the variable {}", variable(end)),
            })
        };
        Ok(Self::new(given("ACCESS_KEY_ID")?, given("SECRET_ACCESS_KEY")?, environment(&variable("SESSION_TOKEN"))))
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
