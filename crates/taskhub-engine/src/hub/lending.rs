//! Workers of this node at work for other nodes.

use std::sync::Arc;

use taskhub_core::{
    Done, Task, Ticket,
    store::{Node, Shared, StoreError},
};
use tokio::sync::{oneshot, watch};

use super::{Hub, workers::Workers};
use crate::{WorkerId, WorkerOptions};

/// Work of another node, in the hands of the workers of this one, or on its way there. Dropped, it
/// is given out no more.
pub struct Borrowed {
    workers: Workers,
    ticket: Ticket,
    result: oneshot::Receiver<Done>,
}

impl Hub {
    /// Has the workers of this node do work of another one.
    #[must_use]
    pub fn borrow(&self, task: Task) -> Borrowed {
        let workers = self.inner.workers.clone();
        let (ticket, result) = workers.borrow(task);
        Borrowed { workers, ticket, result }
    }

    /// The workers that are connected to this node, and do not stand for another one.
    #[must_use]
    pub fn lends(&self) -> watch::Receiver<Vec<(WorkerId, Arc<WorkerOptions>)>> {
        self.inner.workers.lends()
    }

    /// The nodes that share this hub and live, this one included; none when its store belongs to
    /// this process alone.
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        self.read(|store| store.shared().map_or(Ok(Vec::new()), Shared::nodes)).await
    }
}

impl Borrowed {
    /// What came of it; `None` when nobody here can do it.
    pub async fn result(&mut self) -> Option<Done> {
        (&mut self.result).await.ok()
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.workers.give_up(&self.ticket);
    }
}

impl std::fmt::Debug for Borrowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Borrowed({})", self.ticket.instance)
    }
}
