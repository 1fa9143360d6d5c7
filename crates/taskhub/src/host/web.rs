//! What a host serves over HTTP beside its own routes, and how.

use std::sync::{Arc, atomic::AtomicBool};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, State},
    middleware::from_fn_with_state,
    routing::get,
};
use serde_json::Value;
use taskhub_server::{
    Around, AuthLevel, Hubs, Keys, LimitsConfig, Metrics, RetentionConfig, TlsConfig, TracesConfig,
    http::{Gate, Management, OpenApi, Reached, guard, probes},
};

use super::HostBuilder;
use crate::{Client, Endpoint};

/// Where endpoints are when nobody says otherwise.
const PREFIX: &str = "/api";

/// Whose key lets Prometheus in, beside host keys.
const METRICS: &str = "metrics";

/// All that a host is told about HTTP.
#[derive(Debug, Default)]
pub(super) struct Web {
    endpoints: Vec<Endpoint>,
    prefix: Option<String>,
    keys: Option<Keys>,
    management: bool,
    probes: bool,
    openapi: Option<(String, String)>,
    described: Vec<Value>,
    pub tls: Option<TlsConfig>,
    pub origins: Vec<String>,
    forwarded: bool,
    pub limits: LimitsConfig,
    pub retention: RetentionConfig,
    pub traces: TracesConfig,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Served {
    pub routes: Router<Client>,
    /// Whether keys are asked for anywhere, and which.
    pub keys: Option<Keys>,
    /// Whether only clients on this machine reach the routes.
    pub is_local: Arc<AtomicBool>,
    pub around: Around,
}

impl HostBuilder {
    /// Serves an endpoint: a route below `/api` that asks for a key and describes itself.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.web.endpoints.push(endpoint);
        self
    }

    /// Where endpoints are, instead of `/api`; it may be empty.
    pub fn prefix(mut self, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        self.web.prefix = Some(prefix);
        self
    }

    /// The keys that let clients use endpoints, and the metrics. While there are none, everybody
    /// who reaches [`Host::serve`](crate::Host::serve) at a loopback address is let in.
    pub fn keys(mut self, keys: Keys) -> Self {
        self.web.keys = Some(keys);
        self
    }

    /// Serves the management API of Durable Functions too, at `/runtime/webhooks/durabletask`; see
    /// [`management`](crate::management). Who has one of the [`keys`](Self::keys) is let in.
    pub fn management_api(mut self, keys: Keys) -> Self {
        self.web.management = true;
        self.keys(keys)
    }

    /// Serves what those ask for who watch the process: `/healthz`, `/readyz`, `/version`, and
    /// `/metrics` for Prometheus. The metrics need one of the [`keys`](Self::keys), if there are
    /// any: a host key, or one of the function `metrics`.
    pub fn probes(mut self) -> Self {
        self.web.probes = true;
        self
    }

    /// Serves an OpenAPI document of the endpoints, and of the management API and the probes if
    /// they are served: `/openapi.json`, `/openapi.yaml`, and as a page for people `/swagger`.
    pub fn openapi(mut self, title: &str, version: &str) -> Self {
        self.web.openapi = Some((title.to_owned(), version.to_owned()));
        self
    }

    /// Adds what [`routes`](Self::routes) do to that document, such as `utoipa` makes it of axum
    /// handlers.
    pub fn describe(mut self, document: &utoipa::openapi::OpenApi) -> Self {
        self.web.described.extend(serde_json::to_value(document).ok());
        self
    }

    /// Speaks TLS with a certificate and its private key, two PEM files.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.web.tls = Some(tls);
        self
    }

    /// Lets web pages of this origin call, such as `https://example.com`; `*` for all. Without it
    /// browsers refuse them.
    pub fn origin(mut self, origin: &str) -> Self {
        self.web.origins.push(origin.to_owned());
        self
    }

    /// Whether addresses in answers are made of `X-Forwarded-Host` and `X-Forwarded-Proto`: only
    /// behind a proxy that sets both.
    pub fn forwarded(mut self, forwarded: bool) -> Self {
        self.web.forwarded = forwarded;
        self
    }

    /// How large, how slow and how many requests may be.
    pub fn http_limits(mut self, limits: LimitsConfig) -> Self {
        self.web.limits = limits;
        self
    }

    /// Sends traces to a collector: of requests, instances, turns and activities.
    pub fn traces(mut self, traces: TracesConfig) -> Self {
        self.web.traces = traces;
        self
    }

    /// Forgets instances by itself, so long after they ended, by how they ended.
    pub fn retention(mut self, retention: RetentionConfig) -> Self {
        self.web.retention = retention;
        self
    }
}

impl Web {
    /// Whether the management API is served.
    pub(super) fn manages(&self) -> bool {
        self.management
    }

    /// Adds all of it to the routes of the application.
    pub(super) fn serve(self, mut routes: Router<Client>, hubs: &Hubs) -> Served {
        let is_local = Arc::new(AtomicBool::new(false));
        let keys = self.keys.clone().unwrap_or_else(Keys::none);
        let gate = Gate::new(keys.clone(), is_local.clone(), &self.origins);
        let prefix = self.prefix.as_deref().unwrap_or(PREFIX);
        if let Some(document) = self.document(prefix) {
            routes = routes.merge(document.routes());
        }
        for endpoint in &self.endpoints {
            routes = routes.merge(endpoint.route(prefix, &gate));
        }
        let metrics = self.probes.then(|| Metrics::new(hubs));
        if let Some(metrics) = &metrics {
            let level = AuthLevel::Function(METRICS.to_owned());
            let answer = get(|State(metrics): State<Metrics>| async move { metrics.response() });
            let guarded = answer.route_layer(from_fn_with_state((gate.clone(), level), guard));
            let told = Router::new().route("/metrics", guarded).with_state(metrics.clone());
            routes = routes.merge(told).merge(probes(hubs.clone()).with_state(()));
        }
        if self.management {
            let api = Management::new(hubs.clone()).keys(keys, is_local.clone());
            let api = api.https(self.tls.is_some()).origins(&self.origins);
            let api = api.forwarded(self.forwarded);
            routes = routes.merge(api.routes().with_state(()));
        }
        let reached = Reached { https: self.tls.is_some(), forwarded: self.forwarded };
        let routes = routes.layer(Extension(reached));
        let routes = routes.layer(DefaultBodyLimit::max(self.limits.payload_bytes));
        let mut around = Around::default();
        (around.tls, around.origins) = (self.tls, self.origins);
        (around.limits, around.metrics) = (self.limits, metrics);
        Served { routes, keys: self.keys, is_local, around }
    }

    /// The document of all that is served, if it is wanted.
    fn document(&self, prefix: &str) -> Option<OpenApi> {
        let (title, version) = self.openapi.as_ref()?;
        let mut document = OpenApi::management().titled(title, version);
        if !self.management {
            document = document.without_management();
        }
        if !self.probes {
            document = document.without_probes();
        }
        for endpoint in &self.endpoints {
            document = document.with(&endpoint.document(prefix));
        }
        for described in &self.described {
            document = document.with(described);
        }
        Some(document)
    }
}
