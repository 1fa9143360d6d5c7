//! Many results on one stream: what a server takes, and what a worker does where none is known.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::HeaderMap, routing::post};
use taskhub_link::{Brought, Link, Remote};
use taskhub_wire::proto::{
    ActivityResponse, CompleteTaskResponse, GetWorkItemsRequest, OrchestrationStatus,
    OrchestratorResponse, WorkItem, work_item::Request as Work,
};
use taskhub_wire::results::{
    Ahead, HandedBack, Taken,
    handed_back::{
        self,
        Result::{Activity, Turn},
    },
    results_client::ResultsClient,
};
use tokio::net::TcpListener;
use tonic::{Code, Response, Streaming, transport::Endpoint};
use tower::service_fn;

use crate::{
    actions::{finished, scheduled},
    running::{Running, get, start},
};

/// The end of a turn.
fn completed(completion_token: String) -> OrchestratorResponse {
    let actions = vec![finished(-1, OrchestrationStatus::Completed)];
    OrchestratorResponse { actions, completion_token, ..Default::default() }
}

/// What a server says of these results on one stream, together.
async fn bring(server: &Running, results: Vec<HandedBack>) -> Taken {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let mut client = ResultsClient::new(endpoint.connect().await.unwrap());
    let stream = client.bring(futures::stream::iter(results)).await.unwrap();
    let (mut said, mut stream) = (Taken::default(), stream.into_inner());
    while let Some(taken) = stream.message().await.unwrap() {
        said.numbers.extend(taken.numbers);
        said.refused.extend(taken.refused);
    }
    said
}

#[tokio::test]
async fn of_results_that_come_together_each_is_taken_or_refused_by_itself() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let offer = GetWorkItemsRequest::default();
    let mut work = client.get_work_items(offer).await.unwrap().into_inner();
    let mut results = Vec::new();
    for (number, id) in (1..).zip(["a", "b"]) {
        client.start_instance(start(id)).await.unwrap();
        let item = loop {
            let item = work.message().await.unwrap().unwrap();
            if let Some(Work::OrchestratorRequest(_)) = item.request {
                break item;
            }
        };
        let result = Turn(completed(item.completion_token));
        results.push(handed_back(number, result));
    }
    let token = completed_token(&results[0]);
    let wrong = ActivityResponse { completion_token: token, ..Default::default() };
    let late = completed("it counts no longer".to_owned());
    results.insert(0, handed_back(7, Activity(wrong)));
    results.push(handed_back(8, Turn(late)));
    results.push(HandedBack { number: 9, ..Default::default() });

    let said = bring(&server, results).await;
    assert_eq!(said.numbers, [1, 2, 8]);
    let refused: Vec<_> = said.refused.iter().map(|it| (it.number, Code::from(it.code))).collect();
    assert_eq!(refused, [(7, Code::InvalidArgument), (9, Code::InvalidArgument)]);
    for id in ["a", "b"] {
        let ended = client.wait_for_instance_completion(get(id)).await.unwrap().into_inner();
        let state = ended.orchestration_state.unwrap();
        assert_eq!(state.orchestration_status(), OrchestrationStatus::Completed);
    }
    server.stop().await;
}

fn handed_back(number: u64, result: handed_back::Result) -> HandedBack {
    HandedBack { number, result: Some(result), ahead: None }
}

/// A turn that called an activity of this number.
fn called(id: i32, mark: u64, completion_token: String) -> OrchestratorResponse {
    let actions = vec![scheduled(id, "a")];
    OrchestratorResponse { actions, completion_token, mark, ..Default::default() }
}

/// The next piece of work, and its token.
async fn next(work: &mut Streaming<WorkItem>) -> (Work, String) {
    loop {
        let item = work.message().await.unwrap().unwrap();
        match item.request {
            Some(Work::HealthPing(_)) | None => {}
            Some(request) => break (request, item.completion_token),
        }
    }
}

