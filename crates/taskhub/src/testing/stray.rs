//! Makes timers and I/O that stray into an orchestration fail in tests as they do in a hub.
//!
//! A hub runs orchestrations where there is no runtime. A test may well run in one, where a timer
//! would seem to work.

use std::sync::LazyLock;

use tokio::runtime::{Builder, EnterGuard, Runtime};

/// A runtime without timers and without I/O; nothing ever runs on it.
static BARREN: LazyLock<Option<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().build().ok());

/// As long as this is kept, tokio's timers and I/O panic.
pub(super) fn guard() -> Option<EnterGuard<'static>> {
    BARREN.as_ref().map(Runtime::enter)
}
