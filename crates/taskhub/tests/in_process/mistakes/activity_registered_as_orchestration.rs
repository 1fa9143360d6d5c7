//! An activity is registered as an orchestration.
use taskhub::prelude::*;

#[activity]
async fn charge(amount: u64) -> Result<u64> {
    Ok(amount)
}

fn host() -> HostBuilder {
    //~ an activity is registered by `.activity(..)`
    Host::builder().orchestration(charge)
}
