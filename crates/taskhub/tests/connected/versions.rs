//! Versions over a server: each instance is run by a worker that has the right code for it.

use std::time::Duration;

use crate::serving::Serving;
use taskhub::{HostBuilder, InstanceId, Versions, prelude::*};

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);
const GO: Event<()> = Event::new("go");

#[orchestration(name = "order", version = "2")]
async fn second(ctx: Context) -> Result<String> {
    ctx.event(GO).await?;
    Ok("second".to_owned())
}

#[orchestration(name = "order", version = "10")]
async fn tenth(ctx: Context) -> Result<String> {
    ctx.event(GO).await?;
    Ok("tenth".to_owned())
}

fn worker(server: &Serving, rule: Versions) -> HostBuilder {
    Host::builder().versions(rule).connect(server.url())
}

/// Starts an order of this version, which has what it waits for from the beginning.
async fn order(hub: &Client, version: &str) -> InstanceId {
    let run = hub.start(second, ()).version(version).raise(GO, ()).await.expect("it starts");
    run.id().expect("it has one").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_runs_what_is_older_and_leaves_what_is_newer_to_others() {
    let server = Serving::start().await;
    let old = worker(&server, Versions::current_or_older()).orchestration(second);
    let old = old.build().expect("nothing is missing");
    let hub = old.client();
    let (first, newer) = (order(hub, "1").await, order(hub, "9").await);
    let newer = hub.instance(newer).of(second);
    assert_eq!(hub.instance(first).of(second).wait(LONG).await, Ok("second".to_owned()));

    // The newer one it gives back, again and again.
    let new = worker(&server, Versions::current_or_older()).orchestration(tenth);
    let new = new.build().expect("nothing is missing");
    assert_eq!(newer.wait(LONG).await, Ok("tenth".to_owned()));
    for host in [old, new] {
        host.stop().await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_may_run_any_version_or_fail_what_it_does_not_know() {
    let server = Serving::start().await;
    let any = worker(&server, Versions::any()).orchestration(second).orchestration(tenth);
    let any = any.build().expect("nothing is missing");
    let run = order(any.client(), "77").await;
    assert_eq!(any.client().instance(run).of(tenth).wait(LONG).await, Ok("tenth".to_owned()));
    any.stop().await;

    let matching = worker(&server, Versions::matching().or_fail()).orchestration(second);
    let matching = matching.build().expect("nothing is missing");
    let run = order(matching.client(), "77").await;
    let status = matching.client().instance(run).ended(LONG).await.expect("it ends");
    assert_eq!(status.failure().expect("it failed").kind(), Failure::VERSION_MISMATCH);
    matching.stop().await;
    server.stop().await;
}
