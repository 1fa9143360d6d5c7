//! Durable functions that an orchestration calls as if they were ordinary ones.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use taskhub::{WaitError, prelude::*, testing::TestHub};

#[activity]
async fn effect(n: u64) -> Result<u64> {
    Ok(n + 1)
}

#[activity]
async fn twice(n: u64) -> Result<u64> {
    effect(effect(n).await?).await
}

#[orchestration]
async fn hasty(_ctx: Context, n: u64) -> Result<u64> {
    effect(n).await
}

#[orchestration]
async fn nested(ctx: Context, n: u64) -> Result<u64> {
    careful(ctx, n).await
}

#[orchestration]
async fn careful(ctx: Context, n: u64) -> Result<u64> {
    ctx.call(twice, n).await
}

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    sum: u64,
}

#[entity]
impl Counter {
    async fn add(&mut self, n: u64) -> Result<u64> {
        self.sum += n;
        Ok(self.sum)
    }
}

#[orchestration]
async fn counts(_ctx: Context, n: u64) -> Result<u64> {
    Counter::default().add(n).await
}

#[tokio::test(start_paused = true)]
async fn an_activity_that_a_turn_calls_directly_parks_the_instance_and_says_how_to_call_it() {
    let hub = TestHub::new();
    let host = Host::builder().orchestration(hasty).orchestration(careful).activity(twice);
    let host = hub.open(host).unwrap();
    let run = host.client().start(hasty, 1).await.unwrap();
    let Err(WaitError::Parked(why)) = run.wait(Duration::from_mins(1)).await else {
        panic!("nobody noticed");
    };
    assert!(why.contains("`effect` was called directly"), "{why}");
    assert!(why.contains("write `ctx.call(effect, ..)`"), "{why}");
    assert!(why.contains("direct.rs:20"), "the line of the call: {why}");
    // Activities call each other as they like.
    let run = host.client().start(careful, 1).await.unwrap();
    assert_eq!(run.wait(Duration::from_mins(1)).await, Ok(3));
    host.stop().await;
}

#[test]
#[should_panic(expected = "write `ctx.call(effect, ..)`")]
fn so_does_a_unit_test() {
    Run::of(hasty).input(1);
}

#[test]
#[should_panic(expected = "a plain `async fn`, or write `ctx.call(careful, ..)`")]
fn an_orchestration_that_is_called_directly_is_named() {
    Run::of(nested).input(1);
}

#[test]
#[should_panic(expected = "write `ctx.entity::<Counter>(key).call(Counter::add, ..)`")]
fn an_operation_that_is_called_directly_is_named() {
    Run::of(counts).input(1);
}

#[tokio::test]
async fn outside_of_a_turn_they_are_ordinary_functions() {
    assert_eq!(twice(1).await, Ok(3));
    assert_eq!(Counter::default().add(2).await, Ok(2));
    // A turn that went wrong on this thread has left nothing behind.
    let went_wrong = std::panic::catch_unwind(|| Run::of(hasty).input(1));
    assert!(went_wrong.is_err());
    assert_eq!(twice(1).await, Ok(3));
}
