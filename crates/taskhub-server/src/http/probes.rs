//! What those ask who watch the process: is it there, does it serve, which version is it.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use crate::Hubs;

/// `/healthz`, `/readyz` and `/version`.
pub fn probes(hubs: Hubs) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .with_state(hubs)
}

/// 200 as long as calls are served, 503 once the server stops, while a hub's store fails, or while
/// other nodes have a hub that do not answer this one.
async fn ready(State(hubs): State<Hubs>) -> Response {
    if hubs.stopping().is_cancelled() {
        return super::refusal(StatusCode::SERVICE_UNAVAILABLE, "this server is shutting down");
    }
    for (name, hub) in hubs.open_ones() {
        if let Some(why) = hub.store_failure() {
            let message = format!("the store of hub {name} fails: {why}");
            return super::refusal(StatusCode::SERVICE_UNAVAILABLE, &message);
        }
        if hub.is_apart() {
            let message = format!("other nodes have hub {name}, and this one has another secret");
            return super::refusal(StatusCode::SERVICE_UNAVAILABLE, &message);
        }
    }
    "ok".into_response()
}

async fn version() -> Json<serde_json::Value> {
    Json(json!({ "name": "taskhub", "version": env!("CARGO_PKG_VERSION") }))
}
