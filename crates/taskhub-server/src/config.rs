//! Settings: from `taskhub.toml`, with the environment and flags over it.

mod cluster;
mod password;
mod printed;
mod retention;
mod suggestion;
mod traces;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize};
use taskhub_core::Limits;

pub use cluster::ClusterConfig;
use password::without_password;
pub use retention::{Age, InvalidAge, RetentionConfig};
use suggestion::closest;
pub(crate) use suggestion::most_alike;
pub use traces::TracesConfig;

/// The file that is read when nobody names one, if it is there.
const FILE: &str = "taskhub.toml";

/// Everything that can be set. Absent keys have these defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen, as `HOST:PORT`. The first address must be free; of the others a warning
    /// tells when they are taken.
    #[serde(deserialize_with = "one_or_many")]
    pub listen: Vec<String>,
    /// The folder of the hubs; each has a folder of its own in it.
    pub data: PathBuf,
    /// The database of the hubs, as `postgres://USER@HOST/DATABASE`; they are rows in it instead
    /// of folders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Bearer tokens, any of which lets a client in. None: everybody is let in.
    #[serde(deserialize_with = "one_or_many")]
    pub tokens: Vec<String>,
    /// Which hubs there may be.
    pub hubs: HubsConfig,
    /// What this node has in common with others.
    pub cluster: ClusterConfig,
    /// With which certificate to speak TLS; without it connections are plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// How HTTP is answered.
    pub http: HttpConfig,
    /// How long instances are kept after they have ended.
    pub retention: RetentionConfig,
    /// How much is too much.
    pub limits: LimitsConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Where traces are sent.
    pub traces: TracesConfig,
}

/// Which hubs there may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HubsConfig {
    /// Only these, opened when the server starts. Empty: any, made when it is first named.
    pub names: Vec<String>,
    /// At most so many at a time.
    pub count_max: usize,
}

/// A certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The file of the certificate, with those it hangs on, as PEM.
    pub cert: PathBuf,
    /// The file of its private key, as PEM.
    pub key: PathBuf,
}

/// How HTTP is answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Whether addresses in answers are made of `X-Forwarded-Host` and `X-Forwarded-Proto`: only
    /// behind a proxy that sets both.
    pub forwarded: bool,
    /// The origins, such as `https://example.com`, whose web pages may call this server; `*` for
    /// all. None: browsers refuse them.
    #[serde(deserialize_with = "one_or_many")]
    pub origins: Vec<String>,
}

/// How much is too much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// A gRPC message to the server, in bytes. A worker sends all that a turn asks for in one.
    pub message_bytes: usize,
    /// One input, output, event or status, in bytes.
    pub payload_bytes: usize,
    /// Calls under way, waiting ones included.
    pub calls: usize,
    /// Open connections.
    pub connections: usize,
    /// What of requests that are not whole, and of answers that are not read, is kept for one
    /// connection, each in bytes; for all together four times that.
    pub connection_bytes: usize,
    /// Workers that may be lost one after another with the same work, before nobody gets it any
    /// more.
    pub losses: u32,
    /// The head of a request, in bytes.
    pub header_bytes: usize,
    /// How long the body of a request may take to come, in seconds.
    pub body_seconds: u64,
    /// How long a request over HTTP may take, waiting included, in seconds; 0 is for ever.
    pub request_seconds: u64,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LogConfig {
    /// What of it: `info`, or by module such as `info,taskhub_engine=debug`.
    pub filter: String,
    /// In which form.
    pub format: LogFormat,
}

/// The form of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The file holds something that is no setting.
    #[error("{}: {reason}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong, where, and what was perhaps meant.
        reason: String,
    },
    /// A token that anybody could guess.
    #[error("a token is empty; remove it, or let everybody in by setting no token at all")]
    EmptyToken,
    /// A secret that anybody could guess.
    #[error("`cluster.secret` is empty; set a long random text, or remove it")]
    EmptySecret,
    /// A node that shares its hubs with nobody.
    #[error(
        "`cluster.address` is set, but other nodes cannot share hubs in a folder; set `store` to a \
         database, or remove the address"
    )]
    Alone,
    /// What no other node can call.
    #[error("`cluster.address` is {0:?}; write it as http://HOST:PORT or https://HOST:PORT")]
    NoAddress(String),
    /// A number that leaves no room for anything: the setting, and its default.
    #[error("`{0}` is 0, with which nothing works; the default is {1}")]
    Zero(&'static str, u64),
    /// A payload that the limit allows, and no client could send.
    #[error(
        "`limits.payload_bytes` is {payload}, and a whole message has at most {message}: raise \
         `limits.message_bytes` as well"
    )]
    NoMessage {
        /// The largest payload, in bytes.
        payload: usize,
        /// The largest message, in bytes.
        message: usize,
    },
    /// More than all.
    #[error("`traces.percent` is {0}; 100 sends all traces")]
    Percent(u32),
    /// A text that browsers never send as an origin.
    #[error("{0:?} is no origin; one is `*`, or like `https://example.com`, without a path")]
    Origin(String),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // The second one is where the SDKs look by themselves.
            listen: vec!["127.0.0.1:7071".to_owned(), "127.0.0.1:4001".to_owned()],
            data: "taskhub-data".into(),
            store: None,
            tokens: Vec::new(),
            hubs: HubsConfig::default(),
            cluster: ClusterConfig::default(),
            tls: None,
            http: HttpConfig::default(),
            retention: RetentionConfig::default(),
            limits: LimitsConfig::default(),
            log: LogConfig::default(),
            traces: TracesConfig::default(),
        }
    }
}

