//! A failed instance whose code is elsewhere goes on, and its workers need not know how.

use std::time::Duration;

use crate::bench::{Bench, id};
use taskhub_core::{
    Answer, CallId, Done, ExecutionId, Failure, Job, Kind, Outcome, RuntimeStatus, Taken, Task,
    Turn, Verb, Work,
    turn::{Progress, Step},
};

const CHARGE: CallId = CallId(1);
const SHIP: CallId = CallId(2);

fn scheduled(call: CallId, name: &str) -> Kind {
    Kind::ActivityScheduled { call, work: Work::new(name, None) }
}

fn is_turn_of(task: &Task, instance: &str) -> bool {
    task.ticket.instance == id(instance) && matches!(task.job, Job::Turn(_))
}

/// The turn of an instance that a worker has.
fn turn(bench: &Bench, instance: &str) -> Option<Turn> {
    let task = bench.tasks.iter().find(|task| is_turn_of(task, instance))?;
    let Job::Turn(turn) = &task.job else { return None };
    Some((**turn).clone())
}

/// A worker ends the turn that it has of an instance.
fn answer(bench: &mut Bench, instance: &str, actions: Vec<Kind>, progress: Progress) {
    let at = bench.tasks.iter().position(|task| is_turn_of(task, instance));
    let task = bench.tasks.remove(at.expect("a worker has a turn"));
    let step = Step { progress, actions, custom_status: None };
    bench.done(task, Done::Turn(Box::new(Taken { takes: None, step, mark: None })));
}

fn failed() -> Progress {
    Progress::Finished(Err(Failure::new("Down", "ship is down")))
}

/// An instance that charged, and failed as it could not ship.
fn with_one_that_failed() -> Bench {
    let mut bench = Bench::new(&[]);
    bench.start("order");
    answer(&mut bench, "order", vec![scheduled(CHARGE, "charge")], Progress::Waiting);
    bench.succeed("charge");
    answer(&mut bench, "order", vec![scheduled(SHIP, "ship")], Progress::Waiting);
    bench.fail("ship");
    answer(&mut bench, "order", Vec::new(), failed());
    assert_eq!(bench.status("order"), RuntimeStatus::Failed);
    bench
}

fn kinds(turn: &Turn) -> Vec<Kind> {
    turn.history.iter().flat_map(|piece| piece.iter()).map(|event| event.kind.clone()).collect()
}

fn finished(call: CallId, output: &str) -> Kind {
    let outcome: Outcome = Ok(Some(output.into()));
    Kind::ActivityFinished { call, outcome }
}

#[test]
fn a_worker_gets_a_turn_that_takes_nothing_with_what_is_left_of_the_history() {
    let mut bench = with_one_that_failed();
    assert_eq!(bench.rewind("order"), Answer::Done);
    let turn = turn(&bench, "order").expect("a worker has a turn");
    assert_eq!(turn.takes, 0);
    let kinds = kinds(&turn);
    let Kind::Started(started) = &kinds[0] else { panic!("{kinds:?}") };
    assert_eq!(started.execution, bench.record("order").execution);
    let begun = |takes| Kind::TurnStarted { takes, clock: Some(bench.now) };
    let expected = [
        begun(1),
        scheduled(CHARGE, "charge"),
        finished(CHARGE, "charge done"),
        begun(1),
        scheduled(SHIP, "ship"),
        Kind::Rewound { reason: Some("mended".into()) },
    ];
    assert_eq!(kinds[1..], expected);
}

#[test]
fn it_goes_on_where_it_failed() {
    let mut bench = with_one_that_failed();
    bench.rewind("order");
    assert_eq!(bench.activities(), ["ship"]);
    bench.crash();
    assert_eq!(bench.activities(), ["ship"]);
    answer(&mut bench, "order", Vec::new(), Progress::Waiting);
    assert_eq!(turn(&bench, "order"), None);
    bench.succeed("ship");
    let kinds = kinds(&turn(&bench, "order").expect("a worker has a turn"));
    assert_eq!(kinds.last(), Some(&finished(SHIP, "ship done")));
    answer(&mut bench, "order", Vec::new(), Progress::Finished(Ok(Some("shipped".into()))));
    assert_eq!(bench.outcome("order"), Ok("shipped".to_owned()));
}

