//! Code that panics, and code that changes under a running instance: each harms only itself.

use std::time::{Duration, Instant};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use taskhub::{Limits, Status, WaitError, prelude::*, testing::TestHub};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);
const REPLY: Event<String> = Event::new("reply");

/// What everybody had deployed.
mod before {
    use super::{REPLY, note};
    use taskhub::prelude::*;

    #[orchestration(name = "Ask")]
    pub(super) async fn ask(ctx: Context) -> Result<String> {
        ctx.call(note, "asked".to_owned()).await?;
        let reply = ctx.event(REPLY).await?;
        ctx.call(note, reply).await
    }
}

/// What somebody deployed by mistake: it begins with a pause, where the history has a call.
mod mistaken {
    use super::REPLY;
    use taskhub::prelude::*;

    #[orchestration(name = "Ask")]
    pub(super) async fn ask(ctx: Context) -> Result<String> {
        ctx.sleep(std::time::Duration::from_secs(5)).await;
        ctx.event(REPLY).await
    }
}

#[activity]
async fn note(text: String) -> Result<String> {
    Ok(format!("noted: {text}"))
}

#[activity]
async fn stumble(text: String) -> Result<String> {
    panic!("stumbled over {text}");
}

#[orchestration]
async fn trips(ctx: Context, text: String) -> Result<String> {
    ctx.call(stumble, text).await
}

#[orchestration]
async fn falls(ctx: Context, text: String) -> Result<String> {
    let reply = ctx.event(REPLY).await?;
    assert!(reply.is_empty(), "{text} does not expect {reply}");
    Ok(text)
}

fn held(host: &Host, path: &str) -> JoinHandle<(StatusCode, String)> {
    let request = Request::get(path).header("Idempotency-Key", "1").body(Body::empty());
    let response = host.router().oneshot(request.expect("a good request"));
    tokio::spawn(async move {
        let response = response.await.expect("it cannot fail");
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a short body");
        (status, String::from_utf8(bytes.into()).expect("a text"))
    })
}

