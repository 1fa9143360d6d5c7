//! The library on a real engine, in this process and over the wire to a server: the same tests.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::serving::Serving;
use taskhub::MemoryStore;
use taskhub::{
    Client, ControlError, Filter, PurgeError, RaiseError, RestartError, RuntimeStatus, StartError,
    StatusError, WaitError, prelude::*,
};

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);
const GO: Event<String> = Event::new("go");

type Attempts = Arc<AtomicU32>;

#[activity(retry = Retry::fixed(5, Duration::from_millis(1)))]
async fn flaky(State(attempts): State<Attempts>, wanted: u32) -> Result<u32> {
    let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
    if attempt < wanted {
        return Err(Failure::new("Flaky", format!("attempt {attempt}")));
    }
    Ok(attempt)
}

#[activity]
async fn tell(hub: Client, ctx: ActivityContext, text: String) -> Result<String> {
    hub.instance(ctx.instance_id().as_str()).raise(GO, text).await?;
    Ok(ctx.call_key())
}

#[activity]
async fn explodes() -> Result<()> {
    panic!("boom");
}

#[orchestration]
async fn work(ctx: Context, wanted: u32) -> Result<(u32, String)> {
    ctx.set_custom_status("working");
    let attempts = ctx.call(flaky, wanted).await?;
    ctx.call(tell, "gone".to_owned()).await?;
    Ok((attempts, ctx.event(GO).await?))
}

#[orchestration]
async fn waits(ctx: Context) -> Result<String> {
    ctx.event(GO).await
}

#[orchestration]
async fn blows(ctx: Context) -> Result<()> {
    ctx.call(explodes, ()).await
}

#[orchestration]
async fn echo(_: Context, text: String) -> Result<String> {
    Ok(text)
}

#[orchestration]
async fn parent(ctx: Context, text: String) -> Result<String> {
    Ok(text + &ctx.call(waits, ()).id("child").await?)
}

/// A program with its hub, wherever that is.
struct Program {
    host: Host,
    server: Option<Serving>,
}

impl Program {
    async fn open(elsewhere: bool) -> Self {
        let host = Host::builder()
            .orchestration(work)
            .orchestration(waits)
            .orchestration(blows)
            .orchestration(echo)
            .orchestration(parent)
            .activity(flaky)
            .activity(tell)
            .activity(explodes)
            .state(Attempts::default());
        let (host, server) = if elsewhere {
            let server = Serving::start().await;
            (host.connect(server.url()), Some(server))
        } else {
            (host.store(MemoryStore::new(4)), None)
        };
        Self { host: host.build().expect("nothing is missing"), server }
    }

    async fn end(self) {
        self.host.stop().await;
        if let Some(server) = self.server {
            drop(server.stop().await);
        }
    }
}

/// Runs tests on a hub in this process, and on one that a server has.
macro_rules! on_both {
    ($($test:ident)*) => {
        mod here {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let program = super::Program::open(false).await;
                super::$test(program.host.client()).await;
                program.end().await;
            })*
        }

        mod there {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let program = super::Program::open(true).await;
                super::$test(program.host.client()).await;
                program.end().await;
            })*
        }
    };
}

on_both! {
    an_orchestration_runs_to_its_output
    an_id_is_used_once_unless_joined
    what_has_ended_is_started_once_more_and_forgotten_with_its_children
    events_come_before_the_start_or_with_it
    what_is_wrong_is_told_apart
    instances_are_terminated_listed_and_purged
    a_deadline_ends_an_instance
    what_is_exported_can_be_replayed
}

#[expect(clippy::unwrap_used, reason = "only tests call it")]
async fn an_orchestration_runs_to_its_output(hub: &Client) {
    let run = hub.start(work, 3).tag("shop", "north").await.unwrap();
    let run: InstanceRef<work> = run;
    assert_eq!(run.wait(LONG).await.unwrap(), (3, "gone".to_owned()));
    let status = run.status().await.unwrap();
    assert_eq!(status.status, RuntimeStatus::Completed);
    assert_eq!(status.custom_status().unwrap(), Some("working".to_owned()));
    assert_eq!(status.output::<(u32, String)>().unwrap().unwrap().0, 3);
    assert_eq!(run.history().await.unwrap().len() as u64, status.events);
}

#[expect(clippy::unwrap_used, reason = "only tests call it")]
async fn an_id_is_used_once_unless_joined(hub: &Client) {
    let first = hub.start(waits, ()).id("w").await.unwrap();
    let error = hub.start(waits, ()).id("w").await.unwrap_err();
    assert!(matches!(error, StartError::Exists(..)), "{error}");
    let same = hub.start_by_name("WAITS", &()).id("w").join().await.unwrap();
    hub.instance("w").raise(GO, "now".to_owned()).await.unwrap();
    assert_eq!(first.wait(LONG).await.unwrap(), "now");
    assert_eq!(same.wait(LONG).await.unwrap(), serde_json::json!("now"));
    assert_eq!(same.of(waits).wait(LONG).await.unwrap(), "now");
    let error = first.raise(GO, "late".to_owned()).await.unwrap_err();
    assert!(matches!(error, RaiseError::Ended(..)), "{error}");
}

