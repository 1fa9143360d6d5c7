//! Says what is wrong with the store, but not again and again: a full disk must not fill with logs.

use std::time::{Duration, Instant};

/// How often the same trouble is logged.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What is wrong, and when it was logged last.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<(String, Instant)>);

impl Trouble {
    /// Logs a trouble when it is new, and then now and then.
    pub(super) fn tell(&mut self, error: &str, what: &str) {
        let is_known =
            |(known, told): &(String, Instant)| known == error && told.elapsed() < TELL_EVERY;
        if !self.0.as_ref().is_some_and(is_known) {
            tracing::error!(error, "{what}");
            self.0 = Some((error.to_owned(), Instant::now()));
        }
    }

    /// It works.
    pub(super) fn is_over(&mut self) {
        if self.0.take().is_some() {
            tracing::info!("the store works again");
        }
    }
}
