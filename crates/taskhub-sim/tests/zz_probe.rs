//! Probe.
#![cfg(feature = "mutations")]
use taskhub_core::mutation::{Mutation, mutate};
use taskhub_sim::{Scenario, Trace, hush, run};

#[test]
fn probe() {
    hush();
    for mutation in [Mutation::LeaveEarly, Mutation::PassBy] {
        mutate(Some(mutation));
        for seed in 0..1500 {
            let report = run(Scenario::draw(seed), Trace::default());
            if let Some(violation) = report.violation {
                println!("{mutation:?} seed {seed}: {violation}");
            }
        }
        mutate(None);
    }
}
