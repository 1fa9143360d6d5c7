//! Says what is wrong with the store, but not again and again: a full disk must not fill with logs.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How often the same trouble is logged.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// How many different troubles are logged in that time.
const TOLD_MAX: usize = 32;

/// What is wrong, and when that was logged last.
#[derive(Debug, Default)]
pub(super) struct Trouble(BTreeMap<String, Instant>);

impl Trouble {
    /// Logs a trouble when it is new, and then now and then.
    pub(super) fn tell(&mut self, error: &str, what: &str) {
        if self.is_due(error, Instant::now()) {
            tracing::error!(error, "{what}");
        }
    }

    fn is_due(&mut self, error: &str, now: Instant) -> bool {
        self.0.retain(|_, told| now.duration_since(*told) < TELL_EVERY);
        let is_due = !self.0.contains_key(error) && self.0.len() < TOLD_MAX;
        if is_due {
            self.0.insert(error.to_owned(), now);
        }
        is_due
    }

    /// It works.
    pub(super) fn is_over(&mut self) {
        if !std::mem::take(&mut self.0).is_empty() {
            tracing::info!("the store works again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_told_once_in_its_time_and_not_too_many_of_them() {
        let (mut trouble, now) = (Trouble::default(), Instant::now());
        assert!(trouble.is_due("a", now) && trouble.is_due("b", now));
        assert!(!trouble.is_due("a", now) && !trouble.is_due("b", now));
        assert!(trouble.is_due("a", now + TELL_EVERY));
        let told = (0..100).filter(|it| trouble.is_due(&it.to_string(), now + TELL_EVERY));
        assert_eq!(told.count(), TOLD_MAX - 1);
    }
}
