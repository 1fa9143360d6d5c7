//! Who runs an instance: code in this process, a worker elsewhere, or nobody.

use std::sync::Arc;

use super::entity::Entity;
use crate::mutation::{Mutation, mutated};
use crate::{Event, Kind, Mark, Piece, Timestamp, turn::Execution};

/// Where the code of an instance is.
#[derive(Debug)]
pub(super) enum Runner {
    /// It has ended, or is parked.
    Nobody,
    /// Nobody yet: it is not started, and events are kept for it.
    Early(Box<Early>),
    /// In this process: its suspended code.
    Here(Execution),
    /// Not in this process: some worker will have it.
    Elsewhere(Remote),
    /// It is an entity; its operations are performed by a worker, here or elsewhere.
    Entity(Box<Entity>),
}

/// Events for an instance that nobody has started yet.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Until when they are kept.
    pub until: Timestamp,
    /// The events, in the order in which they came.
    pub events: Vec<Kind>,
}

impl Early {
    /// What a history comes to that begins so.
    pub(super) fn of(events: &[Event]) -> Option<Self> {
        let Kind::Awaited { .. } = events.first()?.kind else { return None };
        let mut early = Self::default();
        for event in events {
            early.note(&event.kind);
        }
        Some(early)
    }

    /// Takes note of the next event.
    pub(super) fn note(&mut self, kind: &Kind) {
        match kind {
            Kind::Awaited { until } => self.until = self.until.max(*until),
            kind => self.events.push(kind.clone()),
        }
    }

    /// When they are forgotten.
    pub(super) fn ends(&self) -> Timestamp {
        let hurry = if mutated(Mutation::KeepBriefly) { 500_000 } else { 0 };
        Timestamp(self.until.0 - hurry)
    }

    /// How many bytes of payload the events have.
    pub(super) fn payload_bytes(&self) -> usize {
        self.events.iter().map(Kind::payload_bytes).sum()
    }

    fn bytes(&self) -> usize {
        96 * self.events.len() + self.payload_bytes()
    }
}

/// An orchestration whose code is elsewhere: what a worker needs to run its next turn.
#[derive(Debug, Default)]
pub(super) struct Remote {
    /// Its history as far as it is written, a piece per commit.
    pub history: Vec<Arc<[Event]>>,
    /// The turn that a worker has.
    pub out: Option<TurnOut>,
    /// What its worker calls the last turn, if that is known.
    pub last: Option<Mark>,
    bytes: usize,
}

/// A turn that a worker has.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnOut {
    pub piece: Piece,
    pub takes: u32,
    pub clock: Timestamp,
}

impl Remote {
    /// Adds what happened to the history.
    pub(super) fn add(&mut self, events: impl Into<Arc<[Event]>>) {
        let events = events.into();
        let payload = |event: &Event| 160 + event.kind.payload_bytes();
        self.bytes += events.iter().map(payload).sum::<usize>();
        self.history.push(events);
    }

    /// The arrivals that no turn took, without the oldest `takes` of them; `fresh` is what is not
    /// written yet.
    pub(super) fn untaken(&self, fresh: &[Event], takes: u32) -> Vec<Kind> {
        let mut arrivals = std::collections::VecDeque::new();
        for event in self.history.iter().flat_map(|piece| piece.iter()).chain(fresh) {
            match &event.kind {
                Kind::TurnStarted { takes, .. } => {
                    arrivals.drain(..(*takes as usize).min(arrivals.len()));
                }
                kind if kind.is_arrival() => arrivals.push_back(kind),
                _ => {}
            }
        }
        arrivals.into_iter().skip(takes as usize).cloned().collect()
    }
}

impl Runner {
    /// The code in this process, if it is there.
    pub(super) fn here(&mut self) -> Option<&mut Execution> {
        match self {
            Self::Here(code) => Some(code),
            _ => None,
        }
    }

    /// What a worker needs, if the code is elsewhere.
    pub(super) fn elsewhere(&mut self) -> Option<&mut Remote> {
        match self {
            Self::Elsewhere(remote) => Some(remote),
            _ => None,
        }
    }

    /// What is kept for it, if nobody has started it yet.
    pub(super) fn early(&mut self) -> Option<&mut Early> {
        match self {
            Self::Early(early) => Some(early),
            _ => None,
        }
    }

    /// The entity, if it is one.
    pub(super) fn entity(&mut self) -> Option<&mut Entity> {
        match self {
            Self::Entity(entity) => Some(entity),
            _ => None,
        }
    }

    /// Whether a worker elsewhere has its turn, or operations of it.
    pub(super) fn is_waited_for(&self) -> bool {
        match self {
            Self::Elsewhere(remote) => remote.out.is_some(),
            Self::Entity(entity) => entity.is_out(),
            Self::Here(_) | Self::Nobody | Self::Early(_) => false,
        }
    }

    /// About how many bytes it keeps in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Nobody => 0,
            Self::Early(early) => early.bytes(),
            Self::Here(code) => code.bytes(),
            Self::Elsewhere(remote) => remote.bytes + 48 * remote.history.len(),
            Self::Entity(entity) => entity.bytes(),
        }
    }
}
