//! The configuration file: TOML, every key known, every value checked before anything is opened.
//!
//! Process things only. Cameras, accounts and partners live in the database; law lives in `seed/`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Everything that the program reads from its file. `Default` is the embedded default that `belfry config default` prints.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Folders and programs.
    pub paths: Paths,
    /// The HTTP side.
    pub http: Http,
    /// The central database.
    pub database: Database,
    /// Recording.
    pub recorder: Recorder,
    /// Camera sessions.
    pub ingest: Ingest,
    /// Where cameras may live.
    pub cameras: Cameras,
    /// Plate reading.
    pub reader: Reader,
    /// Partner sessions.
    pub gateway: Gateway,
    /// The vehicle registry.
    pub registry: Registry,
    /// Zones with restricted access and average speed.
    pub traffic: Traffic,
    /// Counts and travel times without people.
    pub statistics: Statistics,
    /// Plate reads and findings.
    pub reads: Reads,
    /// Evidence exports.
    pub exports: Exports,
    /// The log of uses.
    pub log: Log,
    /// Exceptions, identity provider, machines.
    pub identity: Identity,
}

#[path = "config/exports.rs"]
mod exports;

pub(crate) use exports::Exports;

#[path = "config/identity.rs"]
mod identity;

pub(crate) use identity::{Identity, Provider};

#[path = "config/key_store.rs"]
mod key_store;

pub(crate) use key_store::Keys;

/// A value of the environment, for what a library does not read by itself.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok()
}

/// Folders and programs. Relative paths count from the folder of the configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Paths {
    /// Keys, log, databases, spools.
    pub state: PathBuf,
    /// Unix sockets of the roles.
    pub run: PathBuf,
    /// The console's built files.
    pub web: PathBuf,
    /// Models of the plate reader.
    pub models: PathBuf,
    /// ONNX Runtime's shared library.
    pub onnxruntime: PathBuf,
    /// `belfry-media`; empty: beside `belfry`.
    pub media_program: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            state: "state".into(),
            run: "state/run".into(),
            web: "web/dist".into(),
            models: "models".into(),
            onnxruntime: ".onnxruntime/lib/libonnxruntime.so.1.31.1".into(),
            media_program: PathBuf::new(),
        }
    }
}

/// The HTTP side.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// Console and API.
    pub bind: SocketAddr,
    /// Prometheus figures; loopback only.
    pub metrics_bind: SocketAddr,
    /// Origins that may open live sockets besides the one of the request's own host.
    pub origins: Vec<String>,
    /// Behind TLS: `__Host-` cookies with `Secure`.
    pub tls_in_front: bool,
    /// Longest wait for an answer that is no stream, seconds; the database gets nine tenths of it. Past it a caller hears
    /// 503 and what is known of the outcome.
    pub answer_max_s: u32,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            bind: ([127, 0, 0, 1], 8480).into(),
            metrics_bind: ([127, 0, 0, 1], 8481).into(),
            origins: Vec::new(),
            tls_in_front: false,
            answer_max_s: 10,
        }
    }
}

/// The central database.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Database {
    /// `sqlite:FILE` or `postgres://…`. Empty: `belfry.sqlite` in the state folder.
    pub url: String,
}

/// Recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Recorder {
    /// Footage; empty: `footage` in the state folder.
    pub dir: PathBuf,
    /// Bytes that footage may take on this disk, in MiB; past it the oldest closed segments go first.
    pub disk_cap_mib: u64,
    /// Ballast for the databases and the log on the same volume, in MiB: recording stops before it is used up.
    pub keep_free_mib: u64,
    /// Classes whose footage goes last when the disk is full, the most important first; every other goes before them.
    pub keep_longest: Vec<String>,
    /// Who vouches for the clock of this machine: nothing is destroyed by a clock that nobody vouches for.
    pub time: TimeSource,
    /// With `time = "ntp"`: the file that the time service touches while it is synchronised, at least every three hours. The default is
    /// systemd-timesyncd's; docs/operations.md has a line for chrony.
    pub time_mark: PathBuf,
    /// The keys that footage is sealed with.
    pub keys: Keys,
    /// Second places for closed segments: other disks, S3-compatible stores (docs/TIERS.md). Absent: this disk alone.
    pub tier: Option<tiers::Config>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            disk_cap_mib: 15 * 1024,
            keep_free_mib: 64,
            keep_longest: vec!["RC-VID-POL".into(), "RC-VID-RISK".into()],
            time: TimeSource::Ntp,
            time_mark: "/run/systemd/timesync/synchronized".into(),
            keys: Keys::default(),
            tier: None,
        }
    }
}

