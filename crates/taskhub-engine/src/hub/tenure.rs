//! Until when this node can be sure of its leases, by a clock that nobody sets.
//!
//! A process that was stopped for longer than its leases does not know what others did meanwhile.
//! Its writes are fenced by the store; what it would tell from memory is held back here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Counts how often the leases had run out before they were renewed. A thread that does not know
/// of the present term has not heard yet what was lost.
pub(super) type Term = u64;

/// Shared by the keeper, who renews leases, and the turn threads, who answer.
#[derive(Clone)]
pub(super) struct Tenure {
    began: Instant,
    /// In milliseconds since it began; the greatest number for one that does not end.
    until: Arc<AtomicU64>,
    term: Arc<AtomicU64>,
}

impl Tenure {
    /// One that does not end: the store belongs to this process.
    pub(super) fn endless() -> Self {
        let tenure = Self::ended();
        tenure.until.store(u64::MAX, Ordering::SeqCst);
        tenure
    }

    /// One that has ended, until it is renewed.
    pub(super) fn ended() -> Self {
        Self { began: Instant::now(), until: Arc::default(), term: Arc::default() }
    }

    /// The leases were renewed for `ttl`, by a request that was made at `asked`. Yields the new
    /// term when they had run out: the turn threads are to be told, behind all that was lost.
    pub(super) fn renewed(&self, asked: Instant, ttl: Duration) -> Option<Term> {
        let lapsed = !self.is_in_time();
        let term = self.term.fetch_add(u64::from(lapsed), Ordering::SeqCst) + 1;
        let until = asked.saturating_duration_since(self.began).saturating_add(ttl);
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX - 1);
        self.until.store(until, Ordering::SeqCst);
        lapsed.then_some(term)
    }

    /// Whether nobody else can have claimed what a thread that knows of this term works on.
    pub(super) fn is_sure(&self, known: Term) -> bool {
        self.is_in_time() && self.term.load(Ordering::SeqCst) == known
    }

    fn is_in_time(&self) -> bool {
        match self.until.load(Ordering::SeqCst) {
            u64::MAX => true,
            until => self.began.elapsed().as_millis() < u128::from(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenure_is_sure_until_it_ends_and_again_for_those_who_know_of_the_next() {
        let tenure = Tenure::ended();
        assert!(!tenure.is_sure(0));
        assert_eq!(tenure.renewed(Instant::now(), Duration::from_hours(1)), Some(1));
        assert!(tenure.is_sure(1) && !tenure.is_sure(0));
        assert_eq!(tenure.renewed(Instant::now(), Duration::ZERO), None);
        assert!(!tenure.is_sure(1), "it has ended");
        assert_eq!(tenure.renewed(Instant::now(), Duration::from_hours(1)), Some(2));
        assert!(!tenure.is_sure(1), "who does not know of the new term may have missed a loss");
        assert!(tenure.is_sure(2));
    }

    #[test]
    fn an_endless_tenure_is_always_sure() {
        assert!(Tenure::endless().is_sure(0));
    }
}
