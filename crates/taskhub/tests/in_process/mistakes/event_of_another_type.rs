//! An event is raised with another payload than it has.
use taskhub::prelude::*;

const APPROVED: Event<bool> = Event::new("approved");

async fn approve(hub: Client) -> Result<()> {
    //~ expected `bool`, found `&str`
    Ok(hub.instance("order-17").raise(APPROVED, "yes").await?)
}