/// Who vouches for the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimeSource {
    /// A time service on this machine, by `time_mark`.
    Ntp,
    /// Whoever runs the host keeps its clock right (a container, a virtual machine). Steps are seen all the same.
    Host,
}

/// Plate reads and findings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Reads {
    /// The keys that they are sealed with.
    pub keys: Keys,
    /// Reads that cameras publish at a broker; without it nobody is asked.
    pub mqtt: Option<crate::wiring::mqtt::MqttConfig>,
}

/// Camera sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ingest {
    /// Child processes of the normal kind; each takes at most 25 cameras.
    pub children: u32,
    /// Child processes of the GStreamer kind.
    pub gst_children: u32,
    /// Private memory that a child process of the normal kind may take, MiB; one that wants more ends and is started again.
    pub memory_max_mib: u64,
    /// Certificates that cameras of the GStreamer kind made for themselves (rtsps://), each trusted at one address only.
    pub certificates: Vec<CameraCertificate>,
}

/// One camera's own certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CameraCertificate {
    /// Where the camera listens, such as `10.1.2.3:322`.
    pub address: SocketAddr,
    /// SHA-256 of the certificate in DER form: 64 hexadecimal digits, with or without colons, as
    /// `openssl x509 -noout -fingerprint -sha256` prints them.
    pub sha256: String,
}

impl CameraCertificate {
    fn is_digest(&self) -> bool {
        let digits = self.sha256.replace(':', "");
        digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self { children: 4, gst_children: 0, memory_max_mib: 1_024, certificates: Vec::new() }
    }
}

/// Where cameras may live (camera URL guard).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cameras {
    /// Networks, CIDR.
    pub allowed_networks: Vec<String>,
    /// Ports, inclusive ranges.
    pub allowed_ports: Vec<(u16, u16)>,
}

impl Default for Cameras {
    fn default() -> Self {
        Self {
            allowed_networks: vec!["10.0.0.0/8".into(), "172.16.0.0/12".into(), "192.168.0.0/16".into()],
            allowed_ports: vec![(554, 554), (8554, 8654), (322, 322)],
        }
    }
}

/// Plate reading.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Reader {
    /// Run the reader.
    pub enabled: bool,
    /// Threads for the models.
    pub threads: u16,
    /// Frames per second that a camera's reader looks at, at most.
    pub rate_max: u8,
    /// Codes of the purposes (`LEZ`, `ZBT`, `TRAJECT`) whose cameras are looked at with the fine input of the detector (1280 by 736: plates half as wide are found,
    /// at about five times the work).
    pub fine_for: Vec<String>,
    /// A file that a timer keeps: the line of `chronyc -n -c tracking` (docs/READS.md). Without it the clocks of reads are unknown.
    pub time_tracking: Option<PathBuf>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { enabled: true, threads: 1, rate_max: 12, fine_for: Vec::new(), time_tracking: None }
    }
}

/// Partner sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Gateway {
    /// Run the gateway.
    pub enabled: bool,
    /// The catalogue of a partner that is switched on is imported so often, seconds.
    pub catalogue_every_s: u32,
    /// Certificate authorities of the partners (a PEM file) for catalogues over `https`; empty: those of this machine.
    pub catalogue_authorities: PathBuf,
}

impl Default for Gateway {
    fn default() -> Self {
        Self { enabled: true, catalogue_every_s: 300, catalogue_authorities: PathBuf::new() }
    }
}

