//! Traces through a server whose workers are elsewhere: what they are told of them, and what it
//! sends itself.

use taskhub_wire::proto::{
    ActivityResponse, CreateInstanceRequest, GetWorkItemsRequest, OrchestrationInstance,
    OrchestrationStatus, OrchestrationTraceContext, OrchestratorAction, OrchestratorResponse,
    RaiseEventRequest, SendEventAction, TraceContext, WorkItem,
    orchestrator_action::OrchestratorActionType as Do, work_item::Request as Work,
};
use tonic::Streaming;

use crate::{
    actions::{finished, scheduled},
    collector::Collector,
    running::{Client, Running, get, start},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// The kind of the span of what is done for others.
const SERVER: i32 = 2;

/// The kinds of the spans of who raises an event, and of who gets it.
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

async fn next(stream: &mut Streaming<WorkItem>) -> (Work, String) {
    loop {
        let item = stream.message().await.unwrap().unwrap();
        match item.request.unwrap() {
            Work::HealthPing(_) => {}
            work => return (work, item.completion_token),
        }
    }
}

/// Answers a turn with one action, and says of the span what the worker knows of it.
async fn answer(
    client: &mut Client,
    token: &str,
    action: OrchestratorAction,
    span: Option<OrchestrationTraceContext>,
) {
    let response = OrchestratorResponse {
        instance_id: "a".to_owned(),
        completion_token: token.to_owned(),
        actions: vec![action],
        orchestration_trace_context: span,
        ..OrchestratorResponse::default()
    };
    client.complete_orchestrator_task(response).await.unwrap();
}

/// Runs an orchestration with one activity, as a worker that sends spans or not, and returns the
/// span that it was told is its own.
async fn run(server: &Running, sends: bool) -> String {
    let mut client = server.client().await;
    let mut work =
        client.get_work_items(GetWorkItemsRequest::default()).await.unwrap().into_inner();
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let traced = TraceContext { trace_parent: parent, ..TraceContext::default() };
    let start = CreateInstanceRequest { parent_trace_context: Some(traced), ..start("a") };
    client.start_instance(start).await.unwrap();

    let (Work::OrchestratorRequest(turn), token) = next(&mut work).await else { panic!("no turn") };
    let told = turn.orchestration_trace_context.unwrap();
    let said = sends.then(|| told.clone());
    answer(&mut client, &token, scheduled(0, "reserve"), said.clone()).await;

    let (Work::ActivityRequest(activity), token) = next(&mut work).await else { panic!("none") };
    let within = activity.parent_trace_context.unwrap().trace_parent;
    assert!(within.starts_with(&format!("00-{TRACE}-")), "{within}");
    let done = ActivityResponse {
        instance_id: "a".to_owned(),
        task_id: activity.task_id,
        completion_token: token,
        ..ActivityResponse::default()
    };
    client.complete_activity_task(done).await.unwrap();

    let (Work::OrchestratorRequest(turn), token) = next(&mut work).await else { panic!("no turn") };
    assert_eq!(turn.orchestration_trace_context, Some(told.clone()), "it stays the same");
    answer(&mut client, &token, finished(0, OrchestrationStatus::Completed), said).await;
    client.wait_for_instance_completion(get("a")).await.unwrap();
    told.span_id.unwrap()
}

#[tokio::test]
async fn a_worker_is_told_the_span_of_its_orchestration_and_of_its_calls() {
    let collector = Collector::start().await;
    let server = Running::with(|config| config.traces.endpoint = Some(collector.endpoint())).await;
    let own = run(&server, false).await;
    server.stop().await;
    let spans = collector.spans();
    let named = |name: &str| {
        let mut found = spans.iter().filter(|span| span.name == name);
        found.next().unwrap_or_else(|| panic!("{name}: {spans:#?}")).clone()
    };
    let request = named("create_orchestration:charge");
    assert_eq!((&request.trace[..], &request.parent[..]), (TRACE, CALLER));
    let run = named("orchestration:charge");
    assert_eq!((run.kind, run.links.len()), (SERVER, 0));
    assert_eq!((run.id, run.parent), (own.clone(), request.id));
    assert_eq!(named("activity:reserve").parent, own);
    assert_eq!(named("turn:charge").parent, own);
}

#[tokio::test]
async fn the_span_that_a_worker_sends_is_left_to_it() {
    let collector = Collector::start().await;
    let server = Running::with(|config| config.traces.endpoint = Some(collector.endpoint())).await;
    run(&server, true).await;
    server.stop().await;
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name == "turn:charge"), "{spans:#?}");
    assert!(!spans.iter().any(|span| span.name == "orchestration:charge"), "{spans:#?}");
}

#[tokio::test]
async fn a_server_without_traces_names_the_same_span_after_a_restart() {
    let server = Running::plain().await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let traced = TraceContext { trace_parent: parent, ..TraceContext::default() };
    let start = CreateInstanceRequest { parent_trace_context: Some(traced), ..start("a") };
    server.client().await.start_instance(start).await.unwrap();
    let before = first_span(&server).await;
    let server = Running::again(server.stop().await, |_| {}).await;
    assert_eq!(first_span(&server).await, before);
    server.stop().await;
}

