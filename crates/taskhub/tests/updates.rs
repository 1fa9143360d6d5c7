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
