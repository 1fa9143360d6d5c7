//! W3, fan-out: one orchestration starts many activities at once and joins their results.
use std::time::Instant;

use tokio::time::timeout;

use crate::{Figures, Job, Pace, Result, System};

/// Yields `seconds`, from the start of the orchestration to its end.
pub(crate) async fn run<S: System>(system: &S, width: usize, pace: Pace) -> Result<Figures> {
    system.start("warm-up", Job::Chain(5)).await?;
    system.wait("warm-up").await?;

    let began = Instant::now();
    system.start("fan-out", Job::FanOut(width)).await?;
    match timeout(pace.cap, system.wait("fan-out")).await {
        Ok(done) => done.map(|_| Figures::default()),
        Err(_) => Ok(Figures { unfinished: true, ..Figures::default() }),
    }
    .map(|figures| figures.with("seconds", began.elapsed().as_secs_f64()))
}
