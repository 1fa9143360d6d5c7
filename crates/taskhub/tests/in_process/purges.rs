//! A purge with children: whom it takes along.

use std::time::Duration;

use taskhub::{StatusError, prelude::*, testing::TestHub};

const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);
const GO: Event<()> = Event::new("go");

#[orchestration]
async fn waits(ctx: Context) -> Result<()> {
    ctx.event(GO).await
}

#[orchestration]
async fn stumbles(_ctx: Context) -> Result<()> {
    panic!("it tips over")
}

/// Gives up two children, the first of them before it continues as new.
#[orchestration]
async fn careless(ctx: Context, second: bool) -> Result<()> {
    if second {
        tokio::select! {
            _ = ctx.call(stumbles, ()).id("parked") => {}
            () = ctx.sleep(MINUTE) => {}
        }
        return Ok(());
    }
    tokio::select! {
        _ = ctx.call(waits, ()).id("early") => {}
        () = ctx.sleep(MINUTE) => {}
    }
    ctx.continue_as_new(careless, true)
}

#[tokio::test(start_paused = true)]
async fn a_purge_takes_along_what_is_parked_and_what_was_called_before_a_new_execution() {
    let host = Host::builder().orchestration(careless).orchestration(waits);
    let host = TestHub::new().open(host.orchestration(stumbles)).unwrap();
    let hub = host.client();
    let run = hub.start(careless, false).await.unwrap();
    run.wait(DAY).await.unwrap();
    let early = hub.instance("early").of(waits);
    assert!(!early.status().await.unwrap().status.is_terminal());
    early.raise(GO, ()).await.unwrap();
    early.wait(DAY).await.unwrap();
    let parked = hub.instance("parked");
    assert!(parked.status().await.unwrap().stuck.is_some());

    run.purge().recursive().await.unwrap();
    for gone in [early.status().await.map(drop), parked.status().await.map(drop)] {
        assert!(matches!(gone, Err(StatusError::NotFound(_))), "{gone:?}");
    }
    host.stop().await;
}
