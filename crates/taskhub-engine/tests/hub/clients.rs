//! A real node, with threads and a store: what clients are promised by the time they are answered.

use std::{sync::Arc, time::Duration};

use taskhub_core::{
    Answer, Done, ExecutionId, Failure, InstanceId, Job, Limits, Outcome, Refusal, Reuse,
    RuntimeStatus, Started, Task, Text, Timestamp, Verb, Work,
    store::{Filter, Store},
    turn::{Command, Functions, Orchestration, Run, Scope},
};
use taskhub_engine::{
    Activities, Code, Hub, Running,
    store::{Embedded, MemoryStore},
};

/// The orchestrations of these tests, by name.
struct Here;

impl Functions for Here {
    fn orchestration(&self, name: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        match name {
            "wait" => Some(&Wait),
            "chain" => Some(&Chain),
            "nap" => Some(&Nap),
            "parent" => Some(&Parent),
            "hasty" => Some(&Hasty),
            "forever" => Some(&Forever),
            "guarded" => Some(&Guarded),
            _ => None,
        }
    }
}

struct Wait;
impl Orchestration for Wait {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        Box::pin(async move { scope.call(Command::Event { name: "reply".into() }).await })
    }
}

struct Chain;
impl Orchestration for Chain {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        Box::pin(async move {
            let mut last = input;
            for _ in 0..5 {
                last = scope.call(Command::Activity(work("add", last))).await?;
            }
            Ok(last)
        })
    }
}

struct Nap;
impl Orchestration for Nap {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        Box::pin(async move {
            let fire_at = scope.now().plus(Duration::from_millis(30));
            scope.call(Command::Timer { fire_at }).await
        })
    }
}

struct Parent;
impl Orchestration for Parent {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        let child = Command::Child { instance: None, work: work("chain", input) };
        Box::pin(async move { scope.call(child).await })
    }
}

struct Hasty;
impl Orchestration for Hasty {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        Box::pin(async move {
            let fire_at = scope.now().plus(Duration::from_millis(30));
            let slow = scope.call(Command::Activity(work("endless", input)));
            futures::future::select(slow, scope.call(Command::Timer { fire_at })).await;
            Ok(Some("in time".into()))
        })
    }
}

struct Forever;
impl Orchestration for Forever {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        Box::pin(async move { scope.call(Command::Activity(work("endless", input))).await })
    }
}

struct Guarded;
impl Orchestration for Guarded {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        struct Guard;
        impl Drop for Guard {
            fn drop(&mut self) {
                panic!("a destructor of the orchestration");
            }
        }
        Box::pin(async move {
            let _guard = Guard;
            scope.call(Command::Event { name: "reply".into() }).await
        })
    }
}

impl Activities for Here {
    fn run(&self, task: &Task) -> Option<Running> {
        let Job::Activity(work) = &task.job else { return None };
        let input: u64 = work.input.as_deref()?.parse().ok()?;
        let sum = Done::Activity(Ok(Some((input + 1).to_string().into())));
        match &*work.name {
            "add" => Some(Box::pin(std::future::ready(sum))),
            "endless" => Some(Box::pin(std::future::pending())),
            _ => None,
        }
    }
}

fn work(name: &str, input: Option<Text>) -> Work {
    Work::new(name, input)
}

fn open(store: Arc<dyn Store>) -> Hub {
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
    Hub::open(store, &code, Limits::default()).expect("the store is new")
}

fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).expect("a good id")
}

fn start(name: &str, input: Option<&str>) -> Verb {
    let started = Started::new(name, input.map(Text::from), ExecutionId(7));
    Verb::Start { started: Box::new(started), reuse: Reuse::ended() }
}

fn raise(input: &str) -> Verb {
    Verb::Raise { name: "Reply".into(), input: Some(input.into()) }
}

async fn outcome(hub: &Hub, instance: &str) -> (RuntimeStatus, Outcome) {
    match hub.ask(id(instance), Verb::Wait).await {
        Answer::Status(record) => (record.status, record.outcome.expect("it ended")),
        other => panic!("{other:?}"),
    }
}

fn completed(output: &str) -> (RuntimeStatus, Outcome) {
    (RuntimeStatus::Completed, Ok(Some(output.into())))
}

#[tokio::test]
async fn a_held_request_is_answered_by_the_event_that_arrives_later() {
    let hub = open(Arc::new(MemoryStore::new(4)));
    assert!(matches!(hub.ask(id("a"), start("wait", None)).await, Answer::Started(_)));
    let held = tokio::spawn({
        let hub = hub.clone();
        async move { outcome(&hub, "a").await }
    });
    assert_eq!(hub.ask(id("a"), raise("sun")).await, Answer::Done);
    assert_eq!(held.await.unwrap(), completed("sun"));
    assert_eq!(outcome(&hub, "a").await, completed("sun"));
    hub.stop().await;
}

