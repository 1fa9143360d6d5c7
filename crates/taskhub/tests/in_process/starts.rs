//! Starts under ids that somebody chose, whatever was said of the id before.

use std::time::Duration;

use taskhub::{MemoryStore, RuntimeStatus, StartError, prelude::*};

const GO: Event<()> = Event::new("go");

#[orchestration]
async fn waits(ctx: Context) -> Result<()> {
    ctx.event(GO).await
}

#[orchestration]
async fn ends(_ctx: Context) -> Result<()> {
    Ok(())
}

fn host(store: &MemoryStore) -> Host {
    let host = Host::builder().store(store.clone()).orchestration(waits).orchestration(ends);
    host.build().expect("nothing is missing")
}

/// A hub in which `a` and `b` have ended, as a new process knows it.
async fn two_ended() -> Host {
    let store = MemoryStore::new(1);
    let first = host(&store);
    for id in ["a", "b"] {
        let run = first.client().start(ends, ()).id(id).await.expect("it starts");
        run.wait(Duration::from_secs(10)).await.expect("it ends");
    }
    first.stop().await;
    host(&store)
}

#[tokio::test]
async fn an_id_that_is_given_after_a_fresh_one_was_asked_for_is_looked_up() {
    let host = two_ended().await;
    let hub = host.client();
    let other = hub.start(waits, ()).id("other").await.expect("it starts");
    hub.start(ends, ()).here().id("a").await.expect("what has ended is replaced");
    hub.instance("a").restart().new_id().id("b").await.expect("it is replaced too");
    let refused = hub.start(ends, ()).here().id("other").await;
    assert!(matches!(refused, Err(StartError::Exists(..))), "{refused:?}");
    let status = other.status().await.expect("it is there").status;
    assert_eq!(status, RuntimeStatus::Running, "nobody else is harmed");
    host.stop().await;
}

#[tokio::test]
async fn a_fresh_id_takes_the_place_of_one_that_was_given() {
    let host = two_ended().await;
    let hub = host.client();
    let here = hub.start(ends, ()).id("a").here().await.expect("it starts");
    assert_ne!(here.id().expect("it is one").as_str(), "a");
    host.stop().await;
}
