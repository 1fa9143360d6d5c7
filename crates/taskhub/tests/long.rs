//! Long histories, wide fans, and samples of what runs.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use taskhub::{Host, Limits, RuntimeStatus, prelude::*, testing::TestHub};

const DAY: Duration = Duration::from_hours(24);
const GO: Event<()> = Event::new("go");

#[activity]
async fn double(number: u64) -> Result<u64> {
    Ok(number * 2)
}

/// Calls `width` activities at once, `rounds` times, then waits.
#[orchestration]
async fn fan(ctx: Context, (rounds, width): (u64, u64)) -> Result<u64> {
    let mut sum = 0;
    for _ in 0..rounds {
        let calls = (0..width).map(|number| ctx.call(double, number));
        sum += try_join_all(calls).await?.iter().sum::<u64>();
    }
    ctx.event(GO).await?;
    Ok(sum)
}

#[tokio::test(start_paused = true)]
async fn a_history_of_100_000_events_with_fans_of_10_000_goes_on_after_a_restart() {
    let test = TestHub::new();
    let open = || test.open(Host::builder().orchestration(fan).activity(double)).unwrap();
    let host = open();
    let run = host.client().start(fan, (5, 10_000)).id("fan").await.unwrap();
    tokio::time::sleep(DAY).await;
    let status = run.status().await.unwrap();
    assert_eq!(status.status, RuntimeStatus::Running);
    assert!(run.history().await.unwrap().len() > 100_000);
    host.stop().await;

    let host = open();
    let run = host.client().instance("fan").of(fan);
    run.raise(GO, ()).await.unwrap();
    assert_eq!(run.wait(DAY).await.unwrap(), 5 * 9_999 * 10_000);
    host.stop().await;
}

/// Keeps something large, and counts events.
#[orchestration]
async fn keeps(ctx: Context, (large, count): (String, usize)) -> Result<usize> {
    for seen in 0..count {
        ctx.event(GO).await?;
        ctx.set_custom_status(&seen);
    }
    Ok(large.len())
}

#[tokio::test]
async fn what_is_large_is_written_once_however_many_turns_follow() {
    let (bytes, turns) = (2 << 20, 40);
    let folder = tempfile::tempdir().unwrap();
    let host = Host::builder().store(Embedded::open(folder.path()).unwrap()).orchestration(keeps);
    let host = host.build().unwrap();
    let run = host.client().start(keeps, ("x".repeat(bytes), turns)).await.unwrap();
    for seen in 0..turns {
        run.raise(GO, ()).await.unwrap();
        let status = async || run.status().await.unwrap().custom_status_text().map(str::to_owned);
        while seen + 1 < turns && status().await != Some(seen.to_string()) {}
    }
    assert_eq!(run.wait(DAY).await.unwrap(), bytes);
    let files = std::fs::read_dir(folder.path()).unwrap();
    let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
    let written: u64 = sizes.sum();
    // Once in the log, once in the database, and room for all else.
    assert!(written < 4 * bytes as u64, "{written} bytes");
}

static LIVES: AtomicU32 = AtomicU32::new(0);

/// Does something else in every life but the first.
#[orchestration]
async fn moody(ctx: Context) -> Result<()> {
    if LIVES.fetch_add(1, Ordering::Relaxed) == 0 {
        ctx.sleep(DAY).await;
    }
    ctx.event(GO).await
}

#[tokio::test(start_paused = true)]
async fn a_sample_of_what_runs_is_compared_with_its_replay() {
    let limits = Limits { replay_samples: 1, ..Limits::default() };
    let host = Host::builder().orchestration(moody).limits(limits);
    let host = TestHub::new().open(host).unwrap();
    let run = host.client().start(moody, ()).await.unwrap();
    tokio::time::sleep(2 * DAY).await;
    let why = run.status().await.unwrap().stuck.unwrap();
    assert!(why.contains("history has #0 a timer"), "{why}");
    host.stop().await;
}
