//! Steady load: so many callers, each with one operation at a time, watched for a while.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::{Figures, Pace, Result};

/// What the callers did so far.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    done: Vec<Operation>,
    failure: Option<String>,
}

#[derive(Clone, Copy)]
struct Operation {
    ended: Instant,
    took: Duration,
}

impl Tally {
    /// Runs `caller` as a task of its own; it notes its operations here until it fails.
    pub(crate) fn watch<C>(&self, caller: impl FnOnce(Tally) -> C)
    where
        C: Future<Output = Result<()>> + Send + 'static,
    {
        let (tally, caller) = (self.clone(), caller(self.clone()));
        tokio::spawn(async move {
            if let Err(error) = caller.await {
                tally.with(|log| log.failure.get_or_insert(error.to_string()).truncate(500));
            }
        });
    }

    /// Notes an operation that ended just now.
    pub(crate) fn done(&self, began: Instant) {
        let ended = Instant::now();
        self.with(|log| log.done.push(Operation { ended, took: ended - began }));
    }

    /// Lets `callers` work for as long as `pace` says, and sums up.
    ///
    /// Warming up lasts until each caller could have one operation behind it, and watching
    /// until each could have two more, so that a system slower than the window is not judged
    /// by its first second.
    pub(crate) async fn figures(&self, callers: usize, pace: Pace) -> Result<Figures> {
        let start = Instant::now();
        let from = self.reached(callers, start + pace.warm_up, start + pace.cap / 2).await?;
        let enough = self.count()? + 2 * callers;
        let until = self.reached(enough, from + pace.window, start + pace.cap).await?;

        let mut took: Vec<Duration> = self.with(|log| {
            let counted = log.done.iter().filter(|op| op.ended >= from && op.ended < until);
            counted.map(|op| op.took).collect()
        });
        took.sort_unstable();
        if took.is_empty() {
            return Ok(Figures { unfinished: true, ..Figures::default() });
        }
        let milliseconds = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1e3;
        #[expect(clippy::cast_precision_loss, reason = "a count of operations")]
        let per_second = took.len() as f64 / (until - from).as_secs_f64();
        Ok(Figures::default()
            .with("per_second", per_second)
            .with("p50_ms", milliseconds(50))
            .with("p99_ms", milliseconds(99)))
    }

    /// Waits for `operations` in all and for the time `earliest`, but not beyond `latest`.
    async fn reached(
        &self,
        operations: usize,
        earliest: Instant,
        latest: Instant,
    ) -> Result<Instant> {
        loop {
            let now = Instant::now();
            if now >= latest || (now >= earliest && self.count()? >= operations) {
                return Ok(now);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn count(&self) -> Result<usize> {
        self.with(|log| log.failure.clone().map_or(Ok(log.done.len()), |text| Err(text.into())))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Log) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
