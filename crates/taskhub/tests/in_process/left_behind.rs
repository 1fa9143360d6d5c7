//! What becomes of children when nobody waits for them any more, in a whole hub in virtual time.

use std::time::Duration;

use taskhub::{
    Host, HostBuilder, PurgeError, RuntimeStatus, StatusError, prelude::*, testing::TestHub,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const GO: Event<()> = Event::new("go");

#[orchestration]
async fn child(ctx: Context) -> Result<()> {
    ctx.event(GO).await
}

/// Calls a child that takes too long, twice, under an id or without one.
#[orchestration]
async fn tries(ctx: Context, id: Option<String>) -> Result<()> {
    let call = ctx.call(child, ()).attempt_timeout(SECOND).retry(Retry::fixed(2, SECOND));
    match id {
        Some(id) => call.id(id).await,
        None => call.await,
    }
}

/// Has a child that ended, and falls over its own feet.
#[orchestration]
async fn stumbles(ctx: Context) -> Result<()> {
    ctx.call(child, ()).id("ended").await?;
    panic!("out of boxes")
}

fn host() -> HostBuilder {
    Host::builder().orchestration(child).orchestration(tries).orchestration(stumbles)
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_took_too_long_leaves_its_child_running() {
    let host = TestHub::new().open(host()).unwrap();
    let hub = host.client();
    let run = hub.start(tries, Some("child".to_owned())).await.unwrap();
    let why = run.wait(HOUR).await.unwrap_err().to_string();
    assert!(why.contains("child exists already and is Running"), "{why}");
    assert_eq!(hub.instance("child").status().await.unwrap().status, RuntimeStatus::Running);

    let run = hub.start(tries, None).await.unwrap();
    let why = run.wait(HOUR).await.unwrap_err().to_string();
    assert!(why.contains("took longer than 1s"), "{why}");
    let children = hub.list(Filter::new().status(RuntimeStatus::Running)).await;
    assert_eq!(children.unwrap().instances.len(), 3);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_parked_instance_is_purged_with_its_children() {
    let host = TestHub::new().open(host()).unwrap();
    let hub = host.client();
    let run = hub.start(stumbles, ()).await.unwrap();
    run.began(HOUR).await.unwrap();
    let lives = run.purge().recursive().await.unwrap_err();
    assert!(matches!(lives, PurgeError::NotEnded(..)), "{lives}");
    let ended = hub.instance("ended");
    ended.raise(GO, ()).await.unwrap();
    ended.ended(HOUR).await.unwrap();
    assert!(run.wait(SECOND).await.unwrap_err().to_string().contains("out of boxes"));
    run.purge().recursive().await.unwrap();
    for gone in [run.status().await, ended.status().await] {
        assert!(matches!(gone, Err(StatusError::NotFound(_))), "{gone:?}");
    }
    host.stop().await;
}
