//! What the turns of a history took, and which of them could see it.

use std::collections::BTreeMap;

use taskhub_core::{CallId, Event, Kind};

/// The arrivals that turns took, each with its place in the history.
#[derive(Debug, Default)]
pub(super) struct Seen<'a> {
    /// When a call ended.
    pub ended: BTreeMap<CallId, (usize, &'a Event)>,
    /// Which events were raised.
    pub raised: Vec<(usize, &'a Event)>,
    /// By which turn the code could see each of them: while it is suspended it sees nothing.
    turns: BTreeMap<usize, usize>,
    /// By which turn the end of a call was taken, seen or not.
    taken: BTreeMap<CallId, usize>,
}

/// How many arrivals of a history its turns took.
pub(crate) fn taken(log: &[Event]) -> usize {
    takes(log).sum()
}

fn takes(log: &[Event]) -> impl Iterator<Item = usize> {
    log.iter().filter_map(|event| match event.kind {
        Kind::TurnStarted { takes, .. } => Some(takes as usize),
        _ => None,
    })
}

impl<'a> Seen<'a> {
    pub(super) fn of(log: &'a [Event]) -> Self {
        let mut seen = Self::default();
        let mut held = Vec::new();
        let arrivals = log.iter().enumerate().filter(|(_, event)| event.kind.is_arrival());
        let turns = takes(log).enumerate();
        let turns = turns.flat_map(|(turn, takes)| std::iter::repeat_n(turn, takes));
        for ((position, event), turn) in arrivals.zip(turns) {
            seen.turns.insert(position, turn);
            seen.taken.extend(event.kind.call().map(|call| (call, turn)));
            match &event.kind {
                Kind::Resumed { .. } => {
                    for (position, event) in held.drain(..) {
                        seen.turns.insert(position, turn);
                        seen.arrive(position, event);
                    }
                }
                Kind::Suspended { .. } => held.push((position, event)),
                _ if held.is_empty() => seen.arrive(position, event),
                _ => held.push((position, event)),
            }
        }
        seen
    }

    fn arrive(&mut self, position: usize, event: &'a Event) {
        if let Kind::EventRaised { .. } = &event.kind {
            self.raised.push((position, event));
        } else if let Some(call) = event.kind.call() {
            self.ended.insert(call, (position, event));
        }
    }

    /// The turn that saw what stands at this place.
    pub(super) fn turn(&self, position: usize) -> usize {
        self.turns[&position]
    }

    /// Whether a call had ended when this turn ran.
    pub(super) fn ended_by(&self, call: CallId, turn: usize) -> bool {
        self.taken.get(&call).is_some_and(|taken| *taken <= turn)
    }
}