#[expect(clippy::unwrap_used, reason = "only tests call it")]
async fn what_has_ended_is_started_once_more_and_forgotten_with_its_children(hub: &Client) {
    let run = hub.start(parent, "x".to_owned()).id("p").tag("shop", "north").await.unwrap();
    let error = run.restart().await.unwrap_err();
    assert!(matches!(error, RestartError::NotEnded(..)), "{error}");
    hub.instance("child").raise_early(GO, "1".to_owned(), LONG).await.unwrap();
    assert_eq!(run.wait(LONG).await.unwrap(), "x1");
    run.purge().recursive().await.unwrap();
    let error = hub.instance("child").status().await.unwrap_err();
    assert!(matches!(error, StatusError::NotFound(_)), "{error}");
    let error = run.restart().await.unwrap_err();
    assert!(matches!(error, RestartError::NotFound(_)), "{error}");

    let first = hub.start(echo, "again".to_owned()).tag("shop", "north").await.unwrap();
    assert_eq!(first.wait(LONG).await.unwrap(), "again");
    let second = first.restart().id("second").await.unwrap();
    assert_eq!(second.wait(LONG).await.unwrap(), "again");
    assert_eq!(second.status().await.unwrap().tags["shop"].as_ref(), "north");
}

#[expect(clippy::unwrap_used, reason = "only tests call it")]
async fn events_come_before_the_start_or_with_it(hub: &Client) {
    hub.instance("early").raise_early(GO, "before".to_owned(), LONG).await.unwrap();
    let run = hub.start(waits, ()).id("early").await.unwrap();
    assert_eq!(run.wait(LONG).await.unwrap(), "before");
    let error = run.raise_early(GO, "late".to_owned(), LONG).await.unwrap_err();
    assert!(matches!(error, RaiseError::Ended(..)), "{error}");
    let run = hub.start(waits, ()).id("with").raise(GO, "with it".to_owned()).await.unwrap();
    assert_eq!(run.wait(LONG).await.unwrap(), "with it");
}

#[expect(clippy::unwrap_used, reason = "only tests call it")]
async fn what_is_wrong_is_told_apart(hub: &Client) {
    let nobody = hub.instance("nobody");
    assert!(matches!(nobody.status().await, Err(taskhub::StatusError::NotFound(_))));
    assert!(matches!(nobody.terminate("x").await, Err(ControlError::NotFound(_))));
    let error = hub.instance("a/b").raise(GO, String::new()).await.unwrap_err();
    assert!(matches!(error, RaiseError::Hub(taskhub::HubError::InvalidId(_))), "{error}");
    let failed = hub.start(blows, ()).await.unwrap().wait(LONG).await.unwrap_err();
    let WaitError::Failed(failure) = failed else { panic!("{failed}") };
    assert_eq!(
        (failure.kind(), failure.message()),
        (Failure::PANIC, "the activity panicked: boom")
    );
}

#[expect(clippy::unwrap_used, reason = "only tests call it")]
async fn instances_are_terminated_listed_and_purged(hub: &Client) {
    let mut runs = Vec::new();
    for number in 0..5 {
        runs.push(hub.start(waits, ()).id(format!("n-{number}")).tag("kind", "n").await.unwrap());
    }
    assert!(matches!(runs[0].purge().await, Err(PurgeError::NotEnded(..))));
    let soon = Duration::from_millis(1);
    assert!(matches!(runs[0].wait(soon).await, Err(WaitError::Timeout(_))));
    runs[0].suspend("pause").await.unwrap();
    runs[0].resume("go on").await.unwrap();
    for run in &runs[..3] {
        run.terminate("enough").recursive().await.unwrap();
        let ended = run.wait(LONG).await.unwrap_err();
        assert_eq!(ended, WaitError::Terminated(Some("enough".into())));
    }
    let ended = Filter::new().id_prefix("n-").status(RuntimeStatus::Terminated).limit(2);
    let page = hub.list(ended.clone()).await.unwrap();
    assert_eq!(page.instances.len(), 2);
    let rest = hub.list(page.next.unwrap()).await.unwrap();
    assert_eq!(rest.instances.len(), 1);
    assert_eq!(hub.purge_many(Filter::new().tag("kind", "n").limit(2)).await.unwrap(), 3);
    assert_eq!(hub.list(ended).await.unwrap().instances, []);
}

#[expect(clippy::unwrap_used, reason = "only tests call it")]
async fn a_deadline_ends_an_instance(hub: &Client) {
    let run = hub.start(waits, ()).deadline(hub.now()).await.unwrap();
    let ended = run.wait(LONG).await.unwrap_err();
    assert!(matches!(ended, WaitError::Terminated(_)), "{ended}");
}

#[expect(clippy::unwrap_used, reason = "only tests call it")]
async fn what_is_exported_can_be_replayed(hub: &Client) {
    let run = hub.start(work, 2).id("kept").await.unwrap();
    run.wait(LONG).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    run.export().await.unwrap().save(folder.path()).unwrap();
    taskhub::testing::replay::folder(folder.path()).with(work).check();
}

/// Counts the events that reach `tracing`.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl std::io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).into_owned();
        self.0.lock().expect("nobody panics with it").push(line);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[orchestration]
async fn talks(ctx: Context) -> Result<()> {
    for step in 0..3 {
        tracing::info!("step {step}");
        ctx.sleep(Duration::from_secs(1)).await;
    }
    tracing::info!("done");
    Ok(())
}

#[test]
fn replays_are_silent() {
    let heard = Heard::default();
    let writer = heard.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let mut run = Run::of(talks).input(());
        run.advance(Duration::from_secs(3));
        run.output().unwrap();
    });
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard.len(), 4, "{heard:?}");
}
