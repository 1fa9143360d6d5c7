//! A store that fails: callers hear that the outcome is unknown, and the hub recovers by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use taskhub_core::{
    Answer, ExecutionId, InstanceId, Limits, PartitionId, Refusal, Reuse, Started, Task, Text,
    Verb,
    store::StoreError,
    turn::{Command, Functions, Orchestration, Run, Scope},
};
use taskhub_engine::{Activities, Code, Hub, Running, store::MemoryStore};

use crate::guarded::{Asked, Guarded};

/// How many bytes of one turn the store takes.
const BYTES_MAX: usize = 100_000;

/// What is wrong with the store, as long as somebody says so.
#[derive(Clone, Default)]
struct Trouble {
    /// Its disk is full.
    full: Arc<AtomicBool>,
    /// The last partition cannot be opened.
    torn: Arc<AtomicBool>,
}

impl Trouble {
    /// A hub on a store that has it.
    fn hub(&self, partitions: u16) -> Hub {
        let trouble = self.clone();
        let store = Guarded::new(MemoryStore::new(partitions), move |asked| {
            let is_last = |partition: &PartitionId| partition.0 + 1 == partitions;
            let why = || "this is a test".into();
            match asked {
                Asked::Claim | Asked::Commit(_) if trouble.full.load(Ordering::SeqCst) => {
                    Err(StoreError::Full(why()))
                }
                Asked::Commit(batch) if batch.turns.iter().any(|it| it.bytes() > BYTES_MAX) => {
                    Err(StoreError::TooLarge(why()))
                }
                Asked::Wakes(partition)
                    if is_last(partition) && trouble.torn.load(Ordering::SeqCst) =>
                {
                    Err(StoreError::Unavailable(why()))
                }
                _ => Ok(()),
            }
        });
        let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
        Hub::open(Arc::new(store), &code, Limits::default()).expect("the store works")
    }
}

struct Here;

impl Functions for Here {
    fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        Some(self)
    }
}

impl Orchestration for Here {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        Box::pin(async move {
            let reply = scope.call(Command::Event { name: "reply".into() }).await;
            if input.is_some() {
                scope.set_custom_status("x".repeat(BYTES_MAX).into());
                return scope.call(Command::Event { name: "never".into() }).await;
            }
            reply
        })
    }
}

impl Activities for Here {
    fn run(&self, _: &Task) -> Option<Running> {
        None
    }
}

fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).expect("a good id")
}

fn start() -> Verb {
    let started = Started::new("wait", None, ExecutionId(7));
    Verb::Start { started: Box::new(started), reuse: Reuse::Join }
}

fn reply() -> Verb {
    Verb::Raise { name: "reply".into(), input: Some("sun".into()) }
}

/// Asks again as long as the hub says that it cannot serve just now.
async fn patiently(hub: &Hub, instance: &str, verb: Verb) -> Answer {
    loop {
        match hub.ask(id(instance), verb.clone()).await {
            Answer::Refused(Refusal::Lost(_) | Refusal::Unavailable(..)) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            answer => return answer,
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_it_cannot_keep_and_recovers_when_there_is_room() {
    let trouble = Trouble::default();
    let hub = trouble.hub(4);
    hub.ask(id("before"), start()).await;
    let held = tokio::spawn({
        let hub = hub.clone();
        async move { hub.ask(id("before"), Verb::Wait).await }
    });
    while hub.held_requests() == 0 {
        tokio::task::yield_now().await;
    }

    trouble.full.store(true, Ordering::SeqCst);
    let lost = hub.ask(id("meanwhile"), start()).await;
    assert!(matches!(lost, Answer::Refused(Refusal::Lost(_))), "{lost:?}");
    let held = held.await.expect("it does not panic");
    assert!(matches!(held, Answer::Refused(Refusal::Unavailable(..))), "{held:?}");
    for verb in [start(), reply(), Verb::Status, Verb::Wait] {
        let Answer::Refused(why) = hub.ask(id("before"), verb).await else { panic!("it is full") };
        assert!(matches!(why, Refusal::Unavailable(..)), "nothing happened: {why:?}");
        assert!(why.to_string().contains("the store fails: "), "{why}");
    }
    assert!(hub.store_failure().is_some_and(|why| why.contains("this is a test")));

    trouble.full.store(false, Ordering::SeqCst);
    assert_eq!(patiently(&hub, "before", reply()).await, Answer::Done);
    while hub.store_failure().is_some() {
        tokio::task::yield_now().await;
    }
    let Answer::Status(record) = hub.ask(id("before"), Verb::Wait).await else { panic!() };
    assert_eq!(record.outcome, Some(Ok(Some("sun".into()))));
    hub.stop().await;
}

#[tokio::test]
async fn a_node_stops_though_its_store_still_fails() {
    let trouble = Trouble::default();
    let hub = trouble.hub(4);
    trouble.full.store(true, Ordering::SeqCst);
    let lost = hub.ask(id("a"), start()).await;
    assert!(matches!(lost, Answer::Refused(Refusal::Lost(_))), "{lost:?}");
    tokio::time::timeout(Duration::from_mins(1), hub.stop()).await.expect("it stops");
}

#[tokio::test]
async fn nobody_waits_for_ever_when_the_store_fails_again_while_it_is_opened() {
    let trouble = Trouble::default();
    let hub = trouble.hub(4);
    let mut names = (0..).map(|number| format!("id{number}"));
    let early = names.find(|name| PartitionId::of(&id(name), 4).0 == 0);
    let early = early.expect("one of them lies in the first partition");
    hub.ask(id(&early), start()).await;

    trouble.torn.store(true, Ordering::SeqCst);
    trouble.full.store(true, Ordering::SeqCst);
    let lost = hub.ask(id(&early), reply()).await;
    assert!(matches!(lost, Answer::Refused(Refusal::Lost(_))), "{lost:?}");
    trouble.full.store(false, Ordering::SeqCst);
    // Nothing is opened as long as the last partition cannot be: nobody is held by half a hub.
    let held = hub.ask(id(&early), Verb::Wait).await;
    assert!(matches!(held, Answer::Refused(Refusal::Unavailable(..))), "{held:?}");
    trouble.torn.store(false, Ordering::SeqCst);
    assert_eq!(patiently(&hub, &early, reply()).await, Answer::Done);
    hub.stop().await;
}

#[tokio::test]
async fn a_turn_that_the_store_never_takes_parks_its_instance_and_stops_nobody_else() {
    let hub = Trouble::default().hub(1);
    let started = Started::new("giant", Some("large".into()), ExecutionId(8));
    let start_giant = Verb::Start { started: Box::new(started), reuse: Reuse::Join };
    assert!(matches!(hub.ask(id("giant"), start_giant).await, Answer::Started(_)));
    assert!(matches!(hub.ask(id("other"), start()).await, Answer::Started(_)));
    let lost = hub.ask(id("giant"), reply()).await;
    assert!(matches!(lost, Answer::Refused(Refusal::Lost(_))), "{lost:?}");
    let Answer::Status(record) = patiently(&hub, "giant", Verb::Status).await else { panic!() };
    let why = record.stuck.expect("it would do the same again");
    assert!(why.starts_with("what it did next cannot be written, 100"), "{why}");
    assert_eq!(patiently(&hub, "other", reply()).await, Answer::Done);
    hub.stop().await;
}
