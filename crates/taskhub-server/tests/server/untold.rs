//! Workers whose SDK sends no completion tokens, as those of Go and older ones of Java.

use taskhub_wire::proto::{
    ActivityResponse, GetWorkItemsRequest, OrchestrationStatus, OrchestratorAction,
    OrchestratorResponse, WorkItem, work_item::Request as Work,
};
use tonic::Streaming;

use crate::{
    actions::{finished, scheduled},
    running::{Client, Running, get, start, state},
};

/// The stream of work to a new worker.
async fn worker(client: &mut Client) -> Streaming<WorkItem> {
    client.get_work_items(GetWorkItemsRequest::default()).await.unwrap().into_inner()
}

/// The next work of a stream.
async fn next(stream: &mut Streaming<WorkItem>) -> Work {
    loop {
        match stream.message().await.unwrap().unwrap().request.unwrap() {
            Work::HealthPing(_) => {}
            work => return work,
        }
    }
}

/// The end of a turn of the instance `a`.
fn turn(action: OrchestratorAction) -> OrchestratorResponse {
    OrchestratorResponse {
        instance_id: "a".to_owned(),
        actions: vec![action],
        ..OrchestratorResponse::default()
    }
}

#[tokio::test]
async fn a_worker_without_tokens_runs_an_orchestration_to_its_end() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let mut work = worker(&mut client).await;
    client.start_instance(start("a")).await.unwrap();

    assert!(matches!(next(&mut work).await, Work::OrchestratorRequest(_)));
    client.complete_orchestrator_task(turn(scheduled(0, "reserve"))).await.unwrap();
    let Work::ActivityRequest(activity) = next(&mut work).await else { panic!("no activity") };
    let response = ActivityResponse {
        instance_id: "a".to_owned(),
        task_id: activity.task_id,
        result: Some("7".to_owned()),
        ..ActivityResponse::default()
    };
    client.complete_activity_task(response).await.unwrap();
    assert!(matches!(next(&mut work).await, Work::OrchestratorRequest(_)));
    client
        .complete_orchestrator_task(turn(finished(1, OrchestrationStatus::Completed)))
        .await
        .unwrap();

    let ended = client.wait_for_instance_completion(get("a")).await.unwrap().into_inner();
    let state = ended.orchestration_state.unwrap();
    assert_eq!(state.orchestration_status(), OrchestrationStatus::Completed);
    server.stop().await;
}

#[tokio::test]
async fn a_result_without_a_token_counts_only_from_the_connection_that_has_the_work() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let mut work = worker(&mut client).await;
    client.start_instance(start("a")).await.unwrap();
    assert!(matches!(next(&mut work).await, Work::OrchestratorRequest(_)));

    server
        .client()
        .await
        .complete_orchestrator_task(turn(finished(1, OrchestrationStatus::Completed)))
        .await
        .unwrap();
    let running = state(&mut client, "a").await.unwrap().unwrap();
    assert_ne!(running.orchestration_status(), OrchestrationStatus::Completed);

    client
        .complete_orchestrator_task(turn(finished(1, OrchestrationStatus::Completed)))
        .await
        .unwrap();
    client.wait_for_instance_completion(get("a")).await.unwrap();
    server.stop().await;
}
