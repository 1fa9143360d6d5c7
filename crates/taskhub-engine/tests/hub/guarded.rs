//! A store of tests that somebody can stop, verb by verb: it delegates all else.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use taskhub_core::{
    Batch, Envelope, InstanceId, MessageId, PartitionId,
    store::{
        CommitError, Filter, Hints, Lease, Node, Ownership, Page, Shared, Store, StoreError,
        Stored, Wake,
    },
};
use taskhub_engine::store::MemoryStore;

/// What a store is asked for, as far as tests tell it apart.
pub(crate) enum Asked<'a> {
    Claim,
    Commit(&'a Batch),
    Wakes(PartitionId),
    Hint,
    Heartbeat,
    Else,
}

type Guard = dyn Fn(&Asked<'_>) -> Result<(), StoreError> + Send + Sync;

/// A store in memory behind a guard, who may refuse.
#[derive(Clone)]
pub(crate) struct Guarded {
    store: MemoryStore,
    is_shared: bool,
    guard: Arc<Guard>,
}

impl Guarded {
    /// For one process.
    pub(crate) fn new(
        store: MemoryStore,
        guard: impl Fn(&Asked<'_>) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self { store, is_shared: false, guard: Arc::new(guard) }
    }

    /// For several nodes.
    pub(crate) fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    fn asked(&self, asked: &Asked<'_>) -> Result<&MemoryStore, StoreError> {
        (self.guard)(asked)?;
        Ok(&self.store)
    }

    fn reach(&self) -> Result<&MemoryStore, StoreError> {
        self.asked(&Asked::Else)
    }
}

impl Store for Guarded {
    fn partitions(&self) -> u16 {
        self.store.partitions()
    }

    fn shared(&self) -> Option<&dyn Shared> {
        self.is_shared.then_some(self as &dyn Shared)
    }

    fn claim(
        &self,
        node: &Node,
        limit: usize,
        ttl: Duration,
    ) -> Result<Vec<Ownership>, StoreError> {
        self.asked(&Asked::Claim)?.claim(node, limit, ttl)
    }

    fn renew(&self, held: &[Ownership], ttl: Duration) -> Result<Vec<PartitionId>, StoreError> {
        self.reach()?.renew(held, ttl)
    }

    fn release(&self, held: &[Ownership]) -> Result<(), StoreError> {
        self.reach()?.release(held)
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        self.asked(&Asked::Commit(batch))?.commit(batch)
    }

    fn inbox(
        &self,
        partition: PartitionId,
        taken: &[MessageId],
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.reach()?.inbox(partition, taken, limit)
    }

    fn wakes(
        &self,
        partition: PartitionId,
        after: Option<&Wake>,
        limit: usize,
    ) -> Result<Vec<Wake>, StoreError> {
        self.asked(&Asked::Wakes(partition))?.wakes(partition, after, limit)
    }

    fn busy(
        &self,
        partition: PartitionId,
        after: Option<&InstanceId>,
        limit: usize,
    ) -> Result<Vec<InstanceId>, StoreError> {
        self.reach()?.busy(partition, after, limit)
    }

    fn load(&self, instance: &InstanceId) -> Result<Option<Stored>, StoreError> {
        self.reach()?.load(instance)
    }

    fn history(&self, instance: &InstanceId, events: Range<u64>) -> Result<Vec<Bytes>, StoreError> {
        self.reach()?.history(instance, events)
    }

    fn query(&self, filter: &Filter) -> Result<Page, StoreError> {
        self.reach()?.query(filter)
    }
}

impl Shared for Guarded {
    fn heartbeat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>, StoreError> {
        self.asked(&Asked::Heartbeat)?.heartbeat(node, ttl)
    }

    fn depart(&self, node: &Node) -> Result<(), StoreError> {
        self.reach()?.depart(node)
    }

    fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        self.reach()?.nodes()
    }

    fn owners(&self) -> Result<Vec<Lease>, StoreError> {
        self.reach()?.owners()
    }

    fn mail(&self) -> Result<Vec<PartitionId>, StoreError> {
        self.reach()?.mail()
    }

    fn hint(&self, partitions: &[PartitionId]) -> Result<(), StoreError> {
        self.asked(&Asked::Hint)?.hint(partitions)
    }

    fn listen(&self) -> Result<Box<dyn Hints>, StoreError> {
        self.reach()?.listen()
    }
}
