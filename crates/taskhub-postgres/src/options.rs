//! A database with hubs in it, and how to use it.

use std::{fmt, sync::Arc, time::Duration};

use taskhub_core::Timestamp;

use crate::{
    Clock, OpenError, PostgresStore,
    address::Address,
    cluster::Herald,
    database::Database,
    keys::Keys,
    link::Link,
    row::get,
    schema,
    text::{pack, unpack},
};

const PARTITIONS_MAX: u16 = 4_096;

/// Connections for writes of those who are no lanes, and wait for none.
const LEASES_AND_HINTS: usize = 4;

const HUBS: &str = "SELECT name FROM taskhub.hub ORDER BY name";

/// From here on nobody can write to the hub, nor claim any of it.
const CLOSE: &str = "\
    WITH fence AS (DELETE FROM taskhub.partition WHERE hub = $1), \
    lease AS (DELETE FROM taskhub.lease WHERE hub = $1), \
    message AS (DELETE FROM taskhub.message WHERE hub = $1) \
    DELETE FROM taskhub.node WHERE hub = $1";

/// Some instances with their histories: a hub may have too many for one transaction.
const CLEAR: &str = "\
    WITH chosen AS MATERIALIZED (SELECT key FROM taskhub.instance WHERE hub = $1 LIMIT 10000), \
    history AS (DELETE FROM taskhub.history AS h USING chosen AS s WHERE h.instance = s.key) \
    DELETE FROM taskhub.instance AS i USING chosen AS s WHERE i.key = s.key RETURNING 1";

/// The last of it. A node may have lived there a moment longer.
const FORGET: &str = "\
    WITH node AS (DELETE FROM taskhub.node WHERE hub = $1) \
    DELETE FROM taskhub.hub WHERE key = $1";

/// How to use a database.
#[derive(Clone)]
#[must_use = "nothing happens until `connect` is called"]
pub struct PostgresOptions {
    url: String,
    partitions: u16,
    patience: Duration,
    readers: usize,
    writers: usize,
    clock: Option<Clock>,
}

impl PostgresOptions {
    /// For the database at `url`, such as `postgres://USER@HOST/DATABASE`.
    ///
    /// Beyond what `psql` knows, `sslmode` is `disable`, the default, or one of `require`,
    /// `verify-ca` and `verify-full`, which all check the certificate, by those of this machine or
    /// those in the file `sslrootcert`. With several hosts the one that takes writes is used.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            partitions: 32,
            patience: Duration::from_mins(1),
            readers: 4,
            writers: 16,
            clock: None,
        }
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

    /// How many connections there may be for reads and for writes, each opened when it is needed; 4
    /// and 16 if this is not called. Each lane that commits takes one of the latter, of which 4 are
    /// kept for leases and hints.
    pub fn connections(mut self, readers: usize, writers: usize) -> Self {
        (self.readers, self.writers) = (readers, writers);
        self
    }

    /// For a node with so many lanes: as many connections for writes as they take, and a few for
    /// its leases and hints, if 16 are not enough.
    pub fn lanes(mut self, lanes: u16) -> Self {
        self.writers = self.writers.max(usize::from(lanes) + LEASES_AND_HINTS);
        self
    }

    /// By which clock leases run out, for tests; by that of the server if this is not called, so
    /// that the clocks of the nodes do not matter.
    pub fn clock(mut self, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Connects, and makes the tables when they are not there.
    pub fn connect(self) -> Result<Postgres, OpenError> {
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            return Err(OpenError::Partitions(self.partitions));
        }
        let address = Address::parse(&self.url)?;
        let commits = self.writers.saturating_sub(LEASES_AND_HINTS);
        let counts = [self.readers, commits, self.writers.min(LEASES_AND_HINTS)];
        let database = Database::new(address, self.patience, counts)?;
        schema::migrate(&database)?;
        let (partitions, clock) = (self.partitions, self.clock);
        Ok(Postgres { database: Arc::new(database), partitions, clock })
    }

    /// Connects, and opens the hub with this name, or makes it.
    pub fn open(self, hub: &str) -> Result<PostgresStore, OpenError> {
        self.connect()?.open(hub)
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("PostgresOptions")
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// A database with hubs in it. Clones, and all hubs, share its connections.
#[derive(Clone)]
pub struct Postgres {
    database: Arc<Database>,
    partitions: u16,
    clock: Option<Clock>,
}

impl Postgres {
    /// Opens the hub with this name, or makes it.
    pub fn open(&self, hub: &str) -> Result<PostgresStore, OpenError> {
        let (key, partitions) = schema::hub(&self.database, hub, self.partitions)?;
        Ok(PostgresStore {
            database: self.database.clone(),
            keys: Arc::new(Keys::new()),
            herald: Arc::new(Herald::default()),
            hub: key,
            partitions,
            name: hub.into(),
            clock: self.clock.clone(),
        })
    }

    /// The names of the hubs, sorted.
    pub fn hubs(&self) -> Result<Vec<String>, OpenError> {
        Ok(self.database.read(async |link: &mut Link| {
            let rows = link.query(HUBS, &[]).await?;
            rows.iter().map(|row| Ok(unpack(get(row, 0)?).to_string())).collect()
        })?)
    }

    /// Removes a hub with all that is in it; one that is not there is fine. A node that still has
    /// it open can write nothing to it any more, and hears of it with its next heartbeat.
    pub fn delete(&self, hub: &str) -> Result<(), OpenError> {
        let name = pack(hub);
        let mut work = async |link: &mut Link| {
            let found = link.query("SELECT key FROM taskhub.hub WHERE name = $1", &[&name]).await?;
            let Some(row) = found.first() else { return Ok(()) };
            let key: i32 = get(row, 0)?;
            link.query(CLOSE, &[&key]).await?;
            while !link.query(CLEAR, &[&key]).await?.is_empty() {}
            link.query(FORGET, &[&key]).await.map(drop)
        };
        Ok(self.database.run(&self.database.writers, &mut work)?)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_has_a_connection() {
        let writers = |lanes| PostgresOptions::new("postgres://me@db/hub").lanes(lanes).writers;
        assert_eq!([1, 12, 13, 64].map(writers), [16, 16, 17, 68]);
    }
}
