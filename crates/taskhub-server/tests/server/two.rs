//! Two servers on one database: what happens to a hub at the one, the other one hears of.

use std::time::Duration;

use taskhub_postgres::testing::Server as Database;
use taskhub_server::{Config, HubName};
use taskhub_wire::proto::{CreateTaskHubRequest, DeleteTaskHubRequest, GetWorkItemsRequest};
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status};

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
    /// Both have the hub `red`, with its partitions shared.
    async fn start() -> Self {
        let database = tokio::task::spawn_blocking(Database::start).await.unwrap();
        let database = database.expect("PostgreSQL is installed");
        let node = |config: &mut Config| {
            config.store = Some(database.url());
            config.cluster.secret = Some("a long random text".to_owned());
            config.cluster.lease_seconds = LEASE_SECONDS;
        };
        let servers = [Running::with(node).await, Running::with(node).await];
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
