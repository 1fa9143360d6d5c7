//! The hub for tests of users: virtual time, restarts, and crashes at every turn boundary.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, http::Request};
use taskhub::{
    prelude::*,
    testing::{TestHub, chaos},
};
use tower::ServiceExt as _;

const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(24 * 365);
const GO: Event<u32> = Event::new("go");

type Count = Arc<AtomicU32>;

#[activity]
async fn count(State(count): State<Count>, wait: Duration) -> Result<u32> {
    tokio::time::sleep(wait).await;
    Ok(count.fetch_add(1, Ordering::Relaxed) + 1)
}

#[orchestration]
async fn counts(ctx: Context, wait: Duration) -> Result<(u32, u32)> {
    ctx.sleep(wait).await;
    let counted = ctx.call(count, wait).await?;
    Ok((counted, ctx.event(GO).await?))
}

#[orchestration]
async fn parent(ctx: Context) -> Result<u32> {
    let children = (0..3).map(|child| ctx.call(counts, HOUR).id(format!("child-{child}")));
    let ended = try_join_all(children).await?;
    Ok(ended.into_iter().map(|(_, went)| went).sum())
}

fn host(count: &Count) -> HostBuilder {
    Host::builder()
        .orchestration(counts)
        .orchestration(parent)
        .activity(self::count)
        .state(count.clone())
}

#[tokio::test(start_paused = true)]
async fn timers_and_activities_share_one_virtual_clock() {
    let hub = TestHub::new();
    let host = hub.open(host(&Count::default())).unwrap();
    let began = host.client().now();
    assert_eq!(began.to_string(), "2024-01-01T12:00:00.000000Z");
    let run = host.client().start(counts, HOUR).await.unwrap();
    tokio::time::sleep(HOUR * 2 + HOUR / 2).await;
    run.raise(GO, 7).await.unwrap();
    assert_eq!(run.wait(YEAR).await.unwrap(), (1, 7));
    let passed = host.client().now() - began;
    assert!(passed >= HOUR * 2 && passed < HOUR * 3, "{passed:?}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_is_there_when_the_hub_is_opened_again() {
    let (hub, count) = (TestHub::new(), Count::default());
    let first = hub.open(host(&count)).unwrap();
    first.client().start(counts, HOUR).id("it").await.unwrap();
    first.stop().await;
    tokio::time::sleep(HOUR * 5).await;
    let second = hub.open(host(&count)).unwrap();
    let run = second.client().instance("it").of(counts);
    run.raise(GO, 1).await.unwrap();
    assert_eq!(run.wait(YEAR).await.unwrap(), (1, 1));
    second.stop().await;
}

/// What it draws before it waits, and after.
#[orchestration]
async fn draws(ctx: Context) -> Result<Vec<String>> {
    let draw = || format!("{} {} {} {}", ctx.now(), ctx.uuid(), ctx.random(), ctx.uuid());
    let mut drawn = vec![draw()];
    ctx.set_custom_status(&drawn);
    ctx.event(GO).await?;
    drawn.push(draw());
    ctx.set_custom_status(&drawn);
    ctx.event(GO).await?;
    Ok(drawn)
}

#[tokio::test(start_paused = true)]
async fn time_ids_and_chance_are_the_same_in_every_life() {
    let hub = TestHub::new();
    let mut shown: Vec<Vec<String>> = Vec::new();
    for life in 0..2 {
        let host = hub.open(Host::builder().orchestration(draws)).unwrap();
        let run = host.client().start(draws, ()).id("it").join().await.unwrap();
        if life > 0 {
            run.raise(GO, 1).await.unwrap();
        }
        shown.extend(run.status().await.unwrap().custom_status().unwrap());
        host.stop().await;
        tokio::time::sleep(HOUR).await;
    }
    let host = hub.open(Host::builder().orchestration(draws)).unwrap();
    let run = host.client().instance("it").of(draws);
    run.raise(GO, 2).await.unwrap();
    let drawn = run.wait(HOUR).await.unwrap();
    host.stop().await;
    assert_eq!(shown, [drawn[..1].to_vec(), drawn.clone()]);
    let mut apart: Vec<_> = drawn.iter().flat_map(|it| it.split(' ')).collect();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), 8, "no two of them are alike: {drawn:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_terminates_at_its_deadline_in_virtual_time() {
    let hub = TestHub::new();
    let gateway = sync_over_async(counts).within(Duration::from_mins(1));
    let host = hub.open(host(&Count::default()).route("/counts", taskhub::prelude::post(gateway)));
    let host = host.unwrap();
    let began = hub.now();
    let body = serde_json::to_string(&HOUR).unwrap();
    let request = Request::post("/counts").header("content-type", "application/json");
    let request = request.body(Body::from(body)).unwrap();
    let response = host.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 500);
    let passed = hub.now() - began;
    assert!(passed.as_secs() == 60, "{passed:?}");
    host.stop().await;
}

async fn nightly(tick: Occurrence, State(count): State<Count>) -> Result<()> {
    let _ = tick;
    count.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_schedule_comes_due_in_virtual_time() {
    let (hub, count) = (TestHub::new(), Count::default());
    let host = hub.open(host(&count).schedule("0 0 0 * * *", nightly)).unwrap();
    tokio::time::sleep(HOUR * 24 * 7).await;
    assert_eq!(count.load(Ordering::Relaxed), 7);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_beside_any_commit_changes_no_outcome() {
    let outcome = chaos(async |hub| {
        let host = hub.open(host(&Count::default())).unwrap();
        let client = host.client();
        let run = client.start(parent, ()).id("parent").await.unwrap();
        tokio::time::sleep(HOUR * 4).await;
        for child in 0..3 {
            client.instance(format!("child-{child}")).raise(GO, 10 + child).await.unwrap();
        }
        run.wait(YEAR).await.unwrap()
    });
    assert_eq!(outcome.await, 33);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "where `it` writes ActivityFinished #1")]
async fn an_activity_that_counts_its_repetition_is_found_and_the_place_is_named() {
    chaos(async |hub| {
        let count = Count::default();
        let host = hub.open(host(&count)).unwrap();
        let run = host.client().start(counts, HOUR).id("it").await.unwrap();
        run.raise(GO, 1).await.unwrap();
        run.wait(YEAR).await.unwrap();
        count.load(Ordering::Relaxed)
    })
    .await;
}
