//! Settings of traces.

use serde::{Deserialize, Serialize};

/// Where traces are sent, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TracesConfig {
    /// The collector, which speaks OTLP over gRPC, such as `http://127.0.0.1:4317`. None: there are
    /// no traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The name of this service in the traces.
    pub service: String,
    /// Of a hundred traces that begin here, so many are sent. Who calls from within a trace decides
    /// that himself.
    pub percent: u32,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self { endpoint: None, service: "taskhub".to_owned(), percent: 100 }
    }
}

impl TracesConfig {
    /// To the collector at this address.
    #[must_use]
    pub fn to(endpoint: impl Into<String>) -> Self {
        Self { endpoint: Some(endpoint.into()), ..Self::default() }
    }
}