#[tokio::test]
async fn activities_timers_and_children_run_to_the_end() {
    let hub = open(Arc::new(MemoryStore::new(4)));
    for name in ["chain", "parent"] {
        hub.ask(id(name), start(name, Some("1"))).await;
        assert_eq!(outcome(&hub, name).await, completed("6"), "{name}");
    }
    hub.ask(id("nap"), start("nap", None)).await;
    assert_eq!(outcome(&hub, "nap").await, (RuntimeStatus::Completed, Ok(None)));
    hub.stop().await;
}

#[tokio::test]
async fn an_instance_is_terminated_at_its_deadline_and_its_waiters_hear_so() {
    let hub = open(Arc::new(MemoryStore::new(4)));
    let Verb::Start { mut started, reuse } = start("wait", None) else { unreachable!() };
    started.deadline = Some(Timestamp(1));
    hub.ask(id("late"), Verb::Start { started, reuse }).await;
    let (status, outcome) = outcome(&hub, "late").await;
    assert_eq!(status, RuntimeStatus::Terminated);
    assert_eq!(outcome, Ok(Some("it did not end within the time it was given".into())));
    hub.stop().await;
}

#[tokio::test]
async fn timers_and_deadlines_hold_while_an_activity_runs() {
    let hub = open(Arc::new(MemoryStore::new(4)));
    hub.ask(id("hasty"), start("hasty", Some("1"))).await;
    assert_eq!(outcome(&hub, "hasty").await, completed("in time"));
    let Verb::Start { mut started, reuse } = start("forever", Some("1")) else { unreachable!() };
    started.deadline = Some(Timestamp(1));
    hub.ask(id("late"), Verb::Start { started, reuse }).await;
    assert_eq!(outcome(&hub, "late").await.0, RuntimeStatus::Terminated);
    hub.stop().await;
}

#[tokio::test]
async fn a_destructor_that_panics_harms_no_other_instance() {
    let hub = open(Arc::new(MemoryStore::new(1)));
    hub.ask(id("a"), start("guarded", None)).await;
    let end = Verb::Terminate { reason: None, recursive: false };
    assert_eq!(hub.ask(id("a"), end).await, Answer::Done);
    hub.ask(id("b"), start("chain", Some("1"))).await;
    assert_eq!(outcome(&hub, "b").await, completed("6"));
    hub.stop().await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_when_the_hub_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let hub = open(Arc::new(Embedded::open(folder.path()).unwrap()));
    hub.ask(id("a"), start("wait", None)).await;
    hub.ask(id("b"), start("wait", None)).await;
    assert_eq!(hub.ask(id("a"), raise("rain")).await, Answer::Done);
    hub.stop().await;
    drop(hub);

    let hub = open(Arc::new(Embedded::open(folder.path()).unwrap()));
    assert_eq!(outcome(&hub, "a").await, completed("rain"));
    assert_eq!(hub.ask(id("b"), raise("snow")).await, Answer::Done);
    assert_eq!(outcome(&hub, "b").await, completed("snow"));
    hub.stop().await;
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_with_a_reason() {
    let hub = open(Arc::new(MemoryStore::new(4)));
    let refused = |answer| match answer {
        Answer::Refused(why) => why,
        other => panic!("{other:?}"),
    };
    let unknown = refused(hub.ask(id("nobody"), raise("sun")).await);
    assert_eq!(unknown, Refusal::NotFound(id("nobody")));
    hub.ask(id("a"), start("wait", None)).await;
    let twice = refused(hub.ask(id("a"), start("wait", None)).await);
    assert_eq!(twice, Refusal::Exists(id("a"), RuntimeStatus::Running));
    let early = refused(hub.ask(id("a"), Verb::Purge).await);
    assert_eq!(early, Refusal::NotEnded(id("a"), RuntimeStatus::Running));
    hub.ask(id("a"), Verb::Terminate { reason: Some("enough".into()), recursive: false }).await;
    let late = refused(hub.ask(id("a"), raise("sun")).await);
    assert_eq!(late, Refusal::Ended(id("a"), RuntimeStatus::Terminated));
    assert_eq!(hub.ask(id("a"), Verb::Purge).await, Answer::Done);
    let gone = refused(hub.ask(id("a"), Verb::Status).await);
    assert_eq!(gone, Refusal::NotFound(id("a")));
    hub.stop().await;
    assert_eq!(refused(hub.ask(id("a"), Verb::Status).await), Refusal::Stopping);
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_harms_nobody() {
    let limits = Limits { payload_bytes_max: 10, ..Limits::default() };
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
    let hub = Hub::open(Arc::new(MemoryStore::new(4)), &code, limits).unwrap();
    let large = "x".repeat(11);
    let refused = Answer::Refused(Refusal::TooLarge(id("a"), 11, 10));
    assert_eq!(hub.ask(id("a"), start("wait", Some(&large))).await, refused);
    hub.ask(id("a"), start("wait", None)).await;
    assert_eq!(hub.ask(id("a"), raise(&large)).await, refused);
    hub.ask(id("a"), raise("0123456789")).await;
    assert_eq!(outcome(&hub, "a").await, completed("0123456789"));
    hub.stop().await;
}

#[tokio::test]
async fn four_mib_pass_unless_a_hub_says_otherwise_and_a_byte_more_does_not() {
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Here) };
    let hub = Hub::open(Arc::new(MemoryStore::new(4)), &code, Limits::default()).unwrap();
    let most = 4 * 1024 * 1024;
    let (whole, more) = ("x".repeat(most), "x".repeat(most + 1));
    let refused = Answer::Refused(Refusal::TooLarge(id("a"), most + 1, most));
    assert_eq!(hub.ask(id("a"), start("wait", Some(&more))).await, refused);
    hub.ask(id("a"), start("wait", Some(&whole))).await;
    assert_eq!(hub.ask(id("a"), raise(&more)).await, refused);
    hub.ask(id("a"), raise(&whole)).await;
    assert!(outcome(&hub, "a").await == completed(&whole), "all of it comes back");
    hub.stop().await;
}