/// The only instance, once it is as wanted.
async fn the_one(hub: &Client, wanted: impl Fn(&Status) -> bool) -> Status {
    let deadline = Instant::now() + LONG;
    loop {
        let mut page = hub.list(Filter::new()).await.expect("the store works");
        if let Some(found) = page.instances.pop().filter(&wanted) {
            return found;
        }
        assert!(Instant::now() < deadline, "it does not become what it should");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_code_changed_is_parked_until_the_right_code_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Embedded::open(folder.path()).expect("a hub");
    let right = || {
        let host = Host::builder().store(open()).orchestration(before::ask).activity(note);
        let host = host.route("/ask", get(sync_over_async(before::ask)));
        host.build().expect("nothing is missing")
    };
    let first = right();
    let answer = held(&first, "/ask");
    // Its first turn, which calls `note`, is in the history, and so is the answer.
    let id = the_one(first.client(), |it| it.events >= 5).await.id;
    first.stop().await;
    assert_eq!(answer.await.expect("no panic").0, StatusCode::SERVICE_UNAVAILABLE);

    let wrong = Host::builder().store(open()).orchestration(mistaken::ask).activity(note);
    let wrong = wrong.route("/ask", get(sync_over_async(mistaken::ask)));
    let wrong = wrong.build().expect("nothing is missing");
    let answer = held(&wrong, "/ask");
    wrong.client().instance(id.as_str()).raise(REPLY, "sun".to_owned()).await.expect("accepted");
    let parked = the_one(wrong.client(), |it| it.stuck.is_some()).await;
    let why = parked.stuck.expect("it is stuck");
    for side in ["history has #0 activity `note`", "the code asked for a timer", "trouble.rs:"] {
        assert!(why.contains(side), "`{side}` is not named: {why}");
    }
    assert_eq!(parked.status, RuntimeStatus::Running);
    assert!(!answer.is_finished(), "whoever is held waits on");
    wrong.stop().await;
    assert_eq!(answer.await.expect("no panic").0, StatusCode::SERVICE_UNAVAILABLE);

    let third = right();
    let answer = held(&third, "/ask").await.expect("no panic");
    assert_eq!(answer, (StatusCode::OK, "noted: sun".to_owned()));
    let ended = the_one(third.client(), Status::is_ended).await;
    assert_eq!((ended.id, ended.stuck), (id, None));
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_parks_its_own_instance_and_harms_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Host::builder()
        .store(Embedded::open(folder.path()).expect("a hub"))
        .orchestration(before::ask)
        .orchestration(trips)
        .orchestration(falls)
        .activity(note)
        .activity(stumble)
        .route("/trips", get(sync_over_async(before::ask)))
        .build()
        .expect("nothing is missing");
    let hub = host.client();
    let others: Vec<_> = (0..20).map(|other| format!("other-{other}")).collect();
    for other in &others {
        hub.start(before::ask, ()).id(other).await.expect("accepted");
        hub.start(falls, "nobody".to_owned()).id(format!("falls-{other}")).await.expect("accepted");
        hub.start(trips, other.clone()).id(format!("trips-{other}")).await.expect("accepted");
    }
    for other in &others {
        let falls = hub.instance(format!("falls-{other}")).of(falls);
        falls.raise(REPLY, "the inquisition".to_owned()).await.expect("accepted");
        let trips = hub.instance(format!("trips-{other}")).of(trips);
        let said = match trips.wait(LONG).await {
            Err(WaitError::Failed(failure)) => failure.message().to_owned(),
            ended => panic!("{ended:?}"),
        };
        assert_eq!(said, format!("the activity panicked: stumbled over {other}"));
        let Err(WaitError::Parked(why)) = falls.wait(Duration::ZERO).await else { panic!("no") };
        let said = "the orchestration panicked: nobody does not expect the inquisition (at ";
        assert!(why.starts_with(said) && why.contains("trouble.rs:"), "{why}");
    }
    let page = hub.list(Filter::new().stuck()).await.expect("the store works");
    assert_eq!(page.instances.len(), others.len());
    for other in &others {
        let other = hub.instance(other).of(before::ask);
        other.raise(REPLY, "fine".to_owned()).await.expect("accepted");
        assert_eq!(other.wait(LONG).await.expect("it goes on"), "noted: fine");
    }
    host.stop().await;
}

/// Does this with a text of so many bytes.
#[orchestration]
async fn excess(ctx: Context, (what, bytes): (String, usize)) -> Result<String> {
    let text = "x".repeat(bytes);
    match &*what {
        "return" => return Ok(text),
        "show" => ctx.set_custom_status(&text),
        "send" => ctx.raise("other", REPLY, text)?,
        "call" => drop(ctx.call(note, text).await?),
        "go on" => return ctx.continue_as_new(excess, (text, 0)),
        _ => {}
    }
    Ok(String::new())
}

#[tokio::test(start_paused = true)]
async fn whatever_code_does_with_too_much_fails_it_and_says_so() {
    let limits = Limits { payload_bytes_max: 1_000, ..Limits::default() };
    let host = Host::builder().orchestration(excess).activity(note).limits(limits);
    let host = TestHub::new().open(host).unwrap();
    for what in ["return", "show", "send", "call", "go on"] {
        for (bytes, fits) in [(900, true), (1_100, false)] {
            let run = host.client().start(excess, (what.to_owned(), bytes)).await.unwrap();
            let status = run.ended(LONG).await.unwrap();
            let why = status.failure().map(|failure| failure.message().to_owned());
            assert_eq!(why.is_none(), fits, "{what} {bytes}: {why:?}");
            assert!(why.is_none_or(|why| why.contains("payload_bytes_max")), "{what}");
            assert!(status.custom_status_text().is_none_or(|it| it.len() < 1_000), "{what}");
        }
    }
    host.stop().await;
}
