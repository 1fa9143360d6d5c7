//! What the tests of faults share: a server, hubs in it, and batches of two instances.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use taskhub_core::{
    Batch, PartitionId, TurnRecord,
    store::{CommitError, Ownership, Store as _, StoreError},
};
use taskhub_postgres::{OpenError, PostgresOptions, PostgresStore, testing::Server};
use taskhub_sim::conformance::{
    PARTITIONS,
    hub::{TTL, append, envelope, instance, node, numbers, turn},
};

/// A server for the tests that leave it alone.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start().expect("PostgreSQL is installed"))
}

/// A database of its own, and its address.
pub(crate) fn database(name: &str, how: &str) -> String {
    server().psql(&format!("CREATE DATABASE {name} {how}")).expect("psql works");
    server().url().trim_end_matches("postgres").to_owned() + name
}

/// From now on the server refuses what is written of an instance if `when` is so, with `error`.
pub(crate) fn refuse_instances(database: &str, when: &str, error: &str) {
    let trigger = format!(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF {when} THEN RAISE EXCEPTION {error}; END IF; \
             RETURN NEW; \
         END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON taskhub.instance \
             FOR EACH ROW EXECUTE FUNCTION public.refuse()"
    );
    server().psql_in(database, &trigger).expect("psql works");
}

/// The name of a hub that no other test has.
pub(crate) fn fresh() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("fault {}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A hub, and how it is opened.
pub(crate) struct Place(PostgresOptions, String);

/// A hub of four partitions.
pub(crate) fn options(url: &str, hub: &str) -> Place {
    Place(PostgresOptions::new(url).partitions(PARTITIONS), hub.to_owned())
}

impl Place {
    pub(crate) fn partitions(self, partitions: u16) -> Self {
        Self(self.0.partitions(partitions), self.1)
    }

    pub(crate) fn connections(self, readers: usize, writers: usize) -> Self {
        Self(self.0.connections(readers, writers), self.1)
    }

    pub(crate) fn patience(self, patience: Duration) -> Self {
        Self(self.0.patience(patience), self.1)
    }

    pub(crate) fn open(self) -> Result<PostgresStore, OpenError> {
        self.0.open(&self.1)
    }
}

/// A hub whose partitions the test owns.
pub(crate) struct Scene {
    pub(crate) store: PostgresStore,
    pub(crate) owned: Vec<Ownership>,
}

impl Scene {
    pub(crate) fn open(options: Place) -> Self {
        let store = options.open().expect("the server runs");
        let owned = store.claim(&node("test"), usize::MAX, TTL).expect("the server runs");
        Self { store, owned }
    }

    pub(crate) fn batch(&self, turns: impl IntoIterator<Item = TurnRecord>) -> Batch {
        let owners = self.owned.iter().map(|held| (held.partition, held.epoch)).collect();
        Batch { owners, turns: turns.into_iter().collect() }
    }

    /// Appends one event to two instances, and sends a message.
    pub(crate) fn step(&self, at: u32) -> Result<(), CommitError> {
        let mut sends = turn("a");
        sends.sent = vec![envelope(0, at.into(), "b")];
        self.store.commit(&self.batch([append("a", at..at + 1), append("b", at..at + 1), sends]))
    }

    /// What a lane does when it does not know whether a commit is there.
    pub(crate) fn recover(&mut self) -> Result<(), StoreError> {
        self.store.release(&self.owned)?;
        self.owned = self.store.claim(&node("test"), usize::MAX, TTL)?;
        Ok(())
    }

    /// How many steps are there, in the histories of both and among the messages.
    pub(crate) fn steps(&self) -> [usize; 3] {
        let events = |id: &str| {
            let stored = self.store.load(&instance(id)).expect("reading works");
            stored.map_or(0, |stored| numbers(&stored.history).len())
        };
        let inboxes = (0..PARTITIONS).map(PartitionId);
        let messages = inboxes.map(|partition| {
            self.store.inbox(partition, &[], usize::MAX).expect("reading works").len()
        });
        [events("a"), events("b"), messages.sum()]
    }
}

/// Whether a commit's outcome is unknown.
pub(crate) fn is_unknown(done: &Result<(), CommitError>) -> bool {
    matches!(done, Err(CommitError::Store(StoreError::Unavailable(_))))
}
