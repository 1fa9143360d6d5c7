//! What a request costs while it is held. The only test of its process, whose memory it reads.
#![cfg(target_os = "linux")]

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use taskhub::{management::Keys, prelude::*};
use taskhub_engine::Hub;
use tokio::{net::TcpListener, sync::oneshot};

/// How many of each kind are held, and how many of them come at the same time. Over HTTP/1 each is
/// a connection with two ends in this process.
const COUNT: usize = 1_500;
const AT_ONCE: usize = 100;

/// How many are held before anything counts.
const FIRST: usize = 5 * AT_ONCE;

/// Longer than it takes until a request counts as held, and gives its buffers to the next ones.
const PAUSE: Duration = Duration::from_millis(150);

const BYTES_MAX: usize = 10 << 10;

const START: &str = "/runtime/webhooks/durabletask/orchestrators/hold?timeout=3600";

#[orchestration]
async fn hold(ctx: Context) -> Result<String> {
    ctx.event(Event::<String>::new("reply")).await
}

/// The memory of this process that is in use, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.expect("it is a number") << 10
}

/// So many requests of HTTP/1, each on a connection of its own. The client's ends take no memory
/// here.
fn send_http1(address: SocketAddr, (method, path): (&str, &str), count: usize) -> Vec<TcpStream> {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    let open = (0..count).map(|_| {
        let mut stream = TcpStream::connect(address).expect("the host listens");
        stream.write_all(head.as_bytes()).expect("the host takes it");
        stream
    });
    open.collect()
}

/// So many requests on one connection of HTTP/2, written byte by byte: a library would take memory.
fn send_http2(address: SocketAddr, (method, path): (&str, &str), count: usize) -> Vec<TcpStream> {
    let mut head = vec![if method == "GET" { 0x82 } else { 0x83 }, 0x86, 0x01, 9];
    head.extend(b"localhost");
    head.extend([0x04, u8::try_from(path.len()).expect("it is short")]);
    head.extend(path.as_bytes());
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]); // Settings: none.
    for stream in (1_u32..).step_by(2).take(count) {
        sent.extend([0, 0, u8::try_from(head.len()).expect("it is short"), 1, 5]);
        sent.extend(stream.to_be_bytes());
        sent.extend(&head);
    }
    let mut stream = TcpStream::connect(address).expect("the host listens");
    stream.write_all(&sent).expect("the host takes it");
    vec![stream]
}

type Send = fn(SocketAddr, (&str, &str), usize) -> Vec<TcpStream>;

/// Holds more and more requests, until there are so many more.
async fn hold_open(hub: &Hub, count: usize, send: impl Fn() -> Vec<TcpStream>) -> Vec<TcpStream> {
    let before = hub.held_requests();
    let mut open = Vec::new();
    for all in (AT_ONCE..=count).step_by(AT_ONCE) {
        open.extend(send());
        while hub.held_requests() < before + all {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_request_costs_less_than_ten_kib() {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    assert!(limit > 9_000, "only {limit} files may be open");
    let folder = tempfile::tempdir().unwrap();
    let gateway = sync_over_async(hold).within(Duration::from_hours(1));
    let host = Host::builder().store(Embedded::open(folder.path()).unwrap()).orchestration(hold);
    let host = host.route("/hold", get(gateway)).management_api(Keys::none()).build().unwrap();
    let hub = host.client().hub().unwrap().clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(host.serve_on(listener, async {
        let _ = stopped.await;
    }));

    // Those of one kind stay while the next are counted: what they gave back would be taken again.
    let mut open = Vec::new();
    let protocols: [(&str, Send); 2] = [("HTTP/1", send_http1), ("HTTP/2", send_http2)];
    for (protocol, send) in protocols {
        for asked in [("GET", "/hold"), ("POST", START)] {
            let send = || send(address, asked, AT_ONCE);
            // What there is once: caches of the store, and the buffers of those that come.
            open.extend(hold_open(&hub, FIRST, send).await);
            let before = resident();
            open.extend(hold_open(&hub, COUNT, send).await);
            let each = resident().saturating_sub(before) / COUNT;
            println!("{protocol} {asked:?}: {each} bytes each");
            assert!(each < BYTES_MAX, "{protocol} {asked:?}: {each} bytes each");
        }
    }

    drop(open);
    while hub.held_requests() > 0 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
