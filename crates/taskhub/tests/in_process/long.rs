//! Long histories, wide fans, and samples of what runs.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use taskhub::{
    Host, Limits, MemoryStore, PostgresStore, RuntimeStatus, prelude::*, testing::TestHub,
};
use taskhub_postgres::testing::Server;

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

/// The same in real time, with each event on the disk.
#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let host = Host::builder().store(Embedded::open(folder.path()).unwrap());
        host.orchestration(fan).activity(double).build().unwrap()
    };
    let began = Instant::now();
    let host = open();
    let run = host.client().start(fan, (5, 10_000)).id("fan").await.unwrap();
    while run.status().await.unwrap().events < 100_000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    host.stop().await;
    drop(run); // It would keep the folder.
    let (written, began) = (began.elapsed(), Instant::now());

    let host = open();
    let run = host.client().instance("fan").of(fan);
    run.raise(GO, ()).await.unwrap();
    assert_eq!(run.wait(DAY).await.unwrap(), 5 * 9_999 * 10_000);
    println!("100,000 events: {written:?} to write, {:?} to go on", began.elapsed());
    host.stop().await;
}

/// What is logged.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<String>>);

impl std::io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics with it").push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_warning_names_the_instance_and_says_what_to_do() {
    let heard = Heard::default();
    let writer = heard.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false);
    // For all threads of this process: hubs have their own.
    subscriber.with_writer(move || writer.clone()).init();
    let limits = Limits { history_events_warn: 100, ..Limits::default() };
    let host = Host::builder().store(MemoryStore::new(1)).orchestration(fan).activity(double);
    let host = host.limits(limits).build().unwrap();
    let run = host.client().start(fan, (1, 60)).id("long-17").raise(GO, ()).await.unwrap();
    run.wait(DAY).await.unwrap();
    host.stop().await;
    let heard = heard.0.lock().unwrap();
    let of_it: Vec<_> = heard.lines().filter(|line| line.contains("long-17")).collect();
    let [line] = of_it[..] else { panic!("{heard}") };
    let advice = "a history has grown long, which makes each replay slow: use continue_as_new";
    for part in ["WARN", advice, "name=\"fan\"", "events=1"] {
        assert!(line.contains(part), "{part}: {line}");
    }
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

/// The log of a hub in a folder, from which nothing is taken away while this lives.
struct Log {
    path: PathBuf,
    _reader: rusqlite::Connection,
}

impl Log {
    fn of(folder: &Path) -> Self {
        let reader = rusqlite::Connection::open(folder.join("hub.db")).expect("it is there");
        reader.execute_batch("BEGIN; SELECT count(*) FROM instance").expect("it is a hub");
        Self { path: folder.join("hub.db-wal"), _reader: reader }
    }

    /// How many bytes were written to it.
    fn bytes(&self) -> u64 {
        self.path.metadata().expect("it is there").len()
    }
}

#[tokio::test]
async fn what_is_large_is_written_once_however_many_turns_follow() {
    let (bytes, turns) = (2 << 20, 40);
    let folder = tempfile::tempdir().unwrap();
    let host = Host::builder().store(Embedded::open(folder.path()).unwrap()).orchestration(keeps);
    let host = host.build().unwrap();
    let log = Log::of(folder.path());
    let run = host.client().start(keeps, ("x".repeat(bytes), turns)).await.unwrap();
    for seen in 0..turns {
        run.raise(GO, ()).await.unwrap();
        let status = async || run.status().await.unwrap().custom_status_text().map(str::to_owned);
        while seen + 1 < turns && status().await != Some(seen.to_string()) {}
    }
    assert_eq!(run.wait(DAY).await.unwrap(), bytes);
    let written = log.bytes();
    assert!(written < 2 * bytes as u64, "{written} bytes");
    host.stop().await;
}

/// So many letters, at random but the same every time: they cannot be packed.
fn noise(count: usize) -> String {
    let mut state = 1_u64;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b"abcdefghijklmnopqrstuvwxyz012345"[(state >> 59) as usize])
    });
    letters.take(count).collect()
}

/// Shows something large once, and waits for events and for time to pass.
#[orchestration]
async fn shows(ctx: Context, (bytes, count): (usize, usize)) -> Result<usize> {
    ctx.set_custom_status(&noise(bytes));
    for _ in 0..count {
        ctx.event(GO).await?;
        ctx.sleep(Duration::from_millis(1)).await;
    }
    Ok(count)
}

/// Shows so many bytes and lets so many turns follow.
#[expect(clippy::unwrap_used, reason = "only tests call it")]
async fn show(host: &Host, (bytes, turns): (usize, usize)) {
    let run = host.client().start(shows, (bytes, turns)).await.unwrap();
    for _ in 0..turns {
        run.raise(GO, ()).await.unwrap();
    }
    assert_eq!(run.wait(DAY).await.unwrap(), turns);
    let shown = run.status().await.unwrap().custom_status_text().map(str::len);
    assert_eq!(shown, Some(bytes + 2), "with its quotes");
}

#[tokio::test]
async fn a_large_status_is_not_written_again_by_turns_that_leave_it() {
    let (bytes, turns) = (2 << 20, 40);
    let folder = tempfile::tempdir().unwrap();
    let host = Host::builder().store(Embedded::open(folder.path()).unwrap()).orchestration(shows);
    let host = host.build().unwrap();
    let log = Log::of(folder.path());
    show(&host, (bytes, turns)).await;
    let written = log.bytes();
    assert!(written < 3 * bytes as u64, "{written} bytes");
    host.stop().await;
}

#[tokio::test]
async fn nor_is_it_in_a_database() {
    let (bytes, turns) = (2 << 20, 40);
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let server = server.expect("PostgreSQL is installed");
    let store = PostgresStore::connect(server.url()).unwrap();
    let host = Host::builder().store(store).orchestration(shows).build().unwrap();
    let log = || server.psql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").unwrap();
    let before: u64 = log().parse().unwrap();
    show(&host, (bytes, turns)).await;
    let written = log().parse::<u64>().unwrap() - before;
    assert!(written < 3 * bytes as u64, "{written} bytes");
    host.stop().await;
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
