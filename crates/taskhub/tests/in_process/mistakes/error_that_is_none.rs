//! An orchestration fails with what is no error.
use taskhub::prelude::*;

//~ cannot fail with `String`
#[orchestration]
async fn order(ctx: Context, amount: u64) -> Result<u64, String> {
    ctx.sleep(std::time::Duration::from_secs(amount)).await;
    Err("sold out".to_owned())
}
