//! This hub with somebody who looks at it: management calls at a steady rate beside the work.
use std::net::SocketAddr;
use std::time::Duration;

use bench_harness::{Job, Place, Result, Steps};
use taskhub::management::Keys;
use taskhub::prelude::Embedded;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::taskhub::{Hub, Setting, functions};

const CALLS_PER_SECOND: u64 = 200;

/// Instances that have ended, to look at.
const OLD: u64 = 1_000;

const API: &str = "/runtime/webhooks/durabletask";

/// The hub, its management API on a port of its own, and who calls it: all in this process.
#[derive(Debug)]
pub(crate) struct Managed;

impl Setting for Managed {
    async fn open(place: &Place, steps: Steps) -> Result<Hub> {
        let (store, keys) = (Embedded::open(&place.folder)?, Keys::open(&place.folder)?);
        let key = keys.create("_master", None)?;
        // What the old ones do is no part of the work.
        let hub = Hub::on(functions(steps).store(store).management_api(keys).build()?);
        for number in 0..OLD {
            hub.start(&format!("old-{number}"), Job::Chain(0)).await?;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let routes = hub.routes();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        tokio::spawn(look(address, key));
        Ok(hub)
    }
}

/// Asks for lists, for those that run, and for single ones with their histories.
async fn look(address: SocketAddr, key: String) {
    let mut pace = tokio::time::interval(Duration::from_millis(1_000 / CALLS_PER_SECOND));
    for number in 0_u64.. {
        pace.tick().await;
        let path = match number % 4 {
            0 => "instances?top=100".to_owned(),
            1 => "instances?runtimeStatus=Running&top=100".to_owned(),
            _ => format!("instances/old-{}?showHistory=true", number % OLD),
        };
        tokio::spawn(ask(address, format!("GET {API}/{path} HTTP/1.1\r\nx-functions-key: {key}")));
    }
}

async fn ask(address: SocketAddr, head: String) {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("{head}\r\nhost: bench\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    match asked.await {
        Ok(answer) if answer.starts_with(b"HTTP/1.1 200") => {}
        Ok(answer) => eprintln!("a call was refused: {}", String::from_utf8_lossy(&answer)),
        Err(error) => eprintln!("a call failed: {error}"),
    }
}
