//! W5, parked instances: what they cost in memory, and how long a restart among them takes.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::process::resident_bytes;
use crate::{Figures, Job, Pace, Place, Result, Steps, System};

/// How many instances are started at a time.
const STARTERS: usize = 256;

/// Yields `parked`, `parked_per_second`, `resident_mb` and `bytes_each`, what each instance
/// added to the memory of the process.
pub(crate) async fn park<S: System>(
    system: S,
    steps: &Steps,
    instances: usize,
    pace: Pace,
) -> Result<Figures> {
    let before = resident_bytes()?;
    let began = Instant::now();
    let latest = began + pace.cap;
    let (system, next) = (Arc::new(system), Arc::new(AtomicUsize::new(0)));
    let mut starters: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..STARTERS {
        let (system, next) = (Arc::clone(&system), Arc::clone(&next));
        starters.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= instances || Instant::now() >= latest {
                    return Ok(());
                }
                system.start(&name(number), Job::Wait).await?;
            }
        });
    }
    while let Some(starter) = starters.join_next().await {
        starter??;
    }
    while steps.count() < instances && Instant::now() < latest {
        sleep(Duration::from_millis(10)).await;
    }
    let took = began.elapsed();
    let parked = float(steps.count());

    sleep(Duration::from_secs(1)).await;
    let after = resident_bytes()?;
    let unfinished = steps.count() < instances;
    Ok(Figures { unfinished, ..Figures::default() }
        .with("parked", parked)
        .with("parked_per_second", parked / took.as_secs_f64())
        .with("resident_mb", after / 1e6)
        .with("bytes_each", (after - before).max(0.0) / parked))
}

/// Yields `reopen_seconds`, from opening the store to the first answer, and
/// `reopen_resident_mb`.
pub(crate) async fn wake<S: System>(at: &Place, instances: usize, pace: Pace) -> Result<Figures> {
    let began = Instant::now();
    let answer = timeout(pace.cap, async {
        let system = S::open(at, Steps::default()).await?;
        let id = name(instances / 2);
        system.raise(&id, "Sunny, 21 degrees").await?;
        let answer = system.wait(&id).await;
        answer.map(|answer| (answer, system))
    });
    match answer.await {
        Err(_) => Ok(Figures { unfinished: true, ..Figures::default() }),
        Ok(Err(error)) => Err(error),
        Ok(Ok((answer, _))) if answer != "Sunny, 21 degrees" => {
            Err(format!("a parked instance answered {answer:?}").into())
        }
        Ok(Ok((_, system))) => {
            let took = began.elapsed().as_secs_f64();
            let resident = resident_bytes()?;
            drop(system);
            Ok(Figures::default()
                .with("reopen_seconds", took)
                .with("reopen_resident_mb", resident / 1e6))
        }
    }
}

fn name(number: usize) -> String {
    format!("parked-{number:07}")
}

#[expect(clippy::cast_precision_loss, reason = "a count of instances")]
fn float(count: usize) -> f64 {
    count as f64
}
