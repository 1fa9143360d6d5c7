//! A call has another input than the function takes.
use taskhub::prelude::*;

#[activity]
async fn charge(amount: u64) -> Result<u64> {
    Ok(amount)
}

#[orchestration]
async fn order(ctx: Context) -> Result<u64> {
    //~ expected `u64`, found `&str`
    ctx.call(charge, "five").await
}
