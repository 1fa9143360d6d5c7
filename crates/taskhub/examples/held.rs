//! What a held request costs in memory, and whether management calls slow the engine.
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
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use taskhub::{MemoryStore, management::Keys, prelude::*};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

const REPLY: Event<String> = Event::new("reply");

const API: &str = "/runtime/webhooks/durabletask";

/// How long each phase of the second measurement lasts, and how many there are of each kind.
const PHASE: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

/// Callers of the engine, and management calls per second.
const STARTERS: usize = 64;
const CALLS_PER_SECOND: u64 = 200;

/// Connections that are made at the same time.
const AT_ONCE: usize = 200;

#[orchestration]
async fn hold(ctx: Context) -> Result<String> {
    ctx.event(REPLY).await
}

#[orchestration]
async fn echo(_ctx: Context, text: String) -> Result<String> {
    Ok(text)
}

#[tokio::main]
async fn main() -> Result<()> {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["callers", address, count, request] => call(address, count.parse()?, request).await,
        [count] => measure(count.parse()?).await,
        _ => measure(20_000).await,
    }
}

async fn measure(count: usize) -> Result<()> {
    let gateway = sync_over_async(hold).within(Duration::from_hours(1));
    let host = Host::builder().store(MemoryStore::new(4)).orchestration(hold).orchestration(echo);
    let host = host.route("/hold", get(gateway)).management_api(Keys::none()).build()?;
    let client = host.client().clone();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(host.serve_on(listener, async {
        let _ = stopped.await;
    }));

    held(&client, address, 200, "GET /hold").await?;
    let start = format!("POST {API}/orchestrators/hold?timeout=3600");
    for (what, request) in [("gateway", "GET /hold"), ("start and wait", &*start)] {
        let bytes = held(&client, address, count, request).await?;
        println!("{count} held requests, {what}: {bytes} bytes each");
    }
    slowed(&client, address).await?;
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

/// Compares what the engine does with and without management calls, in turns.
async fn slowed(client: &Client, address: SocketAddr) -> Result<()> {
    for number in 0..10_000 {
        client.start(echo, "x".to_owned()).id(format!("old-{number}")).await?;
    }
    let (mut alone, mut beside) = (0, 0);
    for _ in 0..ROUNDS {
        alone += work(client).await?;
        let calls = Calls::begin(address);
        beside += work(client).await?;
        calls.end().await;
    }
    let percent = beside * 100 / alone.max(1);
    println!(
        "beside {CALLS_PER_SECOND} management calls per second: {percent} % of the rate alone"
    );
    Ok(())
}

/// How many instances begin and end in one phase.
async fn work(client: &Client) -> Result<u64> {
    let until = Instant::now() + PHASE;
    let done = Arc::new(AtomicU64::new(0));
    let mut starters = JoinSet::<Result<()>>::new();
    for _ in 0..STARTERS {
        let (client, done) = (client.clone(), done.clone());
        starters.spawn(async move {
            while Instant::now() < until {
                let run = client.start(echo, "x".to_owned()).await?;
                run.wait(Duration::from_mins(1)).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    while let Some(ended) = starters.join_next().await {
        ended??;
    }
    Ok(done.load(Ordering::Relaxed))
}

/// Management calls at a steady rate, until they are ended.
struct Calls {
    over: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Calls {
    fn begin(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let task = tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(1_000 / CALLS_PER_SECOND));
            let mut number = 0_u64;
            while !ends.load(Ordering::Relaxed) {
                pace.tick().await;
                number += 1;
                let path = match number % 4 {
                    0 => format!("{API}/instances?top=100"),
                    1 => format!("{API}/instances?runtimeStatus=Running&instanceIdPrefix=old"),
                    _ => format!("{API}/instances/old-{}?showHistory=true", number % 10_000),
                };
                tokio::spawn(ask(address, path));
            }
        });
        Self { over, task }
    }

    async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.task.await;
    }
}

async fn ask(address: SocketAddr, path: String) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}
