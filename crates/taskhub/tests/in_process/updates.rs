//! Requests into running instances that get an answer.

use std::time::Duration;

use taskhub::{
    Host, HostBuilder, RuntimeStatus, StatusError, UpdateError,
    prelude::*,
    testing::{TestHub, chaos},
};

const HOUR: Duration = Duration::from_hours(1);
const ADD: Update<u32, u32> = Update::new("add");
const QUIT: Event<()> = Event::new("quit");

/// Adds up to so much, and refuses what is too much.
#[orchestration]
async fn account(ctx: Context, most: u32) -> Result<u32> {
    let mut sum = 0;
    loop {
        tokio::select! {
            asked = ctx.update(ADD) => {
                let asked = asked?;
                if sum + asked.input > most {
                    asked.refuse(Failure::new("Full", "there is no room"));
                } else {
                    sum += asked.input;
                    asked.answer(sum);
                }
            }
            _ = ctx.event(QUIT) => return Ok(sum),
        }
    }
}

/// Hears a request, and ends without an answer.
#[orchestration]
async fn rude(ctx: Context) -> Result<()> {
    let _asked = ctx.update(ADD).await?;
    Err(Failure::new("Rude", "no time"))
}

fn host() -> HostBuilder {
    Host::builder().orchestration(account).orchestration(rude)
}

