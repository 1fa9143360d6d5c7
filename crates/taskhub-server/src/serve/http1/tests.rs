//! Requests that are held, over connections in memory and with a clock that does not run.

use axum::{Router, extract::Request, routing::any};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::serve::{Around, connection, front::Front, room::Room};

/// How long the route `/held` takes.
const LONG: Duration = Duration::from_mins(5);

/// Sent behind the others, so that each connection ends.
const LAST: &str = "GET /now HTTP/1.1\r\nconnection: close\r\n\r\n";

async fn echo(request: Request) -> Vec<u8> {
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
    [b"got ", &*body.unwrap_or_default()].concat()
}

fn connections() -> Arc<Connections> {
    let held = any(|request: Request| async {
        let answer = echo(request).await;
        tokio::time::sleep(LONG).await;
        answer
    });
    let routes = Router::new().route("/now", any(echo)).route("/held", held);
    Arc::new(Connections {
        front: Front::around(routes, true, &Around::default()),
        tls: None,
        permits: Arc::new(Semaphore::new(1)),
        http1: connection::http1(1 << 14),
        http2: connection::http2(1 << 14),
        coming: Room::new(1 << 20),
        going: Room::new(1 << 20),
        tracker: TaskTracker::new(),
        ending: CancellationToken::new(),
        cut: CancellationToken::new(),
    })
}

async fn open(connections: &Arc<Connections>, sent: &str) -> (DuplexStream, JoinHandle<()>) {
    let (mut client, server) = duplex(1 << 14);
    client.write_all(sent.as_bytes()).await.unwrap();
    let connections = connections.clone();
    let serving = tokio::spawn(async move {
        let stream = Steady::new(server, Duration::from_secs(30));
        let (_, stream) = FirstBytes::of(stream, Duration::from_secs(30)).await.unwrap();
        connections.speak_http1(stream).await;
    });
    (client, serving)
}

/// All that the client hears until the connection ends, without the times of day.
async fn heard(mut client: DuplexStream) -> String {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("date: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_held_is_answered_like_any_other() {
    for request in [
        "GET /PATH HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /PATH HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET /PATH HTTP/1.0\r\n\r\n",
        "GET /PATH HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
        "HEAD /PATH?a=b HTTP/1.1\r\nte: trailers\r\n\r\n",
        "POST /PATH HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello",
        "POST /PATH HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "PUT /PATH HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ] {
        let connections = connections();
        let told = async |path| {
            let sent = request.replace("/PATH", path);
            let (client, serving) = open(&connections, &format!("{sent}{LAST}")).await;
            let heard = heard(client).await;
            serving.await.unwrap();
            heard
        };
        let (now, begun) = (told("/now").await, Instant::now());
        assert_eq!(told("/held").await, now, "{request}");
        assert_eq!(begun.elapsed().as_secs(), LONG.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_request_is_held_is_answered_behind_it() {
    let (mut client, serving) = open(&connections(), "GET /held HTTP/1.1\r\n\r\n").await;
    tokio::time::sleep(LONG / 2).await;
    client.write_all(b"POST /now HTTP/1.1\r\nconte").await.unwrap();
    tokio::time::sleep(LONG / 4).await;
    client.write_all(b"nt-length: 2\r\n\r\nhi").await.unwrap();
    client.write_all(LAST.as_bytes()).await.unwrap();
    let heard = heard(client).await;
    let bodies: Vec<_> = heard.lines().filter(|line| line.starts_with("got")).collect();
    assert!(heard.contains("got HTTP/1.1 200 OK") && bodies.len() == 3, "{heard}");
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_ends_its_request_at_once() {
    for wait in [HELD_AFTER / 2, HELD_AFTER * 2, LONG / 2] {
        let (client, serving) = open(&connections(), "GET /held HTTP/1.1\r\n\r\n").await;
        tokio::time::sleep(wait).await;
        let gone = Instant::now();
        drop(client);
        serving.await.unwrap();
        assert_eq!(gone.elapsed(), Duration::ZERO, "after {wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_says_with_the_answer_that_it_was_the_last() {
    for wait in [HELD_AFTER / 2, HELD_AFTER * 2] {
        let connections = connections();
        let (client, serving) = open(&connections, "GET /held HTTP/1.1\r\n\r\n").await;
        tokio::time::sleep(wait).await;
        connections.ending.cancel();
        let heard = heard(client).await;
        assert!(heard.contains("connection: close") && heard.ends_with("got "), "{heard}");
        serving.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let (client, serving) = open(&connections(), "GET /now HTTP/1.1\r\nhost: slo").await;
    heard(client).await;
    serving.await.unwrap();
}
