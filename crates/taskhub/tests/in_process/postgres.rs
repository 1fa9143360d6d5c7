//! A program whose hub is in PostgreSQL.

use std::time::Duration;

use axum::{body::Body, extract::Request, handler::Handler as _};
use taskhub::{Cluster, PostgresStore, prelude::*};
use taskhub_postgres::testing::Server;

const REPLY: Event<String> = Event::new("reply");

#[orchestration]
async fn weather(ctx: Context, city: String) -> Result<String> {
    ctx.call(publish, city).await?;
    ctx.event(REPLY).await
}

#[activity]
async fn publish(city: String) -> Result<()> {
    assert_eq!(city, "Bonn");
    Ok(())
}

fn host(url: &str) -> Host {
    node(url, "http://127.0.0.1:1")
}

fn node(url: &str, address: &str) -> Host {
    let store = PostgresStore::connect(url).expect("the server runs");
    // Leases last until the next process may claim what one has left without a word.
    let cluster = Cluster::new(address, "nobody asks").ttl(Duration::from_secs(2));
    let host = Host::builder().store(store).cluster(cluster);
    let host = host.orchestration(weather).activity(publish);
    host.build().expect("the hub is free")
}

/// What one process began another one ends; both found the hub by its address alone.
#[tokio::test]
async fn an_orchestration_outlives_its_process_in_a_database() {
    let server = tokio::task::spawn_blocking(Server::start).await.expect("it does not panic");
    let server = server.expect("PostgreSQL is installed");
    let first = host(&server.url());
    let started = first.client().start(weather, "Bonn".to_owned()).id("order-17").await;
    started.expect("the id is free");
    first.stop().await;

    let second = host(&server.url());
    let order = second.client().instance("order-17").of(weather);
    order.raise(REPLY, "rain".to_owned()).await.expect("it waits");
    assert_eq!(order.wait(Duration::from_mins(1)).await.expect("it ends"), "rain");
    let ended = server.psql("SELECT status, output FROM taskhub.instances").expect("psql works");
    assert_eq!(ended, "Completed|\"rain\"");
    second.stop().await;
}

/// A backup of a running host is restored on another server, and a host goes on there from what was
/// saved; the first one goes on too, and neither knows of the other.
#[tokio::test]
async fn a_host_goes_on_from_a_backup_on_another_server() {
    let servers = tokio::task::spawn_blocking(|| [Server::start(), Server::start()]);
    let [from, to] =
        servers.await.expect("it does not panic").map(|it| it.expect("PostgreSQL is installed"));
    let first = host(&from.url());
    for id in ["order-17", "order-18"] {
        let started = first.client().start(weather, "Bonn".to_owned()).id(id).await;
        started.expect("the id is free");
    }
    let folder = tempfile::tempdir().expect("there is room");
    let dump = folder.path().join("hubs.dump");
    let dumped = from
        .program("pg_dump")
        .args(["--schema=taskhub", "--format=custom", "--file"])
        .arg(&dump)
        .arg("postgres")
        .status();
    assert!(dumped.expect("pg_dump runs").success());
    let order = first.client().instance("order-17").of(weather);
    order.raise(REPLY, "rain".to_owned()).await.expect("it waits");
    assert_eq!(order.wait(Duration::from_mins(1)).await.expect("it ends"), "rain");

    let restored = to
        .program("pg_restore")
        .args(["--clean", "--if-exists", "--dbname=postgres"])
        .arg(&dump)
        .status();
    assert!(restored.expect("pg_restore runs").success());
    // The leases of the first host were saved as well: the second one waits until they run out.
    let second = host(&to.url());
    for (id, reply) in [("order-17", "snow"), ("order-18", "sun")] {
        let order = second.client().instance(id).of(weather);
        order.raise(REPLY, reply.to_owned()).await.expect("it waits again");
        assert_eq!(order.wait(Duration::from_mins(1)).await.expect("it ends"), reply);
    }
    first.stop().await;
    second.stop().await;
}

/// Whoever holds a request waits for its instance: the node that was asked has it itself, so
/// nothing about it goes from node to node.
#[tokio::test]
async fn what_a_gateway_starts_lives_on_its_own_node() {
    let server = tokio::task::spawn_blocking(Server::start).await.expect("it does not panic");
    let server = server.expect("PostgreSQL is installed");
    let nodes = [1, 2].map(|port| node(&server.url(), &format!("http://127.0.0.1:{port}")));
    let shares = "SELECT count(*) FROM taskhub.lease GROUP BY address HAVING count(*) = 16";
    while server.psql(shares).expect("psql works") != "16\n16" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let gateway = sync_over_async(weather).within(Duration::from_millis(1));
    for (node, port) in nodes.iter().zip([1, 2]) {
        for _ in 0..10 {
            node.client().start(weather, "Bonn".to_owned()).here().await.expect("it is new");
            let request = Request::post("/").body(Body::from("\"Bonn\"")).expect("a request");
            let held = gateway.clone().call(request, node.client().clone()).await;
            assert_eq!(held.status(), 500, "nobody replies in time");
        }
        let here = "SELECT count(*) FROM taskhub.instance \
            JOIN taskhub.lease USING (hub, partition) WHERE address LIKE '%:PORT'";
        let here = server.psql(&here.replace("PORT", &port.to_string())).expect("psql works");
        assert_eq!(here, "20", "those of port {port}");
    }
    for node in nodes {
        node.stop().await;
    }
}
