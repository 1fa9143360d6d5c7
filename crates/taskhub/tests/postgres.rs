//! A program whose hub is in PostgreSQL.

use std::time::Duration;

use taskhub::{PostgresStore, prelude::*};
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
    let store = PostgresStore::connect(url).expect("the server runs");
    let host = Host::builder().store(store).orchestration(weather).activity(publish);
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
