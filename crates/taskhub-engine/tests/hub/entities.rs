//! Entities on a real node: operations are performed like activities, and others can look.

use std::{sync::Arc, time::Duration};

use taskhub_core::{
    Answer, Batch, Change, CommitSeq, Done, EntityMetadata, ExecutionId, InstanceId, Job, Limits,
    Operation, Performed, Requested, Reuse, Started, Task, Text, Timestamp, TurnRecord, Verb,
    store::{Filter, Node, Ownership, Store as _},
    turn::{Command, Functions, Orchestration, Run, Scope},
};
use taskhub_engine::{Activities, Cleaned, Code, Hub, Lockstep, Running, store::MemoryStore};

/// Adds to the entity that its input names, then locks it and waits for ever.
struct Adds;

impl Orchestration for Adds {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        let entity = InstanceId::trusted(input.unwrap_or_default());
        Box::pin(async move {
            let operation = add("");
            scope.call(Command::Operation { entity: entity.clone(), operation }).await?;
            scope.call(Command::Lock { entities: [entity].into() }).await?;
            scope.call(Command::Event { name: "locked".into() }).await
        })
    }
}

struct Here;

impl Functions for Here {
    fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        Some(&Adds)
    }
}

impl Activities for Here {
    fn run(&self, task: &Task) -> Option<Running> {
        let Job::Operations(asked) = &task.job else { return None };
        if &*asked.requested[0].operation.name == "fill" {
            let state = Some("x".repeat(900_000).into());
            let filled = Performed { outcomes: vec![Ok(None)], state, ..Performed::default() };
            return Some(Box::pin(std::future::ready(Done::Operations(Box::new(filled)))));
        }
        let before: usize = asked.state.as_deref().map_or(0, |it| it.parse().expect("a number"));
        let state = Some((before + asked.requested.len()).to_string().into());
        let outcomes = asked.requested.iter().map(|_| Ok(state.clone())).collect();
        let performed = Performed { outcomes, state, ..Performed::default() };
        Some(Box::pin(std::future::ready(Done::Operations(Box::new(performed)))))
    }
}

fn add(request: &str) -> Operation {
    Operation::new(request, "add", None)
}

fn open() -> Hub {
    open_on(Arc::new(MemoryStore::new(3)))
}

fn open_on(store: Arc<MemoryStore>) -> Hub {
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
    let how = Lockstep { begins_at: Timestamp(1_000_000), dies: Box::new(|_| None) };
    Hub::open_in_lockstep(store, &code, Limits::default(), how).expect("the store is new")
}

fn entity(key: &str) -> InstanceId {
    InstanceId::entity("counter", key).expect("a good key")
}

async fn start(hub: &Hub, id: &str, entity: &InstanceId) {
    start_as(hub, id, entity, ExecutionId(1)).await;
}

async fn start_as(hub: &Hub, id: &str, entity: &InstanceId, execution: ExecutionId) {
    let started = Started::new("adds", Some(entity.as_str().into()), execution);
    let verb = Verb::Start { started: Box::new(started), reuse: Reuse::Fresh };
    let answer = hub.ask(InstanceId::trusted(id), verb).await;
    assert_eq!(answer, Answer::Started(execution));
}

