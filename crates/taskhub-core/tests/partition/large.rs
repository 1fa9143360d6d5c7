//! What is too much for one commit: code that writes it fails, others come to no harm.

use std::time::Duration;

use crate::bench::{Bench, Code, act, event, id, sleep};
use futures::future::join_all;
use taskhub_core::{
    Answer, Event, ExecutionId, Kind, Limits, Refusal, Request, RequestId, Reuse, RuntimeStatus,
    Started, Text, Timestamp, Verb, Work, partition::Input, turn::Command,
};

const PAYLOAD: usize = 100;

fn payload() -> Text {
    "x".repeat(PAYLOAD).into()
}

/// Waits for an event, then calls twenty activities at once; or sleeps first; or goes on
/// waiting.
const CODE: Code = &[
    ("giant", |scope| {
        Box::pin(async move {
            event(&scope, "go").await?;
            let calls = (0..20).map(|_| Command::Activity(Work::new("a", Some(payload()))));
            join_all(calls.map(|call| scope.call(call))).await;
            Ok(None)
        })
    }),
    ("sleeper", |scope| {
        Box::pin(async move {
            sleep(&scope, 60).await?;
            act(&scope, "a").await
        })
    }),
    ("patient", |scope| {
        Box::pin(async move {
            let first = event(&scope, "go").await;
            event(&scope, "end").await?;
            first
        })
    }),
];

fn limits() -> Limits {
    Limits { turn_bytes_max: 10 * PAYLOAD, batch_bytes_max: 3 * PAYLOAD, ..Limits::default() }
}

fn raise() -> Verb {
    Verb::Raise { name: "go".into(), input: Some(payload()) }
}

#[test]
fn a_turn_that_writes_too_much_in_all_fails_and_says_so() {
    let mut bench = Bench::with(CODE, limits());
    bench.start("giant");
    assert_eq!(bench.ask("giant", raise()), Answer::Done);
    assert_eq!(bench.status("giant"), RuntimeStatus::Failed);
    assert!(bench.activities().is_empty(), "nothing of that turn happens");
    let why = bench.outcome("giant").expect_err("it failed");
    assert!(why.starts_with("one turn wrote 2000 bytes, 1000 are allowed"), "{why}");
}

#[test]
fn what_arrives_at_once_is_written_piece_by_piece() {
    let mut bench = Bench::with(CODE, limits());
    bench.start("patient");
    let request = |number: u64| Request {
        id: RequestId(100 + number),
        instance: id("patient"),
        verb: raise(),
    };
    let turns = bench.settle((0..12).map(|number| Input::Request(request(number))).collect());
    assert_eq!(turns.len(), 4, "each has as much as fits into a batch");
    assert!((0..12).all(|number| bench.answers.get(&(100 + number)) == Some(&Answer::Done)));
    bench.crash();
    let end = Verb::Raise { name: "end".into(), input: None };
    assert_eq!(bench.ask("patient", end), Answer::Done);
    assert_eq!(bench.status("patient"), RuntimeStatus::Completed);
}

#[test]
fn events_that_come_early_are_kept_up_to_so_many_bytes() {
    let mut bench = Bench::with(CODE, limits());
    let until = Timestamp(i64::MAX);
    let early = || Verb::RaiseEarly { name: "go".into(), input: Some(payload()), until };
    for _ in 0..10 {
        assert_eq!(bench.ask("patient", early()), Answer::Done);
    }
    let refused = bench.ask("patient", early());
    assert!(matches!(refused, Answer::Refused(Refusal::Busy(_))), "{refused:?}");
    bench.start("patient");
    assert_eq!(bench.status("patient"), RuntimeStatus::Running);
}

const UNWRITABLE: &str = "what it did next cannot be written, the store is too small";

fn unwritable(instance: &str, created_at: Timestamp) -> Input {
    Input::Unwritable(id(instance), created_at, "the store is too small".into())
}

