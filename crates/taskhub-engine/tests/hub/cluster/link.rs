//! A node's connection to the store, which can be cut: as if its process, or the network, was gone.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use taskhub_core::{
    Batch, Envelope, InstanceId, MessageId, PartitionId,
    store::{
        CommitError, Filter, Hints, Lease, Node, Ownership, Page, Shared, Store, StoreError,
        Stored, Wake,
    },
};
use taskhub_engine::store::MemoryStore;

/// The store, as long as it is not cut off.
#[derive(Clone)]
pub(crate) struct Link {
    store: MemoryStore,
    cut: Arc<AtomicBool>,
}

impl Link {
    pub(crate) fn new(store: &MemoryStore) -> Self {
        Self { store: store.clone(), cut: Arc::default() }
    }

    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }

    fn reach(&self) -> Result<&MemoryStore, StoreError> {
        if self.cut.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("this is a test".into()));
        }
        Ok(&self.store)
    }
}

impl Store for Link {
    fn partitions(&self) -> u16 {
        self.store.partitions()
    }

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }

    fn claim(
        &self,
        node: &Node,
        limit: usize,
        ttl: Duration,
    ) -> Result<Vec<Ownership>, StoreError> {
        self.reach()?.claim(node, limit, ttl)
    }

    fn renew(&self, held: &[Ownership], ttl: Duration) -> Result<Vec<PartitionId>, StoreError> {
        self.reach()?.renew(held, ttl)
    }

    fn release(&self, held: &[Ownership]) -> Result<(), StoreError> {
        self.reach()?.release(held)
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        self.reach()?.commit(batch)
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
        self.reach()?.wakes(partition, after, limit)
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

impl Shared for Link {
    fn heartbeat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>, StoreError> {
        self.reach()?.heartbeat(node, ttl)
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

    fn hint(&self, partitions: &[PartitionId]) -> Result<(), StoreError> {
        self.reach()?.hint(partitions)
    }

    fn listen(&self) -> Result<Box<dyn Hints>, StoreError> {
        self.reach()?.listen()
    }
}
