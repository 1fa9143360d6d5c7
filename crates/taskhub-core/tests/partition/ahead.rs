//! Turns that workers elsewhere run ahead, with the result of an activity.

use std::time::Duration;

use crate::bench::{Bench, id};
use taskhub_core::{
    Ahead, CallId, Done, Job, Kind, Limits, Mark, Request, RequestId, RuntimeStatus, Taken, Task,
    TaskResult, Text, Timestamp, Turn, Verb, Work,
    partition::Input,
    turn::{Progress, Step},
};

const CHARGE: CallId = CallId(1);
const SHIP: CallId = CallId(2);
const FIRST: Mark = Mark(71);
const SECOND: Mark = Mark(72);

fn take(bench: &mut Bench, is_it: impl Fn(&Job) -> bool) -> Task {
    let at = bench.tasks.iter().position(|task| is_it(&task.job));
    bench.tasks.remove(at.expect("a worker has it"))
}

/// What a turn came to that called this.
fn called(call: CallId, name: &str, mark: Mark) -> Taken {
    let actions = vec![Kind::ActivityScheduled { call, work: Work::new(name, None) }];
    let step = Step { progress: Progress::Waiting, actions, custom_status: None };
    Taken { takes: None, step, mark: Some(mark) }
}

/// An instance whose first turn called `charge`, which a worker runs.
fn charging() -> (Bench, Task) {
    let limits = Limits { payload_bytes_max: 100, ..Limits::default() };
    let mut bench = Bench::with(&[], limits);
    bench.start("order");
    let turn = take(&mut bench, |job| matches!(job, Job::Turn(_)));
    bench.done(turn, Done::Turn(Box::new(called(CHARGE, "charge", FIRST))));
    let charge = take(&mut bench, |job| matches!(job, Job::Activity(_)));
    bench.now = bench.now.plus(Duration::from_millis(8));
    (bench, charge)
}

/// The charge, and the turn that takes it and calls `ship`.
fn charged(at: Timestamp) -> Ahead {
    let outcome = Ok(Some("paid".into()));
    Ahead { outcome, at, after: FIRST, taken: called(SHIP, "ship", SECOND) }
}

/// The turn that a worker has instead, as the one that was run ahead does not count; the result
/// does.
fn turn_instead(bench: &mut Bench) -> Turn {
    assert!(bench.activities().is_empty(), "{:?}", bench.tasks);
    let history = bench.history("order");
    let ended = |kind: &Kind| matches!(kind, Kind::ActivityFinished { call: CHARGE, .. });
    assert!(history.iter().any(|event| ended(&event.kind)), "{history:?}");
    let Job::Turn(turn) = take(bench, |job| matches!(job, Job::Turn(_))).job else {
        panic!("it is a turn")
    };
    *turn
}

#[test]
fn a_result_and_the_turn_that_was_run_ahead_with_it_are_one_record() {
    let (mut bench, charge) = charging();
    let (at, now) = (Timestamp(bench.now.0 - 3_000), bench.now);
    let done = Done::Ahead(Box::new(charged(at)));
    let input = Input::TaskDone(TaskResult { ticket: charge.ticket, done });
    let turns = bench.settle(vec![input]);
    assert_eq!(turns.len(), 1);
    assert_eq!(bench.activities(), ["ship"]);
    let history = bench.history("order");
    let last: Vec<_> = history[history.len() - 3..].iter().map(|it| (it.at, &it.kind)).collect();
    let outcome = Ok(Some(Text::from("paid")));
    assert_eq!(last[0], (at, &Kind::ActivityFinished { call: CHARGE, outcome }));
    assert_eq!(last[1], (now, &Kind::TurnStarted { takes: 1, clock: Some(at) }));
    // A further one stands behind that.
    let ship = take(&mut bench, |job| matches!(job, Job::Activity(_)));
    let step =
        Step { progress: Progress::Finished(Ok(None)), actions: Vec::new(), custom_status: None };
    let taken = Taken { takes: None, step, mark: None };
    let ahead = Ahead { outcome: Ok(None), at: bench.now, after: SECOND, taken };
    bench.done(ship, Done::Ahead(Box::new(ahead)));
    assert_eq!(bench.status("order"), RuntimeStatus::Completed);
}

#[test]
fn a_turn_ahead_does_not_count_where_something_came_before_its_result() {
    let raised = || Verb::Raise { name: "go".into(), input: None };
    // While a worker has the turn that takes an event.
    let (mut bench, charge) = charging();
    bench.ask("order", raised());
    bench.done(charge, Done::Ahead(Box::new(charged(bench.now))));
    assert_eq!(turn_instead(&mut bench).takes, 1);
    // And while no turn has been given out for that yet.
    let (mut bench, charge) = charging();
    let done = Done::Ahead(Box::new(charged(bench.now)));
    let raised = Request { id: RequestId(99), instance: id("order"), verb: raised() };
    let ended = TaskResult { ticket: charge.ticket, done };
    bench.settle(vec![Input::Request(raised), Input::TaskDone(ended)]);
    assert_eq!(turn_instead(&mut bench).takes, 2);
}

#[test]
fn a_turn_ahead_does_not_count_behind_another_turn() {
    let (mut bench, charge) = charging();
    let ahead = Ahead { after: SECOND, ..charged(bench.now) };
    bench.done(charge, Done::Ahead(Box::new(ahead)));
    let turn = turn_instead(&mut bench);
    assert_eq!((turn.takes, turn.after), (1, Some(FIRST)));
}

#[test]
fn a_turn_ahead_does_not_count_at_a_time_that_cannot_be() {
    let written = charging().0.now.0 - 8_000;
    let now = charging().0.now.0;
    for at in [written - 1, now + 1] {
        let (mut bench, charge) = charging();
        bench.done(charge, Done::Ahead(Box::new(charged(Timestamp(at)))));
        assert_eq!(turn_instead(&mut bench).takes, 1);
    }
}

#[test]
fn a_turn_ahead_does_not_count_if_it_saw_another_result_than_is_kept() {
    let (mut bench, charge) = charging();
    let outcome = Ok(Some("x".repeat(101).into()));
    let ahead = Ahead { outcome, ..charged(bench.now) };
    bench.done(charge, Done::Ahead(Box::new(ahead)));
    turn_instead(&mut bench);
    let failed = |kind: &Kind| matches!(kind, Kind::ActivityFinished { outcome: Err(_), .. });
    assert!(bench.history("order").iter().any(|event| failed(&event.kind)));
}

#[test]
fn a_turn_ahead_waits_for_nobody_who_is_suspended() {
    let (mut bench, charge) = charging();
    bench.ask("order", Verb::Suspend { reason: None });
    bench.done(charge, Done::Ahead(Box::new(charged(bench.now))));
    assert!(bench.tasks.is_empty(), "{:?}", bench.tasks);
    bench.ask("order", Verb::Resume { reason: None });
    assert_eq!(turn_instead(&mut bench).takes, 3);
}

#[test]
fn nobody_knows_after_a_crash_behind_which_turn_code_stands() {
    let (mut bench, _) = charging();
    bench.crash();
    let charge = take(&mut bench, |job| matches!(job, Job::Activity(_)));
    assert_eq!(charge.ticket.instance, id("order"));
    bench.done(charge, Done::Ahead(Box::new(charged(bench.now))));
    assert_eq!(turn_instead(&mut bench).after, None);
}
