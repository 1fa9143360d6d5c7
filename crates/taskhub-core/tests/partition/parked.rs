//! Instances that cannot be run keep their place, cost nothing, and go on when they can.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use crate::bench::{Bench, Code, act, child, event, id, sleep};
use bytes::Bytes;
use futures::{
    FutureExt as _,
    future::{join, join3},
};
use taskhub_core::{
    Answer, CallId, Caller, Done, Envelope, Epoch, ExecutionId, Kind, Limits, LockRequest, Message,
    MessageId, Operation, Outcome, PartitionId, Performed, RuntimeStatus, Started, Text, Verb,
    Work, partition::Input, turn::Command,
};

const MINUTE: Duration = Duration::from_mins(1);

/// Charges, then falls over its own feet as it wants to ship.
const STUMBLES: Code = &[
    ("order", |scope| {
        Box::pin(async move {
            let _ = act(&scope, "charge").await?;
            scope.set_custom_status("shipping".into());
            scope.send(id("other"), "news".into(), None);
            let _ship = scope.call(Command::Activity(Work::new("ship", None)));
            panic!("out of boxes")
        })
    }),
    ("parent", |scope| Box::pin(async move { child(&scope, "order").await })),
];

/// The same, mended.
const STANDS: Code = &[("order", |scope| {
    Box::pin(async move {
        let _ = act(&scope, "charge").await?;
        let (shipped, went) = join(act(&scope, "ship"), event(&scope, "go")).await;
        shipped.and(went)
    })
})];

fn raise(input: &str) -> Verb {
    Verb::Raise { name: "go".into(), input: Some(input.into()) }
}

fn resume() -> Verb {
    Verb::Resume { reason: None }
}

/// Why the instance is parked.
fn stuck(bench: &Bench, instance: &str) -> Text {
    bench.record(instance).stuck.clone().expect("it is parked")
}

/// Whether turns of it have run.
fn turns(bench: &Bench, instance: &str) -> usize {
    let turn = |kind: &Kind| matches!(kind, Kind::TurnStarted { .. });
    bench.history(instance).iter().filter(|event| turn(&event.kind)).count()
}

/// An order whose second turn has panicked.
fn stumbled() -> Bench {
    let mut bench = Bench::new(STUMBLES);
    bench.start("order");
    bench.succeed("charge");
    bench
}

#[test]
fn nothing_of_a_turn_that_panicked_happens() {
    let bench = stumbled();
    let why = stuck(&bench, "order");
    assert!(why.starts_with("the orchestration panicked: out of boxes (at "), "{why}");
    assert!(why.contains("parked.rs:"), "{why}");
    let record = bench.record("order");
    assert_eq!((record.status, &record.custom_status), (RuntimeStatus::Running, &None));
    assert_eq!(turns(&bench, "order"), 1);
    assert!(matches!(bench.history("order").last().unwrap().kind, Kind::ActivityFinished { .. }));
    assert!(bench.tasks.is_empty());
}

#[test]
fn what_panicked_goes_on_with_the_mended_code_and_with_what_came_meanwhile() {
    let mut bench = stumbled();
    assert_eq!(bench.ask("order", raise("now")), Answer::Done);
    bench.crash();
    assert!(stuck(&bench, "order").contains("out of boxes"));
    bench.deploy(STANDS);
    assert_eq!(bench.record("order").stuck, None);
    bench.succeed("ship");
    assert_eq!(bench.outcome("order"), Ok("now".to_owned()));
}

#[test]
fn a_parked_instance_is_tried_again_only_when_somebody_says_so() {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    static MENDED: AtomicBool = AtomicBool::new(false);
    let mut bench = Bench::new(&[("waits", |scope| {
        Box::pin(async move {
            let (_, went) = join(sleep(&scope, 60), event(&scope, "go")).await;
            TRIED.fetch_add(1, Ordering::Relaxed);
            assert!(MENDED.load(Ordering::Relaxed), "not yet");
            went
        })
    })]);
    bench.start("waits");
    bench.ask("waits", raise("first"));
    bench.advance(MINUTE);
    assert!(stuck(&bench, "waits").contains("not yet"));
    bench.ask("waits", raise("second"));
    bench.ask("waits", Verb::Status);
    bench.advance(60 * MINUTE);
    assert_eq!(TRIED.load(Ordering::Relaxed), 1);
    assert_eq!(bench.partition.next_wake(), None, "nobody looks at it");

    bench.ask("waits", resume());
    assert_eq!(TRIED.load(Ordering::Relaxed), 2);
    assert!(stuck(&bench, "waits").contains("not yet"));
    MENDED.store(true, Ordering::Relaxed);
    bench.ask("waits", resume());
    assert_eq!(bench.outcome("waits"), Ok("first".to_owned()));
}