#[tokio::test]
async fn an_activity_that_nobody_has_fails_its_call() {
    struct Nobody;
    impl Activities for Nobody {
        fn run(&self, _: &Task) -> Option<Running> {
            None
        }
    }
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Nobody) };
    let hub = Hub::open(Arc::new(MemoryStore::new(4)), &code, Limits::default()).unwrap();
    hub.ask(id("a"), start("chain", Some("1"))).await;
    let (status, outcome) = outcome(&hub, "a").await;
    assert_eq!(status, RuntimeStatus::Failed);
    let Err(Failure { kind, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(&*kind, "ActivityTaskNotFound");
    hub.stop().await;
}

#[tokio::test]
async fn an_activity_is_stopped_when_its_orchestration_is_terminated() {
    struct Endless(tokio::sync::mpsc::UnboundedSender<&'static str>);
    struct Told(tokio::sync::mpsc::UnboundedSender<&'static str>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }
    impl Activities for Endless {
        fn run(&self, _: &Task) -> Option<Running> {
            let told = Told(self.0.clone());
            Some(Box::pin(async move {
                let _ = told.0.send("running");
                std::future::pending().await
            }))
        }
    }
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let code = Code { functions: Arc::new(Here), activities: Arc::new(Endless(sender)) };
    let hub = Hub::open(Arc::new(MemoryStore::new(4)), &code, Limits::default()).unwrap();
    hub.ask(id("a"), start("chain", Some("1"))).await;
    assert_eq!(heard.recv().await, Some("running"));
    hub.ask(id("a"), Verb::Terminate { reason: None, recursive: false }).await;
    assert_eq!(heard.recv().await, Some("dropped"));
    hub.stop().await;
}

#[tokio::test]
async fn what_was_started_without_its_code_runs_when_a_later_start_brings_it() {
    struct Nothing;
    impl Functions for Nothing {
        fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
            None
        }
    }
    let store = MemoryStore::new(16);
    let code = Code { functions: Arc::new(Nothing), activities: Arc::new(Here) };
    let hub = Hub::open(Arc::new(store.clone()), &code, Limits::default()).unwrap();
    let parents: Vec<_> = (0..64).map(|n| format!("parent-{n}")).collect();
    for (n, parent) in (0..).zip(&parents) {
        let Verb::Start { mut started, reuse } = start("parent", Some("1")) else { unreachable!() };
        started.execution = ExecutionId(n); // Children are called after it.
        hub.ask(id(parent), Verb::Start { started, reuse }).await;
    }
    hub.stop().await;

    // They start children in all partitions while these are still being opened.
    let hub = open(Arc::new(store));
    for parent in &parents {
        assert_eq!(outcome(&hub, parent).await, completed("6"), "{parent}");
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_stopping_node_hands_back_the_requests_it_holds() {
    let hub = open(Arc::new(MemoryStore::new(4)));
    hub.ask(id("a"), start("wait", None)).await;
    let held = tokio::spawn({
        let hub = hub.clone();
        async move { hub.ask(id("a"), Verb::Wait).await }
    });
    while hub.held_requests() == 0 {
        tokio::task::yield_now().await;
    }
    hub.stop().await;
    assert_eq!(held.await.unwrap(), Answer::Refused(Refusal::Stopping));
}

#[tokio::test]
async fn instances_can_be_listed() {
    let hub = open(Arc::new(MemoryStore::new(4)));
    for name in ["a", "b", "c"] {
        hub.ask(id(name), start("wait", None)).await;
    }
    let page = hub.query(Filter { limit: 2, ..Default::default() }).await.unwrap();
    assert_eq!(page.instances.len(), 2);
    let rest = Filter { limit: 2, after: page.next, ..Default::default() };
    let page = hub.query(rest).await.unwrap();
    assert_eq!((page.instances.len(), page.next), (1, None));
    let history = hub.history(id("a")).await.unwrap().unwrap();
    assert_eq!(history.len(), 2, "{history:?}");
    assert!(history[0].at > Timestamp(0));
    hub.stop().await;
}
