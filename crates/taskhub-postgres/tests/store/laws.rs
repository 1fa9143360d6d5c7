//! The store in a database keeps every law of the stores.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering},
};

use taskhub_core::store::Store;
use taskhub_postgres::{PostgresOptions, testing::Server};
use taskhub_sim::conformance::{Fixture, PARTITIONS, TestClock};

/// One server for all laws; each has a hub of its own in it.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start().expect("PostgreSQL is installed"))
}

struct Hub {
    clock: TestClock,
    name: String,
}

impl Hub {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hub {}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self { clock: TestClock::default(), name }
    }
}

impl Fixture for Hub {
    fn open(&mut self) -> Arc<dyn Store> {
        let options = PostgresOptions::new(server().url()).partitions(PARTITIONS);
        Arc::new(options.clock(self.clock.to_clock()).open(&self.name).expect("the server runs"))
    }

    fn clock(&self) -> &TestClock {
        &self.clock
    }
}

taskhub_sim::conformance!(Hub::new());
taskhub_sim::conformance_of_shared!(Hub::new());
