//! What orchestrations can do, each ability alone, in runs without a hub.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use serde::{Deserialize, Serialize};
use taskhub::{Saga, prelude::*};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Quote {
    vendor: u32,
    price: u64,
}

const APPROVED: Event<bool> = Event::new("approved");
const TAX: External<u64, u64> = External::activity("GetTax");
const AUDIT: External<u64, (), handle::Orchestration> = External::orchestration("Audit");

#[activity(retry = Retry::exponential(3))]
async fn fetch_quote(State(http): State<String>, vendor: u32) -> Result<Quote> {
    let price = http.parse()?;
    Ok(Quote { vendor, price })
}

#[activity(name = "Ping")]
async fn ping() -> Result<()> {
    Ok(())
}

#[activity]
async fn whoami(ctx: ActivityContext, _state: State<u8>) -> Result<String> {
    Ok(ctx.instance_id().to_string())
}

#[orchestration(name = "Cheapest")]
async fn cheapest(ctx: Context, vendors: Vec<u32>) -> Result<Option<Quote>> {
    let quotes = try_join_all(vendors.into_iter().map(|v| ctx.call(fetch_quote, v))).await?;
    let Some(best) = quotes.into_iter().min_by_key(|q| q.price) else { return Ok(None) };
    let approved = tokio::select! {
        answer = ctx.event(APPROVED) => answer?,
        () = ctx.sleep(SECOND * 3600) => false,
    };
    let tax = ctx.call(TAX, best.price).timeout(SECOND * 5).await?;
    let best = Quote { price: best.price + tax, ..best };
    Ok(approved.then_some(best))
}

fn quote(vendor: u32, price: u64) -> Quote {
    Quote { vendor, price }
}

#[test]
fn a_function_is_still_a_function() {
    let quote = futures::executor::block_on(fetch_quote(State("12".to_owned()), 7)).unwrap();
    assert_eq!(quote, Quote { vendor: 7, price: 12 });
    let failure = futures::executor::block_on(fetch_quote(State("x".to_owned()), 7)).unwrap_err();
    assert_eq!(failure.kind(), "core::num::error::ParseIntError");
}

#[test]
fn the_example_of_the_manual_works() {
    let mut run = Run::of(cheapest).input(vec![1, 2]);
    run.expect(fetch_quote).given(2).returns(quote(2, 30));
    run.expect(fetch_quote).given(1).returns(quote(1, 40));
    run.raise(APPROVED, true);
    run.expect(TAX).returns(3);
    assert_eq!(run.output(), Ok(Some(quote(2, 33))));

    let mut run = Run::of(cheapest).input(vec![1]);
    run.expect(fetch_quote).returns(quote(1, 40));
    run.advance(SECOND * 3600);
    assert_eq!(run.expect(TAX).input(), 40);
    run.expect(TAX).returns(3);
    assert_eq!(run.output(), Ok(None));
}

#[test]
fn retries_are_calls_with_timers_between() {
    let mut run = Run::of(cheapest).input(vec![1]);
    let busy = || Failure::new("Busy", "later");
    run.expect(fetch_quote).fails(busy());
    assert_eq!(run.open_calls().len(), 1, "a pause: {:?}", run.open_calls());
    run.advance(SECOND);
    run.expect(fetch_quote).fails(busy());
    run.advance(SECOND);
    assert!(run.open_calls()[0].contains("a timer"), "{:?}", run.open_calls());
    run.advance(SECOND);
    run.expect(fetch_quote).fails(busy());
    assert_eq!(run.output(), Err(busy()));

    let mut run = Run::of(cheapest).input(vec![1]);
    run.expect(fetch_quote).fails(Failure::terminal("no such vendor"));
    assert_eq!(run.output().unwrap_err().message(), "no such vendor");
}

#[test]
fn a_timeout_ends_the_whole_call() {
    let mut run = Run::of(cheapest).input(vec![1]);
    run.expect(fetch_quote).returns(quote(1, 40));
    run.raise(APPROVED, true);
    run.advance(SECOND * 5);
    let failure = run.output().unwrap_err();
    assert!(failure.is_timeout(), "{failure:?}");
    assert_eq!(failure.message(), "`GetTax` did not end within 5s");
}

