//! `taskhub serve`: settings, log and signals around the server.

use std::{
    error::Error,
    io::{self, IsTerminal as _},
    num::NonZeroU64,
    path::PathBuf,
};

use clap::{Args, CommandFactory as _};
use tracing_subscriber::EnvFilter;

use super::{Arguments, variables};
use crate::{
    Age, Config, END_TIME_MAX, LogFormat, Server, TlsConfig, asked_to_end, config::LogConfig,
};

/// The flags of `taskhub serve`. Each is a key of `taskhub.toml` too.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// The file with settings; `taskhub.toml` in the working directory if that is there
    #[arg(long, value_name = "FILE", env = "TASKHUB_CONFIG")]
    config: Option<PathBuf>,
    /// Where to listen; repeat it for more addresses. Of all but the first a warning tells when
    /// they are taken [default: 127.0.0.1:7071 and 127.0.0.1:4001]
    #[arg(long, value_name = "HOST:PORT", env = "TASKHUB_LISTEN", value_delimiter = ',')]
    listen: Vec<String>,
    /// The folder of the hubs [default: taskhub-data]
    #[arg(long, value_name = "DIR", env = "TASKHUB_DATA")]
    data: Option<PathBuf>,
    /// Keep the hubs in this PostgreSQL database instead, such as `postgres://USER@HOST/DATABASE`.
    /// Other users of this machine may see flags: the variable and the file are safer
    #[arg(long, value_name = "URL", env = "TASKHUB_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Serve only this hub; repeat it for more. Without it a hub is made when it is first named
    #[arg(long = "hub", value_name = "NAME", env = "TASKHUB_HUBS", value_delimiter = ',')]
    hubs: Vec<String>,
    /// How many hubs there may be [default: 64]
    #[arg(long, value_name = "COUNT", env = "TASKHUB_HUBS_MAX")]
    hubs_max: Option<usize>,
    /// Let in only who sends this bearer token; repeat it for more. Other users of this machine
    /// may see flags: the variable and the file are safer
    #[arg(
        long = "token",
        value_name = "TOKEN",
        env = "TASKHUB_TOKENS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    tokens: Vec<String>,
    /// The secret by which the nodes of a cluster know each other. Other users of this machine may
    /// see flags: the variable and the file are safer
    #[arg(long, value_name = "SECRET", env = "TASKHUB_CLUSTER_SECRET", hide_env_values = true)]
    cluster_secret: Option<String>,
    /// Where other nodes reach this one, such as `http://10.0.0.2:7071` [default: where it listens]
    #[arg(long, value_name = "URL", env = "TASKHUB_CLUSTER_ADDRESS")]
    cluster_address: Option<String>,
    /// How many seconds other nodes wait for this one, when it is silent, before they take over
    /// [default: 15]
    #[arg(long, value_name = "SECONDS", env = "TASKHUB_CLUSTER_LEASE_SECONDS")]
    cluster_lease_seconds: Option<u64>,
    /// How many seconds the database may take to answer; after that the connection counts as lost
    /// [default: 60]
    #[arg(long, value_name = "SECONDS", env = "TASKHUB_CLUSTER_PATIENCE_SECONDS")]
    cluster_patience_seconds: Option<NonZeroU64>,
    /// How many streams of commits this node has to the database, for each hub [default: 4]
    #[arg(long, value_name = "COUNT", env = "TASKHUB_CLUSTER_LANES")]
    cluster_lanes: Option<u16>,
    /// Speak TLS with this certificate, a PEM file
    #[arg(long, value_name = "FILE", env = "TASKHUB_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", env = "TASKHUB_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Make addresses in answers of `X-Forwarded-Host` and `X-Forwarded-Proto`; only behind a
    /// proxy that sets both
    #[arg(long, env = "TASKHUB_HTTP_FORWARDED", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, default_missing_value = "true")]
    http_forwarded: Option<bool>,
    /// Let web pages of this origin call the server; repeat it for more, `*` for all
    #[arg(long, value_name = "ORIGIN", env = "TASKHUB_HTTP_ORIGINS", value_delimiter = ',')]
    http_origins: Vec<String>,
    /// Forget completed instances so long after their end, such as `30d` [default: never]
    #[arg(long, value_name = "AGE", env = "TASKHUB_RETENTION_COMPLETED")]
    retention_completed: Option<Age>,
    /// Forget failed instances so long after their end [default: never]
    #[arg(long, value_name = "AGE", env = "TASKHUB_RETENTION_FAILED")]
    retention_failed: Option<Age>,
    /// Forget terminated instances so long after their end [default: never]
    #[arg(long, value_name = "AGE", env = "TASKHUB_RETENTION_TERMINATED")]
    retention_terminated: Option<Age>,
    /// Forget cancelled instances so long after their end [default: never]
    #[arg(long, value_name = "AGE", env = "TASKHUB_RETENTION_CANCELED")]
    retention_canceled: Option<Age>,
    /// The largest gRPC message, in bytes [default: 67108864]
    #[arg(long, value_name = "BYTES", env = "TASKHUB_MESSAGE_BYTES", value_parser = bytes)]
    message_bytes: Option<usize>,
    /// The largest input, output, event or status, in bytes [default: 4194304]
    #[arg(long, value_name = "BYTES", env = "TASKHUB_PAYLOAD_BYTES", value_parser = bytes)]
    payload_bytes: Option<usize>,
    /// How many calls may be under way, waiting ones included [default: 100000]
    #[arg(long, value_name = "COUNT", env = "TASKHUB_CALLS")]
    calls: Option<usize>,
    /// How many connections may be open [default: 50000]
    #[arg(long, value_name = "COUNT", env = "TASKHUB_CONNECTIONS")]
    connections: Option<usize>,
    /// What of requests that are not whole, and of answers that are not read, is kept for one
    /// connection, in bytes [default: 268435456]
    #[arg(long, value_name = "BYTES", env = "TASKHUB_CONNECTION_BYTES", value_parser = bytes)]
    connection_bytes: Option<usize>,
    /// How many workers may be lost with the same work before nobody gets it any more [default: 20]
    #[arg(long, value_name = "COUNT", env = "TASKHUB_LOSSES")]
    losses: Option<u32>,
    /// The largest head of a request, in bytes [default: 65536]
    #[arg(long, value_name = "BYTES", env = "TASKHUB_HEADER_BYTES", value_parser = bytes)]
    header_bytes: Option<usize>,
    /// How long the body of a request may take to come, in seconds [default: 60]
    #[arg(long, value_name = "SECONDS", env = "TASKHUB_BODY_SECONDS")]
    body_seconds: Option<u64>,
    /// How long an HTTP request may take, waiting included, in seconds [default: for ever]
    #[arg(long, value_name = "SECONDS", env = "TASKHUB_REQUEST_SECONDS")]
    request_seconds: Option<u64>,
    /// What to log, such as `debug` or `info,taskhub_engine=debug` [default: info]
    #[arg(long, value_name = "FILTER", env = "TASKHUB_LOG")]
    log: Option<String>,
    /// In which form to log [default: text]
    #[arg(long, value_name = "FORMAT", env = "TASKHUB_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// Send traces to this collector, such as `http://127.0.0.1:4317` [default: none are sent]
    #[arg(long, value_name = "URL", env = "TASKHUB_TRACES_ENDPOINT")]
    traces_endpoint: Option<String>,
    /// The name of this service in traces [default: taskhub]
    #[arg(long, value_name = "NAME", env = "TASKHUB_TRACES_SERVICE")]
    traces_service: Option<String>,
    /// Send so many of a hundred traces that begin here [default: 100]
    #[arg(long, value_name = "PERCENT", env = "TASKHUB_TRACES_PERCENT")]
    traces_percent: Option<u32>,
    /// Print the settings that would be used, as a file, and end
    #[arg(long)]
    print_config: bool,
}

