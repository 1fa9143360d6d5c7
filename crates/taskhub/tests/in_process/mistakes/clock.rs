//! An orchestration asks the clock.
use taskhub::prelude::*;

#[orchestration]
async fn order(ctx: Context) -> Result<bool> {
    //~ use `ctx.now()`
    let late = std::time::SystemTime::now() > std::time::UNIX_EPOCH;
    ctx.sleep(std::time::Duration::from_secs(1)).await;
    Ok(late)
}
