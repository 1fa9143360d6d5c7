//! Hubs in a database instead of folders.

use taskhub_postgres::testing::Server as Database;
use taskhub_server::{Config, HubName, Server};

use crate::running::{Running, for_hub, start, state};

/// They are made, found again by the next server, and deleted, as those in folders are.
#[tokio::test]
async fn hubs_are_kept_in_a_database() {
    let database = tokio::task::spawn_blocking(Database::start).await.unwrap();
    let database = database.expect("PostgreSQL is installed");
    let url = database.url();
    let server = Running::with(|config| config.store = Some(url.clone())).await;
    let mut client = server.client().await;
    client.start_instance(start("order-17")).await.unwrap();
    client.start_instance(for_hub("orders", start("order-18"))).await.unwrap();
    let folder = server.stop().await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no folder is needed");

    let server = Running::again(folder, |config| config.store = Some(url)).await;
    let orders = HubName::parse("orders").unwrap();
    assert_eq!(server.hubs.names(), [HubName::default(), orders.clone()]);
    let mut client = server.client().await;
    assert!(state(&mut client, "order-17").await.unwrap().is_some());
    assert!(state(&mut client, "order-18").await.unwrap().is_none(), "it is in the other hub");
    server.hubs.delete(&orders).await.unwrap();
    let rows = database.psql("SELECT name FROM taskhub.hub").unwrap();
    assert_eq!(rows, "default");
    server.stop().await;
}

/// Without its database a server does not start, and says why.
#[tokio::test]
async fn a_database_that_cannot_be_reached_is_an_error() {
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".to_owned()];
    config.store = Some("postgres://me@127.0.0.1:1/none".to_owned());
    let error = Server::start(&config).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("the database cannot be reached"), "{error}");
}
