//! A server in this process, and the program that speaks to it.

use std::process::{Command, Stdio};

use serde_json::Value;
use taskhub_server::{Config, Server};
use taskhub_wire::proto::{
    CompleteOrchestrationAction, GetWorkItemsRequest, OrchestrationStatus, OrchestratorAction,
    OrchestratorResponse, TaskFailureDetails, history_event::EventType,
    orchestrator_action::OrchestratorActionType,
    task_hub_sidecar_service_client::TaskHubSidecarServiceClient, work_item::Request,
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};

/// A server on a free port, with its hubs in a folder of its own.
pub(crate) struct Running {
    pub url: String,
    stop: oneshot::Sender<()>,
    run: JoinHandle<()>,
    _folder: TempDir,
}

/// How the program ended, and what it wrote.
pub(crate) struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Running {
    pub(crate) async fn plain() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.listen = vec!["127.0.0.1:0".to_owned()];
        config.data = folder.path().to_owned();
        change(&mut config);
        let server = Server::start(&config).await.unwrap();
        let url = format!("http://{}", server.addresses()[0]);
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { url, stop, run, _folder: folder }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.run.await.unwrap();
    }

    /// Runs the program for this server.
    pub(crate) async fn taskhub(&self, arguments: &[&str]) -> Ended {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--server", &self.url]);
        taskhub(&arguments).await
    }

    /// Runs it and expects it to end well; what it wrote.
    pub(crate) async fn well(&self, arguments: &[&str]) -> String {
        let ended = self.taskhub(arguments).await;
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.err);
        ended.out
    }

    /// Runs it and reads the JSON objects that it writes, one per line.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let out = self.well(arguments).await;
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A worker that ends every orchestration in its first turn: `fails` with a failure, any other
    /// one with its own input.
    pub(crate) async fn worker(&self) -> JoinHandle<()> {
        let endpoint = Endpoint::from_shared(self.url.clone()).unwrap();
        let mut client = TaskHubSidecarServiceClient::new(endpoint.connect().await.unwrap());
        let asked = GetWorkItemsRequest::default();
        let mut items = client.get_work_items(asked).await.unwrap().into_inner();
        tokio::spawn(async move {
            while let Ok(Some(item)) = items.message().await {
                serve(&mut client, item.request, item.completion_token).await;
            }
        })
    }
}

async fn serve(
    client: &mut TaskHubSidecarServiceClient<Channel>,
    request: Option<Request>,
    completion_token: String,
) {
    let Some(Request::OrchestratorRequest(request)) = request else { return };
    let events = request.past_events.iter().chain(&request.new_events);
    let mut started = events.filter_map(|event| match &event.event_type {
        Some(EventType::ExecutionStarted(started)) => Some(started),
        _ => None,
    });
    let started = started.next_back().unwrap().clone();
    let complete = if started.name == "fails" { failed() } else { returned(started.input) };
    let action = OrchestratorAction {
        id: 0,
        orchestrator_action_type: Some(OrchestratorActionType::CompleteOrchestration(complete)),
    };
    let response = OrchestratorResponse {
        instance_id: request.instance_id,
        actions: vec![action],
        completion_token,
        ..OrchestratorResponse::default()
    };
    client.complete_orchestrator_task(response).await.unwrap();
}

fn returned(result: Option<String>) -> CompleteOrchestrationAction {
    CompleteOrchestrationAction {
        orchestration_status: OrchestrationStatus::Completed.into(),
        result,
        ..CompleteOrchestrationAction::default()
    }
}

fn failed() -> CompleteOrchestrationAction {
    CompleteOrchestrationAction {
        orchestration_status: OrchestrationStatus::Failed.into(),
        failure_details: Some(TaskFailureDetails {
            error_type: "Broken".to_owned(),
            error_message: "no good".to_owned(),
            ..TaskFailureDetails::default()
        }),
        ..CompleteOrchestrationAction::default()
    }
}

/// Runs the program, without the variables that somebody may have set.
pub(crate) async fn taskhub(arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskhub"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TASKHUB_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