#[tokio::test(start_paused = true)]
async fn an_update_gets_the_answer_of_the_turn_that_took_it_wherever_the_process_dies() {
    chaos(async |test| {
        let host = test.open(host()).unwrap();
        let run = host.client().start(account, 5).id("a").await.unwrap();
        let first = run.update(ADD, 2).id("first").await.unwrap();
        let again = run.update(ADD, 2).id("first").await.unwrap();
        let refused = run.update(ADD, 4).await.unwrap_err();
        let second = run.update(ADD, 3).await.unwrap();
        run.raise(QUIT, ()).await.unwrap();
        let sum = run.wait(HOUR).await.unwrap();
        host.stop().await;
        assert!(matches!(&refused, UpdateError::Refused(it) if it.kind() == "Full"), "{refused}");
        assert_eq!((first, again, second, sum), (2, 2, 5, 5));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_refuses_and_who_is_not_there_is_told_at_once() {
    let host = TestHub::new().open(host()).unwrap();
    let hub = host.client();
    let nobody = hub.instance("nobody").update(ADD, 1).await.unwrap_err();
    assert!(matches!(nobody, UpdateError::NotFound(_)), "{nobody}");
    let run = hub.start(rude, ()).await.unwrap();
    let rude = run.update(ADD, 1).await.unwrap_err();
    assert!(matches!(&rude, UpdateError::Refused(it) if it.kind() == "NotAnswered"), "{rude}");
    assert_eq!(run.ended(HOUR).await.unwrap().status, RuntimeStatus::Failed);
    let ended = run.update(ADD, 1).await.unwrap_err();
    assert!(matches!(ended, UpdateError::Ended(..)), "{ended}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_update_waits_no_longer_than_it_says_and_leaves_nothing_behind() {
    let host = TestHub::new().open(host()).unwrap();
    let hub = host.client();
    let run = hub.start(account, 5).await.unwrap();
    run.suspend("").await.unwrap();
    let began = hub.now();
    let late = run.update(ADD, 1).within(HOUR).await.unwrap_err();
    assert!(matches!(late, UpdateError::Timeout(_)), "{late}");
    assert_eq!(hub.now() - began, HOUR);
    run.resume("").await.unwrap();
    assert_eq!(run.update(ADD, 1).await.unwrap(), 2, "the late one counts too");
    assert_eq!(hub.list(Filter::new()).await.unwrap().instances.len(), 1);
    let gone = hub.instance("first").status().await;
    assert!(matches!(gone, Err(StatusError::NotFound(_))), "{gone:?}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_an_id_waits_again_when_it_is_repeated() {
    let host = TestHub::new().open(host()).unwrap();
    let hub = host.client();
    let run = hub.start(account, 5).await.unwrap();
    run.suspend("").await.unwrap();
    for _ in 0..2 {
        let began = hub.now();
        let late = run.update(ADD, 1).id("first").within(HOUR).await.unwrap_err();
        assert!(matches!(late, UpdateError::Timeout(_)), "{late}");
        assert_eq!(hub.now() - began, HOUR);
    }
    run.resume("").await.unwrap();
    assert_eq!(run.update(ADD, 1).id("first").await.unwrap(), 1, "it is asked once");
    run.suspend("").await.unwrap();
    let late = run.update(ADD, 1).id("second").within(HOUR).await.unwrap_err();
    assert!(matches!(late, UpdateError::Timeout(_)), "{late}");
    run.terminate("").await.unwrap();
    let ended = run.update(ADD, 1).id("second").within(HOUR).await.unwrap_err();
    assert!(matches!(ended, UpdateError::Ended(..)), "{ended}");
    assert_eq!(run.update(ADD, 1).id("first").await.unwrap(), 1, "that was answered");
    host.stop().await;
}

/// Falls over its own feet as it hears a request.
#[orchestration]
async fn stumbles(ctx: Context) -> Result<()> {
    let asked = ctx.update(ADD).await?;
    asked.answer(7);
    panic!("out of boxes")
}

#[tokio::test(start_paused = true)]
async fn who_asks_a_parked_instance_hears_why_it_is_parked() {
    let host = TestHub::new().open(host().orchestration(stumbles)).unwrap();
    let run = host.client().start(stumbles, ()).await.unwrap();
    let (named, unnamed) = (run.update(ADD, 1).id("first"), run.update(ADD, 1));
    for asked in [named, unnamed] {
        let parked = asked.within(HOUR).await.unwrap_err();
        let UpdateError::Parked(why) = parked else { panic!("{parked}") };
        assert!(why.contains("out of boxes"), "{why}");
    }
    host.stop().await;
}

/// Refuses, for two reasons.
#[orchestration]
async fn doubts(ctx: Context) -> Result<()> {
    let deep = Failure::new("Closed", "the door is shut");
    ctx.update(ADD).await?.refuse(Failure::new("Full", "there is no room").caused_by(deep));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_hears_all_reasons() {
    let host = TestHub::new().open(host().orchestration(doubts)).unwrap();
    let run = host.client().start(doubts, ()).await.unwrap();
    let refused = run.update(ADD, 1).await.unwrap_err();
    let UpdateError::Refused(why) = refused else { panic!("{refused}") };
    let cause = why.cause().expect("a cause");
    assert_eq!((why.kind(), cause.kind()), ("Full", "Closed"));
    assert_eq!(why.to_string(), "there is no room: the door is shut");
    host.stop().await;
}

/// Looks something up before it answers.
#[orchestration]
async fn slow(ctx: Context) -> Result<()> {
    let asked = ctx.update(ADD).await?;
    let found = ctx.call(look_up, asked.input).await?;
    asked.answer(found);
    Ok(())
}

#[activity]
async fn look_up(number: u32) -> Result<u32> {
    Ok(number)
}

#[test]
fn a_unit_test_asks_and_sees_the_answer() {
    let mut run = Run::of(account).input(5);
    let (first, second) = (run.update(ADD, 2), run.update(ADD, 4));
    assert_eq!(run.answer(&first), Some(Ok(2)));
    assert_eq!(run.answer(&second).unwrap().unwrap_err().kind(), "Full");
    let third = run.update(ADD, 3);
    assert_eq!(run.answer(&third), Some(Ok(5)));
    run.raise(QUIT, ());
    assert_eq!(run.output(), Ok(5));

    let mut run = Run::of(slow).input(());
    let asked = run.update(ADD, 7);
    assert_eq!(run.answer(&asked), None);
    run.expect(look_up).given(7).returns(8);
    assert_eq!(run.answer(&asked), Some(Ok(8)));

    let mut run = Run::of(rude).input(());
    let asked = run.update(ADD, 7);
    assert_eq!(run.answer(&asked).unwrap().unwrap_err().kind(), "NotAnswered");
}
