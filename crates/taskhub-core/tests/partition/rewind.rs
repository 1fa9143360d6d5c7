//! A failed instance goes on from before its failure, and does nothing twice that was done.

use std::time::Duration;

use crate::bench::{Bench, Code, act, event, id, open_calls, sleep};
use futures::future::{join, join_all, try_join};
use taskhub_core::{
    Answer, ExecutionId, Failure, Kind, Refusal, RuntimeStatus, Started, Timestamp, Verb,
    turn::Scope,
};

const MINUTE: Duration = Duration::from_mins(1);

fn is_failed_call(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::ActivityFinished { outcome: Err(_), .. }
            | Kind::ChildFinished { outcome: Err(_), .. }
    )
}

/// How many failures of calls stand in the history of an instance.
fn failures(bench: &Bench, instance: &str) -> usize {
    bench.history(instance).iter().filter(|event| is_failed_call(&event.kind)).count()
}

const ORDER: Code = &[("order", |scope| {
    Box::pin(async move {
        act(&scope, "charge").await?;
        act(&scope, "ship").await
    })
})];

/// An order that is charged, and has failed as it could not be shipped.
fn unshipped() -> Bench {
    let mut bench = Bench::new(ORDER);
    bench.start("order");
    bench.succeed("charge");
    bench.fail("ship");
    bench
}

#[test]
fn what_was_done_stays_done_and_what_failed_is_done_again() {
    let mut bench = unshipped();
    let before = bench.record("order").clone();
    assert_eq!(before.status, RuntimeStatus::Failed);

    assert_eq!(bench.rewind("order"), Answer::Done);
    let record = bench.record("order").clone();
    assert_eq!((record.status, &record.outcome), (RuntimeStatus::Running, &None));
    assert_eq!(record.completed_at, None);
    assert_eq!(record.created_at, before.created_at);
    assert_ne!(record.execution, before.execution);
    assert_eq!(bench.activities(), ["ship"]);
    assert_eq!(failures(&bench, "order"), 0);

    bench.succeed("ship");
    assert_eq!(bench.outcome("order"), Ok("ship done".to_owned()));
}

#[test]
fn only_what_has_failed_can_be_rewound() {
    let mut bench =
        Bench::new(&[("waits", |scope| Box::pin(async move { event(&scope, "go").await }))]);
    assert_eq!(bench.rewind("waits"), Answer::Refused(Refusal::NotFound(id("waits"))));
    bench.start("waits");
    let refused = |status| Answer::Refused(Refusal::NotFailed(id("waits"), status));
    assert_eq!(bench.rewind("waits"), refused(RuntimeStatus::Running));
    bench.ask("waits", Verb::Raise { name: "go".into(), input: None });
    assert_eq!(bench.rewind("waits"), refused(RuntimeStatus::Completed));
}

#[test]
fn who_waits_after_a_rewind_hears_of_the_new_end() {
    let mut bench =
        Bench::new(&[("order", |scope| Box::pin(async move { act(&scope, "ship").await }))]);
    bench.start("order");
    bench.fail("ship");
    bench.rewind("order");
    let waits = bench.post("order", Verb::Wait);
    assert!(!bench.answers.contains_key(&waits));
    bench.succeed("ship");
    let Some(Answer::Status(record)) = bench.answers.get(&waits) else { panic!("no answer") };
    assert_eq!(record.status, RuntimeStatus::Completed);
}

#[test]
fn a_rewound_instance_survives_a_crash() {
    let mut bench = unshipped();
    bench.crash();
    bench.rewind("order");
    bench.crash();
    assert_eq!(bench.activities(), ["ship"]);
    bench.succeed("ship");
    assert_eq!(bench.status("order"), RuntimeStatus::Completed);
}

#[test]
fn a_late_result_from_before_the_rewind_does_not_count() {
    let mut bench = Bench::new(&[("order", |scope| {
        Box::pin(async move {
            let (first, _) = try_join(act(&scope, "fast"), act(&scope, "slow")).await?;
            Ok(first)
        })
    })]);
    bench.start("order");
    let slow = bench.tasks[1].clone();
    bench.fail("fast");
    bench.rewind("order");
    assert_eq!(bench.activities(), ["fast", "slow"], "what was given up is done again");
    let done = taskhub_core::Done::Activity(Ok(Some("late".into())));
    bench.done(slow, done);
    assert_eq!(open_calls(&bench.history("order")).len(), 2);
    bench.succeed("slow");
    bench.succeed("fast");
    assert_eq!(bench.outcome("order"), Ok("fast done".to_owned()));
}

