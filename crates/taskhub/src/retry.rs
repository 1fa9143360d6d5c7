//! How often a call is tried, and how long it pauses in between.

use std::{fmt, sync::Arc, time::Duration};

use taskhub_core::turn::Backoff;

use crate::Failure;

/// How often to try a call that fails, and when.
///
/// Retries belong to the orchestration: each attempt is a call of its own in the history, each
/// pause a timer, so a retry that is due tomorrow survives a restart. A failure that is
/// [terminal](Failure::is_terminal) is never retried.
///
/// ```
/// # use std::time::Duration;
/// use taskhub::Retry;
///
/// // Up to 5 attempts; pauses of 200 ms, 600 ms, 1.8 s, 5 s; given up after a minute.
/// let patient = Retry::exponential(5)
///     .first_delay(Duration::from_millis(200))
///     .factor(3.0)
///     .max_delay(Duration::from_secs(5))
///     .total(Duration::from_secs(60))
///     .when(|failure| failure.kind() != "CardDeclined");
/// # let _ = patient;
/// ```
#[derive(Clone)]
pub struct Retry {
    backoff: Backoff,
    predicate: Option<Predicate>,
}

type Predicate = Arc<dyn Fn(&Failure) -> bool + Send + Sync>;

impl Retry {
    /// Up to so many attempts (at least one), with pauses of 1 s, 2 s, 4 s and so on, up to a day.
    #[must_use]
    pub const fn exponential(attempts: u32) -> Self {
        let attempts = if attempts == 0 { 1 } else { attempts };
        let (first, max) = (Duration::from_secs(1), Duration::from_hours(24));
        let backoff = Backoff { attempts, first, factor: 2.0, max, total: None };
        Self { backoff, predicate: None }
    }

    /// Up to so many attempts (at least one), with the same pause between any two.
    #[must_use]
    pub const fn fixed(attempts: u32, pause: Duration) -> Self {
        let mut retry = Self::exponential(attempts);
        retry.backoff.first = pause;
        retry.backoff.max = pause;
        retry
    }

    /// One attempt. At a call, it overrides what the activity says of itself.
    #[must_use]
    pub const fn never() -> Self {
        Self::exponential(1)
    }

    /// How long the first pause is.
    #[must_use]
    pub fn first_delay(mut self, pause: Duration) -> Self {
        self.backoff.first = pause;
        self
    }

    /// How many times longer each pause is than the one before. What is below 1 counts as 1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.backoff.factor = if factor > 1.0 { factor } else { 1.0 };
        self
    }

    /// How long a pause is at most.
    #[must_use]
    pub fn max_delay(mut self, pause: Duration) -> Self {
        self.backoff.max = pause;
        self
    }

    /// After how long, counted from the first attempt, no further attempt begins.
    #[must_use]
    pub fn total(mut self, time: Duration) -> Self {
        self.backoff.total = Some(time);
        self
    }

    /// Which failures are worth another attempt. The predicate runs again at every replay, so it
    /// must look at nothing but the failure.
    #[must_use]
    pub fn when(mut self, predicate: impl Fn(&Failure) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Arc::new(predicate));
        self
    }

    /// How long to pause after so many `failed` attempts, the last of which gave `failure`, when
    /// the first one began `elapsed` ago; `None` when there is no further attempt.
    pub(crate) fn pause(
        &self,
        failed: u32,
        elapsed: Duration,
        failure: &Failure,
    ) -> Option<Duration> {
        let is_wanted = || self.predicate.as_ref().is_none_or(|predicate| predicate(failure));
        self.backoff.pause_after(failed, elapsed, failure.is_terminal(), is_wanted)
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("backoff", &self.backoff)
            .field("predicate", &self.predicate.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(retry: &Retry, count: u32) -> Vec<u64> {
        (1..=count)
            .map(|failed| retry.backoff.delay(failed).as_millis())
            .map(|millis| u64::try_from(millis).unwrap())
            .collect()
    }

    #[test]
    fn pauses_grow_by_the_factor_up_to_the_cap() {
        let retry = Retry::exponential(9);
        assert_eq!(pauses(&retry, 4), [1_000, 2_000, 4_000, 8_000]);
        let retry = retry.factor(1.5).max_delay(Duration::from_secs(3));
        assert_eq!(pauses(&retry, 5), [1_000, 1_500, 2_250, 3_000, 3_000]);
        assert_eq!(pauses(&Retry::fixed(9, Duration::from_secs(7)), 3), [7_000; 3]);
    }

    #[test]
    fn odd_numbers_do_no_harm() {
        for factor in [f64::NAN, f64::INFINITY, -3.0, 0.0, 1e300] {
            for first in [Duration::ZERO, Duration::MAX] {
                let retry = Retry::exponential(u32::MAX).factor(factor).first_delay(first);
                let retry = retry.max_delay(Duration::MAX);
                assert!(retry.backoff.delay(u32::MAX) <= Duration::MAX);
            }
        }
    }

    #[test]
    fn it_ends_with_the_attempts_the_time_or_the_kind() {
        let failure = Failure::new("Busy", "come back later");
        let retry = Retry::exponential(3);
        assert!(retry.pause(2, Duration::ZERO, &failure).is_some());
        assert!(retry.pause(3, Duration::ZERO, &failure).is_none());
        assert!(retry.pause(1, Duration::ZERO, &failure.clone().no_retry()).is_none());
        let short = retry.clone().total(Duration::from_secs(3));
        assert!(short.pause(1, Duration::from_secs(2), &failure).is_some());
        assert!(short.pause(1, Duration::from_secs(3), &failure).is_none());
        let picky = retry.when(|failure| failure.kind() == "Other");
        assert!(picky.pause(1, Duration::ZERO, &failure).is_none());
        assert!(Retry::never().pause(1, Duration::ZERO, &failure).is_none());
        assert!(Retry::exponential(0).pause(1, Duration::ZERO, &failure).is_none());
    }
}
