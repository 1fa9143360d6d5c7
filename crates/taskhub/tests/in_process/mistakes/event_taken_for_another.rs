//! An event is taken for another type than it has.
use taskhub::prelude::*;

const APPROVED: Event<bool> = Event::new("approved");

#[orchestration]
async fn order(ctx: Context) -> Result<String> {
    //~ expected `Result<String, Failure>`, found `Result<bool, Failure>`
    ctx.event(APPROVED).await
}