#[test]
fn attempts_that_were_followed_by_another_stay() {
    let mut bench = Bench::new(&[("order", |scope| {
        Box::pin(async move {
            if act(&scope, "ship").await.is_err() {
                sleep(&scope, 60).await?;
                return act(&scope, "ship").await;
            }
            Ok(None)
        })
    })]);
    bench.start("order");
    bench.fail("ship");
    bench.advance(MINUTE);
    bench.fail("ship");
    for _ in 0..2 {
        assert_eq!(bench.status("order"), RuntimeStatus::Failed);
        assert_eq!(bench.rewind("order"), Answer::Done);
        assert_eq!(failures(&bench, "order"), 1);
        assert_eq!(bench.activities(), ["ship"]);
        bench.fail("ship");
    }
    bench.rewind("order");
    bench.succeed("ship");
    assert_eq!(bench.outcome("order"), Ok("ship done".to_owned()));
}

#[test]
fn all_that_failed_of_a_fan_out_is_done_again_and_the_rest_is_not() {
    let mut bench = Bench::new(&[("fan", |scope| {
        Box::pin(async move {
            let names = ["a", "b", "c", "d"];
            let outcomes = join_all(names.map(|name| act(&scope, name))).await;
            outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
            act(&scope, "e").await
        })
    })]);
    bench.start("fan");
    bench.succeed("a");
    bench.fail("b");
    bench.succeed("c");
    bench.fail("d");
    bench.rewind("fan");
    assert_eq!(bench.activities(), ["b", "d"]);
    bench.fail("b");
    bench.succeed("d");
    assert_eq!(bench.status("fan"), RuntimeStatus::Failed);
    bench.rewind("fan");
    assert_eq!(bench.activities(), ["b"]);
    bench.succeed("b");
    assert_eq!(bench.activities(), ["e"]);
}

#[test]
fn retries_that_run_side_by_side_are_told_apart() {
    async fn twice(scope: &Scope, name: &'static str, pause: u64) -> taskhub_core::Outcome {
        let first = act(scope, name).await;
        if first.is_ok() {
            return first;
        }
        sleep(scope, pause).await?;
        act(scope, name).await
    }
    let mut bench = Bench::new(&[("fan", |scope| {
        Box::pin(async move {
            let (a, b) = join(twice(&scope, "a", 10), twice(&scope, "b", 30)).await;
            a.and(b)
        })
    })]);
    bench.start("fan");
    bench.fail("a");
    bench.advance(Duration::from_secs(10));
    bench.fail("a"); // For good, before the first failure of the other, which is retried.
    bench.fail("b");
    bench.advance(Duration::from_secs(30));
    bench.fail("b");
    bench.rewind("fan");
    assert_eq!(bench.activities(), ["a", "b"]);
    assert_eq!(failures(&bench, "fan"), 2);
    bench.succeed("a");
    bench.succeed("b");
    assert_eq!(bench.status("fan"), RuntimeStatus::Completed);
}

#[test]
fn a_failure_that_was_compensated_for_stays() {
    let mut bench = Bench::new(&[("saga", |scope| {
        Box::pin(async move {
            act(&scope, "book").await?;
            if let Err(failure) = act(&scope, "charge").await {
                act(&scope, "cancel").await?;
                return Err(failure);
            }
            Ok(None)
        })
    })]);
    bench.start("saga");
    bench.succeed("book");
    bench.fail("charge");
    bench.succeed("cancel");
    assert_eq!(bench.rewind("saga"), Answer::Done);
    assert_eq!(bench.status("saga"), RuntimeStatus::Failed, "it fails again");
    assert_eq!((bench.activities().len(), failures(&bench, "saga")), (0, 1));
}

#[test]
fn code_that_failed_by_itself_runs_its_last_turn_again() {
    let broken: Code = &[("order", |scope| {
        Box::pin(async move {
            act(&scope, "charge").await?;
            Err(Failure::new("Bug", "cannot divide by zero"))
        })
    })];
    let mut bench = Bench::new(broken);
    bench.start("order");
    bench.succeed("charge");
    assert_eq!(bench.rewind("order"), Answer::Done);
    assert_eq!(bench.outcome("order"), Err("cannot divide by zero".to_owned()));

    bench.deploy(ORDER);
    bench.rewind("order");
    assert_eq!(bench.activities(), ["ship"]);
    bench.succeed("ship");
    assert_eq!(bench.outcome("order"), Ok("ship done".to_owned()));
}

