//! A worker that knows the public protocol only, as those of the SDKs do: it gets whole histories,
//! keeps nothing between turns, and makes a call for each result.
use bench_harness::{Place, Result, Steps};
use taskhub::prelude::Client;
use taskhub_wire::proto::{
    ActivityRequest, ActivityResponse, CompleteOrchestrationAction, GetWorkItemsRequest,
    OrchestrationStatus, OrchestratorAction, OrchestratorRequest, OrchestratorResponse,
    ScheduleTaskAction, history_event::EventType,
    orchestrator_action::OrchestratorActionType as Action,
    task_hub_sidecar_service_client::TaskHubSidecarServiceClient as Service, work_item::Request,
};
use tonic::transport::Channel;

use super::over_grpc;
use super::taskhub::{Hub, Setting};

/// How much of each kind it takes at once.
const ROOM: i32 = 256;

/// A server on a port of its own, and that worker.
#[derive(Debug)]
pub(crate) struct Raw;

impl Setting for Raw {
    async fn open(place: &Place, steps: Steps) -> Result<Hub> {
        let url = format!("http://{}", over_grpc::serve(place).await?);
        let service = Service::connect(url.clone()).await?;
        tokio::spawn(async move {
            if let Err(error) = work(service, steps).await {
                eprintln!("the worker ended: {error}");
            }
        });
        Ok(Hub::at(vec![Client::connect(url)?]))
    }
}

async fn work(mut service: Service<Channel>, steps: Steps) -> Result<()> {
    let offer = GetWorkItemsRequest {
        max_concurrent_orchestration_work_items: ROOM,
        max_concurrent_activity_work_items: ROOM,
        ..GetWorkItemsRequest::default()
    };
    let mut items = service.get_work_items(offer).await?.into_inner();
    while let Some(item) = items.message().await? {
        let (mut service, token) = (service.clone(), item.completion_token);
        match item.request {
            Some(Request::OrchestratorRequest(request)) => {
                let response = chain(request, token);
                tokio::spawn(async move { service.complete_orchestrator_task(response).await });
            }
            Some(Request::ActivityRequest(request)) => {
                steps.mark();
                let response = step(request, token);
                tokio::spawn(async move { service.complete_activity_task(response).await });
            }
            _ => {}
        }
    }
    Ok(())
}

/// One turn of the chain: the next activity, or the end.
fn chain(request: OrchestratorRequest, completion_token: String) -> OrchestratorResponse {
    let (mut wanted, mut done) = (0, 0);
    for event in request.past_events.into_iter().chain(request.new_events) {
        match event.event_type {
            Some(EventType::ExecutionStarted(started)) => {
                wanted = started.input.and_then(|input| input.parse().ok()).unwrap_or(0);
            }
            Some(EventType::TaskCompleted(_)) => done += 1,
            _ => {}
        }
    }
    let action = if done < wanted {
        let name = "step".to_owned();
        Action::ScheduleTask(ScheduleTaskAction { name, ..Default::default() })
    } else {
        Action::CompleteOrchestration(CompleteOrchestrationAction {
            orchestration_status: OrchestrationStatus::Completed.into(),
            result: Some("\"done\"".to_owned()),
            ..Default::default()
        })
    };
    let action = OrchestratorAction { id: done, orchestrator_action_type: Some(action) };
    let (instance_id, actions) = (request.instance_id, vec![action]);
    OrchestratorResponse { instance_id, actions, completion_token, ..Default::default() }
}

fn step(request: ActivityRequest, completion_token: String) -> ActivityResponse {
    let instance_id = request.orchestration_instance.unwrap_or_default().instance_id;
    let task_id = request.task_id;
    ActivityResponse { instance_id, task_id, completion_token, ..Default::default() }
}
