//! One turn of an orchestration: events in, calls out, the same at every replay.
//!
//! An orchestration is an ordinary future. What it may wait for are [`Pending`] futures, made by
//! its [`Scope`]: an activity, a child, a timer, an event. The executor ([`Execution`]) upholds
//! two rules, and every standard combinator (`join!`, `select!`, `FuturesUnordered`, ...) is
//! deterministic because of them:
//!
//! - **Release one.** A durable future is never ready on its own. Each poll releases exactly one
//!   completion, the earliest in history among those being waited for, and takes the permit back
//!   if nobody used it. So at most one branch is ready, and random polling order finds nothing to
//!   choose from. Nor does it matter how the same events were cut into turns.
//! - **Matching.** Calls get their ids at the end of the poll in which they were first polled, in
//!   the order in which they stand in the source; what nobody waits for, such as a signal, stays
//!   where the code made it, so that receivers hear it in that order. At replay the calls of one
//!   poll are matched with those of history by kind and name, and among equals by input, so that
//!   branches polled in another order still find their own results. What does not match parks the
//!   instance, both sides named; so does a panic, with its line.
//!
//! ```text
//!   history ──absorb──> State ──release──> poll ──> Pending consumes, code goes on,
//!                         ^                          first polls make calls
//!                         └────── match / assign ids ──────────┘
//! ```

mod backoff;
mod command;
mod execution;
mod mailbag;
mod matching;
mod panics;
mod pending;
mod scope;
mod state;

pub use backoff::Backoff;
pub use command::{Command, ContinueAsNew, Place};
pub use execution::{Execution, Progress, Step};
pub use pending::Pending;
pub use scope::Scope;

use std::pin::Pin;

use crate::{Event, InstanceId, Kind, Outcome, Text};

/// The future of one execution. It never leaves the thread of its partition.
pub type Run = Pin<Box<dyn Future<Output = Outcome>>>;

/// Code that can be run as an orchestration.
pub trait Orchestration: Send + Sync {
    /// Makes the future of one execution; it is not polled yet.
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run;
}

/// The orchestrations that this process can run.
pub trait Functions: Send + Sync {
    /// The orchestration of that name and version, if it is here.
    fn orchestration(&self, name: &str, version: Option<&str>) -> Option<&dyn Orchestration>;

    /// The code of this instance runs from now on, on this thread.
    fn entered(&self, instance: &InstanceId) {
        let _ = instance;
    }

    /// It has come back.
    fn left(&self) {}
}

/// A place in a history: how many events stand before it.
pub type Position = u64;

/// How much of a history its code has seen: all before the first arrival that no turn took.
#[must_use]
pub fn seen<'a>(events: impl IntoIterator<Item = &'a Event, IntoIter: Clone>) -> Position {
    let events = events.into_iter();
    let by_turn = events.clone().map(|event| match event.kind {
        Kind::TurnStarted { takes, .. } => takes as usize,
        _ => 0,
    });
    let taken = by_turn.sum();
    let arrivals = (0..).zip(events.clone()).filter(|(_, event)| event.kind.is_arrival());
    let next = arrivals.map(|(position, _)| position).nth(taken);
    next.unwrap_or(events.count() as u64)
}
