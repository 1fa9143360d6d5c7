//! The management API of Durable Functions: every operation on instances and entities, at the
//! paths, with the codes and in the forms that existing clients and scripts know.

mod answer;
mod batch;
mod call;
mod control;
mod entities;
mod events;
mod history;
mod lines;
mod links;
mod list;
mod purge;
mod query;
mod start;
mod status;
mod wait;

use std::{
    convert::Infallible,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{OriginalUri, Request},
    http::{Method, StatusCode, Uri, request::Parts},
    response::{IntoResponse as _, Response},
    routing::any_service,
};
use futures::{
    FutureExt as _, TryFutureExt as _,
    future::{BoxFuture, ready},
};
use tokio::sync::Semaphore;
use tower::service_fn;

use super::door::{self, Door};
use crate::{AuthLevel, HubName, Hubs, Keys};
use answer::empty;
use batch::Batch;
use call::{Answered, Call, absent};
use query::Query;

pub use links::{
    HttpManagementPayload, Links, Reached, create_check_status_response,
    create_http_management_payload,
};
pub(crate) use purge::is_own;
use wait::Reply;
pub use wait::wait_for_completion_or_create_check_status_response;

/// Where clients look for the API.
pub(super) const BASE: &str = "/runtime/webhooks/durabletask";

/// Requests that read lists or histories at the same time; the others wait for their turn.
const READS_COUNT_MAX: usize = 64;

/// How long a client may take to send a body, where no server has a shorter time for that.
const BODY_TIME_MAX: Duration = Duration::from_mins(10);

/// The management API over hubs: at `/runtime/webhooks/durabletask`, to be merged into the routes
/// of an application. It lets everybody in: put whatever guards it around it, or use
/// [`Management`] with keys.
pub fn management(hubs: Hubs) -> Router {
    Management::new(hubs).routes()
}

/// The management API with its options.
#[derive(Debug, Clone)]
#[must_use = "it is served by its `routes`"]
pub struct Management {
    hubs: Hubs,
    https: bool,
    forwarded: bool,
    door: Door,
    reads: Arc<Semaphore>,
}

impl Management {
    /// The API over these hubs.
    pub fn new(hubs: Hubs) -> Self {
        let reads = Arc::new(Semaphore::new(READS_COUNT_MAX));
        Self { hubs, https: false, forwarded: false, door: Door::default(), reads }
    }

    /// The server speaks TLS: addresses in answers begin with `https`.
    pub fn https(mut self, https: bool) -> Self {
        self.https = https;
        self
    }

    /// Whether addresses in answers are made of `X-Forwarded-Host` and `X-Forwarded-Proto`; for
    /// servers behind a proxy that sets both.
    pub fn forwarded(mut self, forwarded: bool) -> Self {
        self.forwarded = forwarded;
        self
    }

    /// Lets in only who has one of these keys. As long as there are none, everybody is let in if
    /// only clients on this machine reach the server, and nobody otherwise.
    pub fn keys(mut self, keys: Keys, is_local: Arc<AtomicBool>) -> Self {
        self.door = Door::Keys { keys, is_local, origins: Arc::new([]) };
        self
    }

    /// Lets web pages from these origins in where no key is needed; `*` for all. Others are
    /// refused, since any page can make a browser send requests.
    pub fn origins(mut self, allowed: &[String]) -> Self {
        if let Door::Keys { origins, .. } = &mut self.door {
            *origins = door::origins(allowed);
        }
        self
    }

    /// The routes.
    pub fn routes(self) -> Router {
        // Clients write it all as they like; our own server puts that right before it comes here.
        let at = "/runtime/webhooks/{extension}/{*rest}";
        // No handler: what an extractor needs would be kept as long as a request is held.
        let answer =
            service_fn(move |request| self.clone().answer(request).map(Ok::<_, Infallible>));
        Router::new().route(at, any_service(answer))
    }

    /// Answers a request to a path of the API, in any spelling. Many are held for long: what is
    /// over before that is kept apart, so that the rest is small.
    pub(crate) fn answer(self, request: Request) -> impl Future<Output = Response> + Send {
        let (parts, body) = request.into_parts();
        let called = Box::pin(self.call(parts));
        let reply = Box::pin(async move {
            let (call, path) = called.await?;
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            route(call, body, &path).await
        });
        async move {
            match reply.await {
                Ok(Reply::Now(response)) => response,
                Ok(Reply::Later(held)) => held.answer().await.into_response(),
                Err(refused) => refused.into_response(),
            }
        }
    }

    /// Who calls, and the parts of the path behind the place of the API.
    async fn call(self, parts: Parts) -> Answered<(Box<Call>, Vec<String>)> {
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        let (base, rest) = split(uri.path()).ok_or_else(absent)?;
        let (query, path) = (Query::of(uri), segments(rest));
        let links = Links::of(&parts).https(self.https).base(base);
        if let Err(why) = self.door.admit(&AuthLevel::Management, &parts) {
            return Err(answer::wrong(StatusCode::UNAUTHORIZED, why).into());
        }
        let links = if self.forwarded { links.forwarded(&parts.headers) } else { links };
        let path = path.ok_or_else(|| answer::bad_argument(&"the path is no UTF-8"))?;
        let named = query.text("taskHub").filter(|name| !name.trim().is_empty());
        let name = match named {
            Some(name) => HubName::parse(&name).map_err(|error| answer::no_hub(error.into()))?,
            None => self.hubs.default_name().clone(),
        };
        let hub = if makes_hub(&parts.method, rest) {
            self.hubs.hub(&name).await
        } else {
            self.hubs.seen(&name).await
        };
        let hub = hub.map_err(answer::no_hub)?;
        let links = links.hub(name.as_str());
        // Whoever is given the addresses has shown the key that they need.
        let links = match crate::keys::sent(&parts) {
            Some(key) => links.code(key),
            None => links,
        };
        let bytes_max = self.hubs.payload_bytes_max();
        let traces = self.hubs.traces().map(|it| it.of(&name));
        let reads = self.reads;
        Ok((Box::new(Call { hub, links, parts, query, bytes_max, reads, traces }), path))
    }
}

