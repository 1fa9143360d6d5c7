//! What code does not wait for any more: children run on, and code that waits again is parked.

use std::{pin::pin, time::Duration};

use crate::bench::{Bench, Code, act, child, event, sleep};
use futures::future::{join, select};
use taskhub_core::{Answer, ExecutionId, RuntimeStatus, Started, Verb};

const MINUTE: Duration = Duration::from_mins(1);

/// A parent that waits for its child for a minute, and then goes on without it.
const IMPATIENT: Code = &[
    ("parent", |scope| {
        Box::pin(async move {
            select(pin!(child(&scope, "child")), pin!(sleep(&scope, 60))).await;
            act(&scope, "later").await
        })
    }),
    ("child", |scope| Box::pin(async move { event(&scope, "go").await })),
];

/// A parent that has given up its child.
fn impatient(started: Started) -> Bench {
    let mut bench = Bench::new(IMPATIENT);
    bench.start_with(started);
    bench.advance(MINUTE);
    assert_eq!(bench.activities(), ["later"]);
    assert_eq!(bench.status("child"), RuntimeStatus::Running);
    bench
}

fn parent() -> Started {
    Started::new("parent", None, ExecutionId(7))
}

fn terminate(bench: &mut Bench, recursive: bool) {
    let answer = bench.ask("parent", Verb::Terminate { reason: None, recursive });
    assert_eq!(answer, Answer::Done);
    assert_eq!(bench.status("parent"), RuntimeStatus::Terminated);
}

#[test]
fn a_child_that_was_given_up_ends_with_its_parent_if_that_is_ended_with_its_children() {
    for crashes in [false, true] {
        let mut bench = impatient(parent());
        if crashes {
            bench.crash();
        }
        terminate(&mut bench, true);
        assert_eq!(bench.status("child"), RuntimeStatus::Terminated);
    }
}

#[test]
fn a_child_that_was_given_up_runs_on_if_its_parent_ends_alone() {
    let mut bench = impatient(parent());
    terminate(&mut bench, false);
    assert_eq!(bench.status("child"), RuntimeStatus::Running);
}

#[test]
fn a_deadline_takes_a_child_along_that_was_given_up() {
    let deadline = Some(Bench::new(IMPATIENT).now.plus(2 * MINUTE));
    let mut bench = impatient(Started { deadline, ..parent() });
    bench.advance(MINUTE);
    assert_eq!(bench.status("parent"), RuntimeStatus::Terminated);
    assert_eq!(bench.status("child"), RuntimeStatus::Terminated);
}

#[test]
fn a_child_that_was_given_up_is_its_parents_also_after_that_was_rewound() {
    let mut bench = impatient(parent());
    for _ in 0..2 {
        bench.fail("later");
        assert_eq!(bench.rewind("parent"), Answer::Done);
    }
    terminate(&mut bench, true);
    assert_eq!(bench.status("child"), RuntimeStatus::Terminated);
}

#[test]
fn who_took_the_id_of_a_child_that_was_given_up_is_left_alone() {
    let mut bench = impatient(parent());
    bench.ask("child", Verb::Terminate { reason: None, recursive: false });
    bench.start_with(Started::new("child", None, ExecutionId(99)));
    terminate(&mut bench, true);
    assert_eq!(bench.status("child"), RuntimeStatus::Running);
}

/// Ships without waiting for the answer of a slow one for longer than a minute.
const HASTY: Code = &[("order", |scope| {
    Box::pin(async move {
        select(pin!(act(&scope, "slow")), pin!(sleep(&scope, 60))).await;
        event(&scope, "go").await
    })
})];

/// The same, changed: it waits for both.
const THOROUGH: Code = &[("order", |scope| {
    Box::pin(async move {
        let _ = join(act(&scope, "slow"), sleep(&scope, 60)).await;
        event(&scope, "go").await
    })
})];

#[test]
fn code_that_waits_for_what_it_gave_up_before_it_was_changed_is_parked() {
    let mut bench = Bench::new(HASTY);
    bench.start("order");
    bench.advance(MINUTE);
    assert!(bench.activities().is_empty(), "it was given up");
    bench.deploy(THOROUGH);
    let raise = || Verb::Raise { name: "go".into(), input: None };
    assert_eq!(bench.ask("order", raise()), Answer::Done);
    let why = bench.record("order").stuck.clone().expect("its activity can never be done");
    assert_eq!(&*why, "history says that the code gave up #0, the code waits for it");
    bench.deploy(HASTY);
    assert_eq!(bench.status("order"), RuntimeStatus::Completed, "the right code is back");
}
