//! The store's contract: everything that the engine asks of a disk or a database.
//!
//! Calls block; the engine makes each from a thread that may wait. [`Store::commit`] is the only
//! write of instances. Every other change of an instance is a message to its owner, so this trait
//! does not grow with the features of the engine.
//!
//! # Contract
//!
//! 1. *Atomic.* After a crash at any moment a batch is there whole or not at all, and when it is
//!    there, so is every batch that this lane committed before it.
//! 2. *Durable.* `commit` returns `Ok` only when the batch survives a power cut.
//! 3. *Fenced.* A batch that names an owner whose epoch is not the partition's latest changes
//!    nothing and returns [`CommitError::Fenced`]. This is checked within the commit itself.
//! 4. *In order.* The turns of a batch take effect in order: of two records of one instance the
//!    later one stays; a message that one turn sends and a later one takes leaves no trace.
//! 5. *Once.* A message is in the receiver's inbox from the commit that sent it until the commit
//!    that takes it. Taking a message that is not there changes nothing.
//! 6. *Reads see commits.* A read that begins after a `commit` returned sees what it wrote. Reads
//!    never see part of a batch, and go on while batches are written.
//! 7. *Opaque.* Histories and message payloads are stored as the bytes that they are.

mod fold;
mod growing;
pub mod shared;

use std::{ops::Range, time::Duration};

pub use fold::{Effect, Folded, broken_history, fold, repeated_message};
pub use growing::{Growing, PAGE_BYTES_MAX};
pub use shared::{Hints, Lease, Shared};

use bytes::Bytes;

use crate::{
    Batch, Envelope, Epoch, InstanceId, PartitionId, Record, RuntimeStatus, Text, Timestamp,
};

/// A durable place for one hub. See the [module](self) for what it must promise.
pub trait Store: Send + Sync + 'static {
    /// How many partitions the hub has; fixed when the hub is created.
    fn partitions(&self) -> u16;

    /// Takes ownership of up to `limit` partitions that nobody owns, or whose lease has run out,
    /// until `ttl` from now. Each claim begins a new epoch.
    fn claim(&self, node: &Node, limit: usize, ttl: Duration)
    -> Result<Vec<Ownership>, StoreError>;

    /// Extends the leases of `held`; returns those that are no longer held.
    fn renew(&self, held: &[Ownership], ttl: Duration) -> Result<Vec<PartitionId>, StoreError>;

    /// Gives up `held`, so that another node can claim them at once.
    fn release(&self, held: &[Ownership]) -> Result<(), StoreError>;

    /// Writes all of `batch` or nothing.
    fn commit(&self, batch: &Batch) -> Result<(), CommitError>;

    /// The messages in the inbox of `partition`, oldest first, without those in `taken`.
    fn inbox(
        &self,
        partition: PartitionId,
        taken: &[crate::MessageId],
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError>;

    /// The instances of `partition` that are due at some time ([`Record::due`]), by time and id,
    /// from behind `after`.
    fn wakes(
        &self,
        partition: PartitionId,
        after: Option<&Wake>,
        limit: usize,
    ) -> Result<Vec<Wake>, StoreError>;

    /// The instances of `partition` that have work ([`Record::busy`]), by id, from behind `after`.
    fn busy(
        &self,
        partition: PartitionId,
        after: Option<&InstanceId>,
        limit: usize,
    ) -> Result<Vec<InstanceId>, StoreError>;

    /// What is kept of an instance; its history only while it has not ended.
    fn load(&self, instance: &InstanceId) -> Result<Option<Stored>, StoreError>;

    /// What is kept of an instance with its history, though it has ended.
    fn load_whole(&self, instance: &InstanceId) -> Result<Option<Stored>, StoreError> {
        let mut stored = self.load(instance)?;
        if let Some(stored) = stored.as_mut().filter(|it| it.record.status.is_terminal()) {
            stored.history = self.history(instance, 0..u64::MAX)?;
        }
        Ok(stored)
    }

    /// The encoded events of an instance whose numbers lie in `events`, in whole turns: the first
    /// and the last piece may reach beyond the range.
    fn history(&self, instance: &InstanceId, events: Range<u64>) -> Result<Vec<Bytes>, StoreError>;

    /// How each of several histories begins: its first piece, of those that have one.
    fn beginnings(&self, instances: &[InstanceId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let first = |instance| Ok(self.history(instance, 0..1)?.into_iter().next());
        instances.iter().map(first).collect()
    }

    /// The instances that match `filter`, in its order, from behind `filter.after`, as many as a
    /// page has: see [`Growing`].
    fn query(&self, filter: &Filter) -> Result<Page, StoreError>;

    /// What it adds if several nodes can share it; `None` when it belongs to one process.
    fn shared(&self) -> Option<&dyn Shared> {
        None
    }
}

/// Who claims: one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unique among the nodes of the hub, new for every process.
    pub id: Text,
    /// Where other nodes reach it.
    pub address: Text,
    /// What it has in common with the nodes that it can ask and that can ask it; empty where
    /// nobody knows. The nodes of a store that is shared have it, a lease need not keep it.
    pub circle: Text,
}

