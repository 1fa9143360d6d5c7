//! A request held open over an orchestration: what its caller gets, in good times and in bad.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use taskhub::{MemoryStore, prelude::*};
use tower::ServiceExt as _;

const REPLY: Event<String> = Event::new("reply");

#[derive(Debug, Serialize, Deserialize)]
struct Question {
    city: String,
}

/// Asks nobody; the reply comes from outside.
#[orchestration]
async fn ask(ctx: Context, _question: Question) -> Result<String> {
    ctx.event(REPLY).await
}

#[orchestration]
async fn echo(_ctx: Context, question: Question) -> Result<Question> {
    Ok(question)
}

#[orchestration]
async fn fail(_ctx: Context) -> Result<String> {
    Err(Failure::new("Storm", "the station is struck by lightning"))
}

#[orchestration]
async fn trip(_ctx: Context) -> Result<String> {
    panic!("over a cable")
}

fn host(store: impl taskhub::Store) -> Host {
    Host::builder()
        .store(store)
        .orchestration(ask)
        .orchestration(echo)
        .orchestration(fail)
        .orchestration(trip)
        .route("/ask", get(sync_over_async(ask)))
        .route("/hurry", get(sync_over_async(ask).within(Duration::from_millis(20))))
        .route("/later", get(later()))
        .route("/whenever", get(sync_over_async(echo).within(Duration::MAX)))
        .route("/echo", get(sync_over_async(echo)).post(sync_over_async(echo)))
        .route("/trip", get(sync_over_async(trip).within(Duration::from_millis(20))))
        .route("/fail", get(sync_over_async(fail)))
        .build()
        .expect("nothing is missing")
}

fn later() -> taskhub::Gateway {
    sync_over_async(ask).within(Duration::from_millis(20)).on_timeout(OnTimeout::Accepted)
}

fn get_request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("a good request")
}

fn keyed(path: &str, key: &str) -> Request<Body> {
    let request = Request::get(path).header("Idempotency-Key", key);
    request.body(Body::empty()).expect("a good request")
}

/// The status, the content type and the text of an answer.
async fn answer(routes: Router, request: Request<Body>) -> (StatusCode, String, String) {
    let response = routes.oneshot(request).await.expect("it cannot fail");
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.map(|kind| kind.to_str().unwrap_or_default().to_owned()).unwrap_or_default();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a short body");
    (status, kind, String::from_utf8(bytes.into()).expect("a text"))
}

/// Raises the reply to the only instance, as soon as there is one.
async fn reply(client: &Client, text: &str) {
    let id = loop {
        let page = client.list(Filter::new().status(RuntimeStatus::Running)).await;
        match page.expect("the store works").instances.first() {
            Some(instance) => break instance.id.clone(),
            None => tokio::task::yield_now().await,
        }
    };
    client.instance(id.as_str()).raise(REPLY, text.to_owned()).await.expect("it waits");
}

#[tokio::test]
async fn a_held_request_is_answered_with_the_text_that_arrives_later() {
    let host = host(MemoryStore::new(4));
    let held = answer(host.router(), get_request("/ask?city=Berlin"));
    let (answer, ()) = tokio::join!(held, reply(host.client(), "sunny"));
    let text = "text/plain; charset=utf-8".to_owned();
    assert_eq!(answer, (StatusCode::OK, text, "sunny".to_owned()));
    host.stop().await;
}

