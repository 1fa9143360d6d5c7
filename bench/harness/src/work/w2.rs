//! W2, chains: many orchestrations at a time, each of 5 activities one after the other.
use std::sync::Arc;
use std::time::Instant;

use crate::load::Tally;
use crate::{Figures, Job, Pace, Result, System};

/// Yields `per_second`, `p50_ms` and `p99_ms`, in orchestrations.
pub(crate) async fn run<S: System>(system: S, at_a_time: usize, pace: Pace) -> Result<Figures> {
    let (system, tally) = (Arc::new(system), Tally::default());
    for caller in 0..at_a_time {
        let system = Arc::clone(&system);
        tally.watch(|tally| async move {
            for run in 0_u64.. {
                let began = Instant::now();
                let id = format!("chain-{caller}-{run}");
                system.start(&id, Job::Chain(5)).await?;
                system.wait(&id).await?;
                tally.done(began);
            }
            Ok(())
        });
    }
    tally.figures(at_a_time, pace).await
}
