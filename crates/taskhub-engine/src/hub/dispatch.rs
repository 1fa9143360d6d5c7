//! Runs activities in this process, so many at a time.

use std::sync::{Arc, atomic::Ordering};

use taskhub_core::{Failure, Limits, Outcome, Task, TaskResult, Ticket, partition::Input};
use tokio::{runtime::Handle, sync::Semaphore};

use super::mail::{Mail, Post};
use crate::{Activities, Code};

/// Hands activities to the tokio runtime. How many wait for a slot is bounded by the partitions.
pub(super) struct Dispatch {
    activities: Arc<dyn Activities>,
    slots: Arc<Semaphore>,
    runtime: Handle,
    post: Post,
}

impl Dispatch {
    pub(super) fn new(code: &Code, limits: &Limits, post: Post) -> Self {
        // Each turn thread has its share of the slots, so they need not meet at one lock.
        let slots = limits.activity_slots.div_ceil(post.threads());
        Self {
            activities: code.activities.clone(),
            slots: Arc::new(Semaphore::new(slots.max(1))),
            runtime: Handle::current(),
            post,
        }
    }

    pub(super) fn start(&self, task: Task) {
        let (activities, slots) = (self.activities.clone(), self.slots.clone());
        let post = self.post.clone();
        self.runtime.spawn(async move {
            let Ok(_slot) = slots.acquire().await else { return };
            if post.stopping().load(Ordering::Relaxed) {
                return; // It is stored; the next owner runs it.
            }
            let running = post.running();
            running.fetch_add(1, Ordering::Relaxed);
            let outcome = run(&*activities, &task).await;
            let ticket = task.ticket;
            report(&post, ticket, outcome);
            running.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Runs one activity; a panic is a failure like any other.
async fn run(activities: &dyn Activities, task: &Task) -> Outcome {
    let Some(running) = activities.run(task) else {
        let message = format!("no activity `{}` is registered in this process", task.work.name);
        return Err(Failure::new("ActivityTaskNotFound", message).non_retriable());
    };
    tokio::spawn(running).await.unwrap_or_else(|error| {
        let panic = error.into_panic();
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("of an unprintable type");
        Err(Failure::new("Panic", format!("the activity panicked: {message}")))
    })
}

fn report(post: &Post, ticket: Ticket, outcome: Outcome) {
    let partition = ticket.partition;
    post.send(partition, Mail::Input(partition, Input::TaskDone(TaskResult { ticket, outcome })));
}