/// The vehicle registry behind the service integrator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Registry {
    /// Base address; empty: no look-ups, LEZ reads wait and expire by their class.
    pub url: String,
    /// Longest wait before a started batch is sent, seconds.
    pub batch_wait_s: u32,
}

impl Default for Registry {
    fn default() -> Self {
        Self { url: String::new(), batch_wait_s: 5 }
    }
}

/// Zones with restricted access and average speed: an operator's files (`docs/design/traffic.md`).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Traffic {
    /// Which camera stands where; empty: none does.
    pub places: String,
    /// Certificates of distances and verifications of both ends; empty: no average speed is measured.
    pub certificates: String,
}

/// Counts and travel times without people (`docs/STATISTICS.md`).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Statistics {
    /// The operator's file of counted places and routes; empty: nothing is counted.
    pub places: String,
    /// Days that published numbers are kept; 0: as long as the law lets (without end).
    pub keep_days: u32,
}

/// The log of uses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// Name of the log: stands in every checkpoint.
    pub origin: String,
    /// Checkpoint and tiles are served to anybody at `/log`: they hold no personal data, and an overseer needs nobody to read them.
    pub public: bool,
    /// Who cosigns every checkpoint.
    pub witness: Vec<LogWitness>,
}

/// A witness of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogWitness {
    /// Its address; `/add-checkpoint` follows.
    pub url: String,
    /// Its public key, as `belfry-witness` prints it.
    pub key: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { origin: "belfry.localhost/log".into(), public: true, witness: Vec::new() }
    }
}

/// Why a configuration is no good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: cannot be read ({source})")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("{path}: {message}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What the parser says, with line and column.
        message: String,
    },
    /// A value that cannot work.
    #[error("{path}: `{key}` {problem}")]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What to do about it.
        problem: String,
    },
}

