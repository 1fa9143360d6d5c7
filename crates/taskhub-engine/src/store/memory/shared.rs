//! What nodes in one process need to share a store in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use taskhub_core::{
    PartitionId, Text, Timestamp,
    store::{Hints, Lease, Node, Shared, StoreError},
};

use super::MemoryStore;

/// The nodes that live, by id, each with until when.
#[derive(Debug, Clone, Default)]
pub(super) struct Nodes(BTreeMap<Text, (Node, Timestamp)>);

impl Nodes {
    fn living(&mut self, now: Timestamp) -> Vec<Node> {
        self.0.retain(|_, (_, until)| *until > now);
        self.0.values().map(|(node, _)| node.clone()).collect()
    }
}

/// All who listen for hints.
#[derive(Debug, Clone, Default)]
pub(super) struct Listeners(Arc<Mutex<Vec<Weak<Ear>>>>);

/// What one listener has heard and not taken yet.
#[derive(Debug, Default)]
struct Ear {
    heard: Mutex<BTreeSet<PartitionId>>,
    woken: Condvar,
}

struct Listener(Arc<Ear>);

impl Hints for Listener {
    fn next(&mut self, wait: Duration) -> Result<Vec<PartitionId>, StoreError> {
        let heard = lock(&self.0.heard);
        let heard = self.0.woken.wait_timeout_while(heard, wait, |heard| heard.is_empty());
        let (mut heard, _) = heard.unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *heard).into_iter().collect())
    }
}

impl Shared for MemoryStore {
    fn heartbeat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>, StoreError> {
        let now = (self.clock)();
        let nodes = &mut self.state().nodes;
        nodes.0.insert(node.id.clone(), (node.clone(), now.plus(ttl)));
        Ok(nodes.living(now))
    }

    fn depart(&self, node: &Node) -> Result<(), StoreError> {
        self.state().nodes.0.remove(&node.id);
        Ok(())
    }

    fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        let now = (self.clock)();
        Ok(self.state().nodes.living(now))
    }

    fn owners(&self) -> Result<Vec<Lease>, StoreError> {
        let now = (self.clock)();
        Ok(self.state().leases.owners(now))
    }

    fn mail(&self) -> Result<Vec<PartitionId>, StoreError> {
        let state = self.state();
        let all: BTreeSet<_> = state.inbox.values().map(|envelope| envelope.partition).collect();
        Ok(all.into_iter().collect())
    }

    fn hint(&self, partitions: &[PartitionId]) -> Result<(), StoreError> {
        lock(&self.listeners.0).retain(|ear| {
            let Some(ear) = ear.upgrade() else { return false };
            lock(&ear.heard).extend(partitions);
            ear.woken.notify_all();
            true
        });
        Ok(())
    }

    fn listen(&self) -> Result<Box<dyn Hints>, StoreError> {
        let ear = Arc::<Ear>::default();
        lock(&self.listeners.0).push(Arc::downgrade(&ear));
        Ok(Box::new(Listener(ear)))
    }
}

/// Whoever panics leaves what is guarded here whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
