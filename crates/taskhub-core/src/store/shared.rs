//! What a store adds that several nodes share: who lives, who owns what, and hints from node to
//! node.
//!
//! # Contract
//!
//! 1. Several lanes commit at the same time, from several nodes, each the turns of its own
//!    partitions. The messages of one sending partition stand in an inbox in the order of their
//!    commits, and a read that shows one of them shows all earlier ones that are not taken.
//! 2. A node lives from its heartbeat until the time it gave has passed, by the store's clock, or
//!    until it departs.
//! 3. A hint reaches everybody who listens, in whichever process, the one that gave it included.
//!    It may be lost when a connection is; then [`Hints::next`] fails, and whoever listened looks
//!    at everything once.

use std::time::Duration;

use super::{Node, Ownership, StoreError};
use crate::PartitionId;

/// A store that several nodes share. See the [module](self) for what it must promise.
pub trait Shared: Send + Sync {
    /// `node` lives, for `ttl` from now. Returns all nodes that live, by id; fails with
    /// [`StoreError::Deleted`] when the hub is there no more.
    fn heartbeat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>, StoreError>;

    /// `node` is about to go and no longer counts. What it owns it gives up by
    /// [`Store::release`](super::Store::release).
    fn depart(&self, node: &Node) -> Result<(), StoreError>;

    /// All nodes that live, by id.
    fn nodes(&self) -> Result<Vec<Node>, StoreError>;

    /// The partitions that were claimed and not released, in their order.
    fn owners(&self) -> Result<Vec<Lease>, StoreError>;

    /// The partitions in whose inboxes something stands, in their order.
    fn mail(&self) -> Result<Vec<PartitionId>, StoreError>;

    /// Tells all who listen that something has changed about these partitions: messages stand in
    /// their inboxes, or nobody owns them any more.
    fn hint(&self, partitions: &[PartitionId]) -> Result<(), StoreError>;

    /// Begins to listen.
    fn listen(&self) -> Result<Box<dyn Hints>, StoreError>;
}

/// The hints that one node hears, from the moment when it began to listen.
pub trait Hints: Send {
    /// The partitions that were hinted since the last call, each once. Waits up to `wait` for the
    /// first one; empty when there was none. After an error it may be used no more.
    fn next(&mut self, wait: Duration) -> Result<Vec<PartitionId>, StoreError>;
}

/// Who owns a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The partition, and the epoch under which it is owned.
    pub owned: Ownership,
    /// The node that claimed it; its circle may be left out.
    pub node: Node,
    /// How long from now it is owned unless it is renewed; zero when that time has passed, and
    /// nobody else has claimed it yet.
    pub lasts: Duration,
}
