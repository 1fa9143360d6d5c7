//! A fixed set of seeds, each a whole cluster: no promise may be broken.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use taskhub_sim::{Scenario, Trace, hush, run};

/// How many seeds run in the tests; the long run is `cargo xtask sim`.
const SEEDS: u64 = 2_000;

#[test]
fn no_promise_is_broken() {
    hush();
    let (next, broken) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        break;
                    }
                    if let Some(why) = run(Scenario::draw(seed), Trace::default()).violation {
                        let mut broken = broken.lock().unwrap_or_else(PoisonError::into_inner);
                        broken.push(format!("seed {seed}: {why}"));
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    hush();
    for seed in 0..50 {
        let run = || run(Scenario::draw(seed), Trace::default());
        let (one, two) = (run(), run());
        assert_eq!(one.hash, two.hash, "seed {seed}");
        assert_eq!(one.coverage.counts, two.coverage.counts, "seed {seed}");
    }
}
