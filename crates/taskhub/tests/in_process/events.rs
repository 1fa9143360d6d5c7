//! Events: in which order they are taken, under which names, and for how long they are waited for.

use std::time::Duration;

use taskhub::{
    Host, HostBuilder,
    prelude::*,
    testing::{TestHub, chaos},
};

const HOUR: Duration = Duration::from_hours(1);
const ITEM: Event<u32> = Event::new("item");
const ITEM_SHOUTED: Event<u32> = Event::new("ITEM");
const OTHER: Event<u32> = Event::new("other");
const DONE: Event<()> = Event::new("done");

/// Takes so many items, and hours in which none came as a zero.
#[orchestration]
async fn takes(ctx: Context, count: usize) -> Result<Vec<u32>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(match ctx.event(ITEM).timeout(HOUR).await {
            Ok(item) => item,
            Err(late) if late.is_timeout() => 0,
            Err(other) => return Err(other),
        });
    }
    Ok(taken)
}

/// Does not look before all has come.
#[orchestration]
async fn takes_late(ctx: Context) -> Result<Vec<u32>> {
    ctx.event(DONE).await?;
    let mut taken = vec![ctx.event(OTHER).await?];
    for _ in 0..3 {
        taken.push(ctx.event(ITEM).await?);
    }
    Ok(taken)
}

/// Takes one item in each of three executions, none before all have come.
#[orchestration]
async fn rounds(ctx: Context, mut taken: Vec<u32>) -> Result<Vec<u32>> {
    if taken.is_empty() {
        ctx.event(DONE).await?;
    }
    taken.push(ctx.event(ITEM).await?);
    if taken.len() < 3 { ctx.continue_as_new(rounds, taken) } else { Ok(taken) }
}

/// Two who wait for the same name, asked from the last to the first.
#[orchestration]
async fn shares(ctx: Context) -> Result<(u32, u32)> {
    let (first, second) = (ctx.event(ITEM), ctx.event(ITEM));
    let (second, first) = futures::join!(second, first);
    Ok((first?, second?))
}

fn host() -> HostBuilder {
    Host::builder()
        .orchestration(takes)
        .orchestration(takes_late)
        .orchestration(shares)
        .orchestration(rounds)
}

#[tokio::test(start_paused = true)]
async fn events_of_one_name_are_taken_in_the_order_in_which_they_came() {
    chaos(async |test| {
        let host = test.open(host()).unwrap();
        let run = host.client().start(takes_late, ()).await.unwrap();
        for item in 1..=2 {
            run.raise(ITEM, item).await.unwrap();
        }
        run.raise(OTHER, 9).await.unwrap();
        run.raise(ITEM, 3).await.unwrap();
        run.raise(DONE, ()).await.unwrap();
        assert_eq!(run.wait(HOUR).await.unwrap(), [9, 1, 2, 3]);
        host.stop().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_name_is_the_same_in_capitals() {
    let host = TestHub::new().open(host()).unwrap();
    let run = host.client().start(takes, 2).await.unwrap();
    run.raise(ITEM_SHOUTED, 1).await.unwrap();
    run.raise_by_name("iTem", &2).await.unwrap();
    assert_eq!(run.wait(HOUR / 2).await.unwrap(), [1, 2]);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn so_it_is_before_the_start_and_after_continue_as_new() {
    chaos(async |test| {
        let host = test.open(host()).unwrap();
        let hub = host.client();
        hub.instance("it").raise_early(ITEM_SHOUTED, 1, HOUR).await.unwrap();
        let run = hub.start(rounds, Vec::new()).id("it").await.unwrap();
        for item in 2..=3 {
            run.raise(ITEM_SHOUTED, item).await.unwrap();
        }
        run.raise(DONE, ()).await.unwrap();
        assert_eq!(run.wait(HOUR / 2).await.unwrap(), [1, 2, 3]);
        host.stop().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_its_time_is_left_to_who_waits_next() {
    chaos(async |test| {
        let host = test.open(host()).unwrap();
        let run = host.client().start(takes, 3).id("it").await.unwrap();
        tokio::time::sleep(HOUR / 2).await;
        run.raise(ITEM, 1).await.unwrap();
        tokio::time::sleep(HOUR + HOUR / 2).await;
        run.raise(ITEM, 2).await.unwrap();
        assert_eq!(run.wait(HOUR).await.unwrap(), [1, 0, 2]);
        host.stop().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_event_goes_to_one_of_those_who_wait() {
    let host = TestHub::new().open(host()).unwrap();
    let run = host.client().start(shares, ()).await.unwrap();
    run.raise(ITEM, 1).await.unwrap();
    run.raise(ITEM, 2).await.unwrap();
    // Whose call stands first waits first, whoever is polled first.
    assert_eq!(run.wait(HOUR).await.unwrap(), (1, 2));
    host.stop().await;
}
