//! Functions that are connected to one node, at work for another one.

use std::{sync::Arc, time::Duration};

use crate::serving::Serving;
use taskhub::{Limits, RuntimeStatus, prelude::*};
use taskhub_core::Text;
use taskhub_server::{Config, HubName, Nodes};
use tokio::sync::{Notify, watch};

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);
const SECRET: &str = "a long random text";
const GO: Event<String> = Event::new("go");

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Purse {
    coins: i64,
}

#[entity]
impl Purse {
    async fn put(&mut self, coins: i64) -> Result<i64> {
        self.coins += coins;
        Ok(self.coins)
    }
}

#[activity]
async fn pack(State(gate): State<Arc<Notify>>, bytes: usize) -> Result<String> {
    gate.notified().await;
    gate.notify_one();
    Ok("x".repeat(bytes))
}

#[orchestration]
async fn sell(ctx: Context, bytes: usize) -> Result<(usize, i64, String)> {
    let mut packed = 0;
    for _ in 0..3 {
        packed += ctx.call(pack, bytes).await?.len();
    }
    let coins = ctx.entity::<Purse>("shop").call(Purse::put, 5).await?;
    Ok((packed, coins, ctx.event(GO).await?))
}

fn guarded(config: &mut Config) {
    config.cluster.secret = Some(SECRET.to_owned());
    config.tokens = vec!["for clients".to_owned()];
}

fn host(server: &Serving, gate: &Arc<Notify>, limits: Limits) -> Host {
    let remote = taskhub::Remote::at(server.url()).token("for clients");
    let host = Host::builder().orchestration(sell).activity(pack).entity::<Purse>();
    host.state(gate.clone()).limits(limits).connect(remote).build().expect("good")
}

fn client(server: &Serving) -> Client {
    Client::connect(taskhub::Remote::at(server.url()).token("for clients")).expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_workers_has_its_work_done_by_those_of_another_one() {
    let (busy, idle) = (Serving::with(guarded).await, Serving::with(guarded).await);
    let gate = Arc::new(Notify::new());
    gate.notify_one();
    // Code is not kept, so each turn is replayed from the history that came over two links.
    let limits = Limits { cache_bytes_max: 0, ..Limits::default() };
    let worker = host(&idle, &gate, limits);
    let nodes = Nodes::new(HubName::default(), SECRET);
    let (_tell, others) = watch::channel(vec![Text::from(busy.url())]);
    let lending = nodes.lend_to(&idle.hub().await, others);

    let hub = client(&busy);
    let run = hub.start(sell, 600_000).await.expect("started");
    run.raise(GO, "gone".to_owned()).await.expect("it waits");
    assert_eq!(run.wait(LONG).await, Ok((1_800_000, 5, "gone".to_owned())));
    // What stands for workers elsewhere is not lent on.
    assert!(busy.hub().await.lends().borrow().is_empty());
    drop(lending);
    worker.stop().await;
    busy.stop().await;
    idle.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lent_to_a_worker_that_is_lost_is_done_by_another() {
    let (busy, idle) = (Serving::with(guarded).await, Serving::with(guarded).await);
    let (closed, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    open.notify_one();
    let first = host(&idle, &closed, Limits::default());
    let nodes = Nodes::new(HubName::default(), SECRET);
    let (_tell, others) = watch::channel(vec![Text::from(busy.url())]);
    let _lending = nodes.lend_to(&idle.hub().await, others);
    let hub = client(&busy);
    let run = hub.start(sell, 1).await.expect("started");
    // The first activity is in the hand of the first worker.
    while idle.hub().await.workers().2 == 0
        || run.status().await.expect("it is there").status != RuntimeStatus::Running
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(first);
    let second = host(&idle, &open, Limits::default());
    run.raise(GO, "again".to_owned()).await.expect("it waits");
    assert_eq!(run.wait(LONG).await, Ok((3, 5, "again".to_owned())));
    second.stop().await;
    busy.stop().await;
    idle.stop().await;
}
