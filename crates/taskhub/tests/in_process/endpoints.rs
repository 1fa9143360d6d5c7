//! Endpoints: where they are, who may use them, and what the document says of them.

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Path, State as Shared},
    http::Request,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskhub::{
    Endpoint, MemoryStore,
    management::{Keys, LimitsConfig},
    prelude::*,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt as _;
use utoipa::{IntoParams, ToSchema};

/// What a customer wants.
#[derive(Debug, Serialize, Deserialize, ToSchema, IntoParams)]
struct Order {
    /// How many cups.
    cups: u32,
}

/// What becomes of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct Receipt {
    order: Order,
    shop: String,
}

#[orchestration]
async fn sell(_ctx: Context, order: Order) -> Result<Receipt> {
    Ok(Receipt { order, shop: "north".to_owned() })
}

async fn place(
    Shared(hub): Shared<Client>,
    Path(shop): Path<String>,
    Json(order): Json<Order>,
) -> Json<Receipt> {
    let _ = hub;
    Json(Receipt { order, shop })
}

fn builder(keys: Keys) -> HostBuilder {
    Host::builder()
        .store(MemoryStore::new(1))
        .orchestration(sell)
        .keys(keys)
        .openapi("Cups", "1.2.3")
        .endpoint(Endpoint::get("hello", async || "hi").anonymous().gives::<String>("A word"))
        .endpoint(Endpoint::post("sell", sync_over_async(sell)).takes::<Order>())
        .endpoint(
            Endpoint::put("orders/{shop}", place)
                .summary("Place an order")
                .takes::<Order>()
                .gives::<Receipt>("It is placed"),
        )
        .endpoint(Endpoint::get("close", async || "closed").admin().query::<Order>())
}

fn host(keys: Keys) -> Host {
    builder(keys).build().expect("nothing is missing")
}

fn keys() -> (tempfile::TempDir, Keys) {
    let folder = tempfile::tempdir().expect("there is a place for it");
    let keys = Keys::open(folder.path()).expect("there are none yet");
    (folder, keys)
}