#[orchestration]
async fn overrides(ctx: Context) -> Result<String> {
    let quote = ctx.call(fetch_quote, 1).retry(Retry::fixed(2, SECOND).total(SECOND * 10));
    let quote = quote.timeout(SECOND * 30).await?;
    let () = ctx.call(ping, ()).retry(Retry::never()).await?;
    ctx.call(AUDIT, quote.price).id("audit-1").version("2").await?;
    Ok(ctx.instance_id().to_string())
}

#[test]
fn options_of_a_call_override_those_of_the_activity() {
    let mut run = Run::of(overrides).id("o-1").input(());
    run.expect(fetch_quote).fails(Failure::new("Busy", "later"));
    run.advance(SECOND);
    run.expect(fetch_quote).returns(quote(1, 9));
    run.expect(ping).returns(());
    let child = run.expect(AUDIT);
    assert_eq!(child.instance_id().unwrap().as_str(), "audit-1");
    assert_eq!(child.input(), 9);
    child.returns(());
    assert_eq!(run.output().unwrap(), "o-1");
    assert_eq!(run.open_calls(), Vec::<String>::new());
}

#[orchestration]
async fn parent(ctx: Context, depth: u32) -> Result<u32> {
    if depth == 0 { Ok(0) } else { Ok(1 + ctx.call(parent, depth - 1).await?) }
}

#[test]
fn an_orchestration_can_call_itself() {
    let mut run = Run::of(parent).input(2);
    let child = run.expect(parent);
    assert_eq!(child.input(), 1);
    child.returns(1);
    assert_eq!(run.output(), Ok(2));
}

#[orchestration]
async fn sends(ctx: Context, to: String) -> Result<(u64, String)> {
    ctx.set_custom_status("sending");
    ctx.raise(&to, APPROVED, false)?;
    let failure = ctx.event(APPROVED).timeout(SECOND).await.expect_err("late");
    ctx.set_custom_status(&vec![1, 2]);
    Ok((ctx.random() ^ ctx.random(), failure.kind().to_owned() + &ctx.uuid().to_string()[..0]))
}

#[test]
fn it_sends_waits_and_shows_a_status() {
    let mut run = Run::of(sends).input("other".to_owned());
    assert_eq!(run.custom_status(), Some("sending".to_owned()));
    let raised = run.raised(APPROVED);
    assert_eq!((raised[0].0.as_str(), raised[0].1), ("other", false));
    run.advance(SECOND);
    assert_eq!(run.output().unwrap().1, Failure::TIMEOUT);
    assert_eq!(run.custom_status(), Some(vec![1, 2]));
    let failed = Run::of(sends).input("no/id".to_owned()).output().unwrap_err();
    assert!(failed.message().contains("must not contain '/'"), "{failed}");
}

#[orchestration]
async fn counter(ctx: Context, count: u32) -> Result<u32> {
    let more = ctx.event(APPROVED).await?;
    if more { ctx.continue_as_new(counter, count + 1) } else { Ok(count) }
}

#[orchestration]
async fn confused(ctx: Context) -> Result<u32> {
    ctx.continue_as_new(counter, 1)
}

#[test]
fn it_continues_as_new_with_the_events_that_wait() {
    let mut run = Run::of(counter).input(5);
    run.raise(APPROVED, true);
    run.raise(APPROVED, true);
    run.raise(APPROVED, false);
    assert_eq!(run.output(), Ok(7));
    let failure = Run::of(confused).input(()).output().unwrap_err();
    assert!(failure.message().starts_with("`confused` can only continue as itself"));
}

#[test]
#[should_panic(expected = "does not wait for `Ping`: it waits for #0 activity fetch_quote(1)")]
fn a_wrong_expectation_says_what_is_waited_for() {
    Run::of(cheapest).input(vec![1]).expect(ping).returns(());
}

#[test]
#[should_panic(expected = "`bad` cannot go on: the orchestration panicked: out of cheese (at ")]
fn a_panic_ends_the_test_and_says_where_it_was() {
    #[orchestration]
    async fn bad(_ctx: Context) -> Result<()> {
        panic!("out of {}", "cheese");
    }
    Run::of(bad).input(());
}

#[test]
#[should_panic(expected = "`hashed` is not deterministic")]
fn a_loop_over_a_hash_map_is_found() {
    #[orchestration]
    async fn hashed(ctx: Context) -> Result<()> {
        let vendors: HashMap<u32, u32> = (0..50).map(|vendor| (vendor, vendor)).collect();
        for vendor in vendors.into_keys() {
            ctx.call(fetch_quote, vendor).await?;
        }
        Ok(())
    }
    let mut run = Run::of(hashed).input(());
    run.expect(fetch_quote).returns(quote(1, 1));
}

