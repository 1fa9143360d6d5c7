//! What a worker has in hand, so that it can be stopped, waited for, and told of.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, task::AbortHandle, time::timeout};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// The pieces of work that have begun and have not ended, by their tokens. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    tasks: Tasks,
    all: TaskTracker,
    runtime: Handle,
}

/// Each with how to stop it, unless that is not known yet.
type Tasks = Arc<Mutex<HashMap<String, Option<AbortHandle>>>>;

/// A piece of work is in hand until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    tasks: Tasks,
    token: String,
    _counted: TaskTrackerToken,
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.tasks).remove(&self.token);
    }
}

impl Hand {
    /// To be called within tokio.
    pub(super) fn new() -> Self {
        Self { tasks: Arc::default(), all: TaskTracker::new(), runtime: Handle::current() }
    }

    /// Begins with a piece, in hand until it ends. May be called from any thread.
    pub(super) fn begin(&self, token: &str, work: impl Future<Output = ()> + Send + 'static) {
        self.begin_held(token, |held| async move {
            let _held = held;
            work.await;
        });
    }

    /// The same for a piece that says itself until when it is in hand.
    pub(super) fn begin_held<W>(&self, token: &str, work: impl FnOnce(Held) -> W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (token, tasks) = (token.to_owned(), self.tasks.clone());
        let held = Held { tasks, token: token.clone(), _counted: self.held() };
        let work = work(held);
        lock(&self.tasks).insert(token.clone(), None);
        // Not under the lock: a runtime that stops drops what it gets at once, and `Held` locks.
        let task = self.runtime.spawn(work).abort_handle();
        match lock(&self.tasks).get_mut(&token) {
            Some(known) => *known = Some(task),
            // It has ended already, or is to be stopped.
            None => task.abort(),
        }
    }

    /// What counts as one more piece until it is dropped.
    pub(super) fn held(&self) -> TaskTrackerToken {
        self.all.token()
    }

    /// Stops a piece where it waits next. Whether it had begun and not ended.
    pub(super) fn stop(&self, token: &str) -> bool {
        let task = lock(&self.tasks).remove(token);
        task.inspect(|task| task.iter().for_each(AbortHandle::abort)).is_some()
    }

    /// The tokens of all pieces that have begun and not ended.
    pub(super) fn tokens(&self) -> Vec<String> {
        lock(&self.tasks).keys().cloned().collect()
    }

    /// Waits until all pieces have ended, but not for longer than this: then they are stopped.
    pub(super) async fn end(&self, within: Duration) {
        self.all.close();
        if timeout(within, self.all.wait()).await.is_err() {
            let count = self.all.len();
            tracing::warn!(count, "work was left to others: it did not end in time");
        }
        self.stop_all();
    }

    /// Stops all pieces.
    pub(super) fn stop_all(&self) {
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.values().flatten().for_each(AbortHandle::abort);
    }
}

fn lock(tasks: &Tasks) -> MutexGuard<'_, HashMap<String, Option<AbortHandle>>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_comes_while_its_runtime_stops_is_let_go_of() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let hand = runtime.block_on(async { Hand::new() });
        drop(runtime);
        hand.begin("late", std::future::pending());
        assert_eq!(hand.tokens(), Vec::<String>::new());
    }
}