impl Flags {
    fn config(self) -> Result<Config, Box<dyn Error>> {
        let mut config = Config::read(self.config.as_deref())?;
        over_list(&mut config.listen, self.listen);
        over(&mut config.data, self.data);
        config.store = self.store.or(config.store);
        over_list(&mut config.hubs.names, self.hubs);
        over(&mut config.hubs.count_max, self.hubs_max);
        over_list(&mut config.tokens, self.tokens);
        let cluster = &mut config.cluster;
        cluster.secret = self.cluster_secret.or(cluster.secret.take());
        cluster.address = self.cluster_address.or(cluster.address.take());
        over(&mut cluster.lease_seconds, self.cluster_lease_seconds);
        over(&mut cluster.patience_seconds, self.cluster_patience_seconds);
        cluster.lanes = self.cluster_lanes.or(cluster.lanes);
        if let (Some(cert), Some(key)) = (self.tls_cert, self.tls_key) {
            config.tls = Some(TlsConfig { cert, key });
        }
        over(&mut config.http.forwarded, self.http_forwarded);
        over_list(&mut config.http.origins, self.http_origins);
        let retention = &mut config.retention;
        retention.completed = self.retention_completed.or(retention.completed);
        retention.failed = self.retention_failed.or(retention.failed);
        retention.terminated = self.retention_terminated.or(retention.terminated);
        retention.canceled = self.retention_canceled.or(retention.canceled);
        over(&mut config.limits.message_bytes, self.message_bytes);
        over(&mut config.limits.payload_bytes, self.payload_bytes);
        over(&mut config.limits.calls, self.calls);
        over(&mut config.limits.connections, self.connections);
        over(&mut config.limits.connection_bytes, self.connection_bytes);
        over(&mut config.limits.losses, self.losses);
        over(&mut config.limits.header_bytes, self.header_bytes);
        over(&mut config.limits.body_seconds, self.body_seconds);
        over(&mut config.limits.request_seconds, self.request_seconds);
        config.traces.endpoint = self.traces_endpoint.or(config.traces.endpoint);
        over(&mut config.traces.service, self.traces_service);
        over(&mut config.traces.percent, self.traces_percent);
        over(&mut config.log.filter, self.log);
        over(&mut config.log.format, self.log_format);
        Ok(config)
    }
}

