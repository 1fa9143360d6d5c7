//! A hub that is deleted while workers have their streams to it.

use std::time::Duration;

use taskhub_wire::proto::{
    CreateTaskHubRequest, DeleteTaskHubRequest, GetWorkItemsRequest, WorkItem,
    work_item::Request as Work,
};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::running::{Client, Running, for_hub, start};

async fn worker(client: &mut Client) -> Streaming<WorkItem> {
    let offer = for_hub("red", GetWorkItemsRequest::default());
    client.get_work_items(offer).await.unwrap().into_inner()
}

/// The next turn that a worker is given, or how its stream ended.
async fn next(stream: &mut Streaming<WorkItem>) -> Result<Option<String>, Status> {
    let patience = Duration::from_secs(20);
    loop {
        let item = timeout(patience, stream.message()).await.expect("something comes")?;
        match item.map(|item| item.request) {
            None => return Ok(None),
            Some(Some(Work::OrchestratorRequest(turn))) => return Ok(Some(turn.instance_id)),
            Some(_) => {}
        }
    }
}

#[tokio::test]
async fn the_workers_of_a_hub_that_is_deleted_hear_so_and_work_for_the_next_of_its_name() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    for id in ["a", "b"] {
        let mut work = worker(&mut client).await;
        client.start_instance(for_hub("red", start(id))).await.unwrap();
        assert_eq!(next(&mut work).await.unwrap().as_deref(), Some(id));
        if id == "a" {
            client.delete_task_hub(for_hub("red", DeleteTaskHubRequest {})).await.unwrap();
        } else {
            let anew = CreateTaskHubRequest { recreate_if_exists: true };
            client.create_task_hub(for_hub("red", anew)).await.unwrap();
        }
        assert_eq!(next(&mut work).await.unwrap_err().code(), Code::Unavailable);
    }
    server.stop().await;
}
