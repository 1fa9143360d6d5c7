//! The input of an orchestration cannot be stored.
use taskhub::prelude::*;

struct Order {
    amount: u64,
}

#[orchestration]
//~ derive both: #[derive(serde::Serialize
async fn order(ctx: Context, order: Order) -> Result<u64> {
    ctx.sleep(std::time::Duration::from_secs(order.amount)).await;
    Ok(order.amount)
}
