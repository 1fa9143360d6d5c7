//! The memory store keeps every law of the stores.

use std::sync::Arc;

use taskhub_core::store::Store;
use taskhub_engine::store::MemoryStore;
use taskhub_sim::conformance::{Fixture, PARTITIONS, TestClock};

/// One store in memory; opening it again finds the same one.
struct Memory {
    clock: TestClock,
    store: MemoryStore,
}

impl Memory {
    fn new() -> Self {
        let clock = TestClock::default();
        let store = MemoryStore::with_clock(PARTITIONS, clock.to_clock());
        Self { clock, store }
    }
}

impl Fixture for Memory {
    fn open(&mut self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn clock(&self) -> &TestClock {
        &self.clock
    }
}

taskhub_sim::conformance!(Memory::new());
taskhub_sim::conformance_of_shared!(Memory::new());