/// Whether a request makes the hub that it names: only a start and a signal do.
fn makes_hub(method: &Method, path: &str) -> bool {
    let kind = path.trim_matches('/').split('/').next().unwrap_or_default();
    let makes = ["orchestrators", "entities"].iter().any(|it| kind.eq_ignore_ascii_case(it));
    makes && method == Method::POST
}

/// Whether a path is one of the API, in any spelling.
pub(crate) fn is_management(uri: &Uri) -> bool {
    split(uri.path()).is_some()
}

/// The same address with the place of the API spelt as routers know it; `None` if it is so already,
/// or leads elsewhere.
pub(crate) fn as_known(uri: &Uri) -> Option<Uri> {
    let (base, rest) = split(uri.path())?;
    let (before, written) = base.split_at(base.len() - BASE.len());
    if written == BASE {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{before}{BASE}{rest}{query}").parse().ok();
    Uri::from_parts(parts).ok()
}

/// A path, cut behind the place where the API is mounted.
fn split(path: &str) -> Option<(&str, &str)> {
    let lower = path.to_ascii_lowercase();
    let end = lower.find(BASE)? + BASE.len();
    let (base, rest) = path.split_at(end);
    (rest.is_empty() || rest.starts_with('/')).then_some((base, rest))
}

/// The parts of a path, decoded; in this place a plus is a space, as the original has it. `None`
/// where that is no UTF-8: with a sign in place of what cannot be read, two ids would be one.
fn segments(path: &str) -> Option<Vec<String>> {
    let parts = path.trim_matches('/').split('/');
    let decoded = parts.map(|part| {
        let part = part.replace('+', " ");
        let part = percent_encoding::percent_decode_str(&part).decode_utf8().ok()?;
        Some(part.into_owned())
    });
    decoded.collect()
}

/// Finds what is asked for; a path that is there with another method is not there.
///
/// What each does stands apart: many starts may come at once, and would all be as large as the
/// largest.
fn route<'a>(call: Box<Call>, body: Body, path: &'a [&'a str]) -> BoxFuture<'a, Answered<Reply>> {
    let [kind, rest @ ..] = path else { return nothing() };
    let named = rest.first().is_some_and(|name| !name.trim().is_empty());
    let method = call.parts.method.clone();
    match (kind.to_ascii_lowercase().as_str(), rest) {
        ("orchestrators", [name]) if named && method == Method::POST => {
            call.start(body, name, None).boxed()
        }
        ("orchestrators", [name, id]) if named && method == Method::POST => {
            call.start(body, name, Some(id)).boxed()
        }
        ("instances", []) if method == Method::GET => now(call.list()),
        ("instances", []) if method == Method::DELETE => now(call.purge_many()),
        ("instances", [id]) if method == Method::GET => now(call.status(id)),
        ("instances", [id]) if method == Method::DELETE => now(call.purge(id)),
        ("instances", [verb]) if method == Method::POST => match Batch::named(verb, &call) {
            Some(batch) => now(call.batch(batch)),
            None => nothing(),
        },
        ("instances", [id, what]) if method == Method::GET => {
            match what.to_ascii_lowercase().as_str() {
                "history" => now(call.history(id)),
                "output" => call.output(id).boxed(),
                _ => nothing(),
            }
        }
        ("instances", [id, verb]) if method == Method::POST => {
            match verb.to_ascii_lowercase().as_str() {
                "terminate" => now(call.terminate(id)),
                "suspend" => now(call.suspend(id)),
                "resume" => now(call.resume(id)),
                "rewind" => now(call.rewind(id)),
                "restart" => call.restart(id).boxed(),
                _ => nothing(),
            }
        }
        ("instances", [id, verb, event])
            if method == Method::POST && verb.eq_ignore_ascii_case("raiseEvent") =>
        {
            now(call.raise(body, id, event))
        }
        ("entities", []) if method == Method::GET => now(call.entities(None)),
        ("entities", [name]) if method == Method::GET => now(call.entities(Some(name))),
        ("entities", [name, key @ ..]) if method == Method::GET => now(call.entity(name, key)),
        ("entities", []) if method == Method::POST => now(call.signal(body, "", &[])),
        ("entities", []) if method == Method::DELETE => now(call.delete_entity("", &[])),
        ("entities", [name, key @ ..]) if method == Method::POST => {
            now(call.signal(body, name, key))
        }
        ("entities", [name, key @ ..]) if method == Method::DELETE => {
            now(call.delete_entity(name, key))
        }
        // There is one application here, and it is always the first.
        ("makeprimary", []) => now(ready(Ok(empty(StatusCode::OK)))),
        _ => nothing(),
    }
}

/// What is answered at once.
fn now<'a>(
    answer: impl Future<Output = Answered<Response>> + Send + 'a,
) -> BoxFuture<'a, Answered<Reply>> {
    answer.map_ok(Reply::Now).boxed()
}

fn nothing<'a>() -> BoxFuture<'a, Answered<Reply>> {
    ready(Err(absent())).boxed()
}
