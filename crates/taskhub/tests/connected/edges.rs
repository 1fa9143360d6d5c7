//! What stands around a hub that a server has: held requests, files, schedules, other programs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::serving::Serving;
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use taskhub::{External, MemoryStore, WaitError, handle::Orchestration, prelude::*};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{Status, transport::Endpoint};
use tower::ServiceExt as _;

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);
const REPLY: Event<String> = Event::new("reply");

#[orchestration]
async fn ask(ctx: Context) -> Result<String> {
    ctx.event(REPLY).await
}

fn get_request(host: &Host, path: &str, key: &str) -> JoinHandle<(StatusCode, String)> {
    let request = Request::get(path).header("Idempotency-Key", key);
    let response = host.router().oneshot(request.body(Body::empty()).expect("a good request"));
    tokio::spawn(async move {
        let response = response.await.expect("it cannot fail");
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a short body");
        (status, String::from_utf8(bytes.into()).expect("a text"))
    })
}

/// The ids of those that run, once there are so many.
async fn running(hub: &Client, count: usize) -> Vec<String> {
    loop {
        let running = Filter::new().status(taskhub::RuntimeStatus::Running);
        let page = hub.list(running).await.expect("a page");
        if page.instances.len() == count {
            return page.instances.into_iter().map(|it| it.id.to_string()).collect();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_holds_requests_over_a_hub_that_a_server_has() {
    let server = Serving::start().await;
    let host = Host::builder()
        .orchestration(ask)
        .route("/ask", get(sync_over_async(ask)))
        .route("/hurry", get(sync_over_async(ask).within(Duration::from_millis(1))))
        .connect(server.url())
        .build()
        .expect("nothing is missing");
    let held = get_request(&host, "/ask", "first");
    let [id] = &running(host.client(), 1).await[..] else { panic!("one is held") };
    let again = get_request(&host, "/ask", "first");
    host.client().instance(id).raise(REPLY, "rain".to_owned()).await.expect("it waits");
    for answer in [held, again] {
        assert_eq!(answer.await.expect("no panic"), (StatusCode::OK, "rain".to_owned()));
    }
    // The deadline goes with the start: its owner decides.
    let (status, text) = get_request(&host, "/hurry", "second").await.expect("no panic");
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{text}");

    let held = get_request(&host, "/ask", "third");
    running(host.client(), 1).await;
    host.stop().await;
    assert_eq!(held.await.expect("no panic").0, StatusCode::SERVICE_UNAVAILABLE);
    server.stop().await;
}

async fn answer(blob: Blob, hub: Client) -> Result<()> {
    hub.instance(blob.stem()).raise(REPLY, blob.text()?).await?;
    Ok(())
}

async fn tick(_: Occurrence, hub: Client) -> Result<()> {
    hub.instance("ticked").raise(REPLY, "tick".to_owned()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_schedules_start_things_on_a_hub_that_a_server_has() {
    let (server, folder) = (Serving::start().await, tempfile::tempdir().expect("a folder"));
    let host = Host::builder()
        .orchestration(ask)
        .blobs("in/{name}", answer)
        .blob_store(BlobStore::folder(folder.path()).expect("it is absolute"))
        .schedule("* * * * * *", tick)
        .connect(server.url())
        .build()
        .expect("nothing is missing");
    let (answered, ticked) = (
        host.client().start(ask, ()).id("answered").await.expect("started"),
        host.client().start(ask, ()).id("ticked").await.expect("started"),
    );
    std::fs::create_dir_all(folder.path().join("in")).expect("there is room");
    std::fs::write(folder.path().join("in/answered.txt"), "sun").expect("there is room");
    assert_eq!(answered.wait(LONG).await, Ok("sun".to_owned()));
    assert_eq!(ticked.wait(LONG).await, Ok("tick".to_owned()));
    host.stop().await;
    server.stop().await;
}

const SHOUT: External<String, String> = External::activity("shout");
const WHISPER: External<String, String> = External::activity("whisper");
const FAR: External<String, String, Orchestration> = External::orchestration("far");

#[activity]
async fn shout(text: String) -> Result<String> {
    Ok(text.to_uppercase())
}

#[activity]
async fn whisper(text: String) -> Result<String> {
    Ok(format!("({text})"))
}

/// Runs in the process of the hub, and calls what is elsewhere.
#[orchestration]
async fn near(ctx: Context, text: String) -> Result<String> {
    let loud = ctx.call(SHOUT, text).await?;
    ctx.call(FAR, loud).await
}

/// Runs elsewhere, and calls what is in the process of the hub.
#[orchestration]
async fn far(ctx: Context, text: String) -> Result<String> {
    ctx.call(WHISPER, text).await
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_two_programs_call_each_other_on_the_hub_of_one() {
    let near_host = Host::builder()
        .store(MemoryStore::new(4))
        .orchestration(near)
        .activity(whisper)
        .workers()
        .build()
        .expect("nothing is missing");
    let hub = near_host.client().clone();
    let run = hub.start(near, "hello".to_owned()).await.expect("started");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it has one"));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(near_host.serve_on(listener, async {
        let _ = stopped.await;
    }));
    let far_host = Host::builder().orchestration(far).activity(shout).connect(url);
    let far_host = far_host.build().expect("nothing is missing");
    assert_eq!(run.wait(LONG).await, Ok("(HELLO)".to_owned()));
    let called = far_host.client().start(near, "again".to_owned()).await.expect("started");
    assert_eq!(called.wait(LONG).await, Ok("(AGAIN)".to_owned()));
    far_host.stop().await;
    stop.send(()).expect("it runs");
    serving.await.expect("no panic").expect("it serves");
}

/// Asks twice, with something between that only a replay in the same order finds again.
#[orchestration]
async fn asks_twice(ctx: Context) -> Result<Vec<String>> {
    let said = ctx.call(WHISPER, ctx.uuid().to_string()).await?;
    let (first, second) = futures::join!(ctx.event(REPLY), ctx.call(WHISPER, "b".to_owned()));
    Ok(vec![said, first?, second?, ctx.event(REPLY).await?, ctx.uuid().to_string()])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_goes_on_where_its_hub_is_given_to_a_server_and_taken_back() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().join("default");
    let host = || Host::builder().orchestration(asks_twice).activity(whisper);
    let here = || host().store(Embedded::open(&folder).expect("a hub")).build().expect("good");
    let first = here();
    let run = first.client().start(asks_twice, ()).id("a").await.expect("started");
    while run.history().await.expect("it is there").len() < 8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Whoever can ask a hub keeps its folder open.
    drop(run);
    first.stop().await;

    let server = Serving::over(data).await;
    let second = host().connect(server.url()).build().expect("nothing is missing");
    let run = second.client().instance("a").of(asks_twice);
    run.raise(REPLY, "one".to_owned()).await.expect("it waits");
    // The turn that takes it was run here.
    while run.history().await.expect("it is there").len() < 10 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let from_there = run.history().await.expect("it is there");
    second.stop().await;
    let data = server.stop().await.folder();

    let third = here();
    let run = third.client().instance("a").of(asks_twice);
    assert_eq!(run.history().await, Ok(from_there));
    run.raise(REPLY, "two".to_owned()).await.expect("it waits");
    let said = run.wait(LONG).await.expect("it ends");
    assert_eq!(
        (&said[1..4], said[0] == said[4]),
        (&["one", "(b)", "two"].map(String::from)[..], false)
    );
    third.stop().await;
    drop(data);
}

#[orchestration]
async fn shouts(ctx: Context, text: String) -> Result<String> {
    ctx.call(shout, text).await
}

/// The way to a server, through something that lets the calls of the protocol pass and no others:
/// where it is, and how many calls brought results.
async fn only_the_protocol(server: &Serving) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it has one"));
    let to = Endpoint::from_shared(server.url()).expect("a good address").connect_lazy();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let pass = move |request: Request<Body>| {
        let (to, calls) = (to.clone(), calls.clone());
        async move {
            let path = request.uri().path();
            if !path.starts_with("/TaskHubSidecarService/") {
                return Status::unimplemented("it passes nothing else").into_http();
            }
            calls.fetch_add(usize::from(path.contains("/Complete")), Ordering::Relaxed);
            let response = to.oneshot(request.map(tonic::body::Body::new)).await;
            response.expect("the server is there").map(Body::new)
        }
    };
    let routes = axum::Router::new().fallback(pass);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, counted)
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_brought_by_calls_where_a_server_takes_no_stream_of_them() {
    let server = Serving::start().await;
    let (url, calls) = only_the_protocol(&server).await;
    let host = Host::builder().orchestration(shouts).activity(shout).connect(url).build();
    let host = host.expect("nothing is missing");
    let shouted = host.client().start(shouts, "hey".to_owned()).await.expect("it is there");
    assert_eq!(shouted.wait(LONG).await.expect("it ends"), "HEY");
    assert!(calls.load(Ordering::Relaxed) >= 3, "two turns, and an activity");
    host.stop().await;
    server.stop().await;
}

#[orchestration]
async fn trips(ctx: Context) -> Result<String> {
    let text = ctx.event(REPLY).await?;
    panic!("tripped over {text}")
}

/// The same, mended.
mod mended {
    use super::REPLY;
    use taskhub::prelude::*;

    #[orchestration]
    pub(super) async fn trips(ctx: Context) -> Result<String> {
        ctx.event(REPLY).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestration_that_panics_in_a_worker_is_parked_until_its_code_is_mended() {
    let server = Serving::start().await;
    let broken = Host::builder().orchestration(trips).connect(server.url()).build();
    let broken = broken.expect("nothing is missing");
    let run = broken.client().start(trips, ()).id("t").await.expect("started");
    run.raise(REPLY, "a stone".to_owned()).await.expect("it waits");
    let why = loop {
        if let Some(why) = run.status().await.expect("it is there").stuck {
            break why;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(why.starts_with("the orchestration panicked: tripped over a stone (at "), "{why}");
    let waited = run.wait(Duration::from_millis(1)).await;
    assert!(matches!(waited, Err(WaitError::Parked(told)) if told == why));
    broken.stop().await;

    let right = Host::builder().orchestration(mended::trips).connect(server.url()).build();
    let right = right.expect("nothing is missing");
    let run = right.client().instance("t").of(mended::trips);
    run.resume("it is mended").await.expect("it is parked");
    assert_eq!(run.wait(LONG).await, Ok("a stone".to_owned()));
    right.stop().await;
    server.stop().await;
}

/// Waits for a reply until the end of time.
#[orchestration]
async fn outlasts(ctx: Context) -> Result<String> {
    tokio::select! {
        text = ctx.event(REPLY) => text,
        () = ctx.sleep(Duration::MAX) => Ok("the end of time".to_owned()),
    }
}

/// How many events the history of an instance has, once its timer stands in it.
async fn with_timer(hub: &Client, id: &str) -> usize {
    loop {
        let events = hub.instance(id).history().await.expect("it is there").len();
        if events >= 3 {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_may_be_of_any_length_in_a_folder_and_over_a_server() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().join("default");
    let host = || Host::builder().orchestration(outlasts);
    let here = || host().store(Embedded::open(&folder).expect("a hub")).build().expect("good");
    let first = here();
    first.client().start(outlasts, ()).id("here").await.expect("started");
    assert_eq!(with_timer(first.client(), "here").await, 3);
    first.stop().await;

    let server = Serving::over(data).await;
    let second = host().connect(server.url()).build().expect("nothing is missing");
    let run = second.client().instance("here").of(outlasts);
    run.raise(REPLY, "one".to_owned()).await.expect("it waits");
    assert_eq!(run.wait(LONG).await.expect("it ends"), "one");
    second.client().start(outlasts, ()).id("there").await.expect("started");
    assert_eq!(with_timer(second.client(), "there").await, 3);
    drop(run);
    second.stop().await;
    let data = server.stop().await.folder();

    let third = here();
    let run = third.client().instance("there").of(outlasts);
    run.raise(REPLY, "two".to_owned()).await.expect("it waits");
    assert_eq!(run.wait(LONG).await.expect("it ends"), "two");
    third.stop().await;
    drop(data);
}
