//! The clock of a real node, and a name for it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use taskhub_core::Timestamp;

/// The time of day.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(0).plus(since)
}

/// Differs from that of every other node of the hub, earlier ones and those of this process
/// included.
pub(crate) fn node_id() -> String {
    static NODES: AtomicU64 = AtomicU64::new(0);
    let number = NODES.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{number}", std::process::id(), now().0)
}
