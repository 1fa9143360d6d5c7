//! Activities that an orchestration called without waiting for them.

use taskhub_wire::proto::{
    ActivityFilter, GetWorkItemsRequest, OrchestrationFilter, OrchestrationStatus,
    OrchestratorResponse, WorkItemFilters, work_item::Request as Work,
};

use crate::{
    actions::{finished, scheduled},
    running::{Client, Running, get, start},
};

/// The first work for a worker with these functions, and its token.
async fn work(client: &mut Client, filters: WorkItemFilters) -> (Work, String) {
    let offer = GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() };
    let mut stream = client.get_work_items(offer).await.unwrap().into_inner();
    loop {
        let item = stream.message().await.unwrap().unwrap();
        match item.request.unwrap() {
            Work::HealthPing(_) => {}
            work => return (work, item.completion_token),
        }
    }
}

#[tokio::test]
async fn what_nobody_waited_for_is_done_after_the_end_and_a_restart() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    client.start_instance(start("a")).await.unwrap();
    let charge = OrchestrationFilter { name: "charge".to_owned(), versions: Vec::new() };
    let only = WorkItemFilters { orchestrations: vec![charge], ..Default::default() };
    let (_, token) = work(&mut client, only).await;
    let response = OrchestratorResponse {
        instance_id: "a".to_owned(),
        actions: vec![scheduled(0, "tell"), finished(1, OrchestrationStatus::Completed)],
        completion_token: token,
        ..OrchestratorResponse::default()
    };
    client.complete_orchestrator_task(response).await.unwrap();
    client.wait_for_instance_completion(get("a")).await.unwrap();

    let server = Running::again(server.stop().await, |_| {}).await;
    let tell = ActivityFilter { name: "tell".to_owned(), versions: Vec::new() };
    let only = WorkItemFilters { activities: vec![tell], ..Default::default() };
    let (given, _) = work(&mut server.client().await, only).await;
    let Work::ActivityRequest(activity) = given else { panic!("{given:?}") };
    assert_eq!(activity.orchestration_instance.unwrap().instance_id, "a");
    server.stop().await;
}