/// An activity that was given out to who runs turns ahead: when, and its result with that turn.
fn ended(work: (Work, String), turn: OrchestratorResponse, after: u64) -> HandedBack {
    let (Work::ActivityRequest(request), completion_token) = work else { panic!("{work:?}") };
    assert!(request.given_at > 0, "turns ahead are taken");
    let result = ActivityResponse { completion_token, ..Default::default() };
    let ahead = Ahead { turn: Some(turn), after, at: request.given_at };
    HandedBack { ahead: Some(ahead), ..handed_back(9, Activity(result)) }
}

#[tokio::test]
async fn a_turn_that_was_run_ahead_is_taken_with_the_result_if_it_is_the_next_one() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let offer = GetWorkItemsRequest { keeps_code: true, ..Default::default() };
    let mut work = client.get_work_items(offer).await.unwrap().into_inner();
    client.start_instance(start("a")).await.unwrap();
    let (_, token) = next(&mut work).await;
    bring(&server, vec![handed_back(1, Turn(called(0, 71, token)))]).await;
    // The next one is taken: what it called comes at once.
    let first = next(&mut work).await;
    bring(&server, vec![ended(first, called(1, 72, String::new()), 71)]).await;
    let second = next(&mut work).await;
    // One behind another turn is not: the result waits for a turn, which comes behind the last.
    bring(&server, vec![ended(second, called(2, 73, String::new()), 71)]).await;
    let (request, token) = next(&mut work).await;
    let Work::OrchestratorRequest(request) = request else { panic!("{request:?}") };
    assert_eq!(request.left_out.map(|it| (it.turns, it.mark)), Some((2, 72)));
    bring(&server, vec![handed_back(2, Turn(completed(token)))]).await;
    let ended = client.wait_for_instance_completion(get("a")).await.unwrap().into_inner();
    let state = ended.orchestration_state.unwrap();
    assert_eq!(state.orchestration_status(), OrchestrationStatus::Completed);
    server.stop().await;
}

fn completed_token(result: &HandedBack) -> String {
    match &result.result {
        Some(Turn(turn)) => turn.completion_token.clone(),
        other => panic!("{other:?}"),
    }
}

/// A server of others: it takes calls, and says of streams that it does not know them. How many of
/// both there were.
async fn other_server() -> (Link, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (streams, calls) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counted = streams.clone();
    let unknown = post(async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/grpc".parse().unwrap());
        headers.insert("grpc-status", i32::from(Code::Unimplemented).into());
        headers
    });
    let counted = calls.clone();
    let take = post(async move |request: axum::extract::Request| {
        let codec = tonic_prost::ProstCodec::<CompleteTaskResponse, ActivityResponse>::default();
        let answer = service_fn(move |_: tonic::Request<ActivityResponse>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Ok(Response::new(CompleteTaskResponse {})) }
        });
        let answer = tonic::server::Grpc::new(codec).unary(answer, request).await;
        Ok::<_, Infallible>(answer.map(axum::body::Body::new))
    });
    let app = Router::new()
        .route("/taskhub.results.Results/Bring", unknown)
        .route("/TaskHubSidecarService/CompleteActivityTask", take);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = Remote::at(format!("http://{}", listener.local_addr().unwrap())).link().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (link, streams, calls)
}

#[tokio::test]
async fn a_server_that_knows_no_streams_gets_calls_and_is_asked_again_after_a_minute() {
    let (link, streams, calls) = other_server().await;
    let counts = || (streams.load(Ordering::SeqCst), calls.load(Ordering::SeqCst));
    let result = || Brought::Activity(ActivityResponse::default(), None);
    link.bring(result()).await.unwrap();
    assert_eq!(counts(), (1, 1), "the stream was refused, so a call brought it");
    link.bring(result()).await.unwrap();
    assert_eq!(counts(), (1, 2), "nobody asks for a stream each time");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    link.bring(result()).await.unwrap();
    assert_eq!(counts(), (2, 3), "it may be another server by now");
}
