//! The HTTP side: routers that this server mounts, and that an application can mount too.

mod probes;

use axum::{
    Json, Router,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};

use crate::Hubs;

pub use probes::probes;

/// The paths that need no token: who watches the process should not have one.
pub(crate) const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// All routes of the server.
pub(crate) fn routes(hubs: &Hubs) -> Router {
    probes(hubs.clone()).fallback(nothing_here)
}

/// An error that people can read, as JSON.
pub(crate) fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(serde_json::json!({ "message": message }))).into_response()
}

async fn nothing_here(uri: Uri) -> Response {
    refusal(StatusCode::NOT_FOUND, &format!("there is nothing at {}", uri.path()))
}
