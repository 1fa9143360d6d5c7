//! A log for programs that have none: what goes wrong should not go unseen.

use std::{
    env,
    io::{IsTerminal as _, stderr},
};

use tracing_subscriber::EnvFilter;

/// What is logged where nobody says otherwise.
const FILTER: &str = "info";

/// Begins to log to stderr, unless the program has a subscriber already.
pub(super) fn begin() {
    let filter = env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| FILTER.to_owned());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    // That fails where the program has one. To ask beforehand is of no use: one of a single thread,
    // such as the one that mutes a replay, counts as one too.
    let _ = log.with_ansi(stderr().is_terminal()).try_init();
}
