//! Steps that are undone in reverse order when a later one fails.

use std::fmt;

use futures::future::LocalBoxFuture;

use crate::{Failure, Result};

/// Remembers how to undo what was done, until it is known whether that is needed.
///
/// A call does nothing before it is awaited, so the call that would undo a step can be made right
/// beside the step, and kept. [`end`](Self::end) throws the calls away when all went well; else it
/// makes them, the last one first. They are ordinary calls with retries of their own, and stand in
/// the history: a crash on the way changes nothing.
///
/// ```
/// use taskhub::{Saga, prelude::*};
///
/// #[activity]
/// async fn book(what: String) -> Result<String> {
///     # Ok(what)
///     // .. ask the agency ..
/// }
///
/// #[activity(retry = Retry::exponential(20))]
/// async fn cancel(booking: String) -> Result<()> {
///     # let _ = booking;
///     # Ok(())
///     // .. ask the agency ..
/// }
///
/// async fn book_all(ctx: &Context, saga: &mut Saga, trip: Vec<String>) -> Result<Vec<String>> {
///     let mut bookings = Vec::new();
///     for what in trip {
///         let booking = ctx.call(book, what).await?;
///         saga.undo_by(ctx.call(cancel, booking.clone()));
///         bookings.push(booking);
///     }
///     Ok(bookings)
/// }
///
/// #[orchestration]
/// async fn travel(ctx: Context, trip: Vec<String>) -> Result<Vec<String>> {
///     let mut saga = Saga::new();
///     let booked = book_all(&ctx, &mut saga, trip).await;
///     saga.end(booked).await
/// }
///
/// let trip = ["flight", "hotel", "car"].map(str::to_owned);
/// let mut run = Run::of(travel).input(trip.into());
/// run.expect(book).returns("flight 7".to_owned());
/// run.expect(book).returns("hotel 3".to_owned());
/// run.expect(book).fails(Failure::terminal("no car is left"));
/// run.expect(cancel).given("hotel 3".to_owned()).returns(());
/// run.expect(cancel).given("flight 7".to_owned()).returns(());
/// assert_eq!(run.output().unwrap_err().message(), "no car is left");
/// ```
///
/// A step that failed may still have had its effect, when its answer was lost. If undoing does no
/// harm to what was never done, and does not need the step's result, keep the call that undoes it
/// before the step is made. An orchestration that is terminated undoes nothing.
#[derive(Default)]
#[must_use = "what was kept is only made by `.end(..)`"]
pub struct Saga {
    undo: Vec<LocalBoxFuture<'static, Result<()>>>,
}

impl Saga {
    /// The kind of the failure of a saga that could not undo everything.
    pub const NOT_UNDONE: &'static str = "NotUndone";

    /// A saga in which nothing was done yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps what undoes a step: a call, or an `async` block of several.
    pub fn undo_by(&mut self, undo: impl Future<Output = Result<()>> + 'static) {
        self.undo.push(Box::pin(undo));
    }

    /// Gives the outcome back. If it is a failure, everything that was done is undone before, the
    /// last step first; what cannot be undone does not keep the rest from it. Then the failure is
    /// of the kind [`NOT_UNDONE`](Self::NOT_UNDONE), says why, and has the first one as its cause.
    pub async fn end<T>(self, outcome: Result<T>) -> Result<T> {
        let failure = match outcome {
            Ok(output) => return Ok(output),
            Err(failure) => failure,
        };
        let steps = self.undo.len();
        let mut not_undone = Vec::new();
        for undo in self.undo.into_iter().rev() {
            if let Err(why) = undo.await {
                not_undone.push(why.to_string());
            }
        }
        if not_undone.is_empty() {
            return Err(failure);
        }
        let (count, why) = (not_undone.len(), not_undone.join("; "));
        let message = format!("{count} of {steps} steps could not be undone ({why})");
        Err(Failure::new(Self::NOT_UNDONE, message).caused_by(failure))
    }
}

impl fmt::Debug for Saga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Saga({} steps)", self.undo.len())
    }
}
