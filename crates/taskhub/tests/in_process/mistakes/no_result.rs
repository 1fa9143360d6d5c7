//! An orchestration returns no result.
use taskhub::prelude::*;

#[orchestration]
//~ write `Result<..>` around it
async fn order(ctx: Context, amount: u64) -> u64 {
    ctx.sleep(std::time::Duration::from_secs(amount)).await;
    amount
}
