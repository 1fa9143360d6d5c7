//! Two servers on one database: what happens to a hub at the one, the other one hears of.

use std::time::Duration;

use taskhub_postgres::testing::Server as Database;
use taskhub_server::{Config, HubName};
use taskhub_wire::proto::{
    CompleteOrchestrationAction, CreateTaskHubRequest, DeleteTaskHubRequest, GetWorkItemsRequest,
    OrchestrationStatus, OrchestratorAction, OrchestratorResponse, WorkItem,
    orchestrator_action::OrchestratorActionType as Do, work_item::Request as Work,
};
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status, Streaming};

use crate::running::{Client, Running, for_hub, get, start};

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);

/// Short leases: nodes hear of each other within a third of that.
const LEASE_SECONDS: u64 = 3;

struct Two {
    database: Database,
    servers: [Running; 2],
}

impl Two {
    /// One of them, which has all of the hub `red`.
    async fn first() -> (Database, Running) {
        let database = tokio::task::spawn_blocking(Database::start).await.unwrap();
        let database = database.expect("PostgreSQL is installed");
        let first = Running::with(node(&database)).await;
        first.hubs.hub(&red()).await.unwrap();
        (database, first)
    }

    /// Both have the hub, with its partitions shared.
    async fn start() -> Self {
        let (database, first) = Self::first().await;
        let servers = [first, Running::with(node(&database)).await];
        let two = Self { database, servers };
        two.share().await;
        two
    }