thread_local! {
    static CALLS: RefCell<u32> = const { RefCell::new(0) };
}

#[test]
#[should_panic(expected = "history has #0 activity `Ping`, the code asked for a timer")]
fn state_outside_of_the_orchestration_is_found() {
    #[orchestration]
    async fn outside(ctx: Context) -> Result<()> {
        let calls = CALLS.with_borrow_mut(|calls| std::mem::replace(calls, *calls + 1));
        if calls == 0 {
            return ctx.call(ping, ()).await;
        }
        ctx.sleep(SECOND).await;
        Ok(())
    }
    Run::of(outside).input(());
}

#[test]
#[should_panic(expected = "awaits something that is not durable")]
fn a_wait_that_is_not_durable_is_found() {
    #[orchestration]
    async fn foreign(_ctx: Context) -> Result<()> {
        std::future::pending().await
    }
    Run::of(foreign).input(());
}

#[orchestration]
async fn selects(ctx: Context) -> Result<String> {
    let (mut a, mut b) = (ctx.call(fetch_quote, 1), ctx.call(fetch_quote, 2));
    let first = futures::select! { a = a => a?.vendor, b = b => b?.vendor };
    let second = futures::select! { a = a => a?.vendor, b = b => b?.vendor };
    Ok(format!("{first} {second}"))
}

#[test]
fn calls_work_in_the_select_of_futures() {
    let mut run = Run::of(selects).input(());
    run.expect(fetch_quote).given(2).returns(quote(2, 0));
    run.expect(fetch_quote).given(1).returns(quote(1, 0));
    assert_eq!(run.output().unwrap(), "2 1");
}

#[test]
fn a_missing_state_is_found_when_the_registry_is_built() {
    let registry = taskhub::Registry::new().activity(ping).activity(whoami).orchestration(parent);
    let error = registry.build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`whoami` takes a State<u8>, and there is none: add `.state(..)` with a value \
         of that type"
    );
    let registry = taskhub::Registry::new().activity(ping).activity(ping);
    assert_eq!(registry.build().unwrap_err(), taskhub::RegistryError::Twice("Ping"));
}

#[orchestration]
async fn undoes(ctx: Context) -> Result<()> {
    let mut saga = Saga::new();
    for vendor in 1..=3 {
        let undo = ctx.call(AUDIT, vendor);
        saga.undo_by(undo);
    }
    let failed = ctx.call(ping, ()).await;
    saga.end(failed).await
}

#[test]
fn a_saga_that_cannot_undo_a_step_undoes_the_others_and_says_so() {
    let mut run = Run::of(undoes).input(());
    run.expect(ping).fails(Failure::new("Down", "no answer"));
    run.expect(AUDIT).given(3).returns(());
    run.expect(AUDIT).given(2).fails(Failure::new("Closed", "come back never"));
    run.expect(AUDIT).given(1).returns(());
    let failure = run.output().unwrap_err();
    assert_eq!(failure.kind(), Saga::NOT_UNDONE);
    let told = "1 of 3 steps could not be undone (come back never): no answer";
    assert_eq!(failure.to_string(), told);
    assert_eq!(failure.cause().unwrap().kind(), "Down");
}

#[test]
fn a_saga_that_succeeds_undoes_nothing() {
    let mut run = Run::of(undoes).input(());
    run.expect(ping).returns(());
    assert_eq!(run.output(), Ok(()));
    assert_eq!(run.open_calls(), Vec::<String>::new());
}

#[activity]
async fn dials(number: String) -> Result<u16, std::num::ParseIntError> {
    number.parse()
}

#[orchestration]
async fn rings(ctx: Context, number: String) -> Result<u16, std::num::ParseIntError> {
    ctx.sleep(SECOND).await;
    number.parse()
}

#[tokio::test]
async fn an_error_of_its_own_becomes_a_failure_as_it_does_with_a_question_mark() {
    let kind = "core::num::error::ParseIntError";
    assert_eq!(dials("eighty".to_owned()).await.unwrap_err().kind(), kind);
    let mut run = Run::of(rings).input("eighty".to_owned());
    run.advance(SECOND);
    assert_eq!(run.output().unwrap_err().kind(), kind);
}
