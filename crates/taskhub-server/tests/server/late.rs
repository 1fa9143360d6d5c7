//! Results that change nothing: nobody waits for them any more, or nothing is in them.

use taskhub_wire::proto::{
    ActivityFilter, ActivityResponse, GetWorkItemsRequest, OrchestrationFilter,
    OrchestratorResponse, StreamInstanceHistoryRequest, TerminateRequest, WorkItem,
    WorkItemFilters, work_item::Request as Work,
};
use tonic::Streaming;

use crate::{
    actions::scheduled,
    running::{Client, Running, start},
};

/// A worker for one activity and one turn at a time.
async fn worker(client: &mut Client) -> Streaming<WorkItem> {
    let charge = OrchestrationFilter { name: "charge".to_owned(), versions: Vec::new() };
    let tell = ActivityFilter { name: "tell".to_owned(), versions: Vec::new() };
    let filters = WorkItemFilters {
        orchestrations: vec![charge],
        activities: vec![tell],
        ..WorkItemFilters::default()
    };
    let offer = GetWorkItemsRequest {
        max_concurrent_activity_work_items: 1,
        max_concurrent_orchestration_work_items: 1,
        work_item_filters: Some(filters),
        ..GetWorkItemsRequest::default()
    };
    client.get_work_items(offer).await.expect("it is taken").into_inner()
}

async fn next(work: &mut Streaming<WorkItem>) -> (Work, String) {
    loop {
        let item = work.message().await.expect("the server lives").expect("it goes on");
        assert!(item.withdrawn.is_empty(), "it did not ask for that");
        match item.request {
            Some(Work::HealthPing(_)) => {}
            other => return (other.expect("there is work"), item.completion_token),
        }
    }
}

/// Starts an instance that calls the activity: its token.
async fn calls(client: &mut Client, work: &mut Streaming<WorkItem>, id: &str) -> String {
    client.start_instance(start(id)).await.expect("it is taken");
    let (_, completion_token) = next(work).await;
    let response = OrchestratorResponse {
        instance_id: id.to_owned(),
        actions: vec![scheduled(0, "tell")],
        completion_token,
        ..OrchestratorResponse::default()
    };
    client.complete_orchestrator_task(response).await.expect("it is taken");
    let (given, token) = next(work).await;
    assert!(matches!(given, Work::ActivityRequest(_)), "{given:?}");
    token
}

#[tokio::test]
async fn a_worker_has_room_again_when_it_is_through_with_what_nobody_wants() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let mut work = worker(&mut client).await;
    for id in ["a", "b", "c"] {
        let completion_token = calls(&mut client, &mut work, id).await;
        let end = TerminateRequest { instance_id: id.to_owned(), ..Default::default() };
        client.terminate_instance(end).await.unwrap();
        let late = ActivityResponse { completion_token, ..ActivityResponse::default() };
        client.complete_activity_task(late).await.unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_turn_that_took_nothing_and_did_nothing_is_given_out_again_and_not_written() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let mut work = worker(&mut client).await;
    client.start_instance(start("a")).await.unwrap();
    for _ in 0..3 {
        let (_, completion_token) = next(&mut work).await;
        let num_events_processed = Some(0);
        let idle = OrchestratorResponse {
            instance_id: "a".to_owned(),
            completion_token,
            num_events_processed,
            ..OrchestratorResponse::default()
        };
        client.complete_orchestrator_task(idle).await.unwrap();
    }
    let asked = StreamInstanceHistoryRequest { instance_id: "a".to_owned(), ..Default::default() };
    let mut history = client.stream_instance_history(asked).await.unwrap().into_inner();
    let chunk = history.message().await.unwrap().unwrap();
    assert_eq!(chunk.events.len(), 1, "it has only been started: {:?}", chunk.events);
    server.stop().await;
}
