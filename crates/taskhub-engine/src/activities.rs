//! What a node can run: its orchestrations and its activities.

use std::{fmt, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use futures::FutureExt as _;
use taskhub_core::{
    Done, Failure, Job, Performed, Task,
    turn::{Functions, Orchestration},
};

/// An activity that runs, or operations of an entity.
pub type Running = Pin<Box<dyn Future<Output = Done> + Send>>;

/// A wait for permission to begin. What it gives is kept until the activity has ended.
pub type Admission = Pin<Box<dyn Future<Output = Box<dyn Send>> + Send>>;

/// The activities and the entities of this process.
pub trait Activities: Send + Sync {
    /// Begins to run a task; `None` when there is no activity, or no entity, of that name.
    fn run(&self, task: &Task) -> Option<Running>;

    /// Whether a task waits for a worker elsewhere, as nobody in this process can do it. Otherwise
    /// one that nobody can do fails.
    fn is_elsewhere(&self, task: &Task) -> bool {
        matches!(task.job, Job::Turn(_))
    }

    /// What a task has to wait for before it may take one of the slots that all share; called in
    /// the order in which tasks came. `None` when it has no limit of its own.
    fn admit(&self, task: &Task) -> Option<Admission> {
        let _ = task;
        None
    }
}

/// The code of this process.
#[derive(Clone)]
pub struct Code {
    /// Its orchestrations.
    pub functions: Arc<dyn Functions>,
    /// Its activities.
    pub activities: Arc<dyn Activities>,
}

impl Code {
    /// None at all: whatever there is to do, workers elsewhere do.
    #[must_use]
    pub fn elsewhere() -> Self {
        Self { functions: Arc::new(Elsewhere), activities: Arc::new(Elsewhere) }
    }
}

struct Elsewhere;

impl Functions for Elsewhere {
    fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        None
    }
}

impl Activities for Elsewhere {
    fn run(&self, _: &Task) -> Option<Running> {
        None
    }

    fn is_elsewhere(&self, _: &Task) -> bool {
        true
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// Runs one task; a panic is a failure like any other.
pub async fn perform(activities: &dyn Activities, task: &Task) -> Done {
    let Some(running) = activities.run(task) else {
        let (what, name, kind) = match &task.job {
            Job::Activity(work) => ("activity", &*work.name, "ActivityTaskNotFound"),
            Job::Operations(_) => ("entity", task.ticket.instance.as_str(), "EntityTaskNotFound"),
            Job::Turn(turn) => ("orchestration", &*turn.name, "OrchestratorTaskNotFound"),
        };
        let message = format!("no {what} `{name}` is registered in this process");
        return failed(&task.job, Failure::new(kind, message).non_retriable());
    };
    let ended = AssertUnwindSafe(running).catch_unwind().await;
    ended.unwrap_or_else(|panic| failed(&task.job, Failure::panic("the activity", &*panic)))
}

fn failed(job: &Job, failure: Failure) -> Done {
    match job {
        Job::Operations(_) => {
            Done::Operations(Box::new(Performed { failed: Some(failure), ..Default::default() }))
        }
        _ => Done::Activity(Err(failure)),
    }
}
