//! Work that takes every worker down with it.

use taskhub_wire::proto::{
    ActivityFilter, GetWorkItemsRequest, OrchestrationFilter, OrchestratorResponse,
    TaskFailureDetails, WorkItem, WorkItemFilters, history_event::EventType,
    work_item::Request as Work,
};
use tonic::Streaming;

use crate::{
    actions::scheduled,
    running::{Client, Running, start},
};

/// A worker for turns, or for activities.
async fn worker(client: &mut Client, filters: WorkItemFilters) -> Streaming<WorkItem> {
    let work_item_filters = Some(filters);
    let offer = GetWorkItemsRequest { work_item_filters, ..GetWorkItemsRequest::default() };
    client.get_work_items(offer).await.unwrap().into_inner()
}

async fn next(work: &mut Streaming<WorkItem>) -> WorkItem {
    loop {
        let item = work.message().await.unwrap().unwrap();
        if !matches!(item.request, Some(Work::HealthPing(_)) | None) {
            return item;
        }
    }
}

#[tokio::test]
async fn work_that_takes_every_worker_down_does_not_circle_for_ever() {
    let server = Running::with(|config| config.limits.losses = 2).await;
    let mut client = server.client().await;
    let charge = OrchestrationFilter { name: "charge".to_owned(), ..Default::default() };
    let turns = WorkItemFilters { orchestrations: vec![charge], ..Default::default() };
    let mut turns = worker(&mut client, turns).await;
    client.start_instance(start("a")).await.unwrap();
    let completion_token = next(&mut turns).await.completion_token;
    let response = OrchestratorResponse {
        instance_id: "a".to_owned(),
        actions: vec![scheduled(1, "die")],
        completion_token,
        ..OrchestratorResponse::default()
    };
    client.complete_orchestrator_task(response).await.unwrap();
    for _ in 0..3 {
        let mut victim = server.client().await;
        let die = ActivityFilter { name: "die".to_owned(), ..Default::default() };
        let only = WorkItemFilters { activities: vec![die], ..Default::default() };
        let item = next(&mut worker(&mut victim, only).await).await;
        assert!(matches!(item.request, Some(Work::ActivityRequest(_))));
    }
    let Some(Work::OrchestratorRequest(turn)) = next(&mut turns).await.request else {
        panic!("a turn was expected");
    };
    let failed = turn.new_events.into_iter().find_map(|event| match event.event_type {
        Some(EventType::TaskFailed(failed)) => failed.failure_details,
        _ => None,
    });
    let TaskFailureDetails { error_type, error_message, is_non_retriable, .. } = failed.unwrap();
    assert_eq!((&*error_type, is_non_retriable), ("PoisonWorkItem", true));
    assert!(error_message.contains("3 workers"), "{error_message}");
    server.stop().await;
}
