//! The checks can fail: each finds what it is there for.

use std::collections::HashMap;

use taskhub::MemoryStore;
use taskhub_core::{CallId, Event, ExecutionId, Kind, Record, RuntimeStatus, Timestamp, Work};

use super::{Known, Verdict, counters, histories, replies, told};
use crate::{
    journal::Ran,
    ledger::{Line, instance},
};

const ID: &str = "1";

fn record(name: &str, output: &str) -> Record {
    let at = Timestamp(1);
    Record {
        execution: ExecutionId(1),
        name: name.into(),
        version: None,
        status: RuntimeStatus::Completed,
        created_at: at,
        updated_at: at,
        completed_at: Some(at),
        due: None,
        busy: false,
        custom_status: None,
        tags: [].into(),
        parent: None,
        stuck: None,
        outcome: Some(Ok(Some(output.into()))),
        events: 1,
    }
}

fn known(store: &MemoryStore) -> Known<'_> {
    let (ledger, runs) = (Vec::new(), HashMap::new());
    Known { store, ledger, runs, records: HashMap::new() }
}

/// What is wrong when clients were told this, and a weather request gave that.
fn told_wrong(output: &str, lines: &[Line]) -> usize {
    let store = MemoryStore::new(1);
    let mut known = known(&store);
    known.records.insert(instance("weather", ID), record("weather", output));
    known.ledger = lines.to_vec();
    let mut verdict = Verdict::default();
    told::check(&known, &mut verdict);
    verdict.wrong.len()
}

fn asks() -> Line {
    let (orchestration, key) = ("weather".to_owned(), ID.to_owned());
    Line::Asks { orchestration, key, body: String::new() }
}

fn answered(text: &str) -> Line {
    let (orchestration, key, text) = ("weather".to_owned(), ID.to_owned(), text.to_owned());
    Line::Answered { orchestration, key, text, millis: 1, tries: 1 }
}

fn replies(text: &str) -> Line {
    Line::Replies { instance: instance("weather", ID), text: text.to_owned() }
}

#[test]
fn an_answer_that_is_lost_or_another_one_is_found() {
    let well = [asks(), replies("rain"), answered("rain")];
    assert_eq!(told_wrong("\"rain\"", &well), 0);
    assert_eq!(told_wrong("\"rain\"", &[asks(), replies("rain")]), 1, "never answered");
    assert_eq!(told_wrong("\"sun\"", &[asks(), replies("sun"), answered("rain")]), 1);
    assert_eq!(told_wrong("\"rain\"", &[asks(), answered("rain")]), 1, "nobody raised it");
}

#[test]
fn a_signal_that_is_lost_is_found() {
    let store = MemoryStore::new(1);
    let wrong = |line: Line| {
        let mut known = known(&store);
        known.ledger = vec![line];
        let mut verdict = Verdict::default();
        counters::check(&known, &mut verdict);
        verdict.wrong.len()
    };
    let (counter, operation) = ("a".to_owned(), "1".to_owned());
    let signals = Line::Signals { counter: counter.clone(), operation: operation.clone() };
    assert_eq!(wrong(signals), 0, "it was not accepted");
    assert_eq!(wrong(Line::Signalled { counter, operation }), 1);
}

#[test]
fn an_answer_that_changes_or_is_an_error_is_found() {
    let (orchestration, key) = ("weather".to_owned(), ID.to_owned());
    let text = "sun".to_owned();
    let again =
        Line::AnsweredAgain { orchestration: orchestration.clone(), key: key.clone(), text };
    let wrong = Line::Wrong { orchestration, key, status: 500, text: "oh".to_owned() };
    for line in [again, wrong] {
        let lines = [asks(), replies("rain"), answered("rain"), line];
        assert_eq!(told_wrong("\"rain\"", &lines), 1);
    }
}

#[test]
fn an_operation_that_is_performed_twice_or_for_nobody_is_found() {
    let asked = |times| [("1".to_owned(), times)].into();
    let performed = |all: &[(&str, u32)]| all.iter().map(|it| (it.0.to_owned(), it.1)).collect();
    for (times, counts, expected) in [
        (counters::Times::Once, &[("1", 1)][..], 0),
        (counters::Times::Once, &[], 1),
        (counters::Times::AtMostOnce, &[], 0),
        (counters::Times::AtMostOnce, &[("1", 2)], 1),
        (counters::Times::Once, &[("1", 1), ("2", 1)], 1),
    ] {
        let mut verdict = Verdict::default();
        counters::one(&mut verdict, "a", &asked(times), &performed(counts));
        assert_eq!(verdict.wrong.len(), expected, "{times:?} {counts:?}");
    }
}

