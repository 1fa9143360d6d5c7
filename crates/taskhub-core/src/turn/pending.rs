//! The only kind of future that an orchestration may wait for.

use std::{
    cell::RefCell,
    fmt,
    pin::Pin,
    ptr,
    rc::Rc,
    task::{Context, Poll},
};

use super::{Command, Place, state::State};
use crate::Outcome;

/// Something asked of the engine, not finished yet. Inert until polled; dropping it gives it up.
///
/// The outcome of a timer is `Ok(None)`, that of an event its payload.
#[must_use = "nothing happens until it is awaited"]
pub struct Pending {
    state: Rc<RefCell<State>>,
    place: Place,
    stage: Stage,
}

enum Stage {
    Made(Command),
    Asked,
    Over,
}

impl Pending {
    pub(super) fn new(state: Rc<RefCell<State>>, place: Place, command: Command) -> Self {
        Self { state, place, stage: Stage::Made(command) }
    }
}

impl Future for Pending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        let address = ptr::from_ref(this).addr();
        let mut state = this.state.borrow_mut();
        match std::mem::replace(&mut this.stage, Stage::Asked) {
            Stage::Made(command) => {
                state.ask(this.place, command, address, Some(cx.waker().clone()));
                Poll::Pending
            }
            Stage::Asked => {
                let Some(outcome) = state.take_released(this.place.seq) else {
                    state.wait(this.place.seq, cx.waker());
                    return Poll::Pending;
                };
                this.stage = Stage::Over;
                Poll::Ready(outcome)
            }
            Stage::Over => panic!("polled again after it was ready"),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if matches!(self.stage, Stage::Asked)
            && let Ok(mut state) = self.state.try_borrow_mut()
        {
            state.give_up(self.place.seq);
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({} at {})", self.place.seq, self.place.location)
    }
}