impl Config {
    /// Reads and checks a file; relative paths become absolute.
    ///
    /// # Errors
    /// [`ConfigError`] says which key and what to do.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config = Self::parse(&text, path)?;
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder =
            std::path::absolute(folder).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        config.resolved(&folder).checked(path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::Parse { path: path.to_owned(), message: error.to_string() })
    }

    /// The embedded default as TOML.
    ///
    /// # Errors
    /// Never for the default; the serialiser's type demands it.
    pub(crate) fn default_toml() -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(&Self::default())
    }

    fn resolved(mut self, folder: &Path) -> Self {
        let paths = &mut self.paths;
        for path in [&mut paths.state, &mut paths.run, &mut paths.web, &mut paths.models, &mut paths.onnxruntime] {
            *path = folder.join(&*path);
        }
        if self.recorder.dir.as_os_str().is_empty() {
            self.recorder.dir = self.paths.state.join("footage");
        } else {
            self.recorder.dir = folder.join(&self.recorder.dir);
        }
        self.recorder.keys.resolve(&self.paths.state, "footage-keys", folder);
        self.reads.keys.resolve(&self.paths.state, "read-keys", folder);
        for path in self.recorder.tier.iter_mut().flat_map(tiers::Config::paths_mut) {
            *path = folder.join(&*path);
        }
        self.exports.resolve(&self.paths.state, folder);
        self.identity.resolve(folder);
        if self.paths.media_program.as_os_str().is_empty() {
            let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(|dir| dir.join("belfry-media")));
            self.paths.media_program = beside.unwrap_or_else(|| "belfry-media".into());
        } else {
            self.paths.media_program = folder.join(&self.paths.media_program);
        }
        if self.database.url.is_empty() {
            self.database.url = format!("sqlite:{}", self.paths.state.join("belfry.sqlite").display());
        }
        self
    }

    fn checked(self, path: &Path) -> Result<Self, ConfigError> {
        let wrong = |key: &str, problem: &str| {
            let (path, key, problem) = (path.to_owned(), key.to_owned(), problem.to_owned());
            ConfigError::Value { path, key, problem }
        };
        if !self.http.metrics_bind.ip().is_loopback() {
            return Err(wrong("http.metrics_bind", "must be a loopback address: the figures are not for the network"));
        }
        if !(3..=60).contains(&self.http.answer_max_s) {
            return Err(wrong("http.answer_max_s", "must be 3 to 60 seconds"));
        }
        if !(self.database.url.starts_with("sqlite:") || self.database.url.starts_with("postgres")) {
            return Err(wrong("database.url", "must start with `sqlite:` or `postgres://`"));
        }
        if !(1..=64).contains(&self.ingest.children) {
            return Err(wrong("ingest.children", "must be 1 to 64"));
        }
        if self.ingest.gst_children > 16 {
            return Err(wrong("ingest.gst_children", "must be at most 16"));
        }
        if !self.ingest.certificates.iter().all(CameraCertificate::is_digest) {
            return Err(wrong("ingest.certificates", "sha256 must be 64 hexadecimal digits"));
        }
        if self.ingest.memory_max_mib < 256 {
            return Err(wrong("ingest.memory_max_mib", "must be at least 256"));
        }
        for network in &self.cameras.allowed_networks {
            if network.split_once('/').is_none() {
                return Err(wrong("cameras.allowed_networks", "each must be a CIDR network such as `10.1.0.0/16`"));
            }
        }
        if self.cameras.allowed_ports.iter().any(|(low, high)| low > high || *low == 0) {
            return Err(wrong("cameras.allowed_ports", "each must be a range [low, high] with 1 <= low <= high"));
        }
        if !(1..=64).contains(&self.reader.threads) || !(1..=60).contains(&self.reader.rate_max) {
            return Err(wrong("reader", "threads must be 1 to 64, rate_max 1 to 60"));
        }
        if !self.reader.fine_for.iter().all(|purpose| ["LEZ", "ZBT", "TRAJECT"].contains(&purpose.as_str())) {
            return Err(wrong("reader.fine_for", "each must be a purpose code: `LEZ`, `ZBT` or `TRAJECT`"));
        }
        if self.reader.time_tracking.as_ref().is_some_and(|file| file.is_relative()) {
            return Err(wrong("reader.time_tracking", "must be a whole path"));
        }
        if !(2..=86_400).contains(&self.gateway.catalogue_every_s) {
            return Err(wrong("gateway.catalogue_every_s", "must be 2 to 86400"));
        }
        if self.recorder.time_mark.is_relative() {
            return Err(wrong("recorder.time_mark", "must be a whole path"));
        }
        if self.recorder.disk_cap_mib < 64 {
            return Err(wrong("recorder.disk_cap_mib", "must be at least 64"));
        }
        for (section, keys) in [("recorder.keys", &self.recorder.keys), ("reads.keys", &self.reads.keys)] {
            if let Some((key, problem)) = keys.problem(&self.recorder.dir) {
                let dot = if key.is_empty() { "" } else { "." };
                return Err(wrong(&format!("{section}{dot}{key}"), problem));
            }
        }
        if let Some(error) = self.recorder.tier.as_ref().and_then(|tier| tier.check().err()) {
            return Err(wrong("recorder.tier", &error.to_string()));
        }
        if !self.recorder.keys.is_apart_from(&self.reads.keys) {
            return Err(wrong("reads.keys", "no folder may be one of `recorder.keys`: they are two key stores"));
        }
        let of_identity = || self.identity.problem(self.http.bind);
        if let Some((key, problem)) = self.exports.problem(&self.recorder.dir).or_else(of_identity) {
            return Err(wrong(key, problem));
        }
        Ok(self)
    }

    /// Socket of a role.
    pub(crate) fn socket(&self, role: &str) -> PathBuf {
        self.paths.run.join(format!("{role}.sock"))
    }

    /// Where the gate publishes its public key for the other roles.
    pub(crate) fn gate_key_file(&self) -> PathBuf {
        self.paths.run.join("gate.pub")
    }
}

