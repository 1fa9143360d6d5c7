//! What can be asked of an instance, in a whole hub in virtual time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use taskhub::{
    Host, HostBuilder, RewindError, RuntimeStatus, WaitError, prelude::*, testing::TestHub,
};

const DAY: Duration = Duration::from_hours(24);
const GO: Event<String> = Event::new("go");

/// What activities find, and do.
#[derive(Clone, Default)]
struct World {
    mended: Arc<AtomicBool>,
    charged: Arc<AtomicU32>,
    shipped: Arc<AtomicU32>,
}

#[activity]
async fn charge(State(world): State<World>) -> Result<()> {
    world.charged.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[activity(retry = Retry::exponential(3))]
async fn ship(State(world): State<World>, parcel: String) -> Result<String> {
    world.shipped.fetch_add(1, Ordering::Relaxed);
    if !world.mended.load(Ordering::Relaxed) {
        return Err(Failure::new("Down", "no carrier"));
    }
    Ok(format!("{parcel} is on its way"))
}

#[orchestration]
async fn parcel(ctx: Context, name: String) -> Result<String> {
    ctx.call(ship, name).timeout(DAY).await
}

#[orchestration]
async fn order(ctx: Context, name: String) -> Result<String> {
    ctx.call(charge, ()).await?;
    ctx.call(parcel, name).id("parcel").await
}

#[orchestration]
async fn waits(ctx: Context) -> Result<String> {
    ctx.event(GO).await
}

mod changed {
    use super::*;

    /// Ships before it charges.
    #[orchestration(name = "order")]
    pub(super) async fn order(ctx: Context, name: String) -> Result<String> {
        let shipped = ctx.call(parcel, name).await?;
        ctx.call(charge, ()).await?;
        Ok(shipped)
    }
}

fn host(world: &World) -> HostBuilder {
    Host::builder()
        .orchestration(order)
        .orchestration(parcel)
        .orchestration(waits)
        .activity(charge)
        .activity(ship)
        .state(world.clone())
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_first_turn_hears_of_it() {
    let (test, world) = (TestHub::new(), World::default());
    let host = test.open(host(&world)).unwrap();
    let hub = host.client();
    let began = hub.now();
    let run = hub.start(waits, ()).at(began + DAY).await.unwrap();
    let error = run.began(DAY / 2).await.unwrap_err();
    assert!(matches!(error, WaitError::Timeout(_)), "{error}");
    assert_eq!(run.began(DAY).await.unwrap().status, RuntimeStatus::Running);
    assert_eq!(hub.now() - began, DAY);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_failed_goes_on_with_its_children_and_does_nothing_twice() {
    let (test, world) = (TestHub::new(), World::default());
    let host = test.open(host(&world)).unwrap();
    let hub = host.client();
    let run = hub.start(order, "a book".to_owned()).await.unwrap();
    assert_eq!(run.ended(DAY).await.unwrap().status, RuntimeStatus::Failed);
    tokio::time::sleep(30 * DAY).await;
    world.mended.store(true, Ordering::Relaxed);
    run.rewind("the carrier is back").await.unwrap();
    assert_eq!(run.wait(DAY).await.unwrap(), "a book is on its way");
    assert_eq!(hub.instance("parcel").status().await.unwrap().status, RuntimeStatus::Completed);
    let counts = [&world.charged, &world.shipped].map(|it| it.load(Ordering::Relaxed));
    assert_eq!(counts, [1, 4], "three attempts failed, and the last of them was made again");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rewind_that_cannot_be_says_why() {
    let (test, world) = (TestHub::new(), World::default());
    let host = test.open(host(&world)).unwrap();
    let hub = host.client();
    let error = hub.instance("nobody").rewind("").await.unwrap_err();
    assert!(matches!(error, RewindError::NotFound(_)), "{error}");
    let run = hub.start(waits, ()).await.unwrap();
    let error = run.rewind("").await.unwrap_err();
    assert!(matches!(error, RewindError::NotFailed(_, RuntimeStatus::Running)), "{error}");
    let run = hub.start(order, "a book".to_owned()).id("a").await.unwrap();
    run.ended(DAY).await.unwrap();
    host.stop().await;

    let changed = Host::builder().orchestration(changed::order).orchestration(parcel);
    let host = test.open(changed.activity(charge).activity(ship).state(world)).unwrap();
    let error = host.client().instance("a").rewind("").await.unwrap_err();
    let RewindError::CannotRewind(_, why) = &error else { panic!("{error}") };
    assert!(why.contains("`charge`") && why.contains("`parcel`"), "{why}");
    let status = host.client().instance("a").status().await.unwrap().status;
    assert_eq!(status, RuntimeStatus::Failed);
    host.stop().await;
}