/// A size; the others of the command line are numbers, too.
fn bytes(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "it is a number of bytes, without a unit: 1 MiB is 1048576".to_owned())
}

fn over<T>(setting: &mut T, flag: Option<T>) {
    if let Some(flag) = flag {
        *setting = flag;
    }
}

fn over_list(setting: &mut Vec<String>, flags: Vec<String>) {
    if !flags.is_empty() {
        *setting = flags;
    }
}

/// Serves until the process is asked to end.
pub(super) fn run(flags: Flags) -> Result<(), Box<dyn Error>> {
    let print = flags.print_config;
    let config = flags.config()?;
    config.check()?;
    let filter = filter(&config.log)?;
    log(filter, config.log.format);
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for (variable, meant) in variables::unknown(&Arguments::command(), set) {
        let meant = meant.unwrap_or_default();
        tracing::warn!(variable, meant, "this variable is not known and changes nothing");
    }
    if print {
        print!("{}", config.print());
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        // Each connection is an open file.
        let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_default();
        let server = Server::start(&config).await?;
        let version = env!("CARGO_PKG_VERSION");
        for address in server.addresses() {
            let (data, open_files_max) = (config.data.display(), files);
            tracing::info!(%address, %data, open_files_max, version, "serving");
        }
        let within = taskhub_core::Limits::default().drain_time_max + END_TIME_MAX;
        server.run(asked_to_end(within)).await;
        Ok(())
    })
}

fn filter(config: &LogConfig) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&config.filter)
        .map_err(|error| format!("{:?} is no filter for a log: {error}", config.filter))
}

fn log(filter: EnvFilter, format: LogFormat) {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let log = log.with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
