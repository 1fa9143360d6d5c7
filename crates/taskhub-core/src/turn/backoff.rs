//! When a call that failed is tried again, and how often.

use std::time::Duration;

use crate::mutation::{Mutation, mutated};

/// How often a call is tried, and how long it pauses in between. Attempts and pauses are calls and
/// timers of the code; this only says which come next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// How many attempts there are at most.
    pub attempts: u32,
    /// How long the first pause is.
    pub first: Duration,
    /// How many times longer each pause is than the one before. What is below 1 counts as 1.
    pub factor: f64,
    /// How long a pause is at most.
    pub max: Duration,
    /// After how long, counted from the first attempt, no further attempt begins.
    pub total: Option<Duration>,
}

impl Backoff {
    /// How long to pause after so many `failed` attempts, when the first one began `elapsed` ago;
    /// `None` when there is no further attempt.
    #[must_use]
    pub fn pause(&self, failed: u32, elapsed: Duration) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let pause = self.delay(failed);
        match self.total {
            Some(total)
                if elapsed.saturating_add(pause) > total && !mutated(Mutation::RetryLate) =>
            {
                None
            }
            _ => Some(pause),
        }
    }

    /// The same after a failure that may be final; if it is not, `is_wanted` says whether it is
    /// worth another attempt.
    #[must_use]
    pub fn pause_after(
        &self,
        failed: u32,
        elapsed: Duration,
        is_final: bool,
        is_wanted: impl FnOnce() -> bool,
    ) -> Option<Duration> {
        let goes_on = !is_final && (is_wanted() || mutated(Mutation::RetryUnwanted));
        if goes_on { self.pause(failed, elapsed) } else { None }
    }

    /// The pause after so many failed attempts. It multiplies step by step: products of floating
    /// point numbers are the same on every machine, powers need not be.
    #[must_use]
    pub fn delay(&self, failed: u32) -> Duration {
        let mut pause = self.first.min(self.max);
        for _ in 1..failed {
            // Not a number counts as 1, too.
            let grows = self.factor > 1.0 && !mutated(Mutation::PauseAlike);
            if pause >= self.max || !grows {
                break;
            }
            let next = pause.as_secs_f64() * self.factor;
            let next = Duration::try_from_secs_f64(next).unwrap_or(self.max).min(self.max);
            if next == pause {
                break;
            }
            pause = next;
        }
        pause
    }
}
