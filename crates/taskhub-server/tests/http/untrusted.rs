//! Whatever a client sends, it is answered, and never with "this is our fault".

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use proptest::{prelude::*, sample::select};
use taskhub_core::Limits;
use taskhub_engine::{Code, Hub, store::MemoryStore};
use taskhub_server::{HubName, Hubs, http::management};
use tower::ServiceExt as _;

use crate::functions::Here;

const BASE: &str = "/runtime/webhooks/durabletask";

/// Parts of paths, of which some mean something.
const PARTS: [&str; 22] = [
    "orchestrators",
    "instances",
    "entities",
    "INSTANCES",
    "echo",
    "wait",
    "a",
    "@cell@a",
    "@@",
    "terminate",
    "suspend",
    "resume",
    "rewind",
    "restart",
    "history",
    "output",
    "raiseEvent",
    "reply",
    "purge",
    "$",
    "",
    "makeprimary",
];

const KEYS: [&str; 24] = [
    "taskHub",
    "connection",
    "code",
    "reason",
    "timeout",
    "pollingInterval",
    "top",
    "tag",
    "op",
    "name",
    "version",
    "recursive",
    "showInput",
    "showHistory",
    "showHistoryOutput",
    "fetchState",
    "instanceIdPrefix",
    "createdTimeFrom",
    "createdTimeTo",
    "runtimeStatus",
    "lastOperationTimeFrom",
    "restartWithNewInstanceId",
    "returnInternalServerErrorOnFailure",
    "x",
];

const VALUES: [&str; 14] = [
    "",
    "true",
    "0",
    "-1",
    "1e400",
    "NaN",
    "0.001",
    "Completed,Failed,x",
    "2020-01-01",
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
    "a:b",
    "%ff%00",
    "Test",
];

fn part() -> impl Strategy<Value = String> {
    let known = select(PARTS.to_vec()).prop_map(str::to_owned);
    prop_oneof![3 => known, 1 => "[a-zA-Z0-9%+@.~:;=_-]{0,20}", 1 => "(%[0-9A-F]{2}){1,8}"]
}

fn query() -> impl Strategy<Value = String> {
    let known = select(VALUES.to_vec()).prop_map(str::to_owned);
    let value = prop_oneof![3 => known, 1 => "[a-z0-9%+:,.-]{0,20}"];
    let pair = (select(KEYS.to_vec()), value).prop_filter_map(
        "a client that waits for long proves nothing",
        |(key, value)| {
            let long = key == "timeout" && !VALUES.contains(&value.as_str());
            (!long).then(|| format!("{key}={value}"))
        },
    );
    prop::collection::vec(pair, 0..5).prop_map(|pairs| pairs.join("&"))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let json = select(vec!["", "1", "{}", "[]", "\"a\"", "{\"a\":", "nul", "[[[[", "1e999"]);
    prop_oneof![
        2 => json.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
    ]
}

fn request() -> impl Strategy<Value = Request<Body>> {
    let method = select(vec!["GET", "GET", "POST", "POST", "DELETE", "PUT", "OPTIONS"]);
    let free = prop::collection::vec(part(), 0..6).prop_map(|parts| parts.join("/"));
    let kind = select(vec!["instances", "orchestrators/wait", "orchestrators/echo", "entities/c"]);
    let usual = (kind, select(vec!["a", "b"]), part()).prop_map(|(kind, id, what)| {
        if what.is_empty() { format!("{kind}/{id}") } else { format!("{kind}/{id}/{what}") }
    });
    let path = prop_oneof![free, usual];
    let headers = ("[0-9.a-z%+-]{0,20}", "[0-9a-f-]{0,56}", any::<bool>());
    (method, path, query(), headers, body()).prop_filter_map(
        "not even a request",
        |(method, path, query, (token, trace, json), body)| {
            let request = Request::builder().method(method);
            let request = request.uri(format!("{BASE}/{path}?{query}"));
            let request = request.header("x-ms-continuation-token", token);
            let request = request.header("traceparent", trace);
            let kind = if json { "application/json; charset=utf-8" } else { "text/plain" };
            request.header("content-type", kind).body(Body::from(body)).ok()
        },
    )
}

/// How it is answered: the status code.
async fn answered(routes: &Router, request: Request<Body>) -> u16 {
    let told = format!("{request:?}");
    let answer = tokio::time::timeout(Duration::from_secs(30), routes.clone().oneshot(request));
    let answer = answer.await.unwrap_or_else(|_| panic!("no answer: {told}"));
    answer.expect("routes do not fail").status().as_u16()
}

#[test]
fn any_request_is_answered() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let within = runtime.enter();
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
    let store = Arc::new(MemoryStore::new(4));
    let hub = Hub::open(store, &code, Limits::default()).expect("the store is new");
    let hubs = Hubs::with(HubName::parse("Test").expect("a name"), hub.clone());
    let routes = management(hubs);
    drop(within);
    let seen = Mutex::new(BTreeSet::new());
    let config = ProptestConfig { cases: 6_000, ..ProptestConfig::default() };
    proptest!(config, |(request in request())| {
        let told = format!("{request:?}");
        let status = runtime.block_on(answered(&routes, request));
        seen.lock().expect("nobody panicked").insert(status);
        prop_assert!(status != 500, "{told}");
    });
    let seen = seen.into_inner().expect("nobody panicked");
    let usual = [200, 202, 400, 404];
    assert!(usual.iter().all(|status| seen.contains(status)), "only {seen:?} came");
    runtime.block_on(hub.stop());
}
