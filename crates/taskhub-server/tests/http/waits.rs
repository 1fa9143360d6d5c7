//! Requests that are held until an instance has ended.

use std::time::Duration;

use axum::{body::Body, http::Request};
use taskhub_server::{
    http::wait_for_completion_or_create_check_status_response as wait,
    http::{Links, create_http_management_payload},
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::running::{Api, BASE};

/// Longer than any test takes: who waits so long was not told.
const LONG: &str = "timeout=3600";

#[tokio::test]
async fn whoever_waits_gets_the_output_and_nothing_else() {
    let api = Api::start().await;
    let both = format!("/orchestrators/echo?{LONG}&pollingInterval=0.5");
    let answer = api.post(&both, "{\"a\": [1]}").await;
    assert_eq!((answer.code, answer.body.as_str()), (200, "{\"a\": [1]}"));
    let answer = api.post(&format!("/orchestrators/plain?{LONG}"), "").await;
    assert_eq!((answer.code, answer.body.as_str()), (200, r#""plain \"text\"""#));
    let answer = api.post(&format!("/orchestrators/echo?{LONG}"), "").await;
    assert_eq!((answer.code, answer.body.as_str()), (200, "null"));
    api.stop().await;
}

#[tokio::test]
async fn whoever_waits_is_told_at_once() {
    let api = Api::start().await;
    let start = format!("/orchestrators/wait/a?{LONG}");
    let start = api.post(&start, "");
    let reply = async {
        api.held(1).await;
        api.post("/instances/a/raiseEvent/reply", "\"yes\"").await
    };
    let (answer, _) = tokio::join!(start, reply);
    assert_eq!((answer.code, answer.body.as_str()), (200, "\"yes\""));
    assert_eq!(api.hub.held_requests(), 0);
    api.stop().await;
}

#[tokio::test]
async fn when_the_time_is_over_the_answer_is_that_of_a_start() {
    let api = Api::start().await;
    let answer = api.post("/orchestrators/wait/a?timeout=0.01&pollingInterval=0.01", "").await;
    assert_eq!(answer.code, 202);
    assert_eq!(answer.field("id"), "a");
    assert_eq!(answer.header("retry-after"), Some("10"));
    assert_eq!(api.get("/instances/a").await.code, 202, "the instance goes on");
    assert_eq!(api.hub.held_requests(), 0);
    api.stop().await;
}

#[tokio::test]
async fn an_interval_longer_than_the_time_is_refused() {
    let api = Api::start().await;
    let answer = api.post("/orchestrators/echo/a?timeout=1&pollingInterval=2", "").await;
    assert_eq!(answer.code, 400);
    let message = "Total timeout 1 should be bigger than retry timeout 2";
    assert_eq!(answer.field("Message"), message);
    assert_eq!(api.get("/instances/a").await.code, 404, "nothing was started");
    api.stop().await;
}

#[tokio::test]
async fn whoever_waits_for_a_failure_gets_the_status() {
    let api = Api::start().await;
    let answer = api.post(&format!("/orchestrators/fail/a?{LONG}"), "").await;
    assert_eq!((answer.code, answer.field("runtimeStatus").as_str()), (200, "Failed"));
    let path = format!("/orchestrators/fail/a?{LONG}&returnInternalServerErrorOnFailure=true");
    let answer = api.post(&path, "").await;
    assert_eq!((answer.code, answer.field("runtimeStatus").as_str()), (500, "Failed"));
    let start = format!("/orchestrators/wait/b?{LONG}");
    let end = async {
        api.held(1).await;
        api.post("/instances/b/terminate?reason=x", "").await
    };
    let (answer, _) = tokio::join!(api.post(&start, ""), end);
    assert_eq!((answer.code, answer.field("runtimeStatus").as_str()), (200, "Terminated"));
    api.stop().await;
}

#[tokio::test]
async fn a_restart_can_be_waited_for() {
    let api = Api::start().await;
    api.post("/orchestrators/echo/a", "7").await;
    api.ended("a").await;
    let answer = api.post(&format!("/instances/a/restart?{LONG}"), "").await;
    assert_eq!((answer.code, answer.body.as_str()), (200, "7"));
    api.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_waiter() {
    let api = Api::start().await;
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let head = format!("POST {BASE}/orchestrators/wait/a?{LONG} HTTP/1.1\r\nhost: a\r\n");
    stream.write_all(format!("{head}content-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    api.held(1).await;
    drop(stream);
    api.held(0).await;
    assert_eq!(api.get("/instances/a").await.code, 202, "the instance goes on");
    api.stop().await;
}

#[tokio::test]
async fn an_application_can_wait_for_an_instance_that_is_yet_to_come() {
    let api = Api::start().await;
    let request = Request::get("/").header("host", "here").body(Body::empty()).unwrap();
    let links = Links::of(&request.into_parts().0).hub("Test");
    // A wait that nobody ends is answered with 202.
    let waits = wait(&api.hub, &links, "a", Duration::from_mins(1));
    let (response, _) = tokio::join!(waits, api.post("/orchestrators/echo/a", "1"));
    assert_eq!(response.status(), 200);
    let response = wait(&api.hub, &links, "nobody", Duration::ZERO).await;
    assert_eq!(response.status(), 202);
    let location = response.headers()["location"].to_str().unwrap();
    assert_eq!(location, create_http_management_payload(&links, "nobody").status_query_get_uri);
    api.stop().await;
}
