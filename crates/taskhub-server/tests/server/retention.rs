//! Instances that are forgotten by themselves after they have ended.

use taskhub_server::{Age, Config};
use taskhub_wire::proto::{
    GetWorkItemsRequest, OrchestrationStatus, OrchestratorResponse, TerminateRequest,
    work_item::Request,
};

use crate::{
    actions::finished,
    running::{Running, get, start, state},
};

#[tokio::test]
async fn what_ended_is_forgotten_when_it_is_old_enough_and_nothing_else() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    for id in ["ended", "pending"] {
        client.start_instance(start(id)).await.unwrap();
    }
    let end = TerminateRequest { instance_id: "ended".to_owned(), ..TerminateRequest::default() };
    client.terminate_instance(end).await.unwrap();
    let folder = server.stop().await;
    let server = Running::again(folder, |config| {
        config.retention.terminated = Some("0s".parse().unwrap());
        config.retention.completed = Some("1d".parse().unwrap());
    })
    .await;
    let mut client = server.client().await;
    while state(&mut client, "ended").await.unwrap().is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(state(&mut client, "pending").await.unwrap().is_some());
    server.stop().await;
}

/// Ends an instance as a worker does, with this status.
async fn end(server: &Running, id: &str, status: OrchestrationStatus) {
    let mut client = server.client().await;
    let asked = GetWorkItemsRequest::default();
    let mut work = client.get_work_items(asked).await.unwrap().into_inner();
    client.start_instance(start(id)).await.unwrap();
    let (turn, completion_token) = loop {
        let item = work.message().await.unwrap().unwrap();
        if let Some(Request::OrchestratorRequest(turn)) = item.request {
            break (turn, item.completion_token);
        }
    };
    let response = OrchestratorResponse {
        instance_id: turn.instance_id,
        actions: vec![finished(0, status)],
        completion_token,
        ..OrchestratorResponse::default()
    };
    client.complete_orchestrator_task(response).await.unwrap();
    let ended = client.wait_for_instance_completion(get(id)).await.unwrap().into_inner();
    assert_eq!(ended.orchestration_state.unwrap().orchestration_status(), status);
}

#[tokio::test]
async fn each_end_has_an_age_of_its_own() {
    type Keep = fn(&mut Config) -> &mut Option<Age>;
    // Nothing ends as canceled here: a worker that says so has its instance terminated.
    let ends: [(&str, OrchestrationStatus, Keep); 3] = [
        ("a", OrchestrationStatus::Completed, |config| &mut config.retention.completed),
        ("b", OrchestrationStatus::Failed, |config| &mut config.retention.failed),
        ("c", OrchestrationStatus::Terminated, |config| &mut config.retention.terminated),
    ];
    let mut server = Running::plain().await;
    for (id, status, _) in &ends {
        end(&server, id, *status).await;
    }
    for (place, (id, _, age)) in ends.iter().enumerate() {
        let folder = server.stop().await;
        let none: Age = "0s".parse().unwrap();
        server = Running::again(folder, |config| *age(config) = Some(none)).await;
        let mut client = server.client().await;
        while state(&mut client, id).await.unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        for (other, ..) in &ends[place + 1..] {
            assert!(state(&mut client, other).await.unwrap().is_some(), "{id} {other}");
        }
    }
    server.stop().await;
}
