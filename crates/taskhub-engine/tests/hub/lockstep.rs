//! A hub in lockstep: no time passes while it works, and a death of its process is not noticed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use taskhub_core::{
    Answer, Done, ExecutionId, InstanceId, Limits, Outcome, Reuse, Started, Task, Text, Timestamp,
    Verb, Work,
    turn::{Command, Functions, Orchestration, Run, Scope},
};
use taskhub_engine::{Activities, Code, Death, Hub, Lockstep, Running, store::MemoryStore};

const YEAR: Duration = Duration::from_hours(24 * 365);
const BEGIN: Timestamp = Timestamp(1_000_000_000);

/// Waits for an event, works for an hour, then sleeps for a year.
struct Patient;

impl Orchestration for Patient {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        Box::pin(async move {
            scope.call(Command::Event { name: "go".into() }).await?;
            let work = Work::new("dig", None);
            let found = scope.call(Command::Activity(work)).await?;
            let fire_at = scope.now().plus(YEAR);
            scope.call(Command::Timer { fire_at }).await?;
            Ok(Some(format!("{} at {}", found.unwrap_or_default(), scope.now()).into()))
        })
    }
}

struct Here(AtomicU32);

impl Functions for Here {
    fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        Some(&Patient)
    }
}

impl Activities for Here {
    fn run(&self, _: &Task) -> Option<Running> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Some(Box::pin(async {
            tokio::time::sleep(Duration::from_hours(1)).await;
            Done::Activity(Ok(Some("a bone".into())))
        }))
    }
}

/// Runs it with a death beside the commit of this number; tells how often the activity ran.
async fn live(dies: Option<(u32, Death)>) -> (Outcome, u32, u32) {
    let here = Arc::new(Here(AtomicU32::new(0)));
    let code = Code { functions: here.clone(), activities: here.clone() };
    let commits = Arc::new(AtomicU32::new(0));
    let counted = commits.clone();
    let dies = move |_: &_| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        dies.filter(|(at, _)| *at == number).map(|(_, death)| death)
    };
    let how = Lockstep { begins_at: BEGIN, dies: Box::new(dies) };
    let store = Arc::new(MemoryStore::new(3));
    let hub = Hub::open_in_lockstep(store, &code, Limits::default(), how).expect("it opens");
    let id = InstanceId::trusted("it");
    let started = Box::new(Started::new("patient", None, ExecutionId(7)));
    let start = Verb::Start { started, reuse: Reuse::Fresh };
    assert_eq!(hub.ask(id.clone(), start).await, Answer::Started(ExecutionId(7)));
    let raise = Verb::Raise { name: "go".into(), input: None };
    assert_eq!(hub.ask(id.clone(), raise).await, Answer::Done);
    let Answer::Status(record) = hub.ask(id, Verb::Wait).await else { panic!("it has ended") };
    hub.stop().await;
    let outcome = record.outcome.expect("it has ended");
    (outcome, here.0.load(Ordering::Relaxed), commits.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_year_takes_a_moment() {
    let began = tokio::time::Instant::now();
    let (outcome, runs, commits) = live(None).await;
    let end = BEGIN.plus(YEAR + Duration::from_hours(1));
    assert_eq!(outcome, Ok(Some(format!("a bone at {end}").into())));
    assert_eq!((runs, commits), (1, 4), "start, event, result and timer");
    let passed = began.elapsed().saturating_sub(YEAR + Duration::from_hours(1));
    assert!(passed < Duration::from_secs(1), "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_process_may_die_before_any_commit_and_nobody_notices() {
    for at in 0..4 {
        let (outcome, runs, _) = live(Some((at, Death::Before))).await;
        let late = if at == 2 { 2 } else { 1 };
        let end = BEGIN.plus(YEAR + Duration::from_hours(late));
        assert_eq!(outcome, Ok(Some(format!("a bone at {end}").into())), "{at}");
        assert_eq!(runs, u32::try_from(late).unwrap(), "an activity that did not end runs again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_may_die_after_any_commit_and_nothing_is_done_twice() {
    for at in 0..4 {
        let (outcome, runs, commits) = live(Some((at, Death::After))).await;
        let end = BEGIN.plus(YEAR + Duration::from_hours(1));
        assert_eq!(outcome, Ok(Some(format!("a bone at {end}").into())), "{at}");
        assert_eq!((runs, commits), (1, 4), "what had not begun begins now");
    }
}