#[test]
fn people_are_warned_of_it_once() {
    let mut bench = stumbled();
    bench.ask("order", raise("now"));
    bench.ask("order", resume());
    bench.crash();
    assert_eq!(bench.warned, ["order"]);
}

#[test]
fn a_timer_of_a_parked_instance_that_left_the_memory_tries_it_once() {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let limits = Limits { cache_bytes_max: 0, ..Limits::default() };
    let code: Code = &[("naps", |scope| {
        Box::pin(async move {
            let nap = async {
                let _ = event(&scope, "go").await;
                TRIED.fetch_add(1, Ordering::Relaxed);
                panic!("fell out of bed")
            };
            join(sleep(&scope, 60), nap).await.1
        })
    })];
    let mut bench = Bench::with(code, limits);
    bench.start("naps");
    bench.ask("naps", raise("first"));
    assert_eq!(TRIED.swap(0, Ordering::Relaxed), 1);
    bench.advance(60 * MINUTE);
    assert_eq!(TRIED.load(Ordering::Relaxed), 1);
    assert_eq!(bench.partition.next_wake(), None);
    let fired = bench.history("naps").into_iter().rfind(|it| it.kind.is_arrival()).unwrap();
    assert!(matches!(fired.kind, Kind::TimerFired { .. }), "it counts later");
}

#[test]
fn a_parked_instance_ends_when_it_is_terminated_and_at_its_deadline() {
    let mut bench = stumbled();
    let terminate = Verb::Terminate { reason: Some("enough".into()), recursive: false };
    assert_eq!(bench.ask("order", terminate), Answer::Done);
    assert_eq!(bench.outcome("order"), Ok("enough".to_owned()));
    assert_eq!(bench.record("order").stuck, None);

    let mut bench = Bench::new(STUMBLES);
    let deadline = Some(bench.now.plus(MINUTE));
    bench.start_with(Started { deadline, ..Started::new("order", None, ExecutionId(7)) });
    let waits = bench.post("order", Verb::Wait);
    bench.succeed("charge");
    assert!(bench.record("order").stuck.is_some() && !bench.answers.contains_key(&waits));
    bench.advance(MINUTE);
    assert_eq!(bench.status("order"), RuntimeStatus::Terminated);
    let why = bench.outcome("order").unwrap();
    assert!(why.contains("it was parked: the orchestration panicked: out of boxes"), "{why}");
    assert!(bench.answers.contains_key(&waits), "who waits hears of it");
}

#[test]
fn an_instance_whose_history_cannot_be_read_ends_at_its_deadline() {
    let mut bench = Bench::new(STANDS);
    let deadline = Some(bench.now.plus(MINUTE));
    bench.start_with(Started { deadline, ..Started::new("order", None, ExecutionId(7)) });
    let damage = Bytes::from_static(b"\xFF\xFF\xFF\xFF");
    bench.stored.get_mut(&id("order")).unwrap().history.push(damage);
    bench.crash();
    let waits = bench.post("order", Verb::Wait);
    assert!(stuck(&bench, "order").contains("cannot be read"));
    assert_eq!(bench.record("order").due, deadline);
    bench.advance(MINUTE);
    assert_eq!(bench.status("order"), RuntimeStatus::Terminated);
    let why = bench.outcome("order").unwrap();
    assert!(why.contains("it was parked: its history cannot be read"), "{why}");
    assert!(bench.answers.contains_key(&waits), "who waits hears of it");
}

#[test]
fn a_parent_hears_when_its_parked_child_is_purged() {
    let mut bench = Bench::new(STUMBLES);
    bench.start("parent");
    bench.succeed("charge");
    assert!(bench.record("order").stuck.is_some());
    assert_eq!(bench.status("parent"), RuntimeStatus::Running);
    assert_eq!(bench.ask("order", Verb::Purge), Answer::Done);
    assert_eq!(bench.outcome("parent"), Err("instance order was parked, and purged".to_owned()));
}

#[test]
fn a_purge_of_a_parked_instance_tells_its_activities_to_stop() {
    let mut bench = Bench::new(&[("order", |scope| {
        Box::pin(async move {
            let charge = act(&scope, "charge").map(stumble);
            join(act(&scope, "ship"), charge).await.0
        })
    })]);
    bench.start("order");
    bench.succeed("charge");
    assert!(bench.record("order").stuck.is_some());
    assert_eq!(bench.activities(), ["ship"]);
    assert_eq!(bench.ask("order", Verb::Purge), Answer::Done);
    assert!(bench.activities().is_empty());
}

