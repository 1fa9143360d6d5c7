//! Early events, starts with an event, updates, versions and HTTP calls on a hub that a server has.

use std::time::Duration;

use crate::serving::Serving;
use axum::{Router, http::StatusCode};
use taskhub::{
    Host, RaiseError, StartError, UpdateError,
    http::{HttpCalls, HttpRequest},
    prelude::*,
};

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);
const ITEM: Event<String> = Event::new("item");
const COUNT: Update<(), usize> = Update::new("count");

/// Collects so many items, and says how many there are.
#[orchestration]
async fn cart(ctx: Context, size: usize) -> Result<Vec<String>> {
    let mut items = Vec::new();
    while items.len() < size {
        tokio::select! {
            item = ctx.event(ITEM) => items.push(item?),
            asked = ctx.update(COUNT) => asked?.answer(items.len()),
        }
    }
    Ok(items)
}

#[orchestration]
async fn changed(ctx: Context) -> Result<u32> {
    let before = ctx.version("change", 0..=3);
    ctx.event(ITEM).await?;
    assert_eq!(ctx.version("change", 0..=3), before);
    Ok(before)
}

/// Asks a job how far it is, and starts another orchestration.
#[orchestration]
async fn polls(ctx: Context) -> Result<String> {
    ctx.start(cart, 1).id("detached").tag("by", "polls").await?;
    let answer = ctx.call_http(HttpRequest::get("http://jobs.example.com/")).await?;
    Ok(answer.content)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_early_or_wants_an_answer_goes_over_the_wire() {
    let server = Serving::start().await;
    let service = Router::new()
        .route(
            "/",
            get(|| async { (StatusCode::ACCEPTED, [("location", "/done"), ("retry-after", "0")]) }),
        )
        .route("/done", get(|| async { "done" }));
    let builder = Host::builder().orchestration(cart).orchestration(changed).orchestration(polls);
    let builder = builder.state(HttpCalls::answered_by(service)).connect(server.url());
    let host = builder.build().expect("nothing is missing");
    let hub = host.client();

    let early = hub.instance("cart");
    early.raise_early(ITEM, "pen".to_owned(), LONG).await.expect("it is kept");
    let lost = early.raise(ITEM, "ink".to_owned()).await;
    assert!(matches!(lost, Err(RaiseError::NotFound(_))), "{lost:?}");
    let run = hub.start(cart, 3).id("cart").raise(ITEM, "ink".to_owned()).await.expect("started");
    while run.update(COUNT, ()).await.expect("it answers") < 2 {}
    hub.start(cart, 3).id("cart").raise(ITEM, "cap".to_owned()).await.expect("it is there");
    assert_eq!(run.wait(LONG).await.expect("it ends"), ["pen", "ink", "cap"]);
    let ended = run.update(COUNT, ()).await;
    assert!(matches!(ended, Err(UpdateError::Ended(..))), "{ended:?}");
    let late = hub.start(cart, 3).id("cart").join().raise(ITEM, "cap".to_owned()).await;
    assert!(matches!(late, Err(StartError::Ended(..))), "{late:?}");

    let run = hub.start(changed, ()).await.expect("started");
    run.raise(ITEM, String::new()).await.expect("it waits");
    assert_eq!(run.wait(LONG).await, Ok(3));
    let run = hub.start(polls, ()).await.expect("started");
    assert_eq!(run.wait(LONG).await.as_deref(), Ok("done"));
    let detached = hub.instance("detached").of(cart);
    detached.raise(ITEM, "x".to_owned()).await.expect("it waits");
    assert_eq!(detached.wait(LONG).await.expect("it ends"), ["x"]);
    host.stop().await;
    server.stop().await;
}
