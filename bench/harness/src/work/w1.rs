//! W1, sync over async: GETs held open until another channel brings their replies.
//!
//! Every system pays the same two HTTP exchanges for one operation: the GET, and the POST of
//! its reply. Clients, repliers and server share this process and its loopback.
use std::time::Instant;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::http::Connection;
use crate::load::Tally;
use crate::{Figures, Pace, Published, Result, System};

/// Yields `per_second`, `p50_ms` and `p99_ms`.
pub(crate) async fn run<S: System>(system: &S, clients: usize, pace: Pace) -> Result<Figures> {
    let (inboxes, repliers): (Vec<_>, Vec<_>) = (0..clients).map(|_| unbounded_channel()).unzip();
    let app = system.weather(Published::to(inboxes));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, app).await });

    // One after the other: a burst overflows the listener's queue, and who is turned away
    // there comes back a second later.
    let mut connections = Vec::new();
    for published in repliers {
        let (client, replier) = (Connection::open(server), Connection::open(server));
        connections.push((client.await?, replier.await?, published));
    }
    let tally = Tally::default();
    for (at_client, at_replier, published) in connections {
        tally.watch(|tally| client(at_client, tally));
        tally.watch(|_| replier(at_replier, published));
    }
    tally.figures(clients, pace).await
}

async fn client(mut connection: Connection, tally: Tally) -> Result<()> {
    loop {
        let began = Instant::now();
        let answer = connection.get("/api/weather?city=Berlin").await?;
        if answer.status != 200 || answer.body != b"Sunny, 21 degrees" {
            let text = String::from_utf8_lossy(answer.body);
            return Err(format!("a GET was answered {}: {text}", answer.status).into());
        }
        tally.done(began);
    }
}

async fn replier(
    mut connection: Connection,
    mut published: UnboundedReceiver<String>,
) -> Result<()> {
    while let Some(id) = published.recv().await {
        let path = format!("/api/replies/{id}");
        let answer = connection.post(&path, "Sunny, 21 degrees").await?;
        if !(200..300).contains(&answer.status) {
            let text = String::from_utf8_lossy(answer.body);
            return Err(format!("a reply was answered {}: {text}", answer.status).into());
        }
    }
    Ok(())
}
