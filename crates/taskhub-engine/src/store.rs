//! The stores that come with the engine: one in memory, for tests, and one in a folder.

mod embedded;
mod leases;
mod memory;

use std::sync::Arc;

use taskhub_core::Timestamp;

pub use embedded::{Embedded, EmbeddedOptions, OpenError};
pub use memory::{MemorySnapshot, MemoryStore};

/// Tells a store what time it is: only leases depend on it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of this machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(crate::clock::now)
}
