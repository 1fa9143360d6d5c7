//! Code that panics, wherever it does, is stuck with what it said, and harms nothing else.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use futures::future::select;

use taskhub_core::{
    Event, ExecutionId, InstanceId, Kind, Outcome, Started, Text, Timestamp,
    turn::{Command, ContinueAsNew, Execution, Orchestration, Progress, Run, Scope, Step},
};

struct Code(fn(Scope) -> Run);

impl Orchestration for Code {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        self.0(scope)
    }
}

fn begin(code: fn(Scope) -> Run) -> Execution {
    let started = Started::new("code", None, ExecutionId(1));
    let mut execution =
        Execution::begin(&Code(code), InstanceId::trusted("a"), &started, Timestamp(0));
    let kind = Kind::Started(Box::new(started));
    execution.absorb(0, &Event { at: Timestamp(0), kind });
    execution
}

fn stuck(step: Step) -> String {
    let Progress::Stuck(why) = step.progress else { panic!("{:?}", step.progress) };
    why.to_string()
}

/// Panics when it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("the pin was out");
    }
}

#[test]
fn a_panic_while_it_is_made_is_named_with_its_line() {
    let mut execution = begin(|_| panic!("not even made"));
    let (line, why) = (line!() - 1, stuck(execution.step()));
    let place = format!("(at {}:{line}:", file!());
    assert!(why.starts_with("the orchestration panicked: not even made"), "{why}");
    assert!(why.contains(&place), "{why}");
}

#[test]
fn a_panic_of_stray_io_says_what_to_do_about_it() {
    let mut execution = begin(|_| Box::pin(async { panic!("there is no reactor running") }));
    let message = stuck(execution.step());
    assert!(message.contains("put that into an activity"), "{message}");
}

#[test]
fn a_panic_that_only_speaks_of_a_reactor_gets_no_advice_about_io() {
    let mut execution = begin(|_| Box::pin(async { panic!("the reactor of Tokio Bay is down") }));
    let message = stuck(execution.step());
    assert!(!message.contains("an orchestration must not"), "{message}");
}

#[test]
fn a_panic_after_continue_as_new_does_not_go_on() {
    let mut execution = begin(|scope| {
        scope.continue_as_new(ContinueAsNew::default());
        Box::pin(async { panic!("on the last line") })
    });
    assert!(stuck(execution.step()).contains("on the last line"));
}

#[test]
fn a_wake_that_comes_from_elsewhere_while_it_rests_is_found_before_it_can_do_harm() {
    static WAKER: Mutex<Option<Waker>> = Mutex::new(None);
    let mut execution = begin(|scope| {
        let stray = poll_fn(|task| {
            WAKER.lock().unwrap().replace(task.waker().clone());
            Poll::<Outcome>::Pending
        });
        let durable = scope.call(Command::Event { name: "e".into() });
        Box::pin(async move { select(stray, durable).await.factor_first().0 })
    });
    assert!(matches!(execution.step().progress, Progress::Waiting));
    assert!(matches!(execution.step().progress, Progress::Waiting));
    WAKER.lock().unwrap().take().unwrap().wake();
    let why = stuck(execution.step());
    assert!(why.contains("was woken by it"), "{why}");
}

#[test]
fn a_panic_in_a_destructor_stays_within_the_execution() {
    let code = |scope: Scope| -> Run {
        Box::pin(async move {
            let _grenade = Grenade;
            let outcome: Outcome = scope.call(Command::Event { name: "e".into() }).await;
            outcome
        })
    };
    let mut execution = begin(code);
    assert!(matches!(execution.step().progress, Progress::Waiting));
    drop(execution);

    let mut execution = begin(code);
    execution.step();
    let input = Some(Arc::from("1"));
    let kind = Kind::EventRaised { name: "E".into(), input };
    execution.absorb(1, &Event { at: Timestamp(1), kind });
    // The destructor runs as part of the code: its panic is the code's panic.
    assert!(stuck(execution.step()).contains("the pin was out"));
}
