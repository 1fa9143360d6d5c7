//! A seat in a theatre: one of many small objects, each of which does one thing at a time.
//!
//! Two customers who want the same seat at the same moment need no lock and no transaction: the
//! seat answers them one after the other.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use taskhub::prelude::*;

/// How long a seat is kept for somebody who has not paid.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// A seat, by its number.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seat {
    customer: Option<String>,
    paid: bool,
}

#[entity]
impl Seat {
    /// Keeps the seat for a customer, if it is free; whether it is his now.
    pub async fn hold(&mut self, hub: Client, ctx: EntityContext, by: String) -> Result<bool> {
        if self.customer.is_none() {
            let this = ctx.entity::<Self>(ctx.key());
            this.signal_at(hub.now() + PATIENCE, Self::expire, by.clone())?;
            self.customer = Some(by.clone());
        }
        Ok(self.customer == Some(by))
    }

    /// The customer has paid; fails if the seat is not his any more.
    pub async fn pay(&mut self, by: String) -> Result<()> {
        if self.customer.as_ref() != Some(&by) {
            return Err(Failure::terminal("the seat was given to somebody else"));
        }
        self.paid = true;
        Ok(())
    }

    /// The patience with a customer is over.
    pub async fn expire(&mut self, ctx: EntityContext, by: String) -> Result<()> {
        if self.customer == Some(by) && !self.paid {
            ctx.delete_state();
        }
        Ok(())
    }
}

/// Somebody has paid.
pub const PAID: Event<()> = Event::new("paid");

/// Sells a seat: holds it, waits for the money, and says whether it is the customer's.
#[orchestration]
pub async fn sell(ctx: Context, (seat, customer): (String, String)) -> Result<bool> {
    let seat = ctx.entity::<Seat>(seat);
    if !seat.call(Seat::hold, customer.clone()).await? {
        return Ok(false);
    }
    ctx.event(PAID).await?;
    Ok(seat.call(Seat::pay, customer).await.is_ok())
}

#[cfg(test)]
mod tests {
    use taskhub::{InstanceRef, testing::TestHub};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn host() -> Host {
        let host = Host::builder().entity::<Seat>().orchestration(sell);
        TestHub::new().open(host).expect("nothing is missing")
    }

    async fn buys(hub: &Client, customer: &str) -> InstanceRef<sell> {
        let input = ("7".to_owned(), customer.to_owned());
        hub.start(sell, input).await.expect("accepted")
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_is_sold_once() {
        let host = host();
        let ada = buys(host.client(), "Ada").await;
        let bob = buys(host.client(), "Bob").await;
        assert_eq!(bob.wait(DAY).await, Ok(false));
        ada.raise(PAID, ()).await.expect("it runs");
        assert_eq!(ada.wait(DAY).await, Ok(true));
        tokio::time::sleep(DAY).await;
        let seat = host.client().entity::<Seat>("7").state().await.expect("it can be read");
        assert_eq!(seat, Some(Seat { customer: Some("Ada".to_owned()), paid: true }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_that_is_not_paid_in_time_goes_to_the_next() {
        let host = host();
        let ada = buys(host.client(), "Ada").await;
        tokio::time::sleep(PATIENCE + Duration::from_secs(1)).await;
        let bob = buys(host.client(), "Bob").await;
        ada.raise(PAID, ()).await.expect("it runs");
        assert_eq!(ada.wait(DAY).await, Ok(false));
        bob.raise(PAID, ()).await.expect("it runs");
        assert_eq!(bob.wait(DAY).await, Ok(true));
    }
}
