//! The management API of a host: who may use it, and that it manages the host's own hub.

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use taskhub::{
    MemoryStore,
    management::{
        AuthLevel, Keys, Links, RetentionConfig, TlsConfig, authorize, create_check_status_response,
    },
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
async fn served_at_loopback_without_keys_everybody_is_let_in_by_any_spelling() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it has one");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(host(Keys::none()).serve_on(listener, async {
        let _ = stopped.await;
    }));
    for start in [START.to_owned(), START.replace("runtime/webhooks", "Runtime/WebHooks")] {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let head = format!("POST {start} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        let request = format!("{head}content-length: 5\r\n\r\n\"you\"");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("\"Hello, you\""), "{answer}");
    }
    stop.send(()).expect("it still serves");
    serving.await.expect("it ends").expect("it served");
}

/// Where the instance is that a route of the application itself starts.
async fn look(request: axum::extract::Request) -> String {
    let links = Links::of(&request.into_parts().0);
    taskhub::management::create_http_management_payload(&links, "a").status_query_get_uri
}

#[tokio::test]
async fn routes_of_the_application_hand_out_addresses_as_the_api_does() {
    for (trusted, begin) in [(false, "http://inside/"), (true, "https://hub.example/")] {
        let host = Host::builder().store(MemoryStore::new(1)).orchestration(greet);
        let host = host.route("/look", axum::routing::get(look)).forwarded(trusted);
        let host = host.build().expect("nothing is missing");
        let request = Request::get("/look")
            .header("host", "inside")
            .header("x-forwarded-host", "hub.example")
            .header("x-forwarded-proto", "https")
            .body(Body::empty())
            .expect("a request");
        let answer = host.router().oneshot(request).await.expect("an answer");
        let body = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        assert!(body.starts_with(begin.as_bytes()), "{body:?}");
        host.stop().await;
    }
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls_and_says_so_in_its_answers() {
    let folder = tempfile::tempdir().expect("there is a place for it");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("it is made");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("it is written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("it is written");
    let host = Host::builder().store(MemoryStore::new(1)).orchestration(greet);
    let host = host.management_api(Keys::none()).tls(TlsConfig { cert: cert.clone(), key });
    let host = host.build().expect("nothing is missing");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("it has one").port());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(host.serve_on(listener, async {
        let _ = stopped.await;
    }));
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["-sS", "-X", "POST", "--cacert"]).arg(cert);
    let start = format!("{url}/runtime/webhooks/durabletask/orchestrators/greet/a");
    let answer = curl.arg(start).output().await.expect("it runs");
    let answer = String::from_utf8_lossy(&[answer.stdout, answer.stderr].concat()).into_owned();
    let told = format!("\"statusQueryGetUri\":\"{url}/runtime/webhooks/durabletask/instances/a?");
    assert!(answer.contains(&told), "{answer}");
    stop.send(()).expect("it still serves");
    serving.await.expect("it ends").expect("it served");
}

#[tokio::test]
async fn behind_a_proxy_addresses_are_those_of_the_proxy_if_the_host_says_so() {
    let folder = tempfile::tempdir().expect("there is a place for it");
    let keys = Keys::open(folder.path()).expect("there are none yet");
    let key = keys.create("default", None).expect("it is new");
    for (trusted, begin) in [(false, "http://inside/"), (true, "https://hub.example/")] {
        let host = Host::builder().store(MemoryStore::new(1)).orchestration(greet);
        let host = host.management_api(keys.clone()).forwarded(trusted);
        let host = host.build().expect("nothing is missing");
        let request = Request::post(START.split('?').next().expect("a path"))
            .header("host", "inside")
            .header("x-functions-key", &key)
            .header("x-forwarded-host", "hub.example")
            .header("x-forwarded-proto", "https")
            .body(Body::from("\"you\""))
            .expect("a request");
        let response = host.router().oneshot(request).await.expect("an answer");
        let location = response.headers()["location"].to_str().expect("a text").to_owned();
        assert!(location.starts_with(begin), "{location}");
        host.stop().await;
    }
}

#[tokio::test]
async fn what_ended_is_forgotten_at_its_age() {
    let mut retention = RetentionConfig::default();
    retention.completed = Some("0s".parse().expect("an age"));
    let host = Host::builder().store(MemoryStore::new(1)).orchestration(greet);
    let host = host.retention(retention).build().expect("nothing is missing");
    let client = host.client().clone();
    let run = client.start(greet, "you".to_owned()).id("a").await.expect("it starts");
    run.wait(std::time::Duration::from_mins(1)).await.expect("it ends");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(host.serve_on(listener, async {
        let _ = stopped.await;
    }));
    while client.instance("a").status().await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
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

/// Says where an instance is managed, as a route does that starts it.
async fn begin(request: axum::extract::Request) -> axum::response::Response {
    create_check_status_response(&Links::of(&request.into_parts().0), "a")
}

#[tokio::test]
async fn an_answer_carries_the_key_that_was_shown_if_it_opens_the_addresses() {
    let folder = tempfile::tempdir().expect("there is a place for it");
    let keys = Keys::open(folder.path()).expect("there are none yet");
    let of_host = keys.create("default", None).expect("it is new");
    let of_function = keys.create("default", Some("begin")).expect("it is new");
    let level = AuthLevel::Function("begin".to_owned());
    let guard = axum::middleware::from_fn_with_state((keys.clone(), level), authorize);
    let host = Host::builder().store(MemoryStore::new(1)).orchestration(greet);
    let host = host.route("/begin", get(begin).layer(guard)).management_api(keys);
    let host = host.build().expect("nothing is missing");
    for (key, code) in [(of_host, StatusCode::NOT_FOUND), (of_function, StatusCode::UNAUTHORIZED)] {
        let request = Request::get("/begin").header("x-functions-key", key).body(Body::empty());
        let answer = host.router().oneshot(request.expect("a request")).await.expect("an answer");
        let location = answer.headers()["location"].to_str().expect("it is text").to_owned();
        let look = Request::get(location).body(Body::empty()).expect("a request");
        let answer = host.router().oneshot(look).await.expect("an answer");
        assert_eq!(answer.status(), code, "there is no such instance, if one may ask");
    }
    host.stop().await;
}
