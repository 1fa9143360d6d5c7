//! The functions of these tests, as the engine knows them.

use std::{
    future::ready,
    sync::atomic::{AtomicBool, Ordering},
};

use taskhub_core::{
    Done, Failure, Job, Outcome, Performed, Requested, Task, Text, Work,
    turn::{Command, Functions, Orchestration, Run, Scope},
};
use taskhub_engine::{Activities, Running};

/// Whether the activity `mend` works, for the one test that needs it.
pub(crate) static MENDED: AtomicBool = AtomicBool::new(false);

/// All of them.
pub(crate) struct Here;

impl Functions for Here {
    fn orchestration(&self, name: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        match name {
            "echo" | "taskhub.own" => Some(&Echo),
            "wait" => Some(&Wait("Reply")),
            "approve" => Some(&Wait("approval")),
            "plain" => Some(&Plain),
            "fail" => Some(&Call("break")),
            "heal" => Some(&Call("mend")),
            "trip" => Some(&Trip),
            "steps" => Some(&Steps),
            _ => None,
        }
    }
}

/// Returns its input.
struct Echo;
impl Orchestration for Echo {
    fn begin(&self, _: Scope, input: Option<Text>) -> Run {
        Box::pin(async move { Ok(input) })
    }
}

/// Returns what an event brings, and says so meanwhile.
struct Wait(&'static str);
impl Orchestration for Wait {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        let name = self.0.into();
        Box::pin(async move {
            scope.set_custom_status(r#"{"waits":true}"#.into());
            scope.call(Command::Event { name }).await
        })
    }
}

/// Returns what is no JSON.
struct Plain;
impl Orchestration for Plain {
    fn begin(&self, _: Scope, _: Option<Text>) -> Run {
        Box::pin(async move { Ok(Some(" plain \"text\" ".into())) })
    }
}

/// Calls an activity that fails, and fails of it.
struct Call(&'static str);
impl Orchestration for Call {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        let work = Work::new(self.0, Some("\"cup\"".into()));
        Box::pin(async move { scope.call(Command::Activity(work)).await })
    }
}

/// Panics.
struct Trip;
impl Orchestration for Trip {
    fn begin(&self, _: Scope, _: Option<Text>) -> Run {
        panic!("over a cable")
    }
}

/// Calls an activity, a child, and a timer; sends an event; then waits for one.
struct Steps;
impl Orchestration for Steps {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        Box::pin(async move {
            let work = Work::new("upper", Some("\"a\"".into()));
            let upper = scope.call(Command::Activity(work)).await?;
            let child = Command::Child { instance: None, work: Work::new("echo", upper) };
            scope.call(child).await?;
            scope.call(Command::Timer { fire_at: scope.now() }).await?;
            scope.send(scope.instance(), "hello".into(), Some("1".into()));
            scope.call(Command::Event { name: "go".into() }).await?;
            Ok(Some(r#"["done"]"#.into()))
        })
    }
}

impl Activities for Here {
    fn run(&self, task: &Task) -> Option<Running> {
        match &task.job {
            Job::Activity(work) => Some(Box::pin(ready(Done::Activity(activity(work))))),
            Job::Operations(_) if task.ticket.instance.as_str().starts_with("@nobody@") => {
                Some(Box::pin(std::future::pending()))
            }
            Job::Operations(asked) => {
                let done = perform(asked.state.clone(), &asked.requested);
                Some(Box::pin(ready(Done::Operations(Box::new(done)))))
            }
            Job::Turn(_) => None,
        }
    }
}

fn activity(work: &Work) -> Outcome {
    match &*work.name {
        "upper" => return Ok(work.input.as_ref().map(|input| input.to_uppercase().into())),
        "mend" if MENDED.load(Ordering::Relaxed) => return Ok(Some("\"whole\"".into())),
        _ => {}
    }
    let cause = Failure::new("Gravity", "it fell");
    Err(Failure::new("Broken", "the cup is broken").caused_by(cause))
}

/// A counter: `add` adds its input, `delete` deletes it, anything else sets it.
fn perform(mut state: Option<Text>, requested: &[Requested]) -> Performed {
    let mut outcomes = Vec::new();
    for Requested { operation, .. } in requested {
        let number = |text: &Option<Text>| text.as_deref().and_then(|it| it.parse::<i64>().ok());
        state = match &*operation.name {
            "add" => {
                let sum = number(&state).unwrap_or(0) + number(&operation.input).unwrap_or(1);
                Some(sum.to_string().into())
            }
            "delete" => None,
            _ => operation.input.clone(),
        };
        outcomes.push(Ok(state.clone()));
    }
    Performed { outcomes, state, ..Performed::default() }
}
