//! When the keeper looks after its partitions. It is told the time, and has no clock of its own.

use std::time::{Duration, Instant};

/// How long it waits before it tries a store again that failed: ever longer.
const RETRY_AFTER: Duration = Duration::from_millis(200);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

/// What it hears makes it look, but not more often than so.
const HINTS_EVERY: Duration = Duration::from_millis(50);

/// When to look next.
#[derive(Debug)]
pub(super) struct Pace {
    /// How often, when nothing calls for it.
    every: Duration,
    /// When it looked last, and when it is to look again.
    looked: Option<Instant>,
    next: Option<Instant>,
    /// After a failure: how long it pauses, and until when.
    pause: Duration,
    resumes: Option<Instant>,
    is_pausing: bool,
}

impl Pace {
    pub(super) fn new(every: Duration) -> Self {
        let (looked, next, resumes) = (None, None, None);
        Self { every, looked, next, pause: Duration::ZERO, resumes, is_pausing: false }
    }

    /// How long it has nothing to do.
    pub(super) fn rest(&self, now: Instant) -> Duration {
        let until = if self.is_pausing { self.resumes } else { self.next };
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// It looks now.
    pub(super) fn looks(&mut self, now: Instant) {
        (self.looked, self.next) = (Some(now), Some(now + self.every));
        self.is_pausing = false;
    }

    /// There is something to do now; after a failure it waits all the same.
    pub(super) fn hurry(&mut self) {
        self.next = None;
    }

    /// Somebody may have given something up.
    pub(super) fn hears(&mut self) {
        let soonest = self.looked.map(|at| at + HINTS_EVERY);
        self.next = self.next.min(soonest);
    }

    /// At that time others may have lost something.
    pub(super) fn awaits(&mut self, at: Instant) {
        self.next = self.next.map(|next| next.min(at));
    }

    /// The store failed. If it has worked as long as the last pause was, that one was enough. What
    /// else fails while it pauses is the same trouble.
    pub(super) fn fails(&mut self, now: Instant) {
        if self.is_pausing {
            return;
        }
        let enough = self.resumes.is_none_or(|at| now >= at + self.pause);
        self.pause = if enough { RETRY_AFTER } else { (self.pause * 2).min(RETRY_AFTER_MAX) };
        (self.resumes, self.is_pausing) = (Some(now + self.pause), true);
    }

    /// The node ends: there is something to do, whatever failed until now.
    pub(super) fn ends(&mut self) {
        (self.resumes, self.is_pausing) = (None, false);
        self.hurry();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// One that looked at the time that is returned.
    fn looked() -> (Pace, Instant) {
        let (mut pace, now) = (Pace::new(SECOND), Instant::now());
        assert_eq!(pace.rest(now), Duration::ZERO, "it has not looked yet");
        pace.looks(now);
        assert_eq!(pace.rest(now), SECOND);
        (pace, now)
    }

    #[test]
    fn what_is_heard_just_after_a_look_is_not_forgotten() {
        let (mut pace, now) = looked();
        pace.hears();
        assert_eq!(pace.rest(now + millis(10)), millis(40));
        pace.hears();
        assert_eq!(pace.rest(now + millis(60)), Duration::ZERO);
        pace.looks(now + millis(60));
        assert_eq!(pace.rest(now + millis(60)), SECOND);
    }

    #[test]
    fn it_looks_as_soon_as_a_lease_of_others_runs_out() {
        let (mut pace, now) = looked();
        pace.awaits(now + millis(300));
        pace.awaits(now + 2 * SECOND);
        assert_eq!(pace.rest(now), millis(300));
    }

    #[test]
    fn a_store_that_fails_and_fails_is_tried_less_and_less() {
        let (mut pace, mut now) = looked();
        for pause in [200, 400, 800, 1_000, 1_000] {
            pace.fails(now);
            pace.hurry();
            assert_eq!(pace.rest(now), millis(pause));
            now += millis(pause);
            pace.looks(now);
        }
    }

    #[test]
    fn lanes_that_fail_together_are_one_failure() {
        let (mut pace, mut now) = looked();
        for pause in [200, 400] {
            for lane in 0..4 {
                pace.fails(now + millis(lane * 10));
            }
            assert_eq!(pace.rest(now), millis(pause));
            now += millis(pause);
            pace.looks(now);
        }
    }

    #[test]
    fn failures_that_are_over_make_no_later_pause_longer() {
        let (mut pace, mut now) = looked();
        for _ in 0..20 {
            pace.fails(now);
            assert_eq!(pace.rest(now), millis(200));
            now += millis(200);
            pace.looks(now);
            now += millis(200);
        }
    }

    #[test]
    fn who_ends_waits_for_no_pause() {
        let (mut pace, now) = looked();
        pace.fails(now);
        pace.ends();
        assert_eq!(pace.rest(now), Duration::ZERO);
    }
}
