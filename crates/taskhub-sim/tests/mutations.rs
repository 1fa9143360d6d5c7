//! The simulator can fail: with each deliberate mistake it finds the promise broken.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use taskhub_core::mutation::{Mutation, mutate};
use taskhub_sim::{Scenario, Trace, hush, run};

/// So many seeds are enough to find any of them.
const SEEDS: u64 = 4_000;

/// The first seed with which a mistake breaks its promise.
fn find(mutation: Mutation, law: u8) -> Option<u64> {
    mutate(Some(mutation));
    let broken = |seed: &u64| {
        let report = run(Scenario::draw(*seed), Trace::default());
        report.violation.is_some_and(|violation| violation.law == law)
    };
    let found = (0..SEEDS).find(broken);
    mutate(None);
    found
}

#[test]
fn every_mistake_is_found() {
    hush();
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((mutation, law)) =
                    Mutation::ALL.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if let Some(seed) = find(*mutation, *law) {
                        println!("{mutation:?} breaks promise {law} with seed {seed}");
                    } else {
                        let mut missed = missed.lock().unwrap_or_else(PoisonError::into_inner);
                        missed.push((mutation, law));
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
}