#[test]
fn code_that_contradicts_the_history_is_refused_with_both_sides() {
    let mut bench = unshipped();
    bench.deploy(&[("order", |scope| Box::pin(async move { act(&scope, "bill").await }))]);
    let before = bench.history("order");
    let Answer::Refused(why @ Refusal::CannotRewind(..)) = bench.rewind("order") else {
        panic!("it is refused")
    };
    let why = why.to_string();
    assert!(why.contains("`charge`") && why.contains("`bill`"), "{why}");
    assert_eq!(bench.history("order"), before);
    assert_eq!(bench.status("order"), RuntimeStatus::Failed);
}

#[test]
fn time_stood_still_for_a_timeout_while_the_instance_had_failed() {
    let mut bench = Bench::new(&[("order", |scope| {
        Box::pin(async move {
            let call = std::pin::pin!(act(&scope, "ship"));
            let timeout = std::pin::pin!(sleep(&scope, 60));
            match futures::future::select(call, timeout).await {
                futures::future::Either::Left((outcome, _)) => outcome,
                futures::future::Either::Right(_) => Ok(Some("late".into())),
            }
        })
    })]);
    let deadline = Some(bench.now.plus(100 * MINUTE));
    bench.start_with(Started { deadline, ..Started::new("order", None, ExecutionId(7)) });
    bench.advance(Duration::from_secs(20));
    bench.fail("ship");
    bench.advance(1_000 * MINUTE);
    bench.rewind("order");
    bench.advance(Duration::from_secs(39));
    assert_eq!(bench.status("order"), RuntimeStatus::Running);
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.outcome("order"), Ok("late".to_owned()));
}

#[test]
fn a_deadline_that_passed_meanwhile_is_put_off() {
    let mut bench =
        Bench::new(&[("order", |scope| Box::pin(async move { act(&scope, "ship").await }))]);
    let deadline = Some(bench.now.plus(2 * MINUTE));
    bench.start_with(Started { deadline, ..Started::new("order", None, ExecutionId(7)) });
    bench.advance(MINUTE);
    bench.fail("ship");
    bench.advance(1_000 * MINUTE);
    bench.rewind("order");
    assert_eq!(bench.record("order").due, Some(Timestamp(bench.now.0 + 60_000_000)));
    bench.advance(MINUTE);
    assert_eq!(bench.status("order"), RuntimeStatus::Terminated);
}

#[test]
fn what_the_code_drew_before_it_draws_again() {
    let mut bench = Bench::new(&[("order", |scope| {
        Box::pin(async move {
            let drawn = scope.unique().to_string();
            scope.send(id("nobody"), "drawn".into(), Some(drawn.as_str().into()));
            act(&scope, "ship").await?;
            Ok(Some(drawn.into()))
        })
    })]);
    bench.start("order");
    let sent = bench.history("order").into_iter().find_map(|event| match event.kind {
        Kind::EventSent { input, .. } => input,
        _ => None,
    });
    bench.fail("ship");
    bench.rewind("order");
    bench.succeed("ship");
    assert_eq!(bench.outcome("order").ok(), sent.map(|it| it.to_string()));
}

#[test]
fn ten_thousand_failures_are_taken_back_at_once() {
    const WIDTH: u32 = 10_000;
    let mut bench = Bench::with(
        &[("fan", |scope| {
            Box::pin(async move {
                let calls = (0..WIDTH).map(|_| act(&scope, "work"));
                let outcomes = join_all(calls).await;
                outcomes.into_iter().collect::<Result<Vec<_>, _>>().map(|_| None)
            })
        })],
        taskhub_core::Limits { tasks_count_max: WIDTH as usize, ..Default::default() },
    );
    bench.start("fan");
    let fail_all = |bench: &mut Bench| {
        let failed = taskhub_core::Done::Activity(Err(Failure::new("Down", "down")));
        let results = std::mem::take(&mut bench.tasks).into_iter().map(|task| {
            let result = taskhub_core::TaskResult { ticket: task.ticket, done: failed.clone() };
            taskhub_core::partition::Input::TaskDone(result)
        });
        let results = results.collect();
        bench.settle(results);
    };
    fail_all(&mut bench);
    assert_eq!(bench.status("fan"), RuntimeStatus::Failed);
    bench.rewind("fan");
    assert_eq!(bench.tasks.len(), WIDTH as usize);
    assert_eq!(failures(&bench, "fan"), 0);
}
