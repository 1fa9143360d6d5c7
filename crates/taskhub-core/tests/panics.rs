//! Code that panics, wherever it does, fails its own execution and nothing else.

use std::sync::Arc;

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

fn failure(step: Step) -> String {
    let Progress::Finished(Err(failure)) = step.progress else { panic!("{:?}", step.progress) };
    assert_eq!(&*failure.kind, "Panic");
    failure.message.to_string()
}

/// Panics when it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("the pin was out");
    }
}

#[test]
fn a_panic_while_it_is_made_fails_the_execution() {
    let mut execution = begin(|_| panic!("not even made"));
    assert_eq!(failure(execution.step()), "the orchestration panicked: not even made");
}

#[test]
fn a_panic_while_it_runs_fails_the_execution_and_says_what_to_do_about_stray_io() {
    let mut execution = begin(|_| Box::pin(async { panic!("there is no reactor running") }));
    let message = failure(execution.step());
    assert!(message.contains("put that into an activity"), "{message}");
}

#[test]
fn a_panic_after_continue_as_new_fails_the_execution() {
    let mut execution = begin(|scope| {
        scope.continue_as_new(ContinueAsNew::default());
        Box::pin(async { panic!("on the last line") })
    });
    assert!(failure(execution.step()).ends_with("on the last line"));
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
    assert!(failure(execution.step()).ends_with("the pin was out"));
}