#[test]
fn a_reply_that_was_accepted_and_is_lost_or_came_twice_is_found() {
    let raised = |text: &str| {
        let input = Some(format!("\"{text}\"").into());
        Event { at: Timestamp(1), kind: Kind::EventRaised { name: "reply".into(), input } }
    };
    let wrong = |accepted, texts: &[&str]| {
        let mut verdict = Verdict::default();
        let history: Vec<_> = texts.iter().map(|text| raised(text)).collect();
        replies::one(&mut verdict, ID, &[("rain", accepted)].into(), &history);
        verdict.wrong.len()
    };
    assert_eq!((wrong(true, &["rain"]), wrong(false, &[]), wrong(false, &["rain"])), (0, 0, 0));
    assert_eq!((wrong(true, &[]), wrong(false, &["rain", "rain"])), (1, 1));
    assert_eq!(wrong(true, &["rain", "sun"]), 1, "nobody sent it");
}

#[test]
fn what_has_not_ended_and_a_history_with_a_gap_are_found() {
    let store = MemoryStore::new(1);
    let mut known = known(&store);
    known.records.insert(ID.to_owned(), record("nap", "1"));
    let wrong = |known: &Known<'_>| {
        let (mut ended, mut whole) = (Verdict::default(), Verdict::default());
        known.ended(&mut ended);
        histories::check(known, &mut whole);
        (ended.wrong.len(), whole.wrong.len())
    };
    assert_eq!(wrong(&known), (0, 1), "its record counts an event that is not there");
    for change in [
        |it: &mut Record| it.status = RuntimeStatus::Running,
        |it: &mut Record| it.stuck = Some("changed code".into()),
        |it: &mut Record| it.busy = true,
        |it: &mut Record| it.due = Some(Timestamp(1)),
    ] {
        let mut record = Record { events: 0, ..record("nap", "1") };
        change(&mut record);
        known.records.insert(ID.to_owned(), record);
        assert_eq!(wrong(&known), (1, 0));
    }
}

/// What is wrong with a history, if the activity `stamp` ran once for its step 0.
fn history_wrong(kinds: Vec<Kind>) -> usize {
    let store = MemoryStore::new(1);
    let mut known = known(&store);
    let [activity, instance, step, mark] = ["stamp", ID, "0", "mark"].map(str::to_owned);
    known.runs.insert(mark.clone(), Ran { activity, instance, step, mark });
    let events = kinds.into_iter().zip(10..).map(|(kind, at)| Event { at: Timestamp(at), kind });
    let mut verdict = Verdict::default();
    histories::one(&known, &mut verdict, ID, &events.collect::<Vec<_>>());
    verdict.wrong.len()
}

fn scheduled() -> Kind {
    let work = Work::new("stamp", Some("\"0\"".into()));
    Kind::ActivityScheduled { call: CallId(0), work }
}

fn finished(mark: &str) -> Kind {
    Kind::ActivityFinished { call: CallId(0), outcome: Ok(Some(format!("\"{mark}\"").into())) }
}

#[test]
fn a_result_that_is_taken_twice_or_of_no_run_is_found() {
    assert_eq!(history_wrong(vec![scheduled(), finished("mark")]), 0);
    assert_eq!(history_wrong(vec![scheduled(), finished("mark"), finished("mark")]), 1);
    assert_eq!(history_wrong(vec![scheduled(), finished("other")]), 1);
    assert_eq!(history_wrong(vec![scheduled()]), 1, "it has no end");
}

#[test]
fn a_timer_that_fires_early_is_found() {
    let timer = |fire_at| {
        let call = CallId(0);
        vec![Kind::TimerCreated { call, fire_at: Timestamp(fire_at) }, Kind::TimerFired { call }]
    };
    assert_eq!(history_wrong(timer(11)), 0);
    assert_eq!(history_wrong(timer(12)), 1);
}
