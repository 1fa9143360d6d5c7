//! Code that changes while instances of it run: versions of changes, and of functions.

use std::time::Duration;

use taskhub::{
    Host, HostBuilder, RuntimeStatus, Versions, WaitError, prelude::*, testing::TestHub,
};

const DAY: Duration = Duration::from_hours(24);
const GO: Event<()> = Event::new("go");

#[activity]
async fn step(name: String) -> Result<String> {
    Ok(name)
}

/// What was deployed first.
mod first {
    use super::*;

    #[orchestration(name = "order")]
    pub(super) async fn order(ctx: Context) -> Result<String> {
        let charged = ctx.call(step, "charge".to_owned()).await?;
        ctx.event(GO).await?;
        Ok(charged)
    }
}

/// Reserves first, and ships at the end.
mod second {
    use super::*;

    #[orchestration(name = "order")]
    pub(super) async fn order(ctx: Context) -> Result<String> {
        let mut done = String::new();
        if ctx.version("reserve", 0..=1) == 1 {
            done += &ctx.call(step, "reserve, ".to_owned()).await?;
        }
        done += &ctx.call(step, "charge".to_owned()).await?;
        ctx.event(GO).await?;
        if ctx.version("ship", 0..=1) == 1 {
            done += &ctx.call(step, ", ship".to_owned()).await?;
        }
        Ok(done)
    }
}

/// Knows only those that reserve first, and does not ask whether to ship.
mod third {
    use super::*;

    #[orchestration(name = "order")]
    pub(super) async fn order(ctx: Context) -> Result<String> {
        let _ = ctx.version("reserve", 1..=1);
        let mut done = ctx.call(step, "reserve, ".to_owned()).await?;
        done += &ctx.call(step, "charge".to_owned()).await?;
        ctx.event(GO).await?;
        done += &ctx.call(step, ", ship".to_owned()).await?;
        Ok(done)
    }
}

fn host() -> HostBuilder {
    Host::builder().activity(step)
}

