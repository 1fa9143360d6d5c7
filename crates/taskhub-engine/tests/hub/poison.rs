//! Instances whose stored history cannot be read: they are parked, and harm nobody.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use taskhub_core::{
    Answer, Batch, Change, CommitSeq, ExecutionId, HistoryChange, InstanceId, Limits, Record,
    Reuse, RuntimeStatus, Started, Task, Text, Timestamp, TurnRecord, Verb,
    store::{Filter, Node, Store},
    turn::{Command, Functions, Orchestration, Run, Scope},
};
use taskhub_engine::{
    Activities, Code, Hub, Running,
    store::{Embedded, MemoryStore},
};

/// Waits for an event, and returns it.
struct Waits;

impl Orchestration for Waits {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        Box::pin(async move { scope.call(Command::Event { name: "go".into() }).await })
    }
}

impl Functions for Waits {
    fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        Some(self)
    }
}

impl Activities for Waits {
    fn run(&self, _: &Task) -> Option<Running> {
        None
    }
}

fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).expect("a good id")
}

/// Stores an instance whose history is damaged, in the only partition.
fn damage(store: &dyn Store) {
    let node = Node { id: "before".into(), address: "".into(), circle: "".into() };
    let held = store.claim(&node, 1, Duration::from_mins(1)).expect("it is free");
    let at = Timestamp(1);
    let record = Record {
        execution: ExecutionId(9),
        name: "waits".into(),
        version: None,
        status: RuntimeStatus::Running,
        created_at: at,
        updated_at: at,
        completed_at: None,
        due: None,
        busy: true,
        custom_status: None,
        tags: [].into(),
        parent: None,
        stuck: None,
        outcome: None,
        events: 3,
    };
    let events = Bytes::from_static(b"\x0a\xff\x03nonsense");
    let history = HistoryChange::Append { at: 0, events };
    let turn = TurnRecord {
        partition: held[0].partition,
        seq: CommitSeq(1),
        instance: id("damaged"),
        change: Change::Write { record: Box::new(record), shows: true, history },
        sent: Vec::new(),
        taken: Vec::new(),
    };
    let owners = vec![(held[0].partition, held[0].epoch)];
    store.commit(&Batch { owners, turns: vec![turn] }).expect("it is owned");
    store.release(&held).expect("it was held");
}

fn raise() -> Verb {
    Verb::Raise { name: "go".into(), input: Some("1".into()) }
}

#[tokio::test]
async fn a_history_that_cannot_be_read_parks_its_instance_and_nobody_else() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(1));
    damage(&*store);
    let code = Code { functions: Arc::new(Waits), activities: Arc::new(Waits) };
    let hub = Hub::open(store, &code, Limits::default()).expect("it opens");

    let Answer::Status(record) = hub.ask(id("damaged"), Verb::Status).await else {
        panic!("it is there");
    };
    let why = record.stuck.expect("it is parked");
    assert!(why.contains("cannot be read"), "{why}");

    let started = Box::new(Started::new("waits", None, ExecutionId(7)));
    hub.ask(id("sound"), Verb::Start { started, reuse: Reuse::ended() }).await;
    hub.ask(id("sound"), raise()).await;
    let Answer::Status(record) = hub.ask(id("sound"), Verb::Wait).await else {
        panic!("it ends");
    };
    assert_eq!(record.status, RuntimeStatus::Completed);

    let parked = Filter { stuck: true, limit: 10, ..Filter::default() };
    let page = hub.query(parked.clone()).await.expect("it can be listed");
    let ids: Vec<_> = page.instances.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["damaged"]);
    // Its history is still damaged.
    assert_eq!(hub.ask(id("damaged"), Verb::Resume { reason: None }).await, Answer::Done);
    assert_eq!(hub.query(parked.clone()).await.expect("listed").instances.len(), 1);
    assert_eq!(hub.ask(id("damaged"), raise()).await, Answer::Done);
    assert_eq!(hub.ask(id("damaged"), Verb::Purge).await, Answer::Done);
    assert!(hub.query(parked).await.expect("listed").instances.is_empty());
    hub.stop().await;
}

/// Writes this in place of all history that a file has, and gives what was there.
fn replace_history(file: &Path, events: &[u8]) -> Vec<u8> {
    let file = rusqlite::Connection::open(file).expect("the file");
    let before = file.query_row("SELECT events FROM history", [], |row| row.get(0));
    file.execute("UPDATE history SET events = ?1", [events]).expect("it is written");
    before.expect("one piece")
}

#[tokio::test]
async fn an_instance_goes_on_when_its_history_is_repaired_and_it_is_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || {
        let store = Arc::new(Embedded::open(folder.path()).expect("a store"));
        let code = Code { functions: Arc::new(Waits), activities: Arc::new(Waits) };
        Hub::open(store, &code, Limits::default()).expect("it opens")
    };
    let status = async |hub: &Hub| match hub.ask(id("it"), Verb::Status).await {
        Answer::Status(record) => record,
        other => panic!("{other:?}"),
    };
    let hub = open();
    let started = Box::new(Started::new("waits", None, ExecutionId(7)));
    hub.ask(id("it"), Verb::Start { started, reuse: Reuse::ended() }).await;
    hub.stop().await;
    drop(hub);
    let file = folder.path().join("hub.db");
    let whole = replace_history(&file, b"\x0a\xff\x03nonsense");

    let hub = open();
    let why = status(&hub).await.stuck.expect("it is parked");
    assert!(why.contains("cannot be read"), "{why}");
    replace_history(&file, &whole);
    assert_eq!(hub.ask(id("it"), Verb::Resume { reason: None }).await, Answer::Done);
    assert_eq!(hub.ask(id("it"), raise()).await, Answer::Done);
    let Answer::Status(record) = hub.ask(id("it"), Verb::Wait).await else { panic!("it ends") };
    let output = record.outcome.expect("an end").expect("no failure");
    assert_eq!((record.stuck, output.as_deref()), (None, Some("1")));
    hub.stop().await;
}
