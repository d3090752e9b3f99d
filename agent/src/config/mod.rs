//! The configuration: one TOML file, read whole, checked whole. A key that is not known is an
//! error, and all errors are reported at once, each with its place. `packaging/weir.toml` explains
//! every key.

mod budget;
mod detect;
mod endpoint;
mod enforce;
mod fingerprint_key;
mod kubernetes;
mod problem;
mod read;
mod rules;
mod section;
mod units;
mod webhook;

use std::path::{Path, PathBuf};

pub use endpoint::{Endpoint, ParseEndpointError, Scheme};
pub use enforce::Enforce;
pub use fingerprint_key::{FingerprintKeyError, fingerprint_key};
pub use kubernetes::{ClientCertificate, KubeletAddress, Kubernetes};
pub use problem::{ConfigError, Problem};
pub use units::{ByteSize, Days, ParseByteSizeError, Seconds};
pub use webhook::{Format, Place, Webhook};
use weir_core::alert::Settings;
use weir_core::blind::HostPattern;
use weir_core::detect::Enforcement;
use weir_core::detect::budget::Budget;
use weir_core::identity::Rules;

/// Where the configuration is looked for when no file is named. It need not exist.
pub const DEFAULT_FILE: &str = "/etc/weir/weir.toml";

/// Everything that can be set. Values are checked: paths are absolute, numbers within their bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the ledger and the fingerprint key are kept. 0700, the daemon's own.
    pub state_dir: PathBuf,
    /// The Unix socket that the daemon answers on.
    pub socket: PathBuf,
    /// What this host is called in identities: letters, digits, `.`, `-` and `_`.
    pub host: String,
    /// The trust domain of the identities: lower case letters, digits, `.`, `-` and `_`.
    pub trust_domain: String,
    /// Capture.
    pub capture: Capture,
    /// What is told of connections that nothing is read of.
    pub blind_spots: BlindSpots,
    /// Ledger.
    pub ledger: Ledger,
    /// Identity.
    pub identity: Identity,
    /// Who is kept from model endpoints.
    pub enforce: Enforce,
    /// Where the kubelet can be asked for this node's pods; `None` if it isn't asked.
    pub kubernetes: Option<Kubernetes>,
    /// Prices.
    pub prices: Prices,
    /// Control socket.
    pub control: Control,
    /// The daemon's own log.
    pub log: Log,
    /// What is looked for in what is stored.
    pub detect: weir_core::detect::Settings,
    /// Who is called what, and who pays: `[[rule]]`, in the order of the file.
    pub rules: Rules,
    /// How much may be used up: `[[budget]]`, in the order of the file. Each has another name.
    pub budgets: Vec<Budget>,
    /// How findings are put together: `[alerts]`, with a route to each webhook.
    pub alerts: Settings,
    /// Who is told of findings: `[[webhook]]`, in the order of the file.
    pub webhooks: Vec<Webhook>,
}

/// `[capture]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Size of the ring that the kernel hands bytes over in: a power of two from 64 KiB to 1 GiB.
    pub ring_bytes: ByteSize,
    /// Programs that are looked at before anybody runs them.
    pub programs: Vec<PathBuf>,
    /// How often all processes are searched for what no event told of, and programs that nobody runs any
    /// more are let go of; from 1 to 3,600 seconds.
    pub sweep_seconds: Seconds,
}

/// `[blind_spots]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlindSpots {
    /// Connections are watched.
    pub watch: bool,
    /// Model endpoints besides those that are known.
    pub hosts: Vec<HostPattern>,
    /// How long nothing may be read of a connection that carries something, from 1 to 3,600 seconds.
    pub after_seconds: Seconds,
}

/// `[ledger]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// How many whole days of usage are kept, from 1 to 36,500.
    pub retention_days: Days,
}

/// `[identity]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key that credentials are fingerprinted with; see [`fingerprint_key()`].
    pub fingerprint_key_file: PathBuf,
}

/// `[prices]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// The folder of this host's own prices. It need not exist.
    pub dir: PathBuf,
}

/// `[control]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The group whose members may connect to the socket, and read what concerns their own user.
    pub group: String,
    /// The group whose members may read everything, if they may connect.
    pub auditor_group: String,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least serious level that is logged.
    pub level: LogLevel,
    /// How lines look.
    pub format: LogFormat,
}

/// How serious a line of the daemon's log must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what needs somebody's attention.
    Error,
    /// And what may soon.
    Warn,
    /// And what was done.
    Info,
    /// And why.
    Debug,
    /// And each step.
    Trace,
}

/// How a line of the daemon's log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the command line or the environment says in place of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Wins over the file's `state_dir`.
    pub state_dir: Option<PathBuf>,
    /// Wins over the file's `socket`.
    pub socket: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        let state_dir = PathBuf::from("/var/lib/weir");
        Self {
            socket: PathBuf::from("/run/weir/weir.sock"),
            host: hostname(),
            trust_domain: "weir.local".to_owned(),
            capture: Capture {
                ring_bytes: ByteSize(8 << 20),
                programs: Vec::new(),
                sweep_seconds: Seconds(60),
            },
            blind_spots: BlindSpots { watch: true, hosts: Vec::new(), after_seconds: Seconds(5) },
            ledger: Ledger { retention_days: Days(400) },
            identity: Identity { fingerprint_key_file: default_fingerprint_key_file(&state_dir) },
            enforce: Enforce::default(),
            kubernetes: None,
            prices: Prices { dir: PathBuf::from("/etc/weir/prices.d") },
            control: Control {
                group: "weir".to_owned(),
                auditor_group: "weir-auditors".to_owned(),
            },
            log: Log { level: LogLevel::Info, format: LogFormat::Text },
            detect: weir_core::detect::Settings::default(),
            rules: Rules::default(),
            budgets: Vec::new(),
            alerts: Settings::default(),
            webhooks: Vec::new(),
            state_dir,
        }
    }
}

impl Config {
    /// Reads `file`, or [`DEFAULT_FILE`] if it is there, or else takes the defaults; then lets
    /// `overrides` win.
    ///
    /// # Errors
    /// The file can't be read, or anything in it is wrong.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let default = Path::new(DEFAULT_FILE);
        match file.or_else(|| default.exists().then_some(default)) {
            Some(path) => read::file(path, overrides),
            None => Ok(read::merge(read::Draft::default(), overrides)),
        }
    }

    /// Whether anybody may be kept from model endpoints, or would be.
    #[must_use]
    pub fn enforces(&self) -> bool {
        let by_budget = self.budgets.iter().any(|budget| budget.enforce != Enforcement::Off);
        self.enforce.offboarded != Enforcement::Off || by_budget
    }

    /// Reads a configuration from `text`; `path` is what errors call it.
    ///
    /// # Errors
    /// Anything in it is wrong.
    pub fn parse(text: &str, path: &Path, overrides: Overrides) -> Result<Self, ConfigError> {
        read::text(text, path, overrides)
    }
}

fn default_fingerprint_key_file(state_dir: &Path) -> PathBuf {
    state_dir.join("fingerprint.key")
}

/// The kernel's name of this host, as far as it can stand in an identity.
fn hostname() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    if read::is_path_segment(&name) { name.into_owned() } else { "localhost".to_owned() }
}