    /// Opens the hub at both, and waits until each has its share.
    async fn share(&self) {
        for server in &self.servers {
            server.hubs.hub(&red()).await.unwrap();
        }
        let hub = self.servers[0].hubs.hub(&red()).await.unwrap();
        let shared = async {
            loop {
                let members = hub.members().await.unwrap().expect("it is shared");
                let first = members.leases.first().map(|lease| lease.node.id.clone());
                let of_first =
                    members.leases.iter().filter(|it| Some(&it.node.id) == first.as_ref());
                if members.leases.len() == 32 && of_first.count() == 16 {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LONG, shared).await.expect("they share");
    }

    async fn stop(self) {
        for server in self.servers {
            server.stop().await;
        }
    }
}

fn node(database: &Database) -> impl FnOnce(&mut Config) + use<> {
    let url = database.url();
    |config| {
        config.store = Some(url);
        config.cluster.secret = Some("a long random text".to_owned());
        config.cluster.lease_seconds = LEASE_SECONDS;
    }
}

fn red() -> HubName {
    HubName::parse("red").unwrap()
}

/// Starts an instance, again as long as nothing happened: while the hub is found to be gone.
async fn begin(client: &mut Client, id: &str) {
    let begun = async {
        while let Err(status) = client.start_instance(for_hub("red", start(id))).await {
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, begun).await.expect("it is started in the end");
}

async fn is_there(client: &mut Client, id: &str) -> Result<bool, Status> {
    Ok(client.get_instance(for_hub("red", get(id))).await?.into_inner().exists)
}

#[tokio::test]
async fn a_hub_that_one_node_deletes_is_gone_on_the_others_too() {
    let two = Two::start().await;
    let [mut here, mut there] = [two.servers[0].client().await, two.servers[1].client().await];
    for number in 0..8 {
        begin(&mut here, &format!("old-{number}")).await;
    }
    let offer = for_hub("red", GetWorkItemsRequest::default());
    let mut work = there.get_work_items(offer).await.unwrap().into_inner();
    let waits = (0..8).map(|number| {
        let mut client = there.clone();
        let mut request: Request<_> = for_hub("red", get(&format!("old-{number}")));
        request.set_timeout(LONG);
        tokio::spawn(async move { client.wait_for_instance_completion(request).await })
    });
    let waits: Vec<_> = waits.collect();
    let hub = two.servers[1].hubs.hub(&red()).await.unwrap();
    while hub.held_requests() < 8 {
        sleep(Duration::from_millis(5)).await;
    }
    drop(hub);
    here.delete_task_hub(for_hub("red", DeleteTaskHubRequest {})).await.unwrap();

    for wait in waits {
        let ended = timeout(LONG, wait).await.expect("nobody waits for ever").unwrap();
        assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
    }
    let ends = async { while work.message().await.is_ok_and(|item| item.is_some()) {} };
    timeout(LONG, ends).await.expect("its workers hear so");
    begin(&mut there, "new").await;
    two.share().await;
    for client in [&mut here, &mut there] {
        assert!(is_there(client, "new").await.unwrap(), "both have the new one");
        assert!(!is_there(client, "old-1").await.unwrap(), "nobody has the old one");
    }
    let strays = "SELECT count(*) FROM taskhub.node WHERE hub NOT IN (SELECT key FROM taskhub.hub)";
    assert_eq!(two.database.psql(strays).unwrap(), "0");
    two.stop().await;
}

/// The worker is connected to one node all the time, and all instances begin there. Half of them
/// move to the other node while the worker has a turn of each: what it did counts only for those
/// that stayed, and the others come to it once more, lent by the node that has them now.
#[tokio::test]
async fn turns_whose_instances_moved_meanwhile_are_given_out_again_and_end_once() {
    let (database, first) = Two::first().await;
    let mut client = first.client().await;
    let offer = for_hub("red", GetWorkItemsRequest::default());
    let mut work = client.get_work_items(offer).await.unwrap().into_inner();
    let ids: Vec<_> = (0..16).map(|number| format!("moves-{number}")).collect();
    let mut in_hand = Vec::new();
    for id in &ids {
        begin(&mut client, id).await;
        in_hand.push(turn(&mut work).await);
    }
    let two = Two { servers: [first, Running::with(node(&database)).await], database };
    two.share().await;
    for (id, token) in in_hand {
        complete(&mut client, &id, token).await;
    }
    let mut there = two.servers[1].client().await;
    let ended = async {
        let (mut again, mut open) = (0, ids.clone());
        while !open.is_empty() {
            tokio::select! {
                (id, token) = turn(&mut work) => {
                    complete(&mut client, &id, token).await;
                    again += 1;
                }
                () = sleep(Duration::from_millis(50)) => {}
            }
            let mut left = Vec::new();
            for id in open {
                let state = there.get_instance(for_hub("red", get(&id))).await.unwrap();
                let state = state.into_inner().orchestration_state.unwrap();
                match state.orchestration_status() {
                    OrchestrationStatus::Completed => {
                        assert_eq!(state.output.as_deref(), Some("\"done\""));
                    }
                    _ => left.push(id),
                }
            }
            open = left;
        }
        again
    };
    let again = timeout(LONG, ended).await.expect("all of them end");
    assert!(again > 0 && again < ids.len(), "{again} of {} moved", ids.len());
    two.stop().await;
}

/// The next turn that a worker is given: of which instance, and by which token it is handed back.
async fn turn(work: &mut Streaming<WorkItem>) -> (String, String) {
    loop {
        let item = work.message().await.unwrap().expect("it goes on");
        if let Some(Work::OrchestratorRequest(turn)) = item.request {
            return (turn.instance_id, item.completion_token);
        }
    }
}

/// Its code returns.
async fn complete(client: &mut Client, id: &str, completion_token: String) {
    let end = CompleteOrchestrationAction {
        orchestration_status: OrchestrationStatus::Completed.into(),
        result: Some("\"done\"".to_owned()),
        ..Default::default()
    };
    let action = OrchestratorAction {
        id: 0,
        orchestrator_action_type: Some(Do::CompleteOrchestration(end)),
    };
    let response = OrchestratorResponse {
        instance_id: id.to_owned(),
        actions: vec![action],
        completion_token,
        ..OrchestratorResponse::default()
    };
    let done = client.complete_orchestrator_task(for_hub("red", response)).await;
    // Its partition may be on its way just now; then it is given out again.
    let is_moving = |status: &Status| status.code() == Code::Unavailable;
    assert!(done.as_ref().err().is_none_or(is_moving), "{done:?}");
}

/// However it is made anew, and at which node: all nodes come to have the same one.
#[tokio::test]
async fn a_hub_that_one_node_makes_anew_is_the_same_on_all() {
    let two = Two::start().await;
    let [mut here, mut there] = [two.servers[0].client().await, two.servers[1].client().await];
    begin(&mut there, "old").await;
    let anew = CreateTaskHubRequest { recreate_if_exists: true };
    here.create_task_hub(for_hub("red", anew)).await.unwrap();
    begin(&mut here, "new").await;
    let seen = async {
        while !is_there(&mut there, "new").await.unwrap_or_default() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, seen).await.expect("it hears of the new one");
    assert!(!is_there(&mut there, "old").await.unwrap());
    begin(&mut there, "newer").await;
    two.share().await;
    assert!(is_there(&mut here, "newer").await.unwrap());
    two.stop().await;
}
