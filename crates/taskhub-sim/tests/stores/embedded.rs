//! The store in a folder keeps every law of the stores.

use std::sync::Arc;

use taskhub_core::store::Store;
use taskhub_engine::store::EmbeddedOptions;
use taskhub_sim::conformance::{Fixture, PARTITIONS, TestClock};
use tempfile::TempDir;

/// A hub in a folder that goes when the test ends.
struct Folder {
    clock: TestClock,
    folder: TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = TempDir::new().expect("there is room for a folder");
        Self { clock: TestClock::default(), folder }
    }
}

impl Fixture for Folder {
    fn open(&mut self) -> Arc<dyn Store> {
        let options = EmbeddedOptions::default().partitions(PARTITIONS);
        let opened = options.clock(self.clock.to_clock()).open(self.folder.path());
        Arc::new(opened.expect("the folder is free"))
    }

    fn clock(&self) -> &TestClock {
        &self.clock
    }
}

taskhub_sim::conformance!(Folder::new());