#[test]
fn an_instance_whose_next_turn_cannot_be_written_is_parked_before_it_runs() {
    let mut bench = Bench::with(CODE, Limits::default());
    bench.start("giant");
    bench.start("patient");
    let created_at = bench.record("giant").created_at;
    bench.crash();
    let unwritable = unwritable("giant", created_at);
    let request = Request { id: RequestId(100), instance: id("giant"), verb: raise() };
    bench.settle(vec![unwritable, Input::Request(request)]);
    assert_eq!(bench.record("giant").stuck.as_deref(), Some(UNWRITABLE));
    assert_eq!(bench.answers[&100], Answer::Done, "it keeps what arrives");
    assert!(bench.activities().is_empty());
    assert!(bench.record("patient").stuck.is_none());
    assert_eq!(bench.ask("giant", Verb::Resume { reason: None }), Answer::Done);
    assert_eq!(bench.activities().len(), 20, "it goes on when somebody says so");
}

#[test]
fn an_instance_whose_first_turn_cannot_be_written_with_its_start_is_parked_as_it_is_started() {
    let mut bench = Bench::with(CODE, Limits::default());
    bench.settle(vec![unwritable("giant", bench.now)]);
    bench.start("giant");
    assert_eq!(bench.record("giant").stuck.as_deref(), Some(UNWRITABLE));
    assert_eq!(bench.record("giant").events, 1, "nothing but its start is written");
    assert_eq!(bench.ask("giant", Verb::Resume { reason: None }), Answer::Done);
    assert_eq!(bench.record("giant").stuck, None);
}

#[test]
fn an_instance_goes_on_in_whose_place_one_would_begin_whose_first_turn_cannot_be_written() {
    let mut bench = Bench::with(CODE, Limits::default());
    bench.start("patient");
    bench.crash();
    bench.now = bench.now.plus(Duration::from_secs(1));
    bench.settle(vec![unwritable("patient", bench.now)]);
    assert_eq!(bench.record("patient").stuck, None);
    let started = Box::new(Started::new("patient", None, ExecutionId(7)));
    let reuse = Reuse::Replace(vec![RuntimeStatus::Running]);
    let answer = bench.ask("patient", Verb::Start { started, reuse });
    assert_eq!(answer, Answer::Started(ExecutionId(7)), "whoever asked for it asks again");
    assert_eq!(bench.record("patient").stuck.as_deref(), Some(UNWRITABLE));
}

#[test]
fn an_instance_whose_next_turn_cannot_be_written_is_not_tried_again_because_it_is_read() {
    let mut bench = Bench::with(CODE, Limits::default());
    bench.start("giant");
    let created_at = bench.record("giant").created_at;
    bench.crash();
    let unwritable = unwritable("giant", created_at);
    let request = Request { id: RequestId(100), instance: id("giant"), verb: raise() };
    bench.settle(vec![unwritable, Input::Request(request)]);
    bench.crash();
    assert!(matches!(bench.ask("giant", Verb::Status), Answer::Status(_)));
    assert!(bench.activities().is_empty());
    assert_eq!(bench.record("giant").stuck.as_deref(), Some(UNWRITABLE));
    assert_eq!(bench.ask("giant", Verb::Resume { reason: None }), Answer::Done);
    assert_eq!(bench.activities().len(), 20);
}

#[test]
fn an_instance_whose_next_turn_cannot_be_written_ends_at_its_deadline_without_that_turn() {
    let mut bench = Bench::with(CODE, Limits::default());
    let deadline = Some(bench.now.plus(Duration::from_mins(2)));
    bench.start_with(Started { deadline, ..Started::new("sleeper", None, ExecutionId(1)) });
    let created_at = bench.record("sleeper").created_at;
    bench.crash();
    bench.now = bench.now.plus(Duration::from_mins(3));
    bench.settle(vec![unwritable("sleeper", created_at)]);
    assert_eq!(bench.status("sleeper"), RuntimeStatus::Terminated);
    let called = |event: &Event| matches!(event.kind, Kind::ActivityScheduled { .. });
    assert!(!bench.history("sleeper").iter().any(called));
}
