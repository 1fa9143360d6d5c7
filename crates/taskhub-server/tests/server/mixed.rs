//! Results and work given back with a token that is that of other work.

use taskhub_wire::proto::{
    AbandonActivityTaskRequest, AbandonEntityTaskRequest, AbandonOrchestrationTaskRequest,
    ActivityResponse, EntityBatchResult, GetWorkItemsRequest, OrchestratorResponse,
    SignalEntityRequest, WorkItem, work_item::Request as Work,
};
use tonic::{Code, Status, Streaming};

use crate::{
    actions::scheduled,
    running::{Client, Running, start},
};

async fn next(work: &mut Streaming<WorkItem>) -> (Work, String) {
    loop {
        let item = work.message().await.unwrap().unwrap();
        match item.request.unwrap() {
            Work::HealthPing(_) => {}
            request => return (request, item.completion_token),
        }
    }
}

/// What a token may be sent as.
#[derive(Debug, Clone, Copy, PartialEq)]
enum As {
    Activity,
    Turn,
    Operations,
}

impl As {
    const ALL: [Self; 3] = [Self::Activity, Self::Turn, Self::Operations];

    async fn bring(self, client: &mut Client, completion_token: String) -> Result<(), Status> {
        match self {
            Self::Activity => {
                let response = ActivityResponse { completion_token, ..Default::default() };
                client.complete_activity_task(response).await.map(drop)
            }
            Self::Turn => {
                let response = OrchestratorResponse { completion_token, ..Default::default() };
                client.complete_orchestrator_task(response).await.map(drop)
            }
            Self::Operations => {
                let response = EntityBatchResult { completion_token, ..Default::default() };
                client.complete_entity_task(response).await.map(drop)
            }
        }
    }

    async fn abandon(self, client: &mut Client, completion_token: String) -> Result<(), Status> {
        match self {
            Self::Activity => {
                let request = AbandonActivityTaskRequest { completion_token };
                client.abandon_task_activity_work_item(request).await.map(drop)
            }
            Self::Turn => {
                let request =
                    AbandonOrchestrationTaskRequest { completion_token, ..Default::default() };
                client.abandon_task_orchestrator_work_item(request).await.map(drop)
            }
            Self::Operations => {
                let request = AbandonEntityTaskRequest { completion_token };
                client.abandon_task_entity_work_item(request).await.map(drop)
            }
        }
    }

    /// Sends the token as anything else; its work can be given back, and comes again, after that.
    async fn survives(self, client: &mut Client, work: &mut Streaming<WorkItem>, token: String) {
        for other in Self::ALL.into_iter().filter(|it| *it != self) {
            for refused in [
                other.bring(client, token.clone()).await,
                other.abandon(client, token.clone()).await,
            ] {
                let refused = refused.unwrap_err();
                assert_eq!(refused.code(), Code::InvalidArgument, "{self:?} as {other:?}");
                assert!(refused.message().contains("completionToken"), "{refused}");
            }
        }
        self.abandon(client, token).await.unwrap();
        let (_, token) = next(work).await;
        self.bring(client, token).await.unwrap();
    }
}

async fn serve(client: &mut Client) -> Streaming<WorkItem> {
    client.get_work_items(GetWorkItemsRequest::default()).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_turn_stays_when_its_token_is_sent_as_that_of_something_else() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let mut work = serve(&mut client).await;
    client.start_instance(start("a")).await.unwrap();
    let (_, token) = next(&mut work).await;
    As::Turn.survives(&mut client, &mut work, token).await;
    drop(work);
    server.stop().await;
}

#[tokio::test]
async fn an_activity_stays_when_its_token_is_sent_as_that_of_something_else() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let mut work = serve(&mut client).await;
    client.start_instance(start("a")).await.unwrap();
    let (_, completion_token) = next(&mut work).await;
    let response = OrchestratorResponse {
        actions: vec![scheduled(0, "tell")],
        completion_token,
        ..Default::default()
    };
    client.complete_orchestrator_task(response).await.unwrap();
    let (given, token) = next(&mut work).await;
    assert!(matches!(given, Work::ActivityRequest(_)), "{given:?}");
    As::Activity.survives(&mut client, &mut work, token).await;
    drop(work);
    server.stop().await;
}

#[tokio::test]
async fn operations_stay_when_their_token_is_sent_as_that_of_something_else() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let mut work = serve(&mut client).await;
    let signal = SignalEntityRequest {
        instance_id: "@counter@a".to_owned(),
        name: "add".to_owned(),
        ..Default::default()
    };
    client.signal_entity(signal).await.unwrap();
    let (_, token) = next(&mut work).await;
    As::Operations.survives(&mut client, &mut work, token).await;
    drop(work);
    server.stop().await;
}

#[tokio::test]
#[expect(deprecated, reason = "older workers send chunks")]
async fn a_turn_comes_again_when_its_chunks_are_out_of_order() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let mut work = serve(&mut client).await;
    client.start_instance(start("a")).await.unwrap();
    let (_, completion_token) = next(&mut work).await;
    let chunk_index = Some(3);
    let chunk = OrchestratorResponse {
        completion_token,
        is_partial: true,
        chunk_index,
        ..Default::default()
    };
    let refused = client.complete_orchestrator_task(chunk).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let (_, token) = next(&mut work).await;
    As::Turn.bring(&mut client, token).await.unwrap();
    drop(work);
    server.stop().await;
}
