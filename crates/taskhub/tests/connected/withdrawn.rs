//! Activities in a worker elsewhere hear that nobody waits for them any more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::serving::Serving;
use taskhub::{Limits, prelude::*};

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(1);
const GO: Event<()> = Event::new("go");

/// How many runs began, how many were dropped, and how many heard that they are over.
#[derive(Clone, Default)]
struct Seen {
    began: Arc<AtomicU32>,
    dropped: Arc<AtomicU32>,
    heard: Arc<AtomicU32>,
}

struct Counts(Arc<AtomicU32>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

async fn reaches(counted: &AtomicU32, count: u32) {
    let reached = async {
        while counted.load(Ordering::Relaxed) < count {
            tokio::time::sleep(TICK).await;
        }
    };
    tokio::time::timeout(LONG, reached).await.expect("it is reached");
}

/// Never ends by itself.
#[activity]
async fn hangs(State(seen): State<Seen>, ctx: ActivityContext) -> Result<()> {
    let _counts = Counts(seen.dropped.clone());
    let (apart, heard) = (ctx.clone(), seen.heard.clone());
    tokio::spawn(async move {
        apart.cancelled().await;
        heard.fetch_add(1, Ordering::Relaxed);
    });
    seen.began.fetch_add(1, Ordering::Relaxed);
    std::future::pending().await
}

#[activity]
async fn answers() -> Result<u32> {
    Ok(42)
}

/// Gives the call up when it hears the event.
#[orchestration]
async fn waits(ctx: Context) -> Result<u32> {
    tokio::select! {
        ended = ctx.call(hangs, ()) => ended?,
        _ = ctx.event(GO) => {}
    }
    ctx.call(answers, ()).await
}

fn host(server: &Serving, seen: &Seen) -> Host {
    let limits = Limits { activity_slots: 1, ..Limits::default() };
    let host = Host::builder().orchestration(waits).activity(hangs).activity(answers);
    host.state(seen.clone()).limits(limits).connect(server.url()).build().expect("good")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_elsewhere_ends_when_its_call_is_dropped() {
    let (server, seen) = (Serving::start().await, Seen::default());
    let host = host(&server, &seen);
    let run = host.client().start(waits, ()).await.expect("started");
    reaches(&seen.began, 1).await;
    run.raise(GO, ()).await.expect("it waits");
    // There is room for one activity only: that one has ended.
    assert_eq!(run.wait(LONG).await, Ok(42));
    reaches(&seen.dropped, 1).await;
    reaches(&seen.heard, 1).await;
    host.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_elsewhere_ends_with_its_orchestration() {
    let (server, seen) = (Serving::start().await, Seen::default());
    let host = host(&server, &seen);
    let hub = host.client();
    let run = hub.start(waits, ()).await.expect("started");
    reaches(&seen.began, 1).await;
    run.terminate("enough").await.expect("it runs");
    reaches(&seen.heard, 1).await;
    let soon = std::time::SystemTime::now() + Duration::from_millis(200);
    hub.start(waits, ()).deadline(soon).await.expect("started");
    reaches(&seen.began, 2).await;
    reaches(&seen.heard, 2).await;
    assert_eq!(seen.dropped.load(Ordering::Relaxed), 2);
    host.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_out_before_the_server_restarted_ends_when_the_worker_is_back() {
    let (server, seen) = (Serving::start().await, Seen::default());
    let host = host(&server, &seen);
    let run = host.client().start(waits, ()).await.expect("started");
    reaches(&seen.began, 1).await;
    let server = server.stop().await.again().await;
    reaches(&seen.heard, 1).await;
    reaches(&seen.began, 2).await;
    run.raise(GO, ()).await.expect("it waits");
    assert_eq!(run.wait(LONG).await, Ok(42));
    host.stop().await;
    server.stop().await;
}
