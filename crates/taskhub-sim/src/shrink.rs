//! Makes a failing scenario shorter: whatever can be left out while the promise stays broken is.

use crate::{Rates, Scenario, Trace, run};

/// The shortest scenario found, within so many runs, that breaks the same promise.
#[must_use]
pub fn shrink(scenario: &Scenario, law: u8, runs: usize) -> Scenario {
    let mut best = scenario.clone();
    let mut left = runs;
    let mut progress = true;
    while progress && left > 0 {
        progress = false;
        for candidate in candidates(&best) {
            if left == 0 {
                break;
            }
            left -= 1;
            if fails(&candidate, law) {
                best = candidate;
                progress = true;
                break;
            }
        }
    }
    best
}

fn fails(scenario: &Scenario, law: u8) -> bool {
    run(scenario.clone(), Trace::default()).violation.is_some_and(|it| it.law == law)
}

/// Scenarios that are a little shorter, the boldest first.
fn candidates(scenario: &Scenario) -> Vec<Scenario> {
    let mut candidates = Vec::new();
    let mut push = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        candidates.push(candidate);
    };
    if !scenario.troubles.is_empty() {
        push(&|it| it.troubles.clear());
    }
    if scenario.rates.is_any() {
        push(&|it| it.rates = Rates::default());
    }
    if !scenario.blobs.is_empty() {
        push(&|it| it.blobs.clear());
    }
    if scenario.schedule {
        push(&|it| it.schedule = false);
    }
    let names: std::collections::BTreeSet<_> =
        scenario.operations.iter().map(|operation| operation.instance.clone()).collect();
    for name in names {
        push(&|it| it.operations.retain(|operation| operation.instance != name));
    }
    for index in 0..scenario.troubles.len() {
        push(&|it| {
            it.troubles.remove(index);
        });
    }
    for index in 0..scenario.operations.len() {
        push(&|it| {
            it.operations.remove(index);
        });
    }
    candidates
}
