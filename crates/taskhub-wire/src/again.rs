//! The next turn of code that a worker kept in memory: only what is new has to be read.

use taskhub_core::{Event, InstanceId, Kind};

use crate::{
    InvalidMessage,
    arrival::{Calls, arrival_out},
    history::{arrivals_in, event_out, is_call},
    proto::{HistoryEvent, HistoryExtent, history_event::EventType},
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

    /// As a work item says it.
    #[must_use]
    pub fn out(self) -> HistoryExtent {
        let count = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let Self { turns, arrivals, events } = self;
        let (turns, arrivals, events) = (count(turns), count(arrivals), count(events));
        HistoryExtent { turns, arrivals, events, mark: 0 }
    }

    /// As a work item said it. What no history has is what no code stands at.
    #[must_use]
    pub fn told(wire: HistoryExtent) -> Self {
        let count = |count| usize::try_from(count).unwrap_or(usize::MAX);
        let HistoryExtent { turns, arrivals, events, mark: _ } = wire;
        Self { turns: count(turns), arrivals: count(arrivals), events: count(events) }
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

/// How far the past of a history goes in the words of the protocol, and what arrived that no turn
/// took: what [`history_out`](crate::history_out) tells, for somebody who has the past.
pub(crate) fn waiting_out<'a>(
    instance: &InstanceId,
    events: impl Iterator<Item = &'a Event> + Clone,
) -> (Extent, Vec<HistoryEvent>) {
    let (mut extent, mut arrived, mut taken) = (Extent::default(), 0, 0);
    for event in events.clone() {
        match &event.kind {
            Kind::TurnStarted { takes, .. } => {
                let now = (*takes as usize).min(arrived - taken);
                taken += now;
                extent = extent.after(Extent { arrivals: now, ..Extent::default() }, 0);
            }
            Kind::Completed { .. } => {
                extent.arrivals += arrived - taken;
                extent.events += arrived - taken + 1;
                taken = arrived;
            }
            Kind::Rewound { .. } => {
                extent.arrivals += 1;
                extent.events += 1;
            }
            kind if kind.is_arrival() => arrived += 1,
            kind => extent.events += usize::from(kind.call().is_some()),
        }
    }
    let (mut calls, mut waiting) = (Calls::default(), Vec::new());
    for Event { at, kind } in events {
        if !kind.is_arrival() {
            calls.note(kind);
        } else if taken > 0 {
            taken -= 1;
        } else if let Some(wire) = arrival_out(kind, *at, instance, &calls) {
            waiting.push(event_out(-1, *at, wire));
        }
    }
    (extent, waiting)
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
