//! W1, sync over async: GETs held open until another channel brings their replies.
//!
//! Every system pays the same two HTTP exchanges for one operation: the GET, and the POST of
//! its reply. Clients and repliers share this process with the server, or, where the system is a
//! server itself, with the code that it calls; loopback is between them either way.
use std::net::SocketAddr;
use std::time::Instant;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::http::Connection;
use crate::load::Tally;
use crate::{Api, Figures, Pace, Published, Result, System};

/// Yields `per_second`, `p50_ms` and `p99_ms`.
pub(crate) async fn run<S: System>(system: &S, clients: usize, pace: Pace) -> Result<Figures> {
    let (inboxes, repliers): (Vec<_>, Vec<_>) = (0..clients).map(|_| unbounded_channel()).unzip();
    let (server, hold, reply) = match system.weather(Published::to(inboxes)) {
        Api::Routes(app) => (serve(app).await?, "/api/weather?city=Berlin", ["/api/replies/", ""]),
        Api::Server { address, hold, reply } => (address, hold, reply),
    };

    // One after the other: a burst overflows the listener's queue, and who is turned away
    // there comes back a second later.
    let mut connections = Vec::new();
    for published in repliers {
        let (client, replier) = (Connection::open(server), Connection::open(server));
        connections.push((client.await?, replier.await?, published));
    }
    let tally = Tally::default();
    for (at_client, at_replier, published) in connections {
        tally.watch(|tally| client(at_client, hold, tally));
        tally.watch(|_| replier(at_replier, reply, published));
    }
    tally.figures(clients, pace).await
}

async fn serve(app: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(server)
}

async fn client(mut connection: Connection, path: &str, tally: Tally) -> Result<()> {
    loop {
        let began = Instant::now();
        let answer = connection.get(path).await?;
        if answer.status != 200 || answer.body != b"Sunny, 21 degrees" {
            let text = String::from_utf8_lossy(answer.body);
            return Err(format!("a GET was answered {}: {text}", answer.status).into());
        }
        tally.done(began);
    }
}

async fn replier(
    mut connection: Connection,
    [before, behind]: [&str; 2],
    mut published: UnboundedReceiver<String>,
) -> Result<()> {
    while let Some(id) = published.recv().await {
        let path = format!("{before}{id}{behind}");
        connection.post(&path, "Sunny, 21 degrees").await?.accepted()?;
    }
    Ok(())
}
