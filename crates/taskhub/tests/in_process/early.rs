//! Events that come before the instance, and starts that bring an event along.

use std::time::Duration;

use taskhub::{
    Filter, Host, HostBuilder, Limits, RaiseError, StartError, StatusError,
    prelude::*,
    testing::{TestHub, chaos},
};

const HOUR: Duration = Duration::from_hours(1);
const ITEM: Event<String> = Event::new("item");

/// Collects so many items.
#[orchestration]
async fn cart(ctx: Context, count: usize) -> Result<Vec<String>> {
    let mut items = Vec::new();
    while items.len() < count {
        items.push(ctx.event(ITEM).await?);
    }
    Ok(items)
}

/// Has a cart of its own, under an id that others know.
#[orchestration]
async fn shop(ctx: Context) -> Result<Vec<String>> {
    ctx.call(cart, 1).id("cart").await
}

fn host() -> HostBuilder {
    Host::builder().orchestration(cart).orchestration(shop)
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_before_the_start_is_kept_for_it() {
    chaos(async |test| {
        let host = test.open(host()).unwrap();
        let hub = host.client();
        let early = hub.instance("cart");
        early.raise_early(ITEM, "pen".to_owned(), HOUR).await.unwrap();
        early.raise_early(ITEM, "ink".to_owned(), 2 * HOUR).await.unwrap();
        tokio::time::sleep(HOUR + HOUR / 2).await;
        let run = hub.start(cart, 3).id("cart").await.unwrap();
        run.raise(ITEM, "cap".to_owned()).await.unwrap();
        assert_eq!(run.wait(HOUR).await.unwrap(), ["pen", "ink", "cap"]);
        host.stop().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_child_finds_what_came_before_it() {
    let host = TestHub::new().open(host()).unwrap();
    let hub = host.client();
    hub.instance("cart").raise_early(ITEM, "pen".to_owned(), HOUR).await.unwrap();
    let run = hub.start(shop, ()).await.unwrap();
    assert_eq!(run.wait(HOUR).await.unwrap(), ["pen"]);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_for_nobody_is_forgotten_when_its_time_is_over() {
    let host = TestHub::new().open(host()).unwrap();
    let hub = host.client();
    let early = hub.instance("cart");
    early.raise_early(ITEM, "pen".to_owned(), HOUR).await.unwrap();
    let nobody = early.status().await;
    assert!(matches!(nobody, Err(StatusError::NotFound(_))), "{nobody:?}");
    assert!(hub.list(Filter::new()).await.unwrap().instances.is_empty());
    let plain = early.raise(ITEM, "ink".to_owned()).await;
    assert!(matches!(plain, Err(RaiseError::NotFound(_))), "{plain:?}");
    tokio::time::sleep(HOUR).await;
    let run = hub.start(cart, 1).id("cart").await.unwrap();
    tokio::time::sleep(HOUR).await;
    run.raise(ITEM, "cap".to_owned()).await.unwrap();
    assert_eq!(run.wait(HOUR).await.unwrap(), ["cap"]);
    let late = early.raise_early(ITEM, "pen".to_owned(), HOUR).await;
    assert!(matches!(late, Err(RaiseError::Ended(..))), "{late:?}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn so_many_events_are_kept_for_nobody_and_no_more() {
    let limits = Limits { early_events_max: 2, ..Limits::default() };
    let host = TestHub::new().open(host().limits(limits)).unwrap();
    let early = host.client().instance("cart");
    for _ in 0..2 {
        early.raise_early(ITEM, "pen".to_owned(), HOUR).await.unwrap();
    }
    let refused = early.raise_early(ITEM, "ink".to_owned(), HOUR).await;
    assert!(matches!(refused, Err(RaiseError::Hub(_))), "{refused:?}");
    early.purge().await.unwrap();
    early.raise_early(ITEM, "ink".to_owned(), HOUR).await.unwrap();
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_are_kept_for_so_many_instances_and_no_more_also_after_a_restart() {
    // One for each partition.
    let limits = Limits { early_instances_max: 1, ..Limits::default() };
    let hub = TestHub::new();
    let mut host = hub.open(self::host().limits(limits.clone())).unwrap();
    let mut refused = Vec::new();
    for number in 0..200 {
        let early = host.client().instance(format!("cart{number}"));
        if let Err(why) = early.raise_early(ITEM, "pen".to_owned(), HOUR).await {
            assert!(why.to_string().contains("too many instances"), "{why}");
            refused.push(number);
        }
    }
    assert!((150..200).contains(&refused.len()), "{} of 200 are refused", refused.len());
    host.stop().await;

    host = hub.open(self::host().limits(limits)).unwrap();
    for number in &refused {
        let early = host.client().instance(format!("cart{number}"));
        early.raise_early(ITEM, "ink".to_owned(), HOUR).await.unwrap_err();
    }
    tokio::time::sleep(2 * HOUR).await;
    let early = host.client().instance(format!("cart{}", refused[0]));
    early.raise_early(ITEM, "cap".to_owned(), HOUR).await.unwrap();
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_of_several_starts_and_all_get_their_event_in() {
    chaos(async |test| {
        let host = test.open(host()).unwrap();
        let hub = host.client();
        for item in ["pen", "ink", "cap"] {
            hub.start(cart, 3).id("cart").raise(ITEM, item.to_owned()).await.unwrap();
        }
        let run = hub.instance("cart").of(cart);
        assert_eq!(run.wait(HOUR).await.unwrap(), ["pen", "ink", "cap"]);
        host.stop().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_replaced_by_a_start_with_an_event_or_refuses_it() {
    let host = TestHub::new().open(host()).unwrap();
    let hub = host.client();
    for item in ["pen", "ink"] {
        let run = hub.start(cart, 1).id("cart").raise(ITEM, item.to_owned()).await.unwrap();
        assert_eq!(run.wait(HOUR).await.unwrap(), [item]);
    }
    let refused = hub.start(cart, 1).id("cart").join().raise(ITEM, "cap".to_owned()).await;
    assert!(matches!(refused, Err(StartError::Ended(..))), "{refused:?}");
    host.stop().await;
}
