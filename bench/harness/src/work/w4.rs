//! W4, a long sequence: does a step cost more the longer the history before it?
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::{Figures, Job, Pace, Result, Steps, System};

/// How many steps at either end are compared.
const END: usize = 200;

/// Yields `seconds` in all, `first_ms` and `last_ms` for a step at either end, and
/// `last_over_first`; when the cap comes first, `steps_done` and `first_ms` alone.
pub(crate) async fn run<S: System>(
    system: &S,
    steps: &Steps,
    length: usize,
    pace: Pace,
) -> Result<Figures> {
    let began = Instant::now();
    system.start("sequence", Job::Chain(length)).await?;
    let ended = timeout(pace.cap, system.wait("sequence")).await;
    let took = began.elapsed();

    let unfinished = ended.is_err();
    if let Ok(output) = ended {
        output?;
    }
    let times = steps.times();
    let mut figures =
        Figures { unfinished, ..Figures::default() }.with("steps_done", float(times.len()));
    if !unfinished {
        figures = figures.with("seconds", took.as_secs_f64());
    }
    if times.len() > END {
        figures = figures.with("first_ms", each(times[END] - times[0]));
    }
    if !unfinished && times.len() > 2 * END {
        let first = each(times[END] - times[0]);
        let last = each(times[times.len() - 1] - times[times.len() - 1 - END]);
        figures = figures.with("last_ms", last).with("last_over_first", last / first);
    }
    Ok(figures)
}

fn each(steps: Duration) -> f64 {
    steps.as_secs_f64() * 1e3 / float(END)
}

#[expect(clippy::cast_precision_loss, reason = "a count of steps")]
fn float(count: usize) -> f64 {
    count as f64
}
