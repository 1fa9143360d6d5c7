//! A worker that keeps the code of an instance runs its next turn with the result of its activity.

use std::time::Duration;

use crate::serving::Serving;
use taskhub::prelude::*;

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);

#[activity]
async fn text_of(bytes: usize) -> Result<String> {
    Ok("x".repeat(bytes))
}

/// Calls activities, one after the other; how many bytes came, and why none did.
#[orchestration]
async fn chain(ctx: Context, sizes: Vec<usize>) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for size in sizes {
        let text = ctx.call(text_of, size).await;
        said.push(text.map_or_else(|why| why.kind().to_owned(), |it| it.len().to_string()));
    }
    Ok(said)
}

/// What a chain says over this server, and how often something was written for it.
async fn run(server: &Serving, sizes: Vec<usize>) -> (Vec<String>, u64) {
    let host = Host::builder().orchestration(chain).activity(text_of).connect(server.url());
    let host = host.build().expect("nothing is missing");
    let run = host.client().start(chain, sizes).await.expect("started");
    let said = run.wait(LONG).await.expect("it ends");
    host.stop().await;
    (said, server.hub().await.tally().changes)
}

#[tokio::test(flavor = "multi_thread")]
async fn results_come_with_the_turns_that_take_them() {
    let server = Serving::start().await;
    let (said, written) = run(&server, vec![7; 50]).await;
    assert_eq!(said, ["7"; 50]);
    // Each activity by itself would be written twice: its end, and the turn that takes that. One
    // that takes long is, too.
    assert!((52..80).contains(&written), "{written} times");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_saw_what_is_not_kept_sees_what_is() {
    let server = Serving::with(|config| config.limits.payload_bytes = 1_000).await;
    let (said, written) = run(&server, vec![7, 2_000, 7]).await;
    assert_eq!(said, ["7", "PayloadTooLarge", "7"]);
    assert!((6..=8).contains(&written), "{written} times: the large one is a turn by itself");
    server.stop().await;
}
