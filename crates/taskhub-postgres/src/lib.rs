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
//! - `ownership`: leases; `cluster`: what nodes know of each other.
//!
//! Calls block, and may be made on any thread, within tokio too: what moves the bytes is a thread
//! of the database's own.

mod address;
mod cluster;
mod commit;
mod database;
mod error;
mod keys;
mod link;
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

use self::{address::Address, cluster::Herald, database::Database, keys::Keys};

pub use error::OpenError;

const PARTITIONS_MAX: u16 = 4_096;

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

/// How to open a hub in a database.
#[derive(Clone)]
#[must_use = "nothing is opened until `open` is called"]
pub struct PostgresOptions {
    url: String,
    hub: String,
    partitions: u16,
    patience: Duration,
    readers: usize,
    writers: usize,
    clock: Option<Clock>,
}

impl PostgresOptions {
    /// The hub `default` of the database at `url`, such as `postgres://USER@HOST/DATABASE`.
    ///
    /// Beyond what `psql` knows, `sslmode` is `disable`, the default, or one of `require`,
    /// `verify-ca` and `verify-full`, which all check the certificate, by those of this machine or
    /// those in the file `sslrootcert`. With several hosts the one that takes writes is used.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            hub: "default".to_owned(),
            partitions: 32,
            patience: Duration::from_mins(1),
            readers: 4,
            writers: 4,
            clock: None,
        }
    }

    /// Another hub; a database can have many.
    pub fn hub(mut self, name: impl Into<String>) -> Self {
        self.hub = name.into();
        self
    }

    /// How many partitions a new hub gets, 1 to 4096; one that exists keeps its own number.
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// How long an answer may take; after that the connection counts as lost. 60 seconds if this
    /// is not called.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many connections there may be for reads and for writes; 4 and 4 if this is not called.
    pub fn connections(mut self, readers: usize, writers: usize) -> Self {
        (self.readers, self.writers) = (readers, writers);
        self
    }

    /// By which clock leases run out, for tests; by that of the server if this is not called, so
    /// that the clocks of the nodes do not matter.
    pub fn clock(mut self, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Opens the hub; makes it, and the tables, when they are not there.
    pub fn open(self) -> Result<PostgresStore, OpenError> {
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            return Err(OpenError::Partitions(self.partitions));
        }
        let address = Address::parse(&self.url)?;
        let database = Database::new(address, self.patience, (self.readers, self.writers))?;
        schema::migrate(&database)?;
        let (hub, partitions) = schema::hub(&database, &self.hub, self.partitions)?;
        let (database, keys) = (Arc::new(database), Arc::new(Keys::new()));
        let (name, clock, herald) = (self.hub.into(), self.clock, Arc::default());
        Ok(PostgresStore { database, keys, herald, hub, partitions, name, clock })
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("PostgresOptions")
            .field("hub", &self.hub)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the hub `default` of the database at `url`, such as `postgres://USER@HOST/DATABASE`;
    /// makes it, and the tables, when they are not there. [`PostgresOptions`] say more.
    pub fn connect(url: impl Into<String>) -> Result<Self, OpenError> {
        PostgresOptions::new(url).open()
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

    fn query(&self, filter: &Filter) -> Result<Page, StoreError> {
        self.list(filter)
    }

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }
}
