//! The clock of a real node, and a name for its process.

use std::time::{SystemTime, UNIX_EPOCH};

use taskhub_core::Timestamp;

/// The time of day.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(0).plus(since)
}

/// Differs from that of every other process of the hub, earlier ones included.
pub(crate) fn process_id() -> String {
    format!("{}-{}", std::process::id(), now().0)
}
