//! The store for many nodes: hubs in a PostgreSQL database, version 12 or newer.
//!
//! A batch is one statement, and so one transaction and one trip to the server and back. It locks
//! the rows of its partitions against those who would claim them, checks their epochs, and writes
//! with one multi-row change per table. Which instance has which integer key is remembered here.
//!
//! - `wait`, `address`, `link`, `database`: connections, and waiting for them;
//! - `schema`, `migrations/`: the tables, and how they come about;
//! - `commit`, `commit.sql`, `keys`, `row`: writing;
//! - `reader`, `query`: reading;
//! - `copy`: moving a hub from one store into another, of whichever kind;
//! - `ownership`: leases; `cluster`: what nodes know of each other.
//!
//! Calls block, and may be made on any thread, within tokio too: what moves the bytes is a thread
//! of the database's own.

mod address;
mod cluster;
mod commit;
mod copy;
mod database;
mod error;
mod keys;
mod link;
mod options;
mod ownership;
mod query;
mod reader;
mod row;
mod schema;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod wait;

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use taskhub_core::{
    Batch, Envelope, InstanceId, MessageId, PartitionId, Timestamp,
    store::{CommitError, Filter, Node, Ownership, Page, Shared, Store, StoreError, Stored, Wake},
};

use self::{cluster::Herald, database::Database, keys::Keys};

pub use copy::{Copied, CopyError, copy};
pub use error::OpenError;
pub use options::{Postgres, PostgresOptions};

/// A hub in a database. Clones share their connections and are the same hub.
#[derive(Clone)]
pub struct PostgresStore {
    database: Arc<Database>,
    keys: Arc<Keys>,
    herald: Arc<Herald>,
    hub: i32,
    partitions: u16,
    name: Arc<str>,
    clock: Option<Clock>,
}

/// Tells what time it is.
type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

impl PostgresStore {
    /// Opens the hub `default` of the database at `url`, such as `postgres://USER@HOST/DATABASE`;
    /// makes it, and the tables, when they are not there. [`PostgresOptions`] say more.
    pub fn connect(url: impl Into<String>) -> Result<Self, OpenError> {
        PostgresOptions::new(url).open("default")
    }

    /// The hub's name.
    #[must_use]
    pub fn hub(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("hub", &self.name)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

impl Store for PostgresStore {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn claim(
        &self,
        node: &Node,
        limit: usize,
        ttl: Duration,
    ) -> Result<Vec<Ownership>, StoreError> {
        self.claim_some(node, limit, ttl)
    }

    fn renew(&self, held: &[Ownership], ttl: Duration) -> Result<Vec<PartitionId>, StoreError> {
        self.renew_all(held, ttl)
    }

    fn release(&self, held: &[Ownership]) -> Result<(), StoreError> {
        self.release_all(held)
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        commit::commit(self, batch)
    }

    fn inbox(
        &self,
        partition: PartitionId,
        taken: &[MessageId],
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.inbox_of(partition, taken, limit)
    }

    fn wakes(
        &self,
        partition: PartitionId,
        after: Option<&Wake>,
        limit: usize,
    ) -> Result<Vec<Wake>, StoreError> {
        self.wakes_of(partition, after, limit)
    }

    fn busy(
        &self,
        partition: PartitionId,
        after: Option<&InstanceId>,
        limit: usize,
    ) -> Result<Vec<InstanceId>, StoreError> {
        self.busy_of(partition, after, limit)
    }

    fn load(&self, instance: &InstanceId) -> Result<Option<Stored>, StoreError> {
        self.load_one(instance)
    }

    fn history(&self, instance: &InstanceId, events: Range<u64>) -> Result<Vec<Bytes>, StoreError> {
        self.pieces(instance, &events)
    }

    fn beginnings(&self, instances: &[InstanceId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.first_pieces(instances)
    }

    fn query(&self, filter: &Filter) -> Result<Page, StoreError> {
        self.list(filter)
    }

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }
}
