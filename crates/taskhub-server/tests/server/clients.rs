//! What clients do to instances.

use std::time::Duration;

use taskhub_wire::proto::{
    CreateInstanceRequest, CreateOrchestrationAction, CreateTaskHubRequest, DeleteTaskHubRequest,
    InstanceBatch, OrchestrationIdReusePolicy, OrchestrationStatus, RaiseEventRequest,
    ResumeRequest, SkipGracefulOrchestrationTerminationsRequest, SuspendRequest, TerminateRequest,
};
use tonic::{Code, Request};

use crate::running::{Client, Running, for_hub, get, start, state};

fn terminate(id: &str) -> TerminateRequest {
    TerminateRequest {
        instance_id: id.to_owned(),
        output: Some("enough".to_owned()),
        recursive: true,
    }
}

async fn code(client: &mut Client, request: CreateInstanceRequest) -> Code {
    client.start_instance(request).await.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn an_instance_keeps_what_it_was_started_with() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    client.hello(()).await.unwrap();
    let request = CreateInstanceRequest {
        version: Some("2".to_owned()),
        tags: [("team".to_owned(), "blue".to_owned())].into(),
        scheduled_start_timestamp: Some(prost_types::Timestamp {
            seconds: 4_000_000_000,
            nanos: 500,
        }),
        ..start("order-17")
    };
    client.start_instance(request).await.unwrap();
    let state = state(&mut client, "order-17").await.unwrap().unwrap();
    assert_eq!(state.orchestration_status(), OrchestrationStatus::Pending);
    assert_eq!((state.name.as_str(), state.version.as_deref()), ("charge", Some("2")));
    assert_eq!(state.input.as_deref(), Some("7"));
    assert_eq!(state.tags["team"], "blue");
    let at = state.scheduled_start_timestamp.map(|at| (at.seconds, at.nanos));
    assert_eq!(at, Some((4_000_000_000, 1_000)));
    server.stop().await;
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    let server = Running::plain().await;
    server.client().await.start_instance(for_hub("other", start("a"))).await.unwrap();
    let folder = server.stop().await;
    let server = Running::again(folder, |_| {}).await;
    assert_eq!(server.hubs.names().len(), 2, "what was under way goes on without being asked");
    let found = server.client().await.get_instance(for_hub("other", get("a"))).await.unwrap();
    assert!(found.into_inner().exists);
    server.stop().await;
}

#[tokio::test]
async fn an_instance_without_an_id_gets_one() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let id = client.start_instance(start("")).await.unwrap().into_inner().instance_id;
    assert!(state(&mut client, &id).await.unwrap().is_some());
    server.stop().await;
}

#[tokio::test]
async fn an_id_is_used_again_only_as_the_policy_says() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let with = |statuses: &[OrchestrationStatus], action: Option<CreateOrchestrationAction>| {
        CreateInstanceRequest {
            orchestration_id_reuse_policy: Some(OrchestrationIdReusePolicy {
                replaceable_status: statuses.iter().map(|status| (*status).into()).collect(),
                action: action.map(Into::into),
            }),
            ..start("a")
        }
    };
    assert_eq!(code(&mut client, start("a")).await, Code::Ok);
    assert_eq!(code(&mut client, start("a")).await, Code::AlreadyExists);
    client.terminate_instance(terminate("a")).await.unwrap();
    assert_eq!(code(&mut client, with(&[], None)).await, Code::AlreadyExists);
    let failed = with(&[OrchestrationStatus::Failed], None);
    assert_eq!(code(&mut client, failed).await, Code::AlreadyExists);
    let terminated = with(&[OrchestrationStatus::Terminated], None);
    assert_eq!(code(&mut client, terminated).await, Code::Ok);
    client.terminate_instance(terminate("a")).await.unwrap();
    assert_eq!(code(&mut client, start("a")).await, Code::Ok, "without a policy");
    let running = with(&[OrchestrationStatus::Pending, OrchestrationStatus::Running], None);
    assert_eq!(code(&mut client, running).await, Code::InvalidArgument);
    let pending = [OrchestrationStatus::Pending];
    let refused = with(&pending, Some(CreateOrchestrationAction::Error));
    assert_eq!(code(&mut client, refused).await, Code::AlreadyExists);
    let before = state(&mut client, "a").await.unwrap().unwrap().execution_id;
    let ignored = with(&pending, Some(CreateOrchestrationAction::Ignore));
    assert_eq!(code(&mut client, ignored).await, Code::Ok);
    assert_eq!(state(&mut client, "a").await.unwrap().unwrap().execution_id, before);
    let replaced = with(&pending, Some(CreateOrchestrationAction::Terminate));
    assert_eq!(code(&mut client, replaced).await, Code::Ok);
    assert_ne!(state(&mut client, "a").await.unwrap().unwrap().execution_id, before);
    server.stop().await;
}

#[tokio::test]
async fn a_wait_is_answered_when_the_instance_ends() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    client.start_instance(start("a")).await.unwrap();
    let waiting = {
        let mut client = client.clone();
        tokio::spawn(async move { client.wait_for_instance_completion(get("a")).await })
    };
    client.terminate_instance(terminate("a")).await.unwrap();
    let state = waiting.await.unwrap().unwrap().into_inner().orchestration_state.unwrap();
    assert_eq!(state.orchestration_status(), OrchestrationStatus::Terminated);
    assert_eq!(state.output.as_deref(), Some("enough"));
    let started = client.wait_for_instance_start(get("a")).await.unwrap();
    assert!(started.into_inner().exists, "what has ended has started");
    server.stop().await;
}

