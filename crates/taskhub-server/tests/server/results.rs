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
    ActivityResponse, CompleteOrchestrationAction, CompleteTaskResponse, GetWorkItemsRequest,
    OrchestrationStatus, OrchestratorAction, OrchestratorResponse,
    orchestrator_action::OrchestratorActionType as Action, work_item::Request as Work,
};
use taskhub_wire::results::{HandedBack, Taken, handed_back, results_client::ResultsClient};
use tokio::net::TcpListener;
use tonic::{Code, Response, transport::Endpoint};
use tower::service_fn;

use crate::running::{Running, get, start};

/// The end of a turn.
fn completed(completion_token: String) -> OrchestratorResponse {
    let end = CompleteOrchestrationAction {
        orchestration_status: OrchestrationStatus::Completed.into(),
        ..Default::default()
    };
    let action = Some(Action::CompleteOrchestration(end));
    let actions = vec![OrchestratorAction { id: -1, orchestrator_action_type: action }];
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
        let result = Some(handed_back::Result::Turn(completed(item.completion_token)));
        results.push(HandedBack { number, result });
    }
    let token = completed_token(&results[0]);
    let wrong = ActivityResponse { completion_token: token, ..Default::default() };
    let late = completed("it counts no longer".to_owned());
    results.insert(0, HandedBack { number: 7, result: Some(handed_back::Result::Activity(wrong)) });
    results.push(HandedBack { number: 8, result: Some(handed_back::Result::Turn(late)) });
    results.push(HandedBack { number: 9, result: None });

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

fn completed_token(result: &HandedBack) -> String {
    match &result.result {
        Some(handed_back::Result::Turn(turn)) => turn.completion_token.clone(),
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
    let result = || Brought::Activity(ActivityResponse::default());
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