fn stumble(_: Outcome) {
    panic!("out of boxes")
}

#[test]
fn code_that_panics_while_it_replays_loses_nothing() {
    let mut bench = Bench::new(STANDS);
    bench.start("order");
    bench.succeed("charge");
    bench.deploy(&[("order", |_| panic!("a bad day"))]);
    bench.ask("order", raise("now"));
    assert!(stuck(&bench, "order").contains("a bad day"));
    bench.deploy(STANDS);
    bench.succeed("ship");
    assert_eq!(bench.outcome("order"), Ok("now".to_owned()));
}

#[test]
fn an_orchestration_whose_history_could_not_be_read_goes_on_when_it_can() {
    let mut bench = Bench::new(STANDS);
    bench.start("order");
    bench.succeed("charge");
    let stored = bench.stored.get_mut(&id("order")).unwrap();
    let whole = std::mem::take(&mut stored.history);
    stored.history = vec![Bytes::from_static(b"\xFF\xFF\xFF\xFF")];
    bench.crash();
    assert_eq!(bench.ask("order", raise("now")), Answer::Done);
    assert!(stuck(&bench, "order").contains("cannot be read"));
    assert_eq!(bench.status("order"), RuntimeStatus::Running, "as far as is known");
    bench.advance(MINUTE);
    assert_eq!(bench.ask("order", resume()), Answer::Done);
    assert!(bench.record("order").stuck.is_some(), "it is damaged as ever");

    let stored = bench.stored.get_mut(&id("order")).unwrap();
    let later = stored.history.split_off(1);
    stored.history = whole.into_iter().chain(later).collect();
    assert_eq!(bench.ask("order", resume()), Answer::Done);
    assert_eq!(bench.record("order").stuck, None);
    bench.succeed("ship");
    assert_eq!(bench.outcome("order"), Ok("now".to_owned()));
}

/// Calls its child, an entity, and waits for a lock: each answers at its time.
const ASKS: Code = &[
    ("asks", |scope| {
        Box::pin(async move {
            let lock = Command::Lock { entities: [id("@desk@1")].into() };
            let add = Operation::new("", "add", None);
            let add = Command::Operation { entity: id("@count@1"), operation: add };
            let lock = async { scope.call(lock).await.map(|_| Some("locked".into())) };
            let answers = join3(child(&scope, "waits"), scope.call(add), lock).await;
            let answers = [answers.0?, answers.1?, answers.2?].map(Option::unwrap_or_default);
            Ok(Some(answers.join(", ").into()))
        })
    }),
    ("waits", |scope| Box::pin(async move { event(&scope, "go").await })),
];

#[test]
fn what_comes_while_a_history_cannot_be_read_is_kept_until_it_can() {
    let mut bench = Bench::new(ASKS);
    let lock = LockRequest {
        section: "theirs".into(),
        entities: [id("@desk@1")].into(),
        position: 0,
        caller: Caller { instance: id("they"), execution: ExecutionId(9), call: CallId(0) },
    };
    let message = |number, to: &str, message| {
        let from = PartitionId(9);
        let id = MessageId { from, epoch: Epoch(1), number };
        Input::Deliver(Envelope { id, partition: PartitionId(0), to: self::id(to), message })
    };
    bench.settle(vec![message(1, "@desk@1", Message::Lock(Box::new(lock)))]);
    bench.start("asks");
    let stored = bench.stored.get_mut(&id("asks")).unwrap();
    let whole = std::mem::replace(&mut stored.history, vec![Bytes::from_static(b"\xFF\xFF")]);
    bench.crash();
    bench.ask("asks", Verb::Status);
    assert!(stuck(&bench, "asks").contains("cannot be read"));

    let waits = bench.stored.iter().find(|(_, it)| *it.record.name == *"waits");
    let waits = waits.expect("a child").0.clone();
    assert_eq!(bench.ask(waits.as_str(), raise("heard")), Answer::Done);
    let performed = Performed { outcomes: vec![Ok(Some("added".into()))], ..Default::default() };
    let task = bench.tasks.pop().expect("the operation");
    bench.done(task, Done::Operations(Box::new(performed)));
    let unlock = Message::Unlock { section: "theirs".into(), next: [].into() };
    bench.settle(vec![message(2, "@desk@1", unlock)]);

    let stored = bench.stored.get_mut(&id("asks")).unwrap();
    let later = stored.history.split_off(1);
    stored.history = whole.into_iter().chain(later).collect();
    assert_eq!(bench.ask("asks", resume()), Answer::Done);
    assert_eq!(bench.outcome("asks"), Ok("heard, added, locked".to_owned()));
}
