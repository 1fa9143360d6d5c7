//! Instances whose orchestration nobody runs: whoever waits for them is told.

use std::time::Duration;

use taskhub::{WaitError, prelude::*, testing::TestHub};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_orchestration_that_nobody_runs_is_told_so() {
    let test = TestHub::new();
    let host = test.open(Host::builder()).unwrap();
    let run = host.client().start_by_name("fan_out", &()).await.unwrap();
    let error = run.wait(DAY).await.unwrap_err();
    assert!(matches!(error, WaitError::Unregistered(..)), "{error}");
    assert!(error.to_string().contains("nobody here runs the orchestration `fan_out`"), "{error}");
    let status = run.status().await.unwrap();
    assert_eq!((status.status, &status.stuck), (RuntimeStatus::Pending, &None));
    assert!(status.hint.unwrap().contains("register it by `.orchestration(..)`"));
    host.stop().await;

    // Where workers may have it, nobody can know.
    let host = test.open(Host::builder().workers()).unwrap();
    let run = host.client().instance(run.id().unwrap());
    assert!(matches!(run.wait(DAY).await, Err(WaitError::Timeout(_))));
    assert_eq!(run.status().await.unwrap().hint, None);
    host.stop().await;
}