#[tokio::test]
async fn a_wait_ends_with_its_deadline_and_frees_its_place() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    client.start_instance(start("a")).await.unwrap();
    let mut request = Request::new(get("a"));
    request.set_timeout(Duration::from_millis(50));
    let error = client.wait_for_instance_completion(request).await.unwrap_err();
    assert!(matches!(error.code(), Code::DeadlineExceeded | Code::Cancelled), "{error}");
    let waiting = tokio::time::timeout(
        Duration::from_millis(50),
        client.wait_for_instance_completion(get("a")),
    );
    assert!(waiting.await.is_err());
    let hub = server.hubs.hub(&server.hubs.names()[0]).await.unwrap();
    while hub.held_requests() > 0 {
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wait_for_an_instance_that_comes_later_is_answered() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let waiting = {
        let mut client = client.clone();
        tokio::spawn(async move { client.wait_for_instance_completion(get("later")).await })
    };
    client.start_instance(start("later")).await.unwrap();
    client.terminate_instance(terminate("later")).await.unwrap();
    assert!(waiting.await.unwrap().unwrap().into_inner().exists);
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_instance_does_not_exist_which_is_an_error_only_for_those_who_tell_it_something()
{
    let server = Running::plain().await;
    let mut client = server.client().await;
    assert_eq!(state(&mut client, "nobody").await.unwrap(), None);
    client.terminate_instance(terminate("nobody")).await.unwrap();
    let (instance_id, name) = ("nobody".to_owned(), "go".to_owned());
    let raise =
        RaiseEventRequest { instance_id: instance_id.clone(), name, input: None, keep_until: None };
    let suspend = SuspendRequest { instance_id: instance_id.clone(), reason: None };
    let resume = ResumeRequest { instance_id, reason: None };
    assert_eq!(client.raise_event(raise).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client.suspend_instance(suspend).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client.resume_instance(resume).await.unwrap_err().code(), Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn an_instance_that_has_ended_takes_everything_and_does_nothing() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    client.start_instance(start("a")).await.unwrap();
    client.terminate_instance(terminate("a")).await.unwrap();
    let before = state(&mut client, "a").await.unwrap();
    let (instance_id, name) = ("a".to_owned(), "go".to_owned());
    let raise =
        RaiseEventRequest { instance_id: instance_id.clone(), name, input: None, keep_until: None };
    client.raise_event(raise).await.unwrap();
    let suspend = SuspendRequest { instance_id: instance_id.clone(), reason: None };
    client.suspend_instance(suspend).await.unwrap();
    client.resume_instance(ResumeRequest { instance_id, reason: None }).await.unwrap();
    client.terminate_instance(terminate("a")).await.unwrap();
    assert_eq!(state(&mut client, "a").await.unwrap(), before);
    server.stop().await;
}

#[tokio::test]
async fn two_hubs_with_the_same_ids_do_not_mix() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    client.start_instance(for_hub("red", start("a"))).await.unwrap();
    client.start_instance(for_hub("blue", start("a"))).await.unwrap();
    client.terminate_instance(for_hub("red", terminate("a"))).await.unwrap();
    let mut statuses = Vec::new();
    for hub in ["red", "blue"] {
        let found = client.get_instance(for_hub(hub, get("a"))).await.unwrap().into_inner();
        statuses.push(found.orchestration_state.unwrap().completed_timestamp.is_some());
    }
    assert_eq!(statuses, [true, false]);
    assert_eq!(state(&mut client, "a").await.unwrap(), None, "none means the default one");
    let mut request = Request::new(get("a"));
    request.metadata_mut().insert("durable-taskhub", "red".parse().unwrap());
    assert!(client.get_instance(request).await.unwrap().into_inner().exists);
    server.stop().await;
}

#[tokio::test]
async fn a_hub_that_is_deleted_is_empty_afterwards_and_no_other_is() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    for hub in ["red", "blue"] {
        client.create_task_hub(for_hub(hub, CreateTaskHubRequest::default())).await.unwrap();
        client.start_instance(for_hub(hub, start("a"))).await.unwrap();
    }
    client.delete_task_hub(for_hub("red", DeleteTaskHubRequest {})).await.unwrap();
    assert!(!server.folder.path().join("red").exists());
    let red = client.get_instance(for_hub("red", get("a"))).await.unwrap().into_inner();
    let keep = CreateTaskHubRequest { recreate_if_exists: false };
    client.create_task_hub(for_hub("blue", keep)).await.unwrap();
    let blue = client.get_instance(for_hub("blue", get("a"))).await.unwrap().into_inner();
    assert_eq!((red.exists, blue.exists), (false, true));
    let anew = CreateTaskHubRequest { recreate_if_exists: true };
    client.create_task_hub(for_hub("blue", anew)).await.unwrap();
    let blue = client.get_instance(for_hub("blue", get("a"))).await.unwrap().into_inner();
    assert!(!blue.exists);
    server.stop().await;
}

#[tokio::test]
async fn a_batch_with_an_id_that_is_none_ends_nobody() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    client.start_instance(start("a")).await.unwrap();
    let batch = InstanceBatch { instance_ids: vec!["a".to_owned(), "b/c".to_owned()] };
    let request = SkipGracefulOrchestrationTerminationsRequest {
        instance_batch: Some(batch),
        ..Default::default()
    };
    let refused = client.skip_graceful_orchestration_terminations(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let state = state(&mut client, "a").await.unwrap().unwrap();
    assert_eq!(state.orchestration_status(), OrchestrationStatus::Pending);
    server.stop().await;
}
