//! The HTTP side: routers that this server mounts, and that an application can mount too.

mod door;
mod idempotency;
mod management;
mod openapi;
mod probes;

use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, atomic::AtomicBool},
};

use axum::{
    Json, Router,
    extract::Request,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use tower::service_fn;

use crate::{Config, Hubs, Keys};
pub(crate) use door::{Token, is_direct, is_of_a_page};
pub(crate) use management::{as_known, is_management, is_own};

pub use door::{Gate, authorize, guard};
pub use idempotency::keyed;
pub use management::{
    HttpManagementPayload, Links, Management, Reached, create_check_status_response,
    create_http_management_payload, management,
    wait_for_completion_or_create_check_status_response,
};
pub use openapi::OpenApi;
pub use probes::probes;

/// What who watches the process asks for.
pub(crate) const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Whether a path needs no token: who watches the process should not have one, and what the
/// program can do is no secret.
pub(crate) fn is_open(path: &str) -> bool {
    PROBES.contains(&path) || openapi::is_document(path)
}

/// Where Prometheus reads; it needs no token where only this machine asks.
pub(crate) const METRICS_PATH: &str = "/metrics";

/// All routes of the server; whether only this machine reaches it is up to where it listens.
pub(crate) fn routes(hubs: &Hubs, keys: &Keys, is_local: bool, config: &Config) -> Router {
    let api = Management::new(hubs.clone())
        .https(config.tls.is_some())
        .forwarded(config.http.forwarded)
        .keys(keys.clone(), Arc::new(AtomicBool::new(is_local)))
        .origins(&config.http.origins);
    // No handler: what an extractor needs would be kept as long as a request is held.
    let others = service_fn(move |request: Request| {
        // Its paths are known in any spelling.
        let answer = if management::is_management(request.uri()) {
            api.clone().answer(request).left_future()
        } else {
            ready(nothing_here(request.uri())).right_future()
        };
        answer.map(Ok::<_, Infallible>)
    });
    probes(hubs.clone()).merge(OpenApi::management().routes()).fallback_service(others)
}

/// An error that people can read, as JSON.
pub(crate) fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(serde_json::json!({ "message": message }))).into_response()
}

fn nothing_here(uri: &Uri) -> Response {
    let message = format!("there is nothing at {}; /swagger shows what is where", uri.path());
    refusal(StatusCode::NOT_FOUND, &message)
}
