//! Work that takes every worker down with it.

use taskhub_core::{
    Done, Failure, Job, Performed, Taken, Task,
    turn::{Progress, Step},
};

/// The result of work that takes every worker down with it.
pub(super) fn poison(task: &Task, losses: u32) -> Done {
    let what = match &task.job {
        Job::Activity(work) => format!("activity `{}`", work.name),
        Job::Turn(turn) => format!("the next turn of orchestration `{}`", turn.name),
        Job::Operations(_) => format!("the operations of {}", task.ticket.instance),
    };
    let message = format!(
        "{what} was given to {losses} workers one after another, and each was lost with it; look \
         at their logs"
    );
    let failure = Failure::new("PoisonWorkItem", message.clone()).non_retriable();
    match &task.job {
        Job::Activity(_) => Done::Activity(Err(failure)),
        Job::Turn(_) => {
            let progress = Progress::Stuck(format!("{message}, then resume the instance").into());
            let step = Step { progress, actions: Vec::new(), custom_status: None };
            Done::Turn(Box::new(Taken { takes: None, step, mark: None }))
        }
        Job::Operations(_) => {
            Done::Operations(Box::new(Performed { failed: Some(failure), ..Default::default() }))
        }
    }
}
