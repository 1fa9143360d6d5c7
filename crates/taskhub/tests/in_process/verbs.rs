//! What can be asked of an instance, in a whole hub in virtual time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use taskhub::{
    Host, HostBuilder, PurgeError, RestartError, RewindError, RuntimeStatus, StartError,
    StatusError, WaitError, prelude::*, testing::TestHub,
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

/// Notes what comes, as it comes: an event, the end of an hour, another event.
#[orchestration]
async fn listens(ctx: Context) -> Result<Vec<String>> {
    let mut heard = Vec::new();
    let mut hour = std::pin::pin!(ctx.sleep(DAY / 24));
    while heard.len() < 3 {
        heard.push(tokio::select! {
            said = ctx.event(GO) => said?,
            () = &mut hour, if !heard.contains(&"ding".to_owned()) => "ding".to_owned(),
        });
    }
    Ok(heard)
}

mod changed {
    use super::*;

    #[orchestration(name = "tips")]
    pub(super) async fn tips(ctx: Context) -> Result<String> {
        ctx.call(charge, ()).await?;
        Ok("it stands".to_owned())
    }

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
        .orchestration(listens)
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
async fn a_start_for_later_keeps_what_comes_and_can_be_called_off() {
    let (test, world) = (TestHub::new(), World::default());
    let mut host = test.open(self::host(&world)).unwrap();
    let hub = host.client();
    let (off, at) = (hub.now() + DAY, hub.now() + 3 * DAY);
    hub.start(waits, ()).id("off").at(off).await.unwrap();
    hub.start(waits, ()).id("on").at(at).await.unwrap();
    hub.instance("on").raise(GO, "early".to_owned()).await.unwrap();
    hub.instance("off").terminate("not needed").await.unwrap();
    let called_off = hub.instance("off").status().await.unwrap();
    assert_eq!(called_off.status, RuntimeStatus::Terminated);
    host.stop().await;
    tokio::time::sleep(DAY).await;

    host = test.open(self::host(&world)).unwrap();
    let run = host.client().instance("on").of(waits);
    assert_eq!(run.status().await.unwrap().status, RuntimeStatus::Pending);
    assert_eq!(run.wait(3 * DAY).await.unwrap(), "early");
    assert_eq!(host.client().now(), at);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_id_in_use_is_replaced_refused_or_joined_as_the_start_says() {
    let (test, world) = (TestHub::new(), World::default());
    let host = test.open(host(&world)).unwrap();
    let hub = host.client();
    let execution = async || hub.instance("w").status().await.unwrap().created_at;
    hub.start(waits, ()).id("w").await.unwrap();
    let first = execution().await;
    tokio::time::sleep(DAY).await;
    let refused = hub.start(waits, ()).id("w").replace([RuntimeStatus::Failed]).await;
    assert!(matches!(refused, Err(StartError::Exists(_, RuntimeStatus::Running))), "{refused:?}");
    hub.start(waits, ()).id("w").join().await.unwrap();
    assert_eq!(execution().await, first);

    let running = hub.start(waits, ()).id("w").replace([RuntimeStatus::Running]).await.unwrap();
    assert_eq!(execution().await, hub.now());
    running.raise(GO, "go".to_owned()).await.unwrap();
    assert_eq!(running.wait(DAY).await.unwrap(), "go");
    let second = execution().await;
    tokio::time::sleep(DAY).await;
    let refused = hub.start(waits, ()).id("w").replace([RuntimeStatus::Failed]).await;
    let completed = RuntimeStatus::Completed;
    assert!(matches!(refused, Err(StartError::Exists(_, it)) if it == completed), "{refused:?}");
    hub.start(waits, ()).id("w").join().await.unwrap();
    assert_eq!(execution().await, second);
    hub.start(waits, ()).id("w").await.unwrap();
    assert_eq!(hub.instance("w").status().await.unwrap().status, RuntimeStatus::Running);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_it_is_suspended_waits_and_is_taken_in_that_order() {
    let (test, world) = (TestHub::new(), World::default());
    let mut host = test.open(self::host(&world)).unwrap();
    let run = host.client().start(listens, ()).id("ear").await.unwrap();
    run.suspend("hush").await.unwrap();
    run.raise(GO, "first".to_owned()).await.unwrap();
    tokio::time::sleep(DAY).await;
    host.stop().await;
    host = test.open(self::host(&world)).unwrap();
    let run = host.client().instance("ear").of(listens);
    run.raise(GO, "last".to_owned()).await.unwrap();
    assert_eq!(run.status().await.unwrap().status, RuntimeStatus::Suspended);
    run.resume("speak").await.unwrap();
    assert_eq!(run.wait(DAY).await.unwrap(), ["first", "ding", "last"]);
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

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_started_again_as_it_was() {
    let (test, world) = (TestHub::new(), World::default());
    let host = test.open(host(&world)).unwrap();
    let hub = host.client();
    let first = hub.start(waits, ()).id("w").version("2").tag("shop", "north").await.unwrap();
    let error = first.restart().await.unwrap_err();
    assert!(matches!(error, RestartError::NotEnded(_, RuntimeStatus::Running)), "{error}");
    let beside = first.restart().new_id().await.unwrap();
    assert_ne!(beside.id().unwrap(), first.id().unwrap());
    first.raise(GO, "one".to_owned()).await.unwrap();
    assert_eq!(first.wait(DAY).await.unwrap(), "one");

    let same: InstanceRef<waits> = first.restart().await.unwrap();
    let status = same.status().await.unwrap();
    assert_eq!((status.status, status.version.as_deref()), (RuntimeStatus::Running, Some("2")));
    assert_eq!(status.tags["shop"].as_ref(), "north");
    same.terminate("enough").await.unwrap();

    let other = same.restart().new_id().await.unwrap();
    assert_ne!(other.id().unwrap().as_str(), "w");
    other.raise(GO, "two".to_owned()).await.unwrap();
    assert_eq!(other.wait(DAY).await.unwrap(), "two");
    assert_eq!(same.status().await.unwrap().status, RuntimeStatus::Terminated);

    let busy = hub.start(waits, ()).id("busy").await.unwrap();
    let error = same.restart().id("busy").await.unwrap_err();
    assert!(matches!(error, RestartError::Exists(..)), "{error}");
    busy.terminate("").await.unwrap();
    assert_eq!(same.restart().id("busy").await.unwrap().id().unwrap().as_str(), "busy");
    let error = hub.instance("nobody").restart().await.unwrap_err();
    assert!(matches!(error, RestartError::NotFound(_)), "{error}");
    host.stop().await;
}

#[orchestration]
async fn family(ctx: Context, depth: u32) -> Result<()> {
    if depth > 0 {
        let id = format!("child-{depth}");
        return ctx.call(family, depth - 1).id(id).await;
    }
    Ok(())
}

/// Waits in its youngest.
#[orchestration]
async fn ancestor(ctx: Context, depth: u32) -> Result<String> {
    match depth {
        0 => ctx.event(GO).await,
        _ => ctx.call(ancestor, depth - 1).id(format!("heir-{depth}")).await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_termination_takes_children_along_where_that_is_asked_for() {
    let (test, world) = (TestHub::new(), World::default());
    let host = test.open(host(&world).orchestration(ancestor)).unwrap();
    let hub = host.client();
    let heirs = [1, 2].map(|depth| hub.instance(format!("heir-{depth}")).of(ancestor));
    let run = hub.start(ancestor, 2).await.unwrap();
    heirs[0].began(DAY).await.unwrap();
    run.terminate("enough").await.unwrap();
    for heir in &heirs {
        assert_eq!(heir.status().await.unwrap().status, RuntimeStatus::Running);
    }
    for heir in heirs.iter().rev() {
        heir.terminate("").await.unwrap();
    }

    let run = hub.start(ancestor, 2).await.unwrap();
    heirs[0].began(DAY).await.unwrap();
    run.terminate("all of you").recursive().await.unwrap();
    for heir in &heirs {
        let ended = heir.wait(DAY).await.unwrap_err();
        assert!(matches!(ended, WaitError::Terminated(_)), "{ended}");
    }
    host.stop().await;
}

/// Has a child that others know, and says what became of it.
#[orchestration]
async fn guardian(ctx: Context) -> Result<String> {
    let ended = ctx.call(waits, ()).id("ward").await;
    Ok(ended.unwrap_or_else(|failure| format!("{}, {failure}", failure.kind())))
}

#[tokio::test(start_paused = true)]
async fn a_parent_hears_that_its_child_was_terminated() {
    let (test, world) = (TestHub::new(), World::default());
    let host = test.open(host(&world).orchestration(guardian)).unwrap();
    let run = host.client().start(guardian, ()).await.unwrap();
    let ward = host.client().instance("ward").of(waits);
    ward.began(DAY).await.unwrap();
    ward.terminate("enough").await.unwrap();
    let told = "Terminated, the orchestration was terminated: enough";
    assert_eq!(run.wait(DAY).await.unwrap(), told);
    host.stop().await;
}

#[orchestration]
async fn tips(ctx: Context) -> Result<String> {
    ctx.call(charge, ()).await?;
    panic!("it tips over")
}

#[tokio::test(start_paused = true)]
async fn what_panicked_goes_on_when_its_code_is_mended() {
    let (test, world) = (TestHub::new(), World::default());
    let broken = test.open(host(&world).orchestration(tips)).unwrap();
    let run = broken.client().start(tips, ()).id("t").await.unwrap();
    let parked = run.wait(DAY).await.unwrap_err();
    assert!(matches!(&parked, WaitError::Parked(why) if why.contains("it tips over")), "{parked}");
    broken.stop().await;
    let mended = test.open(host(&world).orchestration(changed::tips)).unwrap();
    let run = mended.client().instance("t").of(changed::tips);
    assert_eq!(run.wait(DAY).await.unwrap(), "it stands");
    assert_eq!(world.charged.load(Ordering::Relaxed), 1);
    mended.stop().await;
}

#[orchestration]
async fn guest(ctx: Context) -> Result<()> {
    // The id belongs to somebody else: the call fails.
    let _ = ctx.call(waits, ()).id("host").await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_purge_takes_children_along_and_nobody_else() {
    let (test, world) = (TestHub::new(), World::default());
    let host = test.open(host(&world).orchestration(family).orchestration(guest)).unwrap();
    let hub = host.client();
    let run = hub.start(family, 3).await.unwrap();
    run.wait(DAY).await.unwrap();
    run.purge().recursive().await.unwrap();
    for depth in 1..=3 {
        let gone = hub.instance(format!("child-{depth}")).status().await;
        assert!(matches!(gone, Err(StatusError::NotFound(_))), "{gone:?}");
    }
    let gone = run.purge().recursive().await;
    assert!(matches!(gone, Err(PurgeError::NotFound(_))), "{gone:?}");

    let other = hub.start(waits, ()).id("host").await.unwrap();
    let run = hub.start(guest, ()).await.unwrap();
    run.wait(DAY).await.unwrap();
    other.terminate("").await.unwrap();
    run.purge().recursive().await.unwrap();
    assert!(other.status().await.is_ok());

    let run = hub.start(waits, ()).await.unwrap();
    let error = run.purge().recursive().await.unwrap_err();
    assert!(matches!(error, PurgeError::NotEnded(..)), "{error}");
    host.stop().await;
}
