//! A function without its attribute is called.
use taskhub::prelude::*;

async fn charge(amount: u64) -> Result<u64> {
    Ok(amount)
}

#[orchestration]
async fn order(ctx: Context, amount: u64) -> Result<u64> {
    //~ mark the function with #[activity] or #[orchestration]
    ctx.call(charge, amount).await
}
