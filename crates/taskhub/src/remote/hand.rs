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
    tasks: Arc<Mutex<HashMap<String, AbortHandle>>>,
    all: TaskTracker,
    runtime: Handle,
}

impl Hand {
    /// To be called within tokio.
    pub(super) fn new() -> Self {
        Self { tasks: Arc::default(), all: TaskTracker::new(), runtime: Handle::current() }
    }

    /// Begins with a piece. May be called from any thread.
    pub(super) fn begin(&self, token: &str, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.lock();
        let (hand, ended) = (self.clone(), token.to_owned());
        let held = self.held();
        let task = self.runtime.spawn(async move {
            let _held = held;
            work.await;
            hand.lock().remove(&ended);
        });
        tasks.insert(token.to_owned(), task.abort_handle());
    }

    /// What counts as one more piece until it is dropped.
    pub(super) fn held(&self) -> TaskTrackerToken {
        self.all.token()
    }

    /// Stops a piece where it waits next. Whether it had begun and not ended.
    pub(super) fn stop(&self, token: &str) -> bool {
        let task = self.lock().remove(token);
        task.inspect(AbortHandle::abort).is_some()
    }

    /// The tokens of all pieces that have begun and not ended.
    pub(super) fn tokens(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
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
        for (_, task) in self.lock().drain() {
            task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