#[test]
fn it_can_be_rewound_again_and_again() {
    let mut bench = with_one_that_failed();
    let mut executions = vec![bench.record("order").execution];
    for _ in 0..3 {
        bench.rewind("order");
        executions.push(bench.record("order").execution);
        answer(&mut bench, "order", Vec::new(), Progress::Waiting);
        bench.fail("ship");
        answer(&mut bench, "order", Vec::new(), failed());
    }
    executions.dedup();
    assert_eq!(executions.len(), 4);
    bench.rewind("order");
    assert_eq!(bench.activities(), ["ship"]);
}

#[test]
fn what_it_gave_up_as_it_failed_is_open_again() {
    let mut bench = Bench::new(&[]);
    bench.start("order");
    let both = vec![scheduled(CHARGE, "charge"), scheduled(SHIP, "ship")];
    answer(&mut bench, "order", both, Progress::Waiting);
    bench.fail("ship");
    answer(&mut bench, "order", vec![Kind::CallCancelled { call: CHARGE }], failed());
    assert_eq!(bench.activities(), Vec::<String>::new(), "charging was given up");
    bench.rewind("order");
    assert_eq!(bench.activities(), ["charge", "ship"]);
}

#[test]
fn attempts_that_were_followed_by_another_stay_though_their_ids_are_the_same() {
    let mut bench = Bench::new(&[]);
    bench.start("order");
    answer(&mut bench, "order", vec![scheduled(SHIP, "ship")], Progress::Waiting);
    bench.fail("ship");
    let fire_at = bench.now.plus(Duration::from_secs(5));
    let pause = Kind::TimerCreated { call: CallId(3), fire_at };
    answer(&mut bench, "order", vec![pause], Progress::Waiting);
    bench.advance(Duration::from_secs(5));
    answer(&mut bench, "order", vec![scheduled(SHIP, "ship")], Progress::Waiting);
    bench.fail("ship");
    answer(&mut bench, "order", Vec::new(), failed());
    bench.rewind("order");
    assert_eq!(bench.activities(), ["ship"]);
    let kinds = kinds(&turn(&bench, "order").expect("a worker has a turn"));
    let attempts = kinds.iter().filter(|kind| **kind == scheduled(SHIP, "ship")).count();
    let failures = |kind: &&Kind| matches!(kind, Kind::ActivityFinished { .. });
    assert_eq!((attempts, kinds.iter().filter(failures).count()), (2, 1));
}

#[test]
fn a_child_elsewhere_hears_who_its_parent_is_now() {
    let mut bench = Bench::new(&[]);
    bench.start("parent");
    let child = Kind::ChildScheduled {
        call: CallId(1),
        instance: id("child"),
        work: Work::new("child", None),
    };
    answer(&mut bench, "parent", vec![child], Progress::Waiting);
    answer(&mut bench, "child", Vec::new(), failed());
    answer(&mut bench, "parent", Vec::new(), failed());
    assert_eq!(bench.status("parent"), RuntimeStatus::Failed);
    bench.rewind("parent");
    let parent = bench.record("parent").execution;
    assert_ne!(parent, ExecutionId(7));
    let known = bench.record("child").parent.clone().expect("it is a child");
    assert_eq!((known.instance, known.execution), (id("parent"), parent));
    let started = bench.history("child").remove(0).kind;
    let Kind::Started(started) = started else { panic!("{started:?}") };
    assert_eq!(started.parent.map(|it| it.execution), Some(parent));
    answer(&mut bench, "parent", Vec::new(), Progress::Waiting);
    answer(&mut bench, "child", Vec::new(), Progress::Finished(Ok(Some("grown".into()))));
    let kinds = kinds(&turn(&bench, "parent").expect("the parent hears of the end"));
    let heard = Kind::ChildFinished { call: CallId(1), outcome: Ok(Some("grown".into())) };
    assert_eq!(kinds.last(), Some(&heard));
}

#[test]
fn one_that_was_suspended_meanwhile_stays_so() {
    let mut bench = Bench::new(&[]);
    bench.start("order");
    answer(&mut bench, "order", vec![scheduled(SHIP, "ship")], Progress::Waiting);
    bench.fail("ship");
    let suspended = bench.ask("order", Verb::Suspend { reason: None });
    assert_eq!(suspended, Answer::Done);
    answer(&mut bench, "order", Vec::new(), failed());
    bench.rewind("order");
    assert_eq!(bench.status("order"), RuntimeStatus::Suspended);
    assert_eq!(turn(&bench, "order"), None);
    bench.ask("order", Verb::Resume { reason: None });
    assert!(turn(&bench, "order").is_some());
}
