//! What a held request costs in memory.
//!
//! ```text
//! cargo run --release -p taskhub --example held -- 20000
//! ```
//!
//! The callers are a process of their own, so that the memory of this one is that of the host.

use std::{
    io::{self, BufRead as _, Write as _},
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use taskhub::{Embedded, management::Keys, prelude::*};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

const REPLY: Event<String> = Event::new("reply");

const API: &str = "/runtime/webhooks/durabletask";

/// Open files that are needed beside those of the requests.
const FILES_SPARED: usize = 200;

/// Connections that are made at the same time.
const AT_ONCE: usize = 200;

#[orchestration]
async fn hold(ctx: Context) -> Result<String> {
    ctx.event(REPLY).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["callers", address, count, request] => call(address, count.parse()?, request).await,
        ["host", kind, count] => host(kind, count.parse()?).await,
        [count] => measure(count.parse()?),
        _ => measure(20_000),
    }
}

/// What each kind of held request costs, each in a process of its own: what one leaves behind
/// would be there for the next.
fn measure(count: usize) -> Result<()> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(FILES_SPARED);
    if room < count {
        println!("this system allows {limit} open files per process: {room} requests are held");
    }
    for kind in ["gateway", "start-and-wait"] {
        let words = ["host", kind, &count.min(room).to_string()];
        let mut host = Command::new(std::env::current_exe()?).args(words).spawn()?;
        if !host.wait()?.success() {
            return Err(Failure::new("Host", "the host that was measured failed"));
        }
    }
    Ok(())
}

async fn host(kind: &str, count: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gateway = sync_over_async(hold).within(Duration::from_hours(1));
    let host = Host::builder().store(Embedded::open(folder.path())?).orchestration(hold);
    let host = host.route("/hold", get(gateway)).management_api(Keys::none()).build()?;
    let client = host.client().clone();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(host.serve_on(listener, async {
        let _ = stopped.await;
    }));
    let start = format!("POST {API}/orchestrators/hold?timeout=3600");
    let request = if kind == "gateway" { "GET /hold" } else { &*start };
    held(&client, address, 200, request).await?;
    let bytes = held(&client, address, count, request).await?;
    println!("{count} held requests, {kind}: {bytes} bytes each");
    let _ = stop.send(());
    Ok(serving.await??)
}

/// What each of so many requests adds to the memory of this process, in bytes.
async fn held(client: &Client, address: SocketAddr, count: usize, request: &str) -> Result<u64> {
    let before = resident();
    let words = ["callers", &address.to_string(), &count.to_string(), request];
    let mut callers = Command::new(std::env::current_exe()?);
    let callers = callers.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut callers = callers.spawn()?;
    let hub = client.hub().ok_or_else(|| Failure::new("Elsewhere", "the hub is not here"))?;
    while hub.held_requests() < count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = resident();
    drop(callers.stdin.take());
    callers.wait()?;
    while hub.held_requests() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(after.saturating_sub(before) / count.max(1) as u64)
}

/// The memory of this process that is in use, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    words.and_then(|word| word.parse::<u64>().ok()).unwrap_or_default() * 1_024
}

/// Holds so many requests open until the standard input ends.
async fn call(address: &str, count: usize, request: &str) -> Result<()> {
    let head = format!("{request} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        let mut opening = JoinSet::new();
        for _ in 0..AT_ONCE.min(count - open.len()) {
            let (address, head) = (address.to_owned(), head.clone());
            opening.spawn(async move {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(head.as_bytes()).await?;
                io::Result::Ok(stream)
            });
        }
        while let Some(opened) = opening.join_next().await {
            open.push(opened??);
        }
    }
    tokio::task::spawn_blocking(|| io::stdin().lock().read_line(&mut String::new())).await??;
    io::stdout().flush()?;
    Ok(())
}
