//! An orchestration is written as a closure.
use taskhub::prelude::*;

fn host() -> HostBuilder {
    //~ mark the function with #[activity] or #[orchestration]
    Host::builder().orchestration(async |ctx: Context, amount: u64| {
        ctx.sleep(std::time::Duration::from_secs(amount)).await;
        Ok(amount)
    })
}
