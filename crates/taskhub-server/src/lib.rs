//! The server: hubs on this machine's disk, for the Durable Task SDKs and for HTTP clients.
//!
//! ```text
//!   listeners ──connections──> front ──application/grpc──> grpc ──┐
//!                                │                                ├──> hubs ──> one engine per hub
//!                                └──everything else──────> http ──┘
//! ```
//!
//! [`Server`] is all of it, made from a [`Config`]; the program `taskhub` is a command line around
//! it. [`Hubs`] finds the hub that a call names, and [`http`] has the routes, so that an
//! application can mount them beside its own.

mod auth;
pub mod cli;
mod cluster;
mod config;
mod grpc;
pub mod http;
mod hubs;
mod keys;
mod metrics;
mod retention;
mod serve;
mod tls;
mod traces;

pub use cluster::{Lending, Nodes};
pub use config::{
    Age, ClusterConfig, Config, ConfigError, HttpConfig, HubsConfig, InvalidAge, LimitsConfig,
    LogConfig, LogFormat, RetentionConfig, TlsConfig, TracesConfig,
};
pub use hubs::{HubError, HubName, Hubs, InvalidHubName};
pub use keys::{AuthLevel, Key, KeyKind, Keys, KeysError};
pub use metrics::Metrics;
pub use retention::keep;
pub use serve::{Around, END_TIME_MAX, ServeError, Server, asked_to_end};
pub use tls::TlsError;
pub use traces::{Request, Traces, TracesError};
