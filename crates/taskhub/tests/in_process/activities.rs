//! What activities can do, in a hub in virtual time: signs of life, limits, cancellation, failures.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use taskhub::{ControlError, Limits, WaitError, prelude::*, testing::TestHub};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// What happened, and how many seconds after the beginning.
#[derive(Clone)]
struct Diary {
    began: tokio::time::Instant,
    lines: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Diary {
    fn new() -> Self {
        Self { began: tokio::time::Instant::now(), lines: Arc::default() }
    }

    fn note(&self, line: impl Into<String>) {
        let at = self.began.elapsed().as_secs();
        self.lines.lock().expect("no panic holds it").push((at, line.into()));
    }

    fn read(&self) -> Vec<(u64, String)> {
        std::mem::take(&mut *self.lines.lock().expect("no panic holds it"))
    }
}

fn lines<const N: usize>(lines: [(u64, &str); N]) -> Vec<(u64, String)> {
    lines.map(|(at, line)| (at, line.to_owned())).into()
}

/// Notes its end in the diary, however it comes.
struct Guard(Diary, &'static str);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}

fn open(hub: &TestHub, diary: &Diary, host: HostBuilder) -> (Host, Client) {
    let host = hub.open(host.state(diary.clone())).expect("nothing is missing");
    let client = host.client().clone();
    (host, client)
}

fn failure<T: std::fmt::Debug>(ended: Result<T, WaitError>) -> Failure {
    match ended {
        Err(WaitError::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

/// Copies ten pages, one per second; in its first attempt it falls silent at the fourth.
#[activity(heartbeat = SECOND * 30, retry = Retry::fixed(2, SECOND))]
async fn copy(State(diary): State<Diary>, ctx: ActivityContext, how: String) -> Result<u32> {
    let first = ctx.last_progress::<u32>()?;
    diary.note(format!("from {first:?}"));
    for page in first.unwrap_or(0)..10 {
        tokio::time::sleep(SECOND).await;
        if page == 4 && first.is_none() {
            let _guard = Guard(diary.clone(), "dropped");
            match &*how {
                "silent" => std::future::pending().await,
                "panics" => panic!("out of paper"),
                _ => return Err(Failure::new("Jam", "paper jam")),
            }
        }
        ctx.heartbeat(&(page + 1))?;
    }
    Ok(10)
}

#[orchestration]
async fn copies(ctx: Context, how: String) -> Result<u32> {
    ctx.call(copy, how).await
}

#[tokio::test(start_paused = true)]
async fn a_silent_activity_is_stopped_and_the_next_attempt_goes_on_from_its_progress() {
    let (hub, diary) = (TestHub::new(), Diary::new());
    let (_host, client) = open(&hub, &diary, Host::builder().orchestration(copies).activity(copy));
    let run = client.start(copies, "silent".to_owned()).await.unwrap();
    assert_eq!(run.wait(DAY).await.unwrap(), 10);
    let expected = lines([(0, "from None"), (34, "dropped"), (35, "from Some(4)")]);
    assert_eq!(diary.read(), expected);
    let history = run.history().await.unwrap();
    let told = format!("{history:?}");
    assert!(told.contains("`copy` gave no sign of life for 30s"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn progress_outlives_every_kind_of_failure() {
    let (hub, diary) = (TestHub::new(), Diary::new());
    let (_host, client) = open(&hub, &diary, Host::builder().orchestration(copies).activity(copy));
    for how in ["fails", "panics"] {
        let run = client.start(copies, how.to_owned()).await.unwrap();
        assert_eq!(run.wait(DAY).await.unwrap(), 10);
        assert_eq!(diary.read().pop().unwrap().1, "from Some(4)");
    }
}

#[orchestration]
async fn copies_once(ctx: Context, heartbeat: Duration) -> Result<u32> {
    let call = ctx.call(copy, "silent".to_owned()).retry(Retry::never());
    call.heartbeat_timeout(heartbeat).await
}

#[tokio::test(start_paused = true)]
async fn the_call_says_how_long_an_activity_may_be_silent_and_sees_no_progress_in_the_failure() {
    let (hub, diary) = (TestHub::new(), Diary::new());
    let (_host, client) =
        open(&hub, &diary, Host::builder().orchestration(copies_once).activity(copy));
    let failed = failure(client.start(copies_once, SECOND * 2).await.unwrap().wait(DAY).await);
    assert!(failed.is_timeout());
    assert_eq!(failed.to_string(), "`copy` gave no sign of life for 2s");
    assert_eq!(diary.read().pop(), Some((6, "dropped".to_owned())));
}

#[activity(attempt_timeout = SECOND * 10, retry = Retry::fixed(3, SECOND))]
async fn dawdle(State(diary): State<Diary>) -> Result<()> {
    let _guard = Guard(diary.clone(), "dropped");
    std::future::pending().await
}

#[orchestration]
async fn dawdles(ctx: Context, total: Option<Duration>) -> Result<()> {
    match total {
        Some(total) => ctx.call(dawdle, ()).timeout(total).await,
        None => ctx.call(dawdle, ()).await,
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_time_and_all_together_have_theirs() {
    let (hub, diary) = (TestHub::new(), Diary::new());
    let (_host, client) =
        open(&hub, &diary, Host::builder().orchestration(dawdles).activity(dawdle));
    let failed = failure(client.start(dawdles, None).await.unwrap().wait(DAY).await);
    assert_eq!(failed.to_string(), "an attempt of `dawdle` took longer than 10s");
    assert!(failed.is_timeout());
    assert_eq!(diary.read(), lines([(10, "dropped"), (21, "dropped"), (32, "dropped")]));
    let run = client.start(dawdles, Some(SECOND * 15)).await.unwrap();
    assert_eq!(failure(run.wait(DAY).await).to_string(), "`dawdle` did not end within 15s");
    tokio::task::yield_now().await;
    assert_eq!(diary.read(), lines([(42, "dropped"), (47, "dropped")]));
}

/// Works in a place that dropping its future does not reach.
#[activity]
async fn toil(State(diary): State<Diary>, ctx: ActivityContext) -> Result<()> {
    let (inner, told) = (ctx.clone(), diary.clone());
    diary.note("it begins");
    tokio::spawn(async move {
        inner.cancelled().await;
        told.note("the task hears");
    });
    let toiling = tokio::task::spawn_blocking(move || {
        while ctx.heartbeat(&"toiling").is_ok() {
            std::thread::yield_now();
        }
        diary.note("the thread hears");
    });
    Ok(toiling.await?)
}

#[orchestration]
async fn toils(ctx: Context, how: String) -> Result<()> {
    let toil = ctx.call(toil, ());
    if how == "gives up" {
        tokio::select! {
            done = toil => return done,
            () = ctx.sleep(SECOND) => {}
        }
    } else {
        return toil.await;
    }
    ctx.sleep(SECOND * 5).await;
    Ok(())
}

/// The next lines of the diary, sorted.
async fn heard(diary: &Diary, count: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < count {
        tokio::task::yield_now().await;
        heard.extend(diary.read().into_iter().map(|(_, line)| line));
    }
    heard.sort();
    heard
}

/// Time passes only while no thread is busy, so these run on the clock of the machine.
#[tokio::test]
async fn a_running_activity_hears_that_nobody_waits_for_it() {
    let (hub, diary) = (TestHub::new(), Diary::new());
    let host = Host::builder().orchestration(toils).activity(toil);
    let (host, client) = open(&hub, &diary, host);
    let begins = ["it begins"];
    let both = ["the task hears", "the thread hears"];

    let run = client.start(toils, "gives up".to_owned()).await.unwrap();
    assert_eq!(heard(&diary, 1).await, begins);
    assert_eq!(heard(&diary, 2).await, both, "its call was dropped");
    assert!(!run.status().await.unwrap().is_ended());

    let run = client.start(toils, "waits".to_owned()).await.unwrap();
    assert_eq!(heard(&diary, 1).await, begins);
    run.terminate("enough").await.unwrap();
    assert_eq!(heard(&diary, 2).await, both, "its orchestration was terminated");

    let deadline = client.now() + SECOND;
    let run = client.start(toils, "waits".to_owned()).deadline(deadline).await.unwrap();
    assert_eq!(heard(&diary, 1).await, begins);
    assert_eq!(heard(&diary, 2).await, both, "its orchestration ran out of time");
    assert!(matches!(run.terminate("late").await, Err(ControlError::Ended(..))));
    host.stop().await;
}

#[activity(limit = 2, limit_per_key = 1)]
async fn limited(State(diary): State<Diary>, name: String) -> Result<()> {
    diary.note(format!("{name} begins"));
    tokio::time::sleep(SECOND * 10).await;
    Ok(())
}

#[activity]
async fn free(State(diary): State<Diary>) -> Result<()> {
    diary.note("free");
    tokio::time::sleep(SECOND).await;
    Ok(())
}

/// Names are keys, unless they say that they have none.
#[orchestration]
async fn crowd(ctx: Context, names: Vec<String>) -> Result<()> {
    let calls = names.into_iter().map(|name| {
        let keyless = name.starts_with('-');
        let call = ctx.call(limited, name.clone());
        if keyless { call } else { call.key(&name[..1]) }
    });
    let crowd = try_join_all(calls);
    let others = try_join_all((0..4).map(|_| ctx.call(free, ())));
    futures::try_join!(crowd, others).map(drop)
}

async fn enter(names: &[&str]) -> Vec<(u64, String)> {
    let (hub, diary) = (TestHub::new(), Diary::new());
    let host = Host::builder().orchestration(crowd).activity(limited).activity(free);
    let host = host.limits(Limits { activity_slots: 3, ..Limits::default() });
    let (_host, client) = open(&hub, &diary, host);
    let names = names.iter().map(|&name| name.to_owned()).collect();
    let run = client.start(crowd, names).await.expect("accepted");
    run.wait(DAY).await.expect("it ends");
    let (free, limited): (Vec<_>, _) = diary.read().into_iter().partition(|it| it.1 == "free");
    assert!(free.iter().all(|(at, _)| *at < 5), "those without a limit wait for nobody: {free:?}");
    limited
}

#[tokio::test(start_paused = true)]
async fn so_many_run_at_the_same_time_in_the_order_in_which_they_were_called() {
    let began = enter(&["-1", "-2", "-3", "-4", "-5"]).await;
    let expected = [
        (0, "-1 begins"),
        (0, "-2 begins"),
        (10, "-3 begins"),
        (10, "-4 begins"),
        (20, "-5 begins"),
    ];
    assert_eq!(began, lines(expected));
}

#[tokio::test(start_paused = true)]
async fn runs_of_one_key_follow_each_other_and_leave_room_for_other_keys() {
    let began = enter(&["a1", "a2", "a3", "b1"]).await;
    let expected = [(0, "a1 begins"), (0, "b1 begins"), (10, "a2 begins"), (20, "a3 begins")];
    assert_eq!(began, lines(expected));
}

#[activity(retry = Retry::exponential(5))]
async fn pay(State(diary): State<Diary>) -> Result<()> {
    diary.note("pay");
    let refused = "x"
        .parse::<u8>()
        .map_err(|error| Failure::new("Refused", "the bank refused").caused_by(error).no_retry());
    refused.map(drop)
}

#[orchestration]
async fn buys(ctx: Context) -> Result<()> {
    let paid = ctx.call(pay, ()).await;
    paid.map_err(|failure| Failure::new("NotPaid", "nothing was bought").caused_by(failure))
}

#[orchestration]
async fn shops(ctx: Context) -> Result<()> {
    ctx.call(buys, ()).await
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_terminal_is_not_retried_and_keeps_its_chain_through_the_hub() {
    let (hub, diary) = (TestHub::new(), Diary::new());
    let host = Host::builder().orchestration(buys).orchestration(shops).activity(pay);
    let (_host, client) = open(&hub, &diary, host);
    let failed = failure(client.start(shops, ()).await.unwrap().wait(DAY).await);
    assert_eq!(diary.read().len(), 1);
    let bank = failed.cause().unwrap();
    assert_eq!((failed.kind(), bank.kind()), ("NotPaid", "Refused"));
    assert!(bank.is_terminal() && !failed.is_terminal());
    assert_eq!(bank.cause().unwrap().kind(), "core::num::error::ParseIntError");
    assert_eq!(
        failed.to_string(),
        "nothing was bought: the bank refused: invalid digit found in string"
    );
}