/// The span that a worker is told with the next turn, which it does not answer.
async fn first_span(server: &Running) -> OrchestrationTraceContext {
    let all = GetWorkItemsRequest::default();
    let work = server.client().await.get_work_items(all).await;
    let mut work = work.expect("the server lives").into_inner();
    let (Work::OrchestratorRequest(turn), _) = next(&mut work).await else { panic!("no turn") };
    turn.orchestration_trace_context.expect("it is in a trace")
}

#[tokio::test]
async fn what_comes_over_http_joins_the_trace_of_its_caller() {
    let collector = Collector::start().await;
    let server = Running::with(|config| config.traces.endpoint = Some(collector.endpoint())).await;
    let api = "/runtime/webhooks/durabletask";
    for path in
        ["orchestrators/charge/a", "instances/a/raiseEvent/paid", "entities/counter/b?op=add"]
    {
        let answer = server
            .raw(&format!(
                "POST {api}/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 traceparent: 00-{TRACE}-{CALLER}-01\r\ncontent-type: application/json\r\n\
                 content-length: 1\r\n\r\n7"
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }
    server.stop().await;
    let spans = collector.spans();
    for name in ["create_orchestration:charge", "orchestration_event:paid", "entity:counter:add"] {
        let caused =
            spans.iter().any(|it| it.name == name && it.trace == TRACE && it.parent == CALLER);
        assert!(caused, "{name}: {spans:#?}");
    }
}

#[tokio::test]
async fn a_start_that_is_refused_is_a_span_that_failed() {
    let collector = Collector::start().await;
    let server = Running::with(|config| config.traces.endpoint = Some(collector.endpoint())).await;
    server.client().await.start_instance(start("a")).await.unwrap();
    server.client().await.start_instance(start("a")).await.unwrap_err();
    let path = "/runtime/webhooks/durabletask/orchestrators/charge/a";
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    let answer = server.raw(&format!("{head}content-length: 0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    server.stop().await;
    let spans = collector.spans();
    let starts = spans.iter().filter(|span| span.name == "create_orchestration:charge");
    let failures: Vec<_> = starts.map(|span| span.failure.as_deref().unwrap_or_default()).collect();
    let refused = failures.iter().filter(|why| why.contains("exists")).count();
    assert_eq!((failures.len(), refused), (3, 2), "{failures:?}");
}

#[tokio::test]
async fn an_event_is_linked_to_the_call_that_raised_it() {
    let collector = Collector::start().await;
    let server = Running::with(|config| config.traces.endpoint = Some(collector.endpoint())).await;
    let mut client = server.client().await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let traced = TraceContext { trace_parent: parent.clone(), ..TraceContext::default() };
    let start = CreateInstanceRequest { parent_trace_context: Some(traced), ..start("a") };
    client.start_instance(start).await.unwrap();
    let event = RaiseEventRequest {
        instance_id: "a".to_owned(),
        name: "paid".to_owned(),
        ..RaiseEventRequest::default()
    };
    let mut raise = tonic::Request::new(event);
    raise.metadata_mut().insert("traceparent", parent.parse().unwrap());
    client.raise_event(raise).await.unwrap();
    server.stop().await;
    let spans = collector.spans();
    let of_kind = |kind| {
        let name = "orchestration_event:paid";
        let mut found = spans.iter().filter(|span| span.name == name && span.kind == kind);
        found.next().unwrap_or_else(|| panic!("{kind}: {spans:#?}"))
    };
    let raised = of_kind(PRODUCER);
    assert_eq!((&raised.trace[..], &raised.parent[..]), (TRACE, CALLER));
    assert_eq!(of_kind(CONSUMER).links, std::slice::from_ref(&raised.id));
}

#[tokio::test]
async fn an_event_is_not_linked_to_what_was_raised_in_another_hub() {
    let collector = Collector::start().await;
    let server = Running::with(|config| config.traces.endpoint = Some(collector.endpoint())).await;
    let mut client = server.client().await;
    let event = RaiseEventRequest {
        instance_id: "a".to_owned(),
        name: "paid".to_owned(),
        ..RaiseEventRequest::default()
    };
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let traced = TraceContext { trace_parent: parent, ..TraceContext::default() };
    let here = CreateInstanceRequest { parent_trace_context: Some(traced), ..start("a") };
    client.start_instance(here).await.unwrap();
    client.start_instance(in_other(start("b"))).await.unwrap();
    // Nobody is there to hear it.
    let _ = client.raise_event(in_other(event)).await;
    let mut work =
        client.get_work_items(GetWorkItemsRequest::default()).await.unwrap().into_inner();
    let (_, token) = next(&mut work).await;
    let sent = SendEventAction {
        instance: Some(OrchestrationInstance { instance_id: "a".to_owned(), execution_id: None }),
        name: "paid".to_owned(),
        data: None,
    };
    let sent = OrchestratorAction { id: 0, orchestrator_action_type: Some(Do::SendEvent(sent)) };
    answer(&mut client, &token, sent, None).await;
    let (_, token) = next(&mut work).await;
    answer(&mut client, &token, finished(0, OrchestrationStatus::Completed), None).await;
    server.stop().await;
    let spans = collector.spans();
    let name = "orchestration_event:paid";
    let heard: Vec<_> =
        spans.iter().filter(|span| span.name == name && span.kind == CONSUMER).collect();
    assert_eq!(heard.len(), 1, "{spans:#?}");
    assert!(heard[0].links.is_empty(), "{heard:#?}");
}

fn in_other<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("taskhub", "other".parse().unwrap());
    request
}
