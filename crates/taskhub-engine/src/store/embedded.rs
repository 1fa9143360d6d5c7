//! The hub in a folder: one SQLite file, durable before it answers, owned by one process.
//!
//! People can read the file with `sqlite3` while the hub runs: `SELECT * FROM instances`.

mod checkpoint;
mod error;
mod open;
mod query;
mod reader;
mod row;
mod schema;
mod writer;

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use taskhub_core::{
    Batch, Envelope, InstanceId, MessageId, PartitionId,
    store::{CommitError, Filter, Node, Ownership, Page, Store, StoreError, Stored, Wake},
};

pub use error::OpenError;

use self::{checkpoint::Checkpointer, open::Lock, reader::Readers, writer::Writer};
use super::{Clock, system_clock};

/// A hub in a folder.
///
/// The folder belongs to one process at a time. Closed when it is dropped; a crash needs no
/// closing.
pub struct Embedded {
    // In the order in which they are dropped: the last connection to be closed is the one that
    // can move the log, and the folder is free only after it.
    checkpointer: Checkpointer,
    readers: Arc<Readers>,
    writer: Arc<Mutex<Writer>>,
    clock: Clock,
    partitions: u16,
    folder: PathBuf,
    /// Held while this lives; the operating system frees it when the process dies.
    _lock: Lock,
}

/// How to open a hub in a folder.
pub struct EmbeddedOptions {
    partitions: u16,
    clock: Clock,
    pages_max: Option<u32>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { partitions: 32, clock: system_clock(), pages_max: None }
    }
}

impl EmbeddedOptions {
    /// How many partitions a new hub gets, 1 to 4096; one that exists keeps its own number.
    #[must_use]
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// By which clock leases run out.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long the database file may become, in pages of 4 KB; beyond it commits fail as on a
    /// full disk.
    #[must_use]
    pub fn pages_max(mut self, pages: u32) -> Self {
        self.pages_max = Some(pages);
        self
    }

    /// Opens the hub in `folder`, or creates both.
    pub fn open(self, folder: impl AsRef<Path>) -> Result<Embedded, OpenError> {
        open::open(folder.as_ref(), self)
    }
}

impl fmt::Debug for EmbeddedOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedOptions")
            .field("partitions", &self.partitions)
            .field("pages_max", &self.pages_max)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the hub in `folder`, or creates both, with 32 partitions.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, OpenError> {
        EmbeddedOptions::default().open(folder)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the writer remembers is dropped whenever a commit fails, and a panic in it leaves a
    /// transaction that the next one refuses to begin: nothing wrong can be written.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("folder", &self.folder)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

impl Store for Embedded {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn claim(
        &self,
        node: &Node,
        limit: usize,
        ttl: Duration,
    ) -> Result<Vec<Ownership>, StoreError> {
        self.writer().claim(node, limit, (self.clock)(), ttl)
    }

    fn renew(&self, held: &[Ownership], ttl: Duration) -> Result<Vec<PartitionId>, StoreError> {
        Ok(self.writer().renew(held, (self.clock)(), ttl))
    }

    fn release(&self, held: &[Ownership]) -> Result<(), StoreError> {
        self.writer().release(held);
        Ok(())
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let done = self.writer().commit(batch);
        if let Err(CommitError::Store(_)) = &done {
            self.checkpointer.log.is_in_trouble();
        }
        done
    }

    fn inbox(
        &self,
        partition: PartitionId,
        taken: &[MessageId],
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.readers.read(|db| reader::inbox(db, partition, taken, limit))
    }

    fn wakes(
        &self,
        partition: PartitionId,
        after: Option<&Wake>,
        limit: usize,
    ) -> Result<Vec<Wake>, StoreError> {
        self.readers.read(|db| reader::wakes(db, partition, after, limit))
    }

    fn busy(
        &self,
        partition: PartitionId,
        after: Option<&InstanceId>,
        limit: usize,
    ) -> Result<Vec<InstanceId>, StoreError> {
        self.readers.read(|db| reader::busy(db, partition, after, limit))
    }

    fn load(&self, instance: &InstanceId) -> Result<Option<Stored>, StoreError> {
        self.readers.read(|db| reader::load(db, instance))
    }

    fn history(&self, instance: &InstanceId, events: Range<u64>) -> Result<Vec<Bytes>, StoreError> {
        self.readers.read(|db| reader::history(db, instance, &events))
    }

    fn beginnings(&self, instances: &[InstanceId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.readers.read(|db| reader::beginnings(db, instances))
    }

    fn query(&self, filter: &Filter) -> Result<Page, StoreError> {
        self.readers.read(|db| query::query(db, filter))
    }
}
