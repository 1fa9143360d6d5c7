//! The management API of a host: who may use it, and that it manages the host's own hub.

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use taskhub::{
    MemoryStore,
    management::{AuthLevel, Keys, authorize},
    prelude::*,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt as _;

const START: &str = "/runtime/webhooks/durabletask/orchestrators/greet?timeout=3600";

#[orchestration]
async fn greet(ctx: Context, name: String) -> Result<String> {
    let _ = ctx;
    Ok(format!("Hello, {name}"))
}

fn host(keys: Keys) -> Host {
    let host = Host::builder().store(MemoryStore::new(1)).orchestration(greet);
    host.management_api(keys).build().expect("nothing is missing")
}

async fn start(host: &Host, key: &str) -> (StatusCode, String) {
    let request = Request::post(START).header("x-functions-key", key).body(Body::from("\"you\""));
    let response = host.router().oneshot(request.expect("a request")).await.expect("an answer");
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn whoever_has_a_key_manages_the_hub_of_the_host() {
    let folder = tempfile::tempdir().expect("there is a place for it");
    let keys = Keys::open(folder.path()).expect("there are none yet");
    let key = keys.create("default", None).expect("it is new");
    let host = host(keys);
    assert_eq!(start(&host, "wrong").await.0, StatusCode::UNAUTHORIZED);
    let expected = (StatusCode::OK, "\"Hello, you\"".to_owned());
    assert_eq!(start(&host, &key).await, expected);
    host.stop().await;
}

#[tokio::test]
async fn mounted_elsewhere_without_keys_nobody_is_let_in() {
    let host = host(Keys::none());
    assert_eq!(start(&host, "").await.0, StatusCode::UNAUTHORIZED);
    host.stop().await;
}

#[tokio::test]
async fn served_at_loopback_without_keys_everybody_is_let_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it has one");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(host(Keys::none()).serve_on(listener, async {
        let _ = stopped.await;
    }));
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = format!("POST {START} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    let request = format!("{head}content-length: 5\r\n\r\n\"you\"");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\"Hello, you\""), "{answer}");
    stop.send(()).expect("it still serves");
    serving.await.expect("it ends").expect("it served");
}

#[tokio::test]
async fn a_route_can_ask_for_a_key_of_its_own() {
    let folder = tempfile::tempdir().expect("there is a place for it");
    let keys = Keys::open(folder.path()).expect("there are none yet");
    let key = keys.create("default", Some("hello")).expect("it is new");
    let level = AuthLevel::Function("hello".to_owned());
    let guard = axum::middleware::from_fn_with_state((keys, level), authorize);
    let routes: axum::Router = axum::Router::new().route("/hello", get(async || "hi").layer(guard));
    for (uri, code) in [("/hello".to_owned(), 401), (format!("/hello?code={key}"), 200)] {
        let request = Request::get(uri).body(Body::empty()).expect("a request");
        let response = routes.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), code);
    }
}
