//! What is seldom: bodies that do not come, proxies, rewinds, clients that leave halfway.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use futures::StreamExt as _;
use taskhub_core::Limits;
use taskhub_engine::{Code, Hub, store::MemoryStore};
use taskhub_server::{
    HubName, Hubs,
    http::{management, probes},
};
use tower::ServiceExt as _;

use crate::{
    functions::{Here, MENDED},
    running::{Api, BASE},
};

/// Hubs without a server.
fn hubs() -> (Hub, Hubs) {
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
    let hub = Hub::open(Arc::new(MemoryStore::new(4)), &code, Limits::default()).unwrap();
    (hub.clone(), Hubs::with(HubName::parse("Test").unwrap(), hub))
}

async fn ask(routes: &Router, request: Request<Body>) -> Response<Body> {
    routes.clone().oneshot(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_408() {
    let (hub, hubs) = hubs();
    let routes = management(hubs);
    for path in ["orchestrators/echo", "entities/counter/a?op=add"] {
        let never =
            Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request = Request::post(format!("{BASE}/{path}")).body(never).unwrap();
        assert_eq!(ask(&routes, request).await.status(), 408, "{path}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400() {
    let (hub, hubs) = hubs();
    let routes = management(hubs);
    let pieces = [Ok("[1"), Err(std::io::Error::other("no chunk"))];
    let broken = Body::from_stream(futures::stream::iter(pieces));
    let request = Request::post(format!("{BASE}/orchestrators/echo")).body(broken).unwrap();
    assert_eq!(ask(&routes, request).await.status(), 400);
    hub.stop().await;
}

#[tokio::test]
async fn what_clients_could_not_read_is_not_taken_in() {
    let (hub, hubs) = hubs();
    let routes = management(hubs);
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    for (path, body) in [("orchestrators/echo/%FF", "1"), ("orchestrators/echo", &deep)] {
        let request = Request::post(format!("{BASE}/{path}")).body(Body::from(body.to_owned()));
        assert_eq!(ask(&routes, request.unwrap()).await.status(), 400, "{path}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn who_asks_whether_it_is_ready_hears_of_the_end_early() {
    let (hub, hubs) = hubs();
    let routes = probes(hubs.clone());
    let ready = || Request::get("/readyz").body(Body::empty()).unwrap();
    assert_eq!(ask(&routes, ready()).await.status(), 200);
    hubs.stop().await;
    assert_eq!(ask(&routes, ready()).await.status(), 503);
    let alive = Request::get("/healthz").body(Body::empty()).unwrap();
    assert_eq!(ask(&routes, alive).await.status(), 200);
    hub.stop().await;
}

#[tokio::test]
async fn addresses_are_those_by_which_the_client_came() {
    let proxy = [("x-forwarded-host", "hub.example"), ("x-forwarded-proto", "https")];
    for (https, forwarded, begin) in [
        (false, false, "http://127.0.0.1:"),
        (true, false, "https://127.0.0.1:"),
        (false, true, "https://hub.example/runtime/"),
    ] {
        let api = Api::start_with(|api| api.https(https).forwarded(forwarded)).await;
        let answer = api.send_with("POST", "/orchestrators/wait/a", "", &proxy).await;
        assert!(answer.field("statusQueryGetUri").starts_with(begin), "{}", answer.body);
        assert!(answer.header("location").unwrap().starts_with(begin));
        let answer = api.send_with("GET", "/instances/a", "", &proxy).await;
        assert!(answer.header("location").unwrap().starts_with(begin));
        api.stop().await;
    }
}

#[tokio::test]
async fn what_failed_goes_on_from_before_its_failure() {
    let api = Api::start().await;
    api.finish("heal", "a").await;
    assert_eq!(api.get("/instances/a").await.field("runtimeStatus"), "Failed");
    MENDED.store(true, Ordering::Relaxed);
    let answer = api.post("/instances/a/rewind?reason=mended", "").await;
    assert_eq!((answer.code, answer.body.as_str()), (202, ""));
    api.ended("a").await;
    let answer = api.get("/instances/a").await;
    assert!(answer.body.contains("\"output\":\"whole\""), "{}", answer.body);
    assert_eq!(api.post("/instances/a/rewind", "").await.code, 412);
    api.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_a_batch_ends_it_after_the_page_in_hand() {
    let (hub, hubs) = hubs();
    let routes = management(hubs);
    for number in 0..501 {
        let path = format!("{BASE}/orchestrators/wait/n{number}");
        let start = Request::post(path).body(Body::empty()).unwrap();
        assert_eq!(ask(&routes, start).await.status(), 202);
    }
    let batch = Request::post(format!("{BASE}/instances/terminate?instanceIdPrefix=n"));
    let batch = batch.header("accept", "application/x-ndjson").body(Body::empty()).unwrap();
    let mut progress = ask(&routes, batch).await.into_body().into_data_stream();
    let first = progress.next().await.unwrap().unwrap();
    assert_eq!(&first[..], b"{\"done\":500,\"skipped\":0,\"complete\":false}\n");
    drop(progress);
    let list = Request::get(format!("{BASE}/instances?runtimeStatus=Terminated&top=1000"));
    let list = ask(&routes, list.body(Body::empty()).unwrap()).await.into_body();
    let listed = axum::body::to_bytes(list, usize::MAX).await.unwrap();
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed).unwrap();
    assert_eq!(listed.len(), 500);
    hub.stop().await;
}
