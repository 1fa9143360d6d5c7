//! A monitor: looks at something again and again, ever less often, until it is as it should be.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use taskhub::prelude::*;

/// How long it looks at most.
const LONGEST: Duration = Duration::from_hours(6);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(10);

/// What is watched, since when, and how long the next pause is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Watch {
    /// The job that is to end.
    pub job: String,
    /// Since when it is watched; set by the first look.
    pub since: Option<Timestamp>,
    /// How long to wait before the next look.
    pub pause: Duration,
}

/// Whether a job has ended.
#[activity(retry = Retry::exponential(3))]
pub async fn has_ended(job: String) -> Result<bool> {
    Ok(job.is_empty()) // .. ask whoever runs it ..
}

/// Waits until a job has ended. Each look is an execution of its own, so its history stays short
/// however long it takes.
#[orchestration]
pub async fn watch(ctx: Context, it: Watch) -> Result<()> {
    let since = it.since.unwrap_or(ctx.now());
    if ctx.call(has_ended, it.job.clone()).await? {
        return Ok(());
    }
    if ctx.now() - since > LONGEST {
        return Err(Failure::new(Failure::TIMEOUT, format!("job {} does not end", it.job)));
    }
    ctx.sleep(it.pause).await;
    let pause = (it.pause * 2).min(PAUSE_MAX);
    ctx.continue_as_new(watch, Watch { since: Some(since), pause, ..it })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run<watch> {
        let pause = Duration::from_mins(1);
        Run::of(watch).input(Watch { job: "seven".to_owned(), since: None, pause })
    }

    #[test]
    fn it_looks_ever_less_often_until_the_job_has_ended() {
        let mut run = run();
        for minutes in [1, 2, 4, 8, 10, 10] {
            run.expect(has_ended).returns(false);
            run.advance(Duration::from_secs(60 * minutes - 1));
            assert!(run.open_calls()[0].contains("a timer"));
            run.advance(Duration::from_secs(1));
        }
        run.expect(has_ended).returns(true);
        assert_eq!(run.output(), Ok(()));
    }

    #[test]
    fn it_gives_up_after_six_hours() {
        let mut run = run();
        let mut looks = 0;
        while !run.is_finished() {
            run.expect(has_ended).returns(false);
            run.advance(PAUSE_MAX);
            looks += 1;
        }
        assert!(run.output().unwrap_err().is_timeout());
        assert_eq!(looks, 38);
    }
}
