//! Traces: from whoever asks, through the orchestration and all that it does, and back.

use std::time::Duration;

use crate::collector::{Collector, Span};
use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use opentelemetry::trace::TraceContextExt as _;
use taskhub::{
    MemoryStore,
    management::{Keys, TracesConfig},
    prelude::*,
};
use tower::ServiceExt as _;

const REPLY: Event<String> = Event::new("reply");

/// The kinds of the spans of events.
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

/// The trace of the caller, and its span.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[activity]
async fn publish(call: ActivityContext, city: String) -> Result<String> {
    // What an activity does elsewhere stands below it, as OpenTelemetry has it.
    let trace = opentelemetry::Context::current().span().span_context().trace_id().to_string();
    let told = call.traceparent().unwrap_or_default().starts_with(&format!("00-{trace}-"));
    if told { Ok(city) } else { Err(Failure::new("Trace", trace)) }
}

#[orchestration]
async fn check(ctx: Context, city: String) -> Result<String> {
    ctx.sleep(Duration::from_millis(1)).await;
    Ok(city)
}

#[orchestration]
async fn weather(ctx: Context, city: String) -> Result<String> {
    let city = ctx.call(publish, city).await?;
    ctx.call(check, city).await?;
    ctx.event(REPLY).await
}

fn host(collector: &Collector) -> Host {
    let host = Host::builder().store(MemoryStore::new(1));
    let host = host.orchestration(weather).orchestration(check).activity(publish);
    let host = host.route("/weather", post(sync_over_async(weather)));
    let host = host.management_api(Keys::none()).traces(TracesConfig::to(collector.endpoint()));
    host.build().expect("nothing is missing")
}

async fn ask(host: &Host) -> String {
    let request = Request::post("/weather").body(Body::from("\"Berlin\""));
    let mut request = request.expect("a request");
    let parent = format!("00-{TRACE}-{CALLER}-01").parse().expect("a header");
    request.headers_mut().insert("traceparent", parent);
    let response = host.router().oneshot(request).await.expect("an answer");
    let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    String::from_utf8(body.into()).expect("a text")
}

/// Raises the reply from within another trace, once somebody waits for it.
async fn reply(client: &Client) {
    let running = || Filter::new().status(RuntimeStatus::Running);
    let id = loop {
        let page = client.list(running()).await.expect("the store works");
        if let Some(instance) = page.instances.iter().find(|it| &*it.name == "weather") {
            break instance.id.clone();
        }
        tokio::task::yield_now().await;
    };
    client.instance(id.as_str()).raise(REPLY, "rain".to_owned()).await.expect("it waits");
}

#[tokio::test]
async fn the_trace_of_a_caller_goes_through_all_that_is_done_for_it() {
    let collector = Collector::start().await;
    let host = host(&collector);
    let (answer, ()) = tokio::join!(ask(&host), reply(host.client()));
    assert_eq!(answer, "rain");
    host.stop().await;

    let spans = collector.spans();
    let one = |name: &str| {
        let found: Vec<_> =
            spans.iter().filter(|it| it.name == name && it.trace == TRACE).collect();
        assert_eq!(found.len(), 1, "{name}: {spans:#?}");
        found[0]
    };
    let request = one("create_orchestration:weather");
    assert_eq!(request.parent, CALLER);
    let run = spans.iter().find(|it| it.name == "orchestration:weather").expect("it ended");
    assert_eq!((&run.trace[..], &run.parent), (TRACE, &request.id));
    assert_eq!(one("orchestration_event:reply").parent, run.id);
    let mut calls = spans.iter().filter(|it| it.name == "activity:publish");
    let (inner, outer) = (calls.next().expect("a run"), calls.next().expect("a call"));
    let (inner, outer) = if inner.parent == run.id { (outer, inner) } else { (inner, outer) };
    assert_eq!((&outer.parent, &inner.parent), (&run.id, &outer.id));
    let children = spans.iter().filter(|it| it.name == "orchestration:check").count();
    assert_eq!(children, 2, "the call, and the child: {spans:#?}");
    assert_eq!(one("timer:check").trace, TRACE);
    assert!(spans.iter().all(|span| span.failure.is_none()), "nothing failed: {spans:#?}");
    host_turns(&spans, &run.id);
}

/// A start, a result, the child's end and the event: each is one turn, told once.
fn host_turns(spans: &[Span], run: &str) {
    let turns: Vec<_> = spans.iter().filter(|it| it.name == "turn:weather").collect();
    assert!((2..=4).contains(&turns.len()), "{turns:#?}");
    assert!(turns.iter().all(|turn| turn.parent == run));
    let mut ids: Vec<_> = spans.iter().map(|span| &span.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), spans.len(), "a span was told twice: {spans:#?}");
}

#[tokio::test]
async fn a_raised_event_is_linked_to_who_raised_it() {
    let collector = Collector::start().await;
    let host = host(&collector);
    let id = host.client().start(weather, "Rome".to_owned()).id("rome").await.expect("it starts");
    id.raise(REPLY, "sun".to_owned()).await.expect("it runs");
    id.wait(Duration::from_mins(1)).await.expect("it ends");
    host.stop().await;
    let spans = collector.spans();
    let of_kind = |kind| {
        let mut found = spans.iter().filter(|it| it.name == "orchestration_event:reply");
        found.find(|it| it.kind == kind).expect("it was raised, and taken").clone()
    };
    let (raised, taken) = (of_kind(PRODUCER), of_kind(CONSUMER));
    assert_eq!(taken.links, [raised.id]);
}

