//! A function without its attribute is registered.
use taskhub::prelude::*;

async fn order(ctx: Context, amount: u64) -> Result<u64> {
    ctx.sleep(std::time::Duration::from_secs(amount)).await;
    Ok(amount)
}

fn host() -> HostBuilder {
    //~ mark the function with #[activity] or #[orchestration]
    Host::builder().orchestration(order)
}