async fn ask(host: &Host, method: &str, path: &str, body: &'static str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json").body(Body::from(body));
    let answer = host.router().oneshot(request.expect("a request")).await.expect("an answer");
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn an_endpoint_asks_for_the_key_of_its_level() {
    let (_folder, keys) = keys();
    let of_sell = keys.create("default", Some("sell")).expect("it is new");
    let of_host = keys.create("default", None).expect("it is new");
    let master = keys.create("_master", None).expect("it is new");
    let host = host(keys);
    let sold = r#"{"order":{"cups":2},"shop":"north"}"#.to_owned();
    assert_eq!(ask(&host, "GET", "/api/hello", "").await, (200, "hi".to_owned()));
    assert_eq!(ask(&host, "POST", "/api/sell", r#"{"cups":2}"#).await.0, 401);
    for key in [&of_sell, &of_host, &master] {
        let path = format!("/api/sell?code={key}");
        assert_eq!(ask(&host, "POST", &path, r#"{"cups":2}"#).await, (200, sold.clone()));
    }
    let path = format!("/api/orders/south?code={of_sell}");
    assert_eq!(ask(&host, "PUT", &path, r#"{"cups":2}"#).await.0, 401);
    assert_eq!(ask(&host, "GET", &format!("/api/close?code={of_host}"), "").await.0, 401);
    assert_eq!(ask(&host, "GET", &format!("/api/close?code={master}"), "").await.0, 200);
    host.stop().await;
}

#[tokio::test]
async fn the_prefix_is_up_to_the_host() {
    for (prefix, path) in [("/v1", "/v1/hello"), ("v1/", "/v1/hello"), ("", "/hello")] {
        let host = builder(Keys::none()).prefix(prefix).build().expect("nothing is missing");
        assert_eq!(ask(&host, "GET", path, "").await.0, 200, "{prefix}");
        assert_eq!(ask(&host, "GET", "/api/hello", "").await.0, 404);
        host.stop().await;
    }
}

#[tokio::test]
async fn endpoints_describe_themselves() {
    let host = host(Keys::none());
    let (status, text) = ask(&host, "GET", "/openapi.json", "").await;
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "Cups");
    let paths = document["paths"].as_object().expect("there are some");
    assert!(paths.keys().eq(["/api/close", "/api/hello", "/api/orders/{shop}", "/api/sell"]));
    let order = &paths["/api/orders/{shop}"]["put"];
    assert_eq!(order["summary"], "Place an order");
    assert_eq!(order["parameters"][0]["name"], "shop");
    let receipt = &order["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(receipt["properties"]["order"]["$ref"], "#/components/schemas/Order");
    assert_eq!(document["components"]["schemas"]["Order"]["type"], "object");
    let word = &paths["/api/hello"]["get"]["responses"]["200"]["content"]["text/plain"];
    assert_eq!(word["schema"]["type"], "string");
    assert_eq!(paths["/api/close"]["get"]["parameters"][0]["name"], "cups");
    assert_eq!(paths["/api/hello"]["get"]["security"], serde_json::json!([]));
    let (status, text) = ask(&host, "GET", "/openapi.yaml", "").await;
    assert!(status == 200 && text.contains("title: Cups"), "{text}");
    assert_eq!(ask(&host, "GET", "/swagger/", "").await.0, 200);
    host.stop().await;
}

#[tokio::test]
async fn whoever_watches_an_application_is_answered() {
    let (_folder, keys) = keys();
    let key = keys.create("scraper", Some("metrics")).expect("it is new");
    let host = builder(keys).probes().build().expect("nothing is missing");
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/version", 200)] {
        assert_eq!(ask(&host, "GET", path, "").await.0, status, "{path}");
    }
    assert_eq!(ask(&host, "GET", "/metrics", "").await.0, 401);
    host.client().start(sell, Order { cups: 1 }).await.expect("it starts");
    let (status, text) = ask(&host, "GET", &format!("/metrics?code={key}"), "").await;
    let started = r#"taskhub_instances_started_total{hub="default"} 1"#;
    assert!(status == 200 && text.contains(started), "{text}");
    host.stop().await;
}

/// What is answered to these bytes, until the host ends the connection.
async fn raw(builder: HostBuilder, sent: &str) -> String {
    let host = builder.build().expect("nothing is missing");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it has one");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(host.serve_on(listener, async {
        let _ = stopped.await;
    }));
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(sent.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    stop.send(()).expect("it still serves");
    serving.await.expect("it ends").expect("it served");
    answer
}

/// Limits, all but one as usual.
fn limited(change: impl FnOnce(&mut LimitsConfig)) -> HostBuilder {
    let mut limits = LimitsConfig::default();
    change(&mut limits);
    builder(Keys::none()).http_limits(limits)
}

const HEAD: &str = "host: localhost\r\nconnection: close\r\n";

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let host = limited(|limits| limits.header_bytes = 8 << 10);
    let long = "x".repeat(16 << 10);
    let answer = raw(host, &format!("GET /api/hello HTTP/1.1\r\n{HEAD}a: {long}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") || answer.is_empty(), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let host = limited(|limits| limits.payload_bytes = 10);
    let body = r#"{"cups":1000000000}"#;
    let head = format!("POST /api/sell HTTP/1.1\r\n{HEAD}content-length: {}\r\n", body.len());
    let answer = raw(host, &format!("{head}\r\n{body}")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn too_many_requests_are_refused() {
    let host = limited(|limits| limits.calls = 0);
    let answer = raw(host, &format!("GET /api/hello HTTP/1.1\r\n{HEAD}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let host = limited(|limits| limits.request_seconds = 1);
    let forever = Endpoint::get("forever", std::future::pending::<&'static str>).anonymous();
    let host = host.endpoint(forever);
    let answer = raw(host, &format!("GET /api/forever HTTP/1.1\r\n{HEAD}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
}

#[tokio::test]
async fn a_slow_body_is_not_waited_for() {
    let host = limited(|limits| limits.body_seconds = 1);
    let head = format!("PUT /api/orders/x HTTP/1.1\r\n{HEAD}content-type: application/json\r\n");
    let answer = raw(host, &format!("{head}content-length: 100\r\n\r\n{{")).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let gateway = limited(|limits| limits.body_seconds = 1);
    let head = format!("POST /api/sell HTTP/1.1\r\n{HEAD}content-length: 100\r\n\r\n{{");
    let answer = raw(gateway, &head).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_seconds"), "{answer}");
}

#[tokio::test]
async fn browsers_hear_of_other_origins_only_when_one_is_named() {
    let ask = format!("GET /api/hello HTTP/1.1\r\n{HEAD}origin: https://shop.example\r\n\r\n");
    let told = "access-control-allow-origin: https://shop.example";
    assert!(!raw(builder(Keys::none()), &ask).await.contains(told));
    let named = builder(Keys::none()).origin("https://shop.example");
    let answer = raw(named, &ask).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(told), "{answer}");
}
