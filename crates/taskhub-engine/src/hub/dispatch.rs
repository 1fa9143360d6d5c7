//! Runs activities in this process, so many at a time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use foldhash::{HashMap, HashMapExt as _};
use taskhub_core::{
    Done, Failure, Limits, PartitionId, Task, TaskResult, Ticket, partition::Input,
};
use tokio::{runtime::Handle, sync::Semaphore, task::AbortHandle};

use super::{
    mail::{Mail, Post},
    workers::Workers,
};
use crate::{Activities, Code, perform};

/// Hands the activities of one turn thread to the tokio runtime. How many wait for a slot is
/// bounded by the partitions.
pub(super) struct Dispatch {
    activities: Arc<dyn Activities>,
    slots: Arc<Semaphore>,
    runtime: Handle,
    post: Post,
    workers: Workers,
    /// Which turn thread it serves.
    thread: usize,
    started: HashMap<Ticket, AbortHandle>,
    /// For workers elsewhere, and not handed over yet.
    elsewhere: Vec<Task>,
}

impl Dispatch {
    pub(super) fn new(
        code: &Code,
        limits: &Limits,
        post: Post,
        workers: Workers,
        thread: usize,
    ) -> Self {
        // Each turn thread has its share of the slots, so they need not meet at one lock.
        let slots = limits.activity_slots.div_ceil(post.threads());
        Self {
            activities: code.activities.clone(),
            slots: Arc::new(Semaphore::new(slots.max(1))),
            runtime: Handle::current(),
            post,
            workers,
            thread,
            started: HashMap::new(),
            elsewhere: Vec::new(),
        }
    }

    pub(super) fn start(&mut self, task: Task) {
        if self.activities.is_elsewhere(&task) {
            return self.elsewhere.push(task);
        }
        let (activities, slots) = (self.activities.clone(), self.slots.clone());
        let post = self.post.clone();
        let ticket = task.ticket.clone();
        // What has a limit of its own waits for that before it takes a slot from others.
        let admission = activities.admit(&task);
        let started = self.runtime.spawn(async move {
            let _admitted = match admission {
                Some(admission) => Some(admission.await),
                None => None,
            };
            let Ok(_slot) = slots.acquire().await else { return };
            if post.stopping().load(Ordering::Relaxed) {
                return; // It is stored; the next owner runs it.
            }
            let _running = Running::count(post.running());
            let done = perform(&*activities, &task).await;
            let (ticket, partition) = (task.ticket.clone(), task.ticket.partition);
            let done = Input::TaskDone(TaskResult { ticket, done });
            post.send(partition, Mail::Input(partition, done));
        });
        self.started.insert(ticket, started.abort_handle());
    }

    /// Offers workers elsewhere what has come together for them, in one go.
    pub(super) fn hand_over(&mut self) {
        if !self.elsewhere.is_empty() {
            self.workers.offer(std::mem::take(&mut self.elsewhere));
        }
    }

    /// Stops an activity whose result does not count any more: its future is dropped.
    pub(super) fn cancel(&mut self, ticket: &Ticket) {
        self.hand_over();
        let started = self.started.remove(ticket);
        if let Some(started) = &started {
            started.abort();
        }
        if started.is_some() || self.workers.cancel(ticket) {
            let failure = Failure::new("Cancelled", "nobody waits for this activity any more");
            let done = Done::Activity(Err(failure));
            let result = TaskResult { ticket: ticket.clone(), done };
            let partition = ticket.partition;
            self.post.send(partition, Mail::Input(partition, Input::TaskDone(result)));
        }
    }

    /// Stops the activities of some partitions: they are gone, and whoever owns them next calls
    /// them again.
    pub(super) fn abandon(&mut self, of: impl Fn(PartitionId) -> bool) {
        let own = self.started.extract_if(|ticket, _| of(ticket.partition));
        own.for_each(|(_, started)| started.abort());
        self.hand_over();
        let (post, own) = (&self.post, self.thread);
        self.workers
            .forget(|ticket| post.thread_of(ticket.partition) == own && of(ticket.partition));
    }

    /// An activity has ended.
    pub(super) fn ended(&mut self, ticket: &Ticket) {
        self.started.remove(ticket);
    }
}

/// Whoever still runs when the hub has stopped is run again by the next owner.
impl Drop for Dispatch {
    fn drop(&mut self) {
        self.abandon(|_| true);
    }
}

/// Counts an activity as running until it ends, however it does.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn count(running: &Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::Relaxed);
        Self(running.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
