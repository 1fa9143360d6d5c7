//! A hub and its management API on a free port, and a client for it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use hyper_util::rt::TokioIo;
use taskhub_core::{Answer, InstanceId, Limits, Verb};
use taskhub_engine::{Code, Hub, store::MemoryStore};
use taskhub_server::{HubName, Hubs, http::Management};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::functions::Here;

/// Where the API is.
pub(crate) const BASE: &str = "/runtime/webhooks/durabletask";

/// A running hub with its API.
pub(crate) struct Api {
    pub hub: Hub,
    pub address: SocketAddr,
    serving: JoinHandle<()>,
}

/// An answer, read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub code: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body with every point in time replaced by `TIME`.
    pub(crate) fn timeless(&self) -> String {
        let mut rest = self.body.as_str();
        let mut text = String::new();
        while let Some(place) = rest.find("\"20") {
            let (before, from) = rest.split_at(place + 1);
            let (value, after) = from.split_once('"').unwrap();
            let is_time = value.parse::<jiff::Timestamp>().is_ok();
            text.push_str(before);
            text.push_str(if is_time { "TIME" } else { value });
            text.push('"');
            rest = after;
        }
        text.push_str(rest);
        text
    }

    /// The value of a text in the body.
    pub(crate) fn field(&self, name: &str) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body[name].as_str().unwrap().to_owned()
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::start_with(|api| api).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(Management) -> Management) -> Self {
        let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
        // What hangs on purpose would be waited for in the end.
        let limits = Limits { drain_time_max: Duration::from_secs(1), ..Limits::default() };
        let hub = Hub::open(Arc::new(MemoryStore::new(4)), &code, limits).unwrap();
        let hubs = Hubs::with(HubName::parse("Test").unwrap(), hub.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = change(Management::new(hubs)).routes();
        let serving = tokio::spawn(async move {
            axum::serve(listener, routes).await.unwrap();
        });
        Self { hub, address, serving }
    }

    pub(crate) async fn stop(self) {
        self.serving.abort();
        self.hub.stop().await;
    }

    /// Sends a request for a path below the base.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Answered {
        self.send_with(method, path, body, &[("content-type", "application/json")]).await
    }

    pub(crate) async fn send_with(
        &self,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answered {
        let mut request = Request::builder().method(method).uri(format!("{BASE}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.request(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Sends a request as it is.
    pub(crate) async fn request(&self, mut request: Request<Body>) -> Answered {
        if !request.headers().contains_key("host") {
            request.headers_mut().insert("host", self.address.to_string().parse().unwrap());
        }
        let stream = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let response = client.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(Body::new(body), usize::MAX).await.unwrap();
        connection.abort();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answered { code: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send_with("GET", path, "", &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answered {
        self.send("POST", path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answered {
        self.send_with("DELETE", path, "", &[]).await
    }

    /// Starts an instance and waits until its first turn has run.
    pub(crate) async fn begin(&self, function: &str, id: &str) {
        let answer = self.post(&format!("/orchestrators/{function}/{id}"), "").await;
        assert_eq!(answer.code, StatusCode::ACCEPTED, "{answer:?}");
        while self.get(&format!("/instances/{id}")).await.field("runtimeStatus") == "Pending" {
            tokio::task::yield_now().await;
        }
    }

    /// Starts an instance and waits until it has ended.
    pub(crate) async fn finish(&self, function: &str, id: &str) {
        let answer = self.post(&format!("/orchestrators/{function}/{id}"), "").await;
        assert_eq!(answer.code, StatusCode::ACCEPTED, "{answer:?}");
        self.ended(id).await;
    }

    /// Waits until an instance has ended.
    pub(crate) async fn ended(&self, id: &str) {
        let ended = self.hub.ask(InstanceId::trusted(id), Verb::Wait).await;
        assert!(matches!(ended, Answer::Status(_)), "{ended:?}");
    }

    /// Waits until so many requests are held.
    pub(crate) async fn held(&self, count: usize) {
        let held = async {
            while self.hub.held_requests() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let held = tokio::time::timeout(Duration::from_mins(1), held).await;
        assert!(held.is_ok(), "{} are held, not {count}", self.hub.held_requests());
    }
}