/// A partition, owned under an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch under which it is owned.
    pub epoch: Epoch,
}

/// An instance that is due at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wake {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub instance: InstanceId,
}

/// What a store keeps of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its record.
    pub record: Record,
    /// Its history, one piece per commit; empty when it has ended.
    pub history: Vec<Bytes>,
}

/// Which instances to list. Empty lists and `None` mean "any".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// With one of these statuses.
    pub statuses: Vec<RuntimeStatus>,
    /// Whose id begins so.
    pub prefix: Option<Text>,
    /// Created at this time or later.
    pub created_from: Option<Timestamp>,
    /// Created before this time.
    pub created_to: Option<Timestamp>,
    /// Ended at this time or later.
    pub completed_from: Option<Timestamp>,
    /// Ended before this time.
    pub completed_to: Option<Timestamp>,
    /// Changed last at this time or later.
    pub updated_from: Option<Timestamp>,
    /// Changed last before this time.
    pub updated_to: Option<Timestamp>,
    /// Which run this function.
    pub name: Option<Text>,
    /// With all of these tags.
    pub tags: Vec<(Text, Text)>,
    /// Only those that are parked.
    pub stuck: bool,
    /// Of this kind.
    pub kind: Which,
    /// Sorted so.
    pub order: Order,
    /// Behind this one: the last of the page before.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: usize,
}

impl Filter {
    /// Whether an instance matches; the limit and the cursor aside.
    #[must_use]
    pub fn matches(&self, instance: &InstanceId, record: &Record) -> bool {
        let within = |at: Option<Timestamp>, from: Option<Timestamp>, to: Option<Timestamp>| {
            (from.is_none() && to.is_none())
                || at.is_some_and(|at| {
                    from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
                })
        };
        self.place(instance, record).is_some()
            && self.kind.includes(instance)
            && !record.is_awaited(instance)
            && (self.statuses.is_empty() || self.statuses.contains(&record.status))
            && self.prefix.as_ref().is_none_or(|p| instance.as_str().starts_with(&**p))
            && within(Some(record.created_at), self.created_from, self.created_to)
            && within(record.completed_at, self.completed_from, self.completed_to)
            && within(Some(record.updated_at), self.updated_from, self.updated_to)
            && self.name.as_ref().is_none_or(|name| record.name == *name)
            && self.tags.iter().all(|tag| record.tags.contains(tag))
            && (!self.stuck || record.stuck.is_some())
    }

    /// Whether only instances are wanted that have not ended.
    #[must_use]
    pub fn wants_live(&self) -> bool {
        !self.statuses.is_empty() && !self.statuses.iter().any(|status| status.is_terminal())
    }

    /// Where an instance stands in the order of the list, if it can stand there at all.
    #[must_use]
    pub fn place(&self, instance: &InstanceId, record: &Record) -> Option<Cursor> {
        let at = match self.order {
            Order::Created => Some(record.created_at),
            Order::Completed => record.completed_at,
        };
        at.map(|at| Cursor { at, instance: instance.clone() })
    }
}

/// A kind of instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// Orchestrations: all that are not entities.
    #[default]
    Orchestrations,
    /// Entities: their ids begin with `@`.
    Entities,
    /// Both.
    All,
}

impl Which {
    /// Whether an instance is of this kind.
    #[must_use]
    pub fn includes(self, instance: &InstanceId) -> bool {
        match self {
            Self::Orchestrations => !instance.as_str().starts_with('@'),
            Self::Entities => instance.as_str().starts_with('@'),
            Self::All => true,
        }
    }
}

/// How a list is sorted; equal times by id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By creation, oldest first.
    #[default]
    Created,
    /// By their end, and only those that have ended.
    Completed,
}

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the instance there was created, or ended, as the list is sorted.
    pub at: Timestamp,
    /// Its id.
    pub instance: InstanceId,
}

/// One page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The instances on it.
    pub instances: Vec<(InstanceId, Record)>,
    /// Where the next page begins; `None` at the end. A page may be short and not the last.
    pub next: Option<Cursor>,
}

/// Why a batch was not committed, or perhaps not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another node owns this partition; nothing was written.
    #[error("partition {} is owned under a newer epoch", .0.0)]
    Fenced(PartitionId),
    /// The store failed; the batch may or may not be there.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room; it goes on by itself when there is.
    #[error("no space is left on the store's disk: free some, nothing is lost meanwhile ({0})")]
    Full(String),
    /// What was to be written is more than it takes at once, and always will be.
    #[error("the store does not take so much at once: {0}")]
    TooLarge(String),
    /// It cannot be reached or used for now.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is stored makes no sense.
    #[error("the store is damaged: {0}; restore a backup of it")]
    Damaged(String),
    /// Somebody has deleted the hub. Who opens one of its name has another one.
    #[error("the hub was deleted by somebody else; opened again, it begins empty")]
    Deleted,
}
