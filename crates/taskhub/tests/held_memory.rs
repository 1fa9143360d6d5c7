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

/// How many are held, and how many of them come at the same time. Each is a connection with two
/// ends in this process.
const COUNT: usize = 1_500;
const AT_ONCE: usize = 100;

/// Longer than it takes until a request counts as held, and gives its buffers to the next ones.
const PAUSE: Duration = Duration::from_millis(150);

const BYTES_MAX: usize = 10 << 10;

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

/// Requests that are held, more and more of them. The client's ends take no memory here.
async fn hold_open(hub: &Hub, address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let before = hub.held_requests();
    let mut open = Vec::new();
    while open.len() < count {
        for _ in 0..AT_ONCE {
            let mut stream = TcpStream::connect(address).expect("the host listens");
            let request = b"GET /hold HTTP/1.1\r\nhost: localhost\r\n\r\n";
            stream.write_all(request).expect("the host takes it");
            open.push(stream);
        }
        while hub.held_requests() < before + open.len() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_request_costs_less_than_ten_kib() {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    assert!(limit > 3 * COUNT as u64, "only {limit} files may be open");
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

    // What there is once: caches of the store, and the buffers of those that come.
    let first = hold_open(&hub, address, 5 * AT_ONCE).await;
    let before = resident();
    let open = hold_open(&hub, address, COUNT).await;
    let each = resident().saturating_sub(before) / COUNT;
    println!("{each} bytes each");
    assert!(each < BYTES_MAX, "{each} bytes each");

    drop((first, open));
    while hub.held_requests() > 0 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
