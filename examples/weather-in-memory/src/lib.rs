//! A GET that waits for a reply which arrives later, as a map of one-shot channels.
//!
//! Whatever is held here is lost with the process. The example `weather` is the durable form.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What the backend is asked; it answers with `POST /api/replies/{id}`.
#[derive(Debug)]
pub struct Request {
    /// A fresh id: 32 hexadecimal digits, in order of time.
    pub id: String,
    /// The city asked for, as the caller wrote it; empty when the caller named none.
    pub city: String,
}

/// The weather API: requests go out through `publish`, and are held for `timeout` at most.
pub fn app(timeout: Duration, publish: impl Fn(Request) + Send + Sync + 'static) -> Router {
    let desk = Desk { timeout, publish: Box::new(publish), waiting: Mutex::default() };
    Router::new()
        .route("/api/weather", get(weather))
        .route("/api/replies/{id}", post(reply))
        .with_state(Arc::new(desk))
}

struct Desk {
    timeout: Duration,
    publish: Box<dyn Fn(Request) + Send + Sync>,
    waiting: Mutex<HashMap<String, oneshot::Sender<String>>>,
}

type Answer = (StatusCode, String);

async fn weather(
    State(desk): State<Arc<Desk>>,
    Query(mut query): Query<HashMap<String, String>>,
) -> Answer {
    let id = Uuid::now_v7().simple().to_string();
    let (sender, reply) = oneshot::channel();
    desk.waiting().insert(id.clone(), sender);
    let held = Held { desk: &desk, id: id.clone() };

    (desk.publish)(Request { id, city: query.remove("city").unwrap_or_default() });
    let reply = tokio::time::timeout(desk.timeout, reply).await;
    drop(held);
    match reply {
        Ok(Ok(text)) => (StatusCode::OK, text),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "no reply arrived in time\n".into()),
    }
}

async fn reply(State(desk): State<Arc<Desk>>, Path(id): Path<String>, text: String) -> StatusCode {
    let waiter = desk.waiting().remove(&id);
    match waiter.map(|waiter| waiter.send(text)) {
        Some(Ok(())) => StatusCode::NO_CONTENT,
        _ => StatusCode::NOT_FOUND,
    }
}

impl Desk {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<String>>> {
        self.waiting.lock().expect("nothing panics while it holds the map")
    }
}

/// Leaves the map when the request ends, also when its caller went away.
struct Held<'a> {
    desk: &'a Desk,
    id: String,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.desk.waiting().remove(&self.id);
    }
}