impl Default for HubsConfig {
    fn default() -> Self {
        Self { names: Vec::new(), count_max: 64 }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes: 64 << 20,
            payload_bytes: 4 << 20,
            calls: 100_000,
            connections: 50_000,
            connection_bytes: 256 << 20,
            losses: Limits::default().workers_lost_max,
            header_bytes: 64 << 10,
            body_seconds: 60,
            request_seconds: 0,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Config {
    /// Reads `file`, or `taskhub.toml` in the working directory if that is there.
    pub fn read(file: Option<&Path>) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new(FILE));
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text)
                .map_err(|reason| ConfigError::Content { file: path.into(), reason }),
            Err(error) if file.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(ConfigError::File { file: path.into(), error }),
        }
    }

    /// Refuses what can be written down, but not meant.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.tokens.iter().any(String::is_empty) {
            return Err(ConfigError::EmptyToken);
        }
        self.cluster.check(self.store.is_some())?;
        if self.hubs.count_max == 0 {
            return Err(ConfigError::Zero("hubs.count_max", 64));
        }
        if self.traces.percent > 100 {
            return Err(ConfigError::Percent(self.traces.percent));
        }
        self.limits.check()?;
        check_origins(&self.http.origins)
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| match closest(error.message()) {
            Some(meant) => format!("{error}did you mean `{meant}`?"),
            None => error.to_string(),
        })
    }

    /// These settings as a file with every key: secrets are left out, and what is not set stands
    /// there as a comment.
    #[must_use]
    pub fn print(&self) -> String {
        printed::printed(self)
    }
}

impl LimitsConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let usual = Self::default();
        let numbers = [
            ("limits.message_bytes", self.message_bytes, usual.message_bytes),
            ("limits.payload_bytes", self.payload_bytes, usual.payload_bytes),
            ("limits.calls", self.calls, usual.calls),
            ("limits.connections", self.connections, usual.connections),
            ("limits.connection_bytes", self.connection_bytes, usual.connection_bytes),
            ("limits.header_bytes", self.header_bytes, usual.header_bytes),
        ];
        if let Some(&(name, _, usual)) = numbers.iter().find(|(_, set, _)| *set == 0) {
            return Err(ConfigError::Zero(name, usual as u64));
        }
        if self.body_seconds == 0 {
            return Err(ConfigError::Zero("limits.body_seconds", usual.body_seconds));
        }
        if self.payload_bytes > self.message_bytes {
            let (payload, message) = (self.payload_bytes, self.message_bytes);
            return Err(ConfigError::NoMessage { payload, message });
        }
        Ok(())
    }
}

/// Refuses what browsers never send as an origin.
pub(crate) fn check_origins(origins: &[String]) -> Result<(), ConfigError> {
    match origins.iter().find(|origin| !is_origin(origin)) {
        Some(origin) => Err(ConfigError::Origin(origin.clone())),
        None => Ok(()),
    }
}

fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").map(|(_, host)| host);
    let plain = |host: &str| !host.is_empty() && !host.contains('/');
    text == "*" || (host.is_some_and(plain) && text.chars().all(|c| c.is_ascii_graphic()))
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a list of texts")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_is_an_error_that_says_where_and_what_was_meant() {
        let reason = Config::parse("data = \"x\"\n[limits]\nmesage_bytes = 1\n").unwrap_err();
        assert!(reason.contains("line 3"), "{reason}");
        assert!(reason.contains("did you mean `message_bytes`?"), "{reason}");
    }

    #[test]
    fn one_address_needs_no_list() {
        let config = Config::parse("listen = \"0.0.0.0:80\"").unwrap();
        assert_eq!(config.listen, ["0.0.0.0:80"]);
    }

    #[test]
    fn settings_with_which_nothing_would_work_are_refused() {
        let refused = |text: &str| Config::parse(text).unwrap().check().unwrap_err().to_string();
        for name in ["message_bytes", "payload_bytes", "calls", "connection_bytes", "header_bytes"]
        {
            let said = refused(&format!("limits.{name} = 0"));
            assert!(said.starts_with(&format!("`limits.{name}` is 0")), "{said}");
        }
        for (text, hint) in [
            ("limits.body_seconds = 0", "the default is 60"),
            ("cluster.lease_seconds = 0", "the default is 15"),
            ("limits.payload_bytes = 100_000_000", "raise `limits.message_bytes`"),
            ("traces.percent = 200", "100 sends all"),
            ("cluster.address = \"http://node-1:7071\"", "set `store` to a database"),
            (
                "store = \"postgres://db/hubs\"\ncluster.address = \"node-1:7071\"",
                "write it as http://",
            ),
        ] {
            assert!(refused(text).contains(hint), "{}", refused(text));
        }
        assert!(Config::default().check().is_ok());
    }
}
