//! The only kind of future that an orchestration may wait for.

use std::{
    cell::RefCell,
    fmt,
    panic::Location,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use super::{Command, state::State};
use crate::Outcome;

/// Something asked of the engine, not finished yet. Inert until polled; dropping it gives it up.
///
/// The outcome of a timer is `Ok(None)`, that of an event its payload.
#[must_use = "nothing happens until it is awaited"]
pub struct Pending {
    state: Rc<RefCell<State>>,
    seq: u64,
    stage: Stage,
    location: &'static Location<'static>,
}

enum Stage {
    Made(Command),
    Asked,
    Over,
}

impl Pending {
    pub(super) fn new(
        state: Rc<RefCell<State>>,
        seq: u64,
        command: Command,
        location: &'static Location<'static>,
    ) -> Self {
        Self { state, seq, stage: Stage::Made(command), location }
    }
}

impl Future for Pending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        let mut state = this.state.borrow_mut();
        match std::mem::replace(&mut this.stage, Stage::Asked) {
            Stage::Made(command) => {
                state.ask(this.seq, command, this.location, Some(cx.waker().clone()));
                Poll::Pending
            }
            Stage::Asked => {
                let Some(outcome) = state.take_released(this.seq) else {
                    state.wait(this.seq, cx.waker());
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
            state.give_up(self.seq);
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({} at {})", self.seq, self.location)
    }
}
