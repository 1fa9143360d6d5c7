//! Clients that send halves of requests, and read nothing of their answers.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    http::{Request, Response},
};
use futures::{StreamExt as _, stream};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;

use crate::running::{Running, get, start};

const PAYLOAD_BYTES: usize = 400_000;

/// Room for two payloads on each connection.
async fn server() -> Running {
    let server = Running::with(|config| {
        config.limits.connection_bytes = 1 << 20;
        config.limits.body_seconds = 1;
    })
    .await;
    let mut request = start("a");
    request.input = Some("x".repeat(PAYLOAD_BYTES));
    server.client().await.start_instance(request).await.unwrap();
    server
}

/// A client that takes no bytes of any answer until they are read.
async fn client(server: &Running) -> SendRequest<Body> {
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (client, connection) = Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1)
        .handshake(stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// A message as it stands in a body: after a zero and its length.
fn framed(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), &message].concat()
}

async fn call(client: &mut SendRequest<Body>, rpc: &str, body: Body) -> Response<Incoming> {
    let request = Request::post(format!("http://127.0.0.1/TaskHubSidecarService/{rpc}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body);
    client.send_request(request.unwrap()).await.unwrap()
}

/// What an answer without a message says.
fn status(answer: &Response<Incoming>) -> Option<&str> {
    answer.headers().get("grpc-status").map(|status| status.to_str().unwrap())
}

#[tokio::test]
async fn answers_that_nobody_reads_have_a_bound_for_each_connection() {
    let server = server().await;
    let (mut greedy, mut other) = (client(&server).await, client(&server).await);
    let ask = || Body::from(framed(&get("a")));
    let first = call(&mut greedy, "GetInstance", ask()).await;
    let second = call(&mut greedy, "GetInstance", ask()).await;
    assert_eq!((status(&first), status(&second)), (None, None));
    let third = call(&mut greedy, "GetInstance", ask()).await;
    assert_eq!(status(&third), Some("8"), "resource exhausted");
    let why = third.headers()["grpc-message"].to_str().unwrap();
    assert!(why.contains("limits.connection_bytes"), "{why}");
    assert_eq!(status(&call(&mut other, "GetInstance", ask()).await), None, "another connection");
    drop(first);
    while status(&call(&mut greedy, "GetInstance", ask()).await).is_some() {
        tokio::task::yield_now().await;
    }
    drop(second);
    server.stop().await;
}

/// The first half of a message, and then nothing.
fn half() -> Body {
    let request = start("b").encode_to_vec();
    let length = u32::try_from(request.len() + 3 * PAYLOAD_BYTES).unwrap();
    let begun = [&[0][..], &length.to_be_bytes(), &request, &vec![b'x'; PAYLOAD_BYTES]].concat();
    let begun = stream::once(async { Ok::<_, Infallible>(Bytes::from(begun)) });
    Body::from_stream(begun.chain(stream::pending()))
}

#[tokio::test]
async fn halves_of_requests_have_a_bound_and_an_end() {
    let server = server().await;
    let mut greedy = client(&server).await;
    let halves = (0..3).map(|_| {
        let mut greedy = greedy.clone();
        tokio::spawn(async move { call(&mut greedy, "StartInstance", half()).await })
    });
    let mut codes = Vec::new();
    for half in halves.collect::<Vec<_>>() {
        codes.push(status(&half.await.unwrap()).map(ToOwned::to_owned));
    }
    codes.sort();
    let (aborted, exhausted) = (Some("10".to_owned()), Some("8".to_owned()));
    assert_eq!(codes, [aborted.clone(), aborted, exhausted]);
    let after = call(&mut greedy, "GetInstance", Body::from(framed(&get("b")))).await;
    assert_eq!(status(&after), None, "the connection is as good as before");
    server.stop().await;
}