#[tokio::test]
async fn a_replay_tells_nothing_again() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().expect("there is a place for it");
    let open = || {
        let host = Host::builder().store(Embedded::open(folder.path()).expect("it opens"));
        let host = host.orchestration(weather).orchestration(check).activity(publish);
        host.traces(TracesConfig::to(collector.endpoint())).build().expect("nothing is missing")
    };
    let host = open();
    host.client().start(weather, "Oslo".to_owned()).id("oslo").await.expect("it starts");
    loop {
        let history = host.client().instance("oslo").history().await.expect("it is there");
        let ends = |event: &str| format!("{:?}", history.last()).contains(event);
        if ends("TurnStarted") && format!("{history:?}").contains("ChildFinished") {
            break;
        }
        tokio::task::yield_now().await;
    }
    host.stop().await;
    let before = collector.spans().len();
    let host = open();
    host.client().instance("oslo").raise(REPLY, "snow".to_owned()).await.expect("it waits");
    let ended = host.client().instance("oslo").of(weather).wait(Duration::from_mins(1)).await;
    assert_eq!(ended.expect("it ends"), "snow");
    host.stop().await;
    let spans = collector.spans();
    let after: Vec<_> = spans[before..].iter().map(|it| it.name.as_str()).collect();
    assert!(!after.contains(&"activity:publish"), "{after:?}");
    assert_eq!(after.iter().filter(|name| **name == "turn:weather").count(), 1, "{after:?}");
    assert!(after.contains(&"orchestration:weather"), "{after:?}");
}

#[tokio::test]
async fn without_a_collector_there_are_no_spans_and_the_trace_is_passed_on() {
    let host = Host::builder().store(MemoryStore::new(1)).orchestration(tell).activity(told);
    let host = host.route("/tell", post(sync_over_async(tell))).build().expect("all is there");
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let request = Request::post("/tell").header("traceparent", &parent).body(Body::empty());
    let response = host.router().oneshot(request.expect("a request")).await.expect("an answer");
    let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    assert_eq!(String::from_utf8_lossy(&body), parent);
    host.stop().await;
}

#[activity]
async fn told(call: ActivityContext) -> Result<String> {
    Ok(call.traceparent().unwrap_or_default().to_owned())
}

#[orchestration]
async fn tell(ctx: Context) -> Result<String> {
    ctx.call(told, ()).await
}

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Visits {
    count: u32,
}

#[entity]
impl Visits {
    async fn add(&mut self, more: u32) -> Result<u32> {
        self.count += more;
        Ok(self.count)
    }

    /// Tells another one, too.
    async fn pass(&mut self, ctx: EntityContext, more: u32) -> Result<()> {
        self.count += more;
        ctx.entity::<Self>("other").signal(Self::add, more)
    }
}

#[orchestration]
async fn visit(ctx: Context) -> Result<u32> {
    let visits = ctx.entity::<Visits>("one");
    visits.signal(Visits::pass, 1)?;
    visits.call(Visits::add, 1).await
}

#[tokio::test]
async fn what_entities_do_is_part_of_the_trace_of_who_asked() {
    const SERVER: i32 = 2;
    const CLIENT: i32 = 3;
    let collector = Collector::start().await;
    let host = Host::builder().store(MemoryStore::new(1)).orchestration(visit).entity::<Visits>();
    let host = host.traces(TracesConfig::to(collector.endpoint())).build().expect("all is there");
    let run = host.client().start(visit, ()).id("visit").await.expect("it starts");
    assert_eq!(run.wait(Duration::from_mins(1)).await.expect("it ends"), 2);
    loop {
        let other = host.client().entity::<Visits>("other").state().await.expect("it is read");
        if other.is_some_and(|other| other.count == 1) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let third = host.client().entity::<Visits>("third");
    third.signal(Visits::pass, 5).await.expect("it is taken");
    while third.state().await.expect("it is read").is_none() {
        tokio::task::yield_now().await;
    }
    host.stop().await;

    let spans = collector.spans();
    let run = spans.iter().find(|it| it.name == "orchestration:visit").expect("it ended");
    let call = spans.iter().find(|it| it.kind == CLIENT && it.parent == run.id).expect("a call");
    assert_eq!(call.name, "entity:visits:add");
    let below = |parent: &str, kind| {
        let found: Vec<_> =
            spans.iter().filter(|it| it.parent == parent && it.kind == kind).collect();
        assert_eq!(found.len(), 1, "below {parent}: {spans:#?}");
        found[0]
    };
    assert_eq!(below(&call.id, SERVER).name, "entity:visits:add");
    // What a signal causes is below it, on to the next entity.
    let signal = below(&run.id, PRODUCER);
    assert_eq!(signal.name, "entity:visits:pass");
    let caused = spans.iter().filter(|it| it.parent == signal.id && it.kind == SERVER);
    let mut caused: Vec<_> = caused.map(|it| &it.name[..]).collect();
    caused.sort_unstable();
    assert_eq!(caused, ["entity:visits:add", "entity:visits:pass"]);
    // A client that is in no trace begins one.
    let of_client = |it: &&Span| it.kind == PRODUCER && it.trace != run.trace;
    let sent = spans.iter().find(of_client).expect("the client's signal");
    let done = spans.iter().filter(|it| it.trace == sent.trace && it.kind == SERVER).count();
    assert!(done >= 1, "{spans:#?}");
}