#[tokio::test]
async fn what_is_no_text_is_answered_as_json() {
    let host = host(MemoryStore::new(4));
    let query = answer(host.router(), get_request("/echo?city=S%C3%A3o+Paulo")).await;
    let body = Request::post("/echo").body(Body::from(r#"{"city":"São Paulo"}"#));
    let posted = answer(host.router(), body.expect("a good request")).await;
    let json = "application/json; charset=utf-8".to_owned();
    assert_eq!(query, (StatusCode::OK, json, r#"{"city":"São Paulo"}"#.to_owned()));
    assert_eq!(posted, query);
    host.stop().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_500_and_its_instance_is_terminated() {
    let host = host(MemoryStore::new(4));
    let (status, _, text) = answer(host.router(), get_request("/hurry?city=Rome")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains("did not end within the time"), "{text}");
    let ended = Filter::new().status(RuntimeStatus::Terminated);
    assert_eq!(host.client().list(ended).await.expect("it works").instances.len(), 1);
    host.stop().await;
}

#[tokio::test]
async fn a_request_may_be_held_for_ever() {
    let host = host(MemoryStore::new(1));
    let (status, _, text) = answer(host.router(), get_request("/whenever?city=Rome")).await;
    assert_eq!((status, &*text), (StatusCode::OK, r#"{"city":"Rome"}"#));
    host.stop().await;
}

#[tokio::test]
async fn a_request_whose_orchestration_is_parked_is_answered_at_its_deadline_with_the_reason() {
    let host = host(MemoryStore::new(4));
    let (status, _, text) = answer(host.router(), get_request("/trip")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let parked = "it was parked: the orchestration panicked: over a cable";
    assert!(text.contains("did not end within the time") && text.contains(parked), "{text}");
    host.stop().await;
}

#[tokio::test]
async fn a_request_that_may_go_on_is_answered_202_with_its_id() {
    let host = host(MemoryStore::new(4));
    let (status, _, text) = answer(host.router(), get_request("/later?city=Rome")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let running = host.client().list(Filter::new().status(RuntimeStatus::Running)).await;
    let id = running.expect("it works").instances[0].id.to_string();
    assert_eq!(text, format!(r#"{{"id":"{id}"}}"#));
    host.stop().await;
}

#[tokio::test]
async fn a_failure_is_answered_500_with_its_message() {
    let host = host(MemoryStore::new(4));
    let (status, _, text) = answer(host.router(), get_request("/fail")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(text, "the request failed: the station is struck by lightning\n");
    host.stop().await;
}

#[tokio::test]
async fn rubbish_is_answered_400_with_a_reason() {
    let host = host(MemoryStore::new(4));
    let bad = |body: &'static [u8]| Request::post("/echo").body(Body::from(body)).expect("good");
    for request in [get_request("/ask"), bad(b"{"), bad(b"\xff\xfe"), keyed("/ask?city=Rome", "")] {
        let (status, _, text) = answer(host.router(), request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(!text.is_empty());
    }
    for query in ["%FF%FE", "%C3%28", "%ZZ", "100%", "%", "%+1", "%4"] {
        let (status, _, text) =
            answer(host.router(), get_request(&format!("/ask?city={query}"))).await;
        assert_eq!(
            (status, text.contains("bad query")),
            (StatusCode::BAD_REQUEST, true),
            "{query}"
        );
    }
    let (status, _, text) = answer(host.router(), get_request("/echo")).await;
    assert_eq!((status, text.contains("missing field `city`")), (StatusCode::BAD_REQUEST, true));
    let huge = Request::post("/echo").body(Body::from(vec![b' '; 5 << 20])).expect("good");
    assert_eq!(answer(host.router(), huge).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer(host.router(), get_request("/nowhere")).await.0, StatusCode::NOT_FOUND);
    host.stop().await;
}

#[tokio::test]
async fn the_same_key_joins_the_same_instance_and_gets_the_same_answer_also_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = host(Embedded::open(folder.path()).expect("a new hub"));
    let gone = answer(first.router(), keyed("/ask?city=Rome", "7"));
    // The caller goes away while it waits.
    assert!(tokio::time::timeout(Duration::from_millis(50), gone).await.is_err());
    first.stop().await;

    let second = host(Embedded::open(folder.path()).expect("the same hub"));
    let again = answer(second.router(), keyed("/ask?city=Rome", "7"));
    let (again, ()) = tokio::join!(again, reply(second.client(), "rain"));
    assert_eq!(again.2, "rain");
    let once_more = answer(second.router(), keyed("/ask?city=Rome", "7")).await;
    assert_eq!(once_more, again);
    let all = second.client().list(Filter::new()).await.expect("it works");
    assert_eq!(all.instances.len(), 1);
    second.stop().await;
}

#[tokio::test]
async fn a_host_that_stops_hands_back_what_it_holds() {
    let host = host(MemoryStore::new(4));
    let held = tokio::spawn(host.router().oneshot(get_request("/ask?city=Rome")));
    while host.client().hub().expect("it is here").held_requests() == 0 {
        tokio::task::yield_now().await;
    }
    host.stop().await;
    let response = held.await.expect("no panic").expect("it cannot fail");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn a_host_that_has_served_has_let_go_of_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..10 {
        let host = host(Embedded::open(folder.path()).expect("nobody has it"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        host.serve_on(listener, std::future::ready(())).await.expect("it serves");
    }
}