#[tokio::test(start_paused = true)]
async fn running_instances_go_on_as_they_began_and_new_ones_have_the_change() {
    let test = TestHub::new();
    let host_1 = test.open(host().orchestration(first::order)).unwrap();
    host_1.client().start(first::order, ()).id("old").await.unwrap();
    tokio::time::sleep(DAY).await;
    host_1.stop().await;

    let host_2 = test.open(host().orchestration(second::order)).unwrap();
    let hub = host_2.client();
    hub.start(second::order, ()).id("new").await.unwrap();
    hub.instance("old").raise(GO, ()).await.unwrap();
    let old = hub.instance("old").of(second::order).wait(DAY).await.unwrap();
    // It had not come to the second change when there was none.
    assert_eq!(old, "charge, ship");
    host_2.stop().await;

    let host_2 = test.open(host().orchestration(second::order)).unwrap();
    let hub = host_2.client();
    hub.instance("new").raise(GO, ()).await.unwrap();
    let new = hub.instance("new").of(second::order).wait(DAY).await.unwrap();
    assert_eq!(new, "reserve, charge, ship");
    host_2.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_of_a_version_that_nobody_knows_any_more_is_parked_until_somebody_does() {
    let test = TestHub::new();
    let host_1 = test.open(host().orchestration(first::order)).unwrap();
    host_1.client().start(first::order, ()).id("old").await.unwrap();
    tokio::time::sleep(DAY).await;
    host_1.stop().await;

    let host_3 = test.open(host().orchestration(third::order)).unwrap();
    let old = host_3.client().instance("old");
    old.raise(GO, ()).await.unwrap();
    let why = old.status().await.unwrap().stuck.unwrap();
    assert!(why.contains("version 0 of the change `reserve`"), "{why}");
    assert!(why.contains("1..=1") && why.contains("changes.rs"), "{why}");
    host_3.stop().await;

    let host_2 = test.open(host().orchestration(second::order)).unwrap();
    let old = host_2.client().instance("old").of(second::order);
    old.resume("").await.unwrap();
    assert_eq!(old.wait(DAY).await.unwrap(), "charge, ship");
    host_2.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_question_can_go_when_no_old_version_is_left() {
    let test = TestHub::new();
    let host_2 = test.open(host().orchestration(second::order)).unwrap();
    host_2.client().start(second::order, ()).id("new").await.unwrap();
    tokio::time::sleep(DAY).await;
    host_2.stop().await;

    let host_3 = test.open(host().orchestration(third::order)).unwrap();
    let new = host_3.client().instance("new").of(third::order);
    new.raise(GO, ()).await.unwrap();
    assert_eq!(new.wait(DAY).await.unwrap(), "reserve, charge, ship");
    host_3.stop().await;
}

mod versioned {
    use super::*;

    #[orchestration(name = "greet", version = "1.2")]
    pub(super) async fn old(ctx: Context) -> Result<String> {
        let _ = ctx;
        Ok("old".to_owned())
    }

    #[orchestration(name = "greet", version = "1.10")]
    pub(super) async fn new(ctx: Context) -> Result<String> {
        let _ = ctx;
        Ok("new".to_owned())
    }
}

/// What comes of instances of these versions.
async fn greeted<const N: usize>(versions: Versions, asked: [&str; N]) -> [String; N] {
    let builder = Host::builder().orchestration(versioned::old).orchestration(versioned::new);
    let host = TestHub::new().open(builder.versions(versions)).expect("it opens");
    let mut greeted = [const { String::new() }; N];
    for (greeted, version) in greeted.iter_mut().zip(asked) {
        let start = host.client().start(versioned::new, ()).version(version);
        let run = start.await.expect("it starts");
        *greeted = match run.wait(DAY).await {
            Ok(text) => text,
            Err(WaitError::Unregistered(..)) => "waits".to_owned(),
            Err(WaitError::Failed(failure)) => failure.kind().to_owned(),
            Err(other) => other.to_string(),
        };
    }
    host.stop().await;
    greeted
}

#[tokio::test(start_paused = true)]
async fn a_function_runs_its_own_version_or_others_as_the_host_says() {
    let asked = ["1.2", "1.9", "2"];
    assert_eq!(greeted(Versions::matching(), asked).await, ["old", "waits", "waits"]);
    assert_eq!(greeted(Versions::current_or_older(), asked).await, ["old", "new", "waits"]);
    assert_eq!(greeted(Versions::any(), asked).await, ["old", "new", "new"]);
    let or_fail = Versions::current_or_older().or_fail();
    assert_eq!(greeted(or_fail, asked).await, ["old", "new", Failure::VERSION_MISMATCH]);
}

#[orchestration]
async fn child(ctx: Context) -> Result<()> {
    ctx.event(GO).await
}

#[activity]
async fn labelled(call: ActivityContext) -> Result<Option<String>> {
    Ok(call.tag("lane").map(str::to_owned))
}

#[orchestration]
async fn parent(ctx: Context) -> Result<(String, Option<String>)> {
    let later = ctx.now() + DAY;
    let made = ctx.start(child, ()).await?;
    ctx.start(child, ()).id("detached").at(later).tag("shop", "north").await?;
    let lane = ctx.call(labelled, ()).tag("lane", "fast").await?;
    let pending = ctx.call(child, ()).id("called").tag("shop", "north").timeout(2 * DAY);
    let _ = pending.await;
    ctx.terminate_all(&made, "done with it")?;
    Ok((made.as_str().to_owned(), lane))
}

#[tokio::test(start_paused = true)]
async fn an_orchestration_starts_ends_and_labels_others() {
    let builder = Host::builder().orchestration(parent).orchestration(child).activity(labelled);
    let host = TestHub::new().open(builder).unwrap();
    let hub = host.client();
    let run = hub.start(parent, ()).await.unwrap();
    tokio::time::sleep(DAY / 2).await;
    let detached = hub.instance("detached").of(child);
    assert_eq!(detached.status().await.unwrap().status, RuntimeStatus::Pending);
    let (made, lane) = run.wait(3 * DAY).await.unwrap();
    assert_eq!(lane.as_deref(), Some("fast"));
    let north = taskhub::Filter::new().tag("shop", "north");
    assert_eq!(hub.list(north).await.unwrap().instances.len(), 2);
    tokio::time::sleep(DAY).await;
    assert_eq!(detached.status().await.unwrap().status, RuntimeStatus::Running);
    assert_eq!(hub.instance(&made).status().await.unwrap().status, RuntimeStatus::Terminated);
    detached.raise(GO, ()).await.unwrap();
    detached.wait(DAY).await.unwrap();
    host.stop().await;
}

/// Starts another one under an id, whoever has it.
#[orchestration]
async fn starts(ctx: Context) -> Result<()> {
    ctx.start(child, ()).id("it").tag("by", "code").await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_start_from_code_leaves_who_runs_alone_and_replaces_who_has_ended() {
    let host = Host::builder().orchestration(starts).orchestration(child);
    let host = TestHub::new().open(host).unwrap();
    let hub = host.client();
    let first = hub.start(child, ()).id("it").tag("by", "hand").await.unwrap();
    hub.start(starts, ()).await.unwrap().wait(DAY).await.unwrap();
    tokio::time::sleep(DAY).await;
    assert_eq!(first.status().await.unwrap().tags["by"].as_ref(), "hand");
    first.raise(GO, ()).await.unwrap();
    first.wait(DAY).await.unwrap();
    hub.start(starts, ()).await.unwrap().wait(DAY).await.unwrap();
    tokio::time::sleep(DAY).await;
    let second = hub.instance("it").status().await.unwrap();
    assert_eq!((second.status, second.tags["by"].as_ref()), (RuntimeStatus::Running, "code"));
    host.stop().await;
}
