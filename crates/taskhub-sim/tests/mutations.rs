//! The simulator can fail: with each deliberate mistake it finds the promise broken.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use taskhub_core::mutation::{Mutation, mutate};
use taskhub_sim::{Scenario, Trace, hush, run};

/// So many seeds are enough to find any of them.
const SEEDS: u64 = 4_000;

/// The search for one mistake.
struct Search {
    mutation: Mutation,
    law: u8,
    next: AtomicU64,
    found: AtomicBool,
}

impl Search {
    /// Tries the next seed, if that makes sense.
    fn go_on(&self) -> bool {
        let seed = self.next.fetch_add(1, Ordering::Relaxed);
        if seed >= SEEDS || self.found.load(Ordering::Relaxed) {
            return false;
        }
        mutate(Some(self.mutation));
        let report = run(Scenario::draw(seed), Trace::default());
        mutate(None);
        if report.violation.is_some_and(|violation| violation.law == self.law)
            && !self.found.swap(true, Ordering::Relaxed)
        {
            println!("{:?} breaks promise {} with seed {seed}", self.mutation, self.law);
        }
        true
    }
}

#[test]
fn every_mistake_is_found() {
    hush();
    let search = |&(mutation, law)| {
        let (next, found) = (AtomicU64::new(0), AtomicBool::new(false));
        Search { mutation, law, next, found }
    };
    let searches: Vec<_> = Mutation::ALL.iter().map(search).collect();
    // All threads look for whatever is left, so none waits for the one with the hardest to find.
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| while searches.iter().filter(|it| it.go_on()).count() > 0 {});
        }
    });
    let missed = searches.iter().filter(|it| !it.found.load(Ordering::Relaxed));
    let missed: Vec<_> = missed.map(|it| (it.mutation, it.law)).collect();
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
}
