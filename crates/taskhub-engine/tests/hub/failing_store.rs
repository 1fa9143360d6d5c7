//! A store that fails: callers hear that the outcome is unknown, and the hub recovers by itself.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use taskhub_core::{
    Answer, Batch, Envelope, ExecutionId, InstanceId, Limits, MessageId, PartitionId, Refusal,
    Reuse, Started, Task, Text, Verb,
    store::{CommitError, Filter, Node, Ownership, Page, Store, StoreError, Stored, Wake},
    turn::{Command, Functions, Orchestration, Run, Scope},
};
use taskhub_engine::{Activities, Code, Hub, Running, store::MemoryStore};

/// A store whose disk is full as long as somebody says so.
struct Failing {
    store: MemoryStore,
    full: Arc<AtomicBool>,
    /// Whether the last partition cannot be opened.
    torn: Arc<AtomicBool>,
}

/// How many bytes of one turn it takes.
const BYTES_MAX: usize = 100_000;

impl Failing {
    fn check(&self) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Full("this is a test".into()));
        }
        Ok(())
    }
}

impl Store for Failing {
    fn partitions(&self) -> u16 {
        self.store.partitions()
    }
    fn claim(
        &self,
        node: &Node,
        limit: usize,
        ttl: Duration,
    ) -> Result<Vec<Ownership>, StoreError> {
        self.check()?;
        self.store.claim(node, limit, ttl)
    }
    fn renew(&self, held: &[Ownership], ttl: Duration) -> Result<Vec<PartitionId>, StoreError> {
        self.store.renew(held, ttl)
    }
    fn release(&self, held: &[Ownership]) -> Result<(), StoreError> {
        self.store.release(held)
    }
    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        self.check()?;
        if batch.turns.iter().any(|turn| turn.bytes() > BYTES_MAX) {
            return Err(StoreError::TooLarge("this is a test".into()).into());
        }
        self.store.commit(batch)
    }
    fn inbox(
        &self,
        partition: PartitionId,
        taken: &[MessageId],
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.store.inbox(partition, taken, limit)
    }
    fn wakes(
        &self,
        partition: PartitionId,
        after: Option<&Wake>,
        limit: usize,
    ) -> Result<Vec<Wake>, StoreError> {
        if self.torn.load(Ordering::SeqCst) && partition.0 + 1 == self.partitions() {
            return Err(StoreError::Unavailable("this is a test".into()));
        }
        self.store.wakes(partition, after, limit)
    }
    fn busy(
        &self,
        partition: PartitionId,
        after: Option<&InstanceId>,
        limit: usize,
    ) -> Result<Vec<InstanceId>, StoreError> {
        self.store.busy(partition, after, limit)
    }
    fn load(&self, instance: &InstanceId) -> Result<Option<Stored>, StoreError> {
        self.store.load(instance)
    }
    fn history(&self, instance: &InstanceId, events: Range<u64>) -> Result<Vec<Bytes>, StoreError> {
        self.store.history(instance, events)
    }
    fn query(&self, filter: &Filter) -> Result<Page, StoreError> {
        self.store.query(filter)
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
    let full = Arc::new(AtomicBool::new(false));
    let store = Failing { store: MemoryStore::new(4), full: full.clone(), torn: Arc::default() };
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
    let hub = Hub::open(Arc::new(store), &code, Limits::default()).expect("the store works");
    hub.ask(id("before"), start()).await;
    let held = tokio::spawn({
        let hub = hub.clone();
        async move { hub.ask(id("before"), Verb::Wait).await }
    });
    while hub.held_requests() == 0 {
        tokio::task::yield_now().await;
    }

    full.store(true, Ordering::SeqCst);
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

    full.store(false, Ordering::SeqCst);
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
    let full = Arc::new(AtomicBool::new(false));
    let store = Failing { store: MemoryStore::new(4), full: full.clone(), torn: Arc::default() };
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
    let hub = Hub::open(Arc::new(store), &code, Limits::default()).expect("the store works");
    full.store(true, Ordering::SeqCst);
    let lost = hub.ask(id("a"), start()).await;
    assert!(matches!(lost, Answer::Refused(Refusal::Lost(_))), "{lost:?}");
    tokio::time::timeout(Duration::from_mins(1), hub.stop()).await.expect("it stops");
}

#[tokio::test]
async fn nobody_waits_for_ever_when_the_store_fails_again_while_it_is_opened() {
    let (full, torn) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let store = Failing { store: MemoryStore::new(4), full: full.clone(), torn: torn.clone() };
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
    let hub = Hub::open(Arc::new(store), &code, Limits::default()).expect("the store works");
    let mut names = (0..).map(|number| format!("id{number}"));
    let early = names.find(|name| PartitionId::of(&id(name), 4).0 == 0);
    let early = early.expect("one of them lies in the first partition");
    hub.ask(id(&early), start()).await;

    torn.store(true, Ordering::SeqCst);
    full.store(true, Ordering::SeqCst);
    let lost = hub.ask(id(&early), reply()).await;
    assert!(matches!(lost, Answer::Refused(Refusal::Lost(_))), "{lost:?}");
    full.store(false, Ordering::SeqCst);
    // Nothing is opened as long as the last partition cannot be: nobody is held by half a hub.
    let held = hub.ask(id(&early), Verb::Wait).await;
    assert!(matches!(held, Answer::Refused(Refusal::Unavailable(..))), "{held:?}");
    torn.store(false, Ordering::SeqCst);
    assert_eq!(patiently(&hub, &early, reply()).await, Answer::Done);
    hub.stop().await;
}

#[tokio::test]
async fn a_turn_that_the_store_never_takes_parks_its_instance_and_stops_nobody_else() {
    let (full, torn) = (Arc::default(), Arc::default());
    let store = Failing { store: MemoryStore::new(1), full, torn };
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
    let hub = Hub::open(Arc::new(store), &code, Limits::default()).expect("the store works");
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
