//! A saga: what was done is undone, the last step first, when a later one fails.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use taskhub::{Saga, prelude::*};

/// The agencies outside, as far as this example goes: what is booked just now.
#[derive(Debug, Clone, Default)]
pub struct Agencies(Arc<Mutex<BTreeSet<String>>>);

impl Agencies {
    /// What is booked.
    #[must_use]
    pub fn booked(&self) -> Vec<String> {
        self.change(|booked| booked.iter().cloned().collect())
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Books a part of a trip; gives the number of the booking. It may run twice for one call: the key
/// tells the agency so.
#[activity(retry = Retry::exponential(3))]
pub async fn book(
    State(agencies): State<Agencies>,
    call: ActivityContext,
    what: String,
) -> Result<String> {
    if what == "a seat on the moon" {
        return Err(Failure::terminal(format!("nobody sells {what}")));
    }
    let booking = format!("{what} under {}", call.call_key());
    agencies.change(|booked| booked.insert(booking.clone()));
    Ok(booking)
}

/// Cancels a booking. It is tried for days: somebody has to be told otherwise.
#[activity(retry = Retry::exponential(20))]
pub async fn cancel(State(agencies): State<Agencies>, booking: String) -> Result<()> {
    agencies.change(|booked| booked.remove(&booking));
    Ok(())
}

/// Books a trip, or nothing of it.
#[orchestration]
pub async fn travel(ctx: Context, trip: Vec<String>) -> Result<Vec<String>> {
    let mut saga = Saga::new();
    let booked = book_all(&ctx, &mut saga, trip).await;
    saga.end(booked).await
}

async fn book_all(ctx: &Context, saga: &mut Saga, trip: Vec<String>) -> Result<Vec<String>> {
    let mut bookings = Vec::new();
    for what in trip {
        let booking = ctx.call(book, what).await?;
        saga.undo_by(ctx.call(cancel, booking.clone()));
        bookings.push(booking);
    }
    Ok(bookings)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taskhub::{WaitError, testing::chaos};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn trip(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|&part| part.to_owned()).collect()
    }

    #[test]
    fn what_was_done_is_undone_in_reverse_order() {
        let mut run = Run::of(travel).input(trip(&["a flight", "a room", "a seat on the moon"]));
        run.expect(book).returns("flight 7".to_owned());
        run.expect(book).returns("room 3".to_owned());
        run.expect(book).fails(Failure::terminal("nobody sells it"));
        assert_eq!(run.open_calls().len(), 1, "one after the other");
        run.expect(cancel).given("room 3".to_owned()).returns(());
        run.expect(cancel).given("flight 7".to_owned()).returns(());
        assert_eq!(run.output().unwrap_err().message(), "nobody sells it");
    }

    /// Whether the trip was booked, and how much is booked in the end, whenever a crash comes.
    async fn booked_in_the_end(parts: &[&str]) -> (bool, usize) {
        chaos(async |hub| {
            let agencies = Agencies::default();
            let host = Host::builder().orchestration(travel).activity(book).activity(cancel);
            let host = hub.open(host.state(agencies.clone())).expect("nothing is missing");
            let run = host.client().start(travel, trip(parts)).await.expect("accepted");
            match run.wait(DAY).await {
                Ok(_) => (true, agencies.booked().len()),
                Err(WaitError::Failed(_)) => (false, agencies.booked().len()),
                Err(error) => panic!("{error}"),
            }
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_at_any_moment_leaves_all_or_nothing_booked() {
        assert_eq!(booked_in_the_end(&["a flight", "a room", "a car"]).await, (true, 3));
        let failing = ["a flight", "a room", "a seat on the moon"];
        assert_eq!(booked_in_the_end(&failing).await, (false, 0));
    }
}
