//! This hub in a `PostgreSQL` database, on nodes that are processes with a core of their own each.
use std::process::Stdio;

use bench_harness::{Place, Result, Steps};
use taskhub::prelude::Client;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::postgres::{balanced, serve};
use super::taskhub::{Hub, Setting, functions};

/// How many lanes a node has: on one core, more than one are of no use.
const LANES: u16 = 1;

/// So many nodes that share a hub, on the first cores of the machine. Clients ask them over gRPC.
#[derive(Debug)]
pub(crate) struct Pinned<const NODES: usize>;

impl<const NODES: usize> Setting for Pinned<NODES> {
    async fn open(place: &Place, _: Steps) -> Result<Hub> {
        let mut clients = Vec::new();
        for core in 0..NODES {
            clients.push(Client::connect(start(place, core).await?)?);
        }
        balanced(place, NODES).await?;
        Ok(Hub::at(clients))
    }
}

/// Starts a node on this core, which ends with this process; yields its address.
async fn start(place: &Place, core: usize) -> Result<String> {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(std::env::current_exe()?);
    command.arg("node").arg(&place.database).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = command.spawn()?;
    let mut address = String::new();
    let printed = node.stdout.take().ok_or("it was asked for")?;
    BufReader::new(printed).read_line(&mut address).await?;
    // What it waits for is that this end is closed: when this process ends.
    std::mem::forget(node.stdin.take());
    Ok(address.trim().to_owned())
}

/// What such a process does: it serves, says where, and ends with its standard input.
pub(crate) fn node(database: &str) -> ! {
    let runtime = tokio::runtime::Runtime::new().map_err(bench_harness::Error::from);
    let served = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = format!("http://{}", listener.local_addr()?);
            let host = functions(Steps::default()).workers();
            serve(host, database, listener, LANES)?;
            println!("{address}");
            tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
            Ok(())
        })
    });
    if let Err(error) = served {
        eprintln!("{error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}
