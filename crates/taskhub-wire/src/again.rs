//! The next turn of code that a worker kept in memory: only what is new has to be read.

use taskhub_core::{Event, Kind};

use crate::{
    InvalidMessage,
    history::{arrivals_in, is_call},
    proto::{HistoryEvent, history_event::EventType},
};

/// How far a history goes, in counts.
///
/// Arrivals are durable and in order before a turn takes them, and code makes the same of them
/// however they are cut into turns. So if the history of an execution has the extent that a worker
/// expects after the turns it ran, then the code that it kept stands at the end of that history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// The turns that were.
    pub turns: usize,
    /// What they took.
    pub arrivals: usize,
    /// All events.
    pub events: usize,
}

impl Extent {
    /// The extent of the past of a work item, or of what is new in it.
    #[must_use]
    pub fn of(past: &[HistoryEvent]) -> Self {
        let mut extent = Self { events: past.len(), ..Self::default() };
        for event in past {
            match &event.event_type {
                Some(EventType::OrchestratorStarted(_)) => extent.turns += 1,
                Some(EventType::OrchestratorCompleted(_) | EventType::ExecutionCompleted(_))
                | None => {}
                Some(call) if is_call(call) => {}
                Some(_) => extent.arrivals += 1,
            }
        }
        extent
    }

    /// What it will be after a turn that is told to be `new`, and makes so many calls.
    #[must_use]
    pub fn after(self, new: Self, calls: usize) -> Self {
        Self {
            turns: self.turns + 1,
            arrivals: self.arrivals + new.arrivals,
            // Its beginning, what it took, what it called, and its end.
            events: self.events + new.arrivals + calls + 2,
        }
    }
}

/// What is new in a work item, for code that stands at the end of its past; `calls` are those
/// calls in the past that are [answered by name](is_answered_by_name).
pub fn news_in(calls: &[Event], new: Vec<HistoryEvent>) -> Result<Vec<Event>, InvalidMessage> {
    let mut new = new;
    new.retain(|it| !matches!(it.event_type, Some(EventType::OrchestratorStarted(_))));
    arrivals_in(calls, new)
}

/// Whether the answer to a call says what the call was named, instead of its number.
#[must_use]
pub fn is_answered_by_name(call: &Kind) -> bool {
    matches!(call, Kind::OperationCalled { .. } | Kind::LocksRequested { .. })
}