/// Feeds a foreign file to the parser and the checks.
#[cfg_attr(not(test), expect(dead_code, reason = "called by the fuzz target, which takes this file in by its path"))]
pub(crate) fn fuzz_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = Path::new("/etc/belfry/belfry.toml");
    if let Ok(config) = Config::parse(text, path) {
        drop(config.resolved(Path::new("/etc/belfry")).checked(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_files_are_refused_without_a_panic() {
        for data in
            [&b"\xff"[..], b"[http]\nbind = '999.1.1.1:1'", b"[[http]]", b"[cameras]\nallowed_ports = [[1, 2, 3]]", b""]
        {
            fuzz_config(data);
        }
    }

    fn load(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("belfry.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_reads_back() {
        let config = load(&Config::default_toml().unwrap()).unwrap();
        assert!(config.paths.state.is_absolute());
        assert!(config.database.url.starts_with("sqlite:/"));
        assert!(load("").is_ok());
    }

    #[test]
    fn what_cannot_work_is_named() {
        for (text, wanted) in [
            ("[http]\nbnd = '127.0.0.1:1'", "bnd"),
            ("[http]\nmetrics_bind = '0.0.0.0:1'", "http.metrics_bind"),
            ("[database]\nurl = 'mysql://x'", "database.url"),
            ("[ingest]\nchildren = 0", "ingest.children"),
            ("[ingest]\nmemory_max_mib = 9", "ingest.memory_max_mib"),
            ("[cameras]\nallowed_networks = ['10.0.0.1']", "cameras.allowed_networks"),
            ("[cameras]\nallowed_ports = [[9, 3]]", "cameras.allowed_ports"),
            ("[recorder]\ndisk_cap_mib = 1", "recorder.disk_cap_mib"),
            ("[recorder]\ntime = 'sundial'", "sundial"),
            ("[recorder]\ntime_mark = 'synchronized'", "recorder.time_mark"),
            ("[recorder.keys]\none_disk = false", "recorder.keys.second_store"),
            ("[recorder.keys]\nsecond_store = '/b/s'", "recorder.keys.second_root"),
            ("[recorder.keys]\nsecond_store = '/b/s'\nsecond_root = '/b/r'", "recorder.keys.one_disk"),
            ("[recorder.keys]\nbackup = '/b'", "recorder.keys.backup_keys"),
            ("[recorder.keys]\nroot_change_hours = 48", "root_change_hours"),
            ("[recorder]\ndir = '/f'\n[recorder.keys]\nstore = '/f/keys'", "recorder.dir"),
            ("[recorder.keys]\nstore = '/k'\nroot = '/k'", "another one"),
            ("[recorder.keys]\ngate = '/g'\n[reads.keys]\ngate = '/g'", "reads.keys"),
            ("[recorder]\ndir = '/f'\n[reads.keys]\ngate = '/f/gate'", "recorder.dir"),
            ("[recorder.keys]\ncredential_before = 'x'", "recorder.keys.credential"),
            ("[recorder.tier]\nrecorder = 'Mijn recorder'", "recorder.tier"),
            ("[recorder.tier]\nrecorder = 'a'\n[[recorder.tier.rule]]\nstore = 'b'", "no [[store]] named `b`"),
            ("[recorder.tier]\nrecorder = 'a'\n[[recorder.tier.store]]\nname = 'b'", "[store.directory] or [store.s3]"),
            ("[recorder.tier]\nrecorder = 'a'\nspeed = 3", "speed"),
            ("[gateway]\ncatalogue_every_s = 0", "gateway.catalogue_every_s"),
            ("[exports]\njobs_max = 0", "exports.jobs_max"),
            ("[exports]\nspan_max_minutes = 721", "exports.span_max_minutes"),
            ("[exports]\ndir = '/f/x'\n[recorder]\ndir = '/f'", "exports.dir"),
            ("[exports]\ndir = '/e'\nkey = '/e/export.key'", "exports.key"),
            ("[exports]\norganisation = ' '", "exports.installation"),
            ("nonsense", "expected"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