/// The entity, once somebody holds it.
async fn locked(hub: &Hub, id: InstanceId) -> EntityMetadata {
    loop {
        match hub.entity(id.clone()).await.expect("the store works") {
            Some(entity) if entity.locked_by.is_some() => return entity,
            _ => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entity_can_be_looked_at_with_its_state_and_its_lock() {
    let hub = open();
    start(&hub, "holder", &entity("a")).await;
    let seen = locked(&hub, entity("a")).await;
    assert_eq!(seen.state.as_deref(), Some("1"));
    assert_eq!(seen.locked_by, Some(InstanceId::trusted("holder")));
    assert_eq!((seen.backlog, seen.stuck), (0, None));
    let signal = Verb::Signal(Box::new(Requested { operation: add("1"), caller: None, due: None }));
    assert_eq!(hub.ask(entity("a"), signal).await, Answer::Done);
    assert_eq!(locked(&hub, entity("a")).await.backlog, 1);
    hub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_entity_is_not_found_as_one() {
    let hub = open();
    start(&hub, "holder", &entity("a")).await;
    assert_eq!(hub.entity(entity("b")).await, Ok(None));
    assert_eq!(hub.entity(InstanceId::trusted("holder")).await, Ok(None));
    hub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn entities_are_listed_apart_from_orchestrations_page_by_page() {
    let hub = open();
    for key in ["a", "b", "c"] {
        start(&hub, key, &entity(key)).await;
        locked(&hub, entity(key)).await;
    }
    let mut filter = Filter { limit: 2, ..Filter::default() };
    let mut found = Vec::new();
    loop {
        let page = hub.entities(filter.clone()).await.expect("the store works");
        found.extend(page.entities.into_iter().map(|it| it.id));
        let Some(next) = page.next else { break };
        filter.after = Some(next);
    }
    assert_eq!(found, [entity("a"), entity("b"), entity("c")]);
    hub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_ends_before_its_states_are_more_than_memory_should_hold() {
    let hub = open();
    for key in ["a", "b", "c", "d", "e", "f"] {
        let operation = Operation::new("1", "fill", None);
        let fill = Verb::Signal(Box::new(Requested { operation, caller: None, due: None }));
        assert_eq!(hub.ask(entity(key), fill).await, Answer::Done);
        while hub.entity(entity(key)).await.is_ok_and(|it| it.is_none_or(|it| it.state.is_none())) {
            tokio::task::yield_now().await;
        }
    }
    let mut filter = Filter { limit: 100, ..Filter::default() };
    let mut pages = Vec::new();
    loop {
        let page = hub.entities(filter.clone()).await.expect("the store works");
        pages.push(page.entities.into_iter().map(|it| it.id).collect::<Vec<_>>());
        let Some(next) = page.next else { break };
        filter.after = Some(next);
    }
    let two = |one, other| vec![entity(one), entity(other)];
    assert_eq!(pages, [two("a", "b"), two("c", "d"), two("e", "f")]);
    hub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clean_up_gives_back_only_what_nobody_holds() {
    let store = Arc::new(MemoryStore::new(1));
    let hub = open_on(store.clone());
    for key in ["a", "b"] {
        start(&hub, key, &entity(key)).await;
        locked(&hub, entity(key)).await;
    }
    hub.stop().await;
    forget(&store, "a");
    let hub = open_on(store);
    let cleaned = hub.clean_entities(None, 10).await.expect("the store works");
    assert_eq!(cleaned, Cleaned { removed: 0, released: 1, next: None });
    let holder = async |key| hub.entity(entity(key)).await.expect("the store works");
    assert_eq!(holder("a").await.and_then(|it| it.locked_by), None);
    assert_eq!(holder("b").await.and_then(|it| it.locked_by), Some(InstanceId::trusted("b")));
    hub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clean_up_gives_back_what_an_earlier_run_of_the_same_id_held() {
    let store = Arc::new(MemoryStore::new(1));
    let hub = open_on(store.clone());
    start(&hub, "it", &entity("a")).await;
    locked(&hub, entity("a")).await;
    hub.stop().await;
    forget(&store, "it");
    let hub = open_on(store);
    start_as(&hub, "it", &entity("b"), ExecutionId(2)).await;
    locked(&hub, entity("b")).await;
    let cleaned = hub.clean_entities(None, 10).await.expect("the store works");
    assert_eq!(cleaned, Cleaned { removed: 0, released: 1, next: None });
    let holder = async |key| hub.entity(entity(key)).await.expect("the store works");
    assert_eq!(holder("a").await.and_then(|it| it.locked_by), None);
    assert_eq!(holder("b").await.and_then(|it| it.locked_by), Some(InstanceId::trusted("it")));
    hub.stop().await;
}

/// Removes an instance behind the engine's back.
fn forget(store: &MemoryStore, id: &str) {
    let node = Node { id: "vandal".into(), address: "".into(), circle: "".into() };
    let held = store.claim(&node, 1, Duration::MAX).expect("nobody owns it");
    let instance = InstanceId::trusted(id);
    let Ownership { partition, epoch } = held[0];
    let (seq, change) = (CommitSeq(1), Change::Purge);
    let turn = TurnRecord { partition, seq, instance, change, sent: Vec::new(), taken: Vec::new() };
    let batch = Batch { owners: vec![(partition, epoch)], turns: vec![turn] };
    store.commit(&batch).expect("the store works");
    store.release(&held).expect("the store works");
}
