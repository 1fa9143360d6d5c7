//! Waiting for an event, perhaps not for ever.

use std::{
    fmt,
    pin::Pin,
    task::{Context as Task, Poll},
    time::Duration,
};

use futures::future::FusedFuture;
use taskhub_core::turn::{Command, Pending, Place, Scope};

use crate::{Data, Event, Failure, Result, data::decode};

/// A wait for an event, made by [`Context::event`](crate::Context::event). Dropping it leaves the
/// event to others.
#[must_use = "nobody waits until it is awaited"]
pub struct Wait<T> {
    scope: Scope,
    event: Event<T>,
    pending: Pending,
    place: Place,
    limit: Option<(Duration, Place)>,
    timer: Option<Pending>,
    over: bool,
}

impl<T: Data> Wait<T> {
    #[track_caller]
    pub(crate) fn new(scope: Scope, event: Event<T>) -> Self {
        let place = scope.place();
        let pending = scope.call_at(place, Command::Event { name: event.name().into() });
        Self { scope, event, pending, place, limit: None, timer: None, over: false }
    }

    /// How long to wait from when it is first awaited. Then it fails with the kind
    /// [`Failure::TIMEOUT`], and the event stays for the next who waits.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.limit = Some((time, self.scope.place_like(self.place)));
        self
    }
}

impl<T: Data> Future for Wait<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        if let Poll::Ready(outcome) = Pin::new(&mut this.pending).poll(task) {
            this.over = true;
            this.timer = None;
            let what = format!("the event `{}`", this.event.name());
            let payload = outcome.map_err(Failure::of);
            return Poll::Ready(payload.and_then(|payload| decode(payload.as_deref(), &what)));
        }
        let Some((time, place)) = this.limit else { return Poll::Pending };
        let scope = &this.scope;
        let timer = this.timer.get_or_insert_with(|| {
            scope.call_at(place, Command::Timer { fire_at: scope.now().plus(time) })
        });
        if Pin::new(timer).poll(task).is_pending() {
            return Poll::Pending;
        }
        this.over = true;
        let message = format!("the event `{}` did not come within {time:?}", this.event.name());
        Poll::Ready(Err(Failure::new(Failure::TIMEOUT, message)))
    }
}

impl<T: Data> FusedFuture for Wait<T> {
    fn is_terminated(&self) -> bool {
        self.over
    }
}

impl<T> fmt::Debug for Wait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wait({})", self.event.name())
    }
}
