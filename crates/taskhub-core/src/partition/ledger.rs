//! What a history leaves open: a fold over its events, the same whether it was lived or loaded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::mutation::{Mutation, mutated};
use crate::{CallId, Event, InstanceId, Kind, Timestamp, Work};

/// The open ends of one execution.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Activities without a result.
    pub activities: BTreeSet<CallId>,
    /// Those of them that were not handed to a worker, with what to run.
    pub unsent: VecDeque<(CallId, Work)>,
    /// Children without a result.
    pub children: BTreeMap<CallId, InstanceId>,
    /// Arrivals that no turn has taken.
    pub waiting: u32,
    /// Whether a turn has run.
    pub ran: bool,
    /// Whether it is suspended.
    pub suspended: bool,
    /// When the first turn may run, until it ran.
    pub start_at: Option<Timestamp>,
    /// When it is terminated, unless it has ended by then.
    pub deadline: Option<Timestamp>,
    timers: BTreeMap<CallId, Timestamp>,
    due: BTreeSet<(Timestamp, CallId)>,
}

impl Ledger {
    /// Takes note of the next event.
    pub(super) fn note(&mut self, event: &Event) {
        if event.kind.is_arrival() {
            self.waiting += 1;
        }
        match &event.kind {
            Kind::Started(started) => {
                self.start_at = started.start_at;
                self.deadline = started.deadline;
            }
            Kind::TurnStarted { takes } => {
                self.waiting = self.waiting.saturating_sub(*takes);
                self.ran = true;
                self.start_at = None;
            }
            Kind::ActivityScheduled { call, work } => {
                self.activities.insert(*call);
                self.unsent.push_back((*call, work.clone()));
            }
            Kind::ChildScheduled { call, instance, .. } => {
                self.children.insert(*call, instance.clone());
            }
            Kind::TimerCreated { call, fire_at } => {
                self.timers.insert(*call, *fire_at);
                self.due.insert((*fire_at, *call));
            }
            Kind::ActivityFinished { call, .. }
            | Kind::ChildFinished { call, .. }
            | Kind::TimerFired { call }
            | Kind::CallCancelled { call } => self.close(*call),
            Kind::Suspended { .. } => self.suspended = true,
            Kind::Resumed { .. } => self.suspended = false,
            _ => {}
        }
    }

    fn close(&mut self, call: CallId) {
        self.activities.remove(&call);
        self.children.remove(&call);
        if !mutated(Mutation::FireTwice)
            && let Some(at) = self.timers.remove(&call)
        {
            self.due.remove(&(at, call));
        }
    }

    /// The timers that are due at `now`, earliest first.
    pub(super) fn due(&self, now: Timestamp) -> Vec<CallId> {
        self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, call)| *call).collect()
    }

    /// The next activity to hand to a worker, if it still matters.
    pub(super) fn next_unsent(&mut self) -> Option<(CallId, Work)> {
        while let Some((call, work)) = self.unsent.pop_front() {
            if self.activities.contains(&call) {
                return Some((call, work));
            }
        }
        None
    }

    /// When the earliest timer or the deadline is due, or the first turn may run. (A suspended
    /// instance does not start: its resumption looks at that.)
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let timer = self.due.first().map(|(at, _)| *at);
        let start_at = self.start_at.filter(|_| !self.suspended);
        start_at.into_iter().chain(self.deadline).chain(timer).min()
    }

    /// The time of the first turn has come, unless it is suspended: its resumption looks at that.
    pub(super) fn pass_start(&mut self, now: Timestamp) {
        if !self.suspended && self.start_at.is_some_and(|at| at <= now) {
            self.start_at = None;
        }
    }

    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        let input = |(_, work): &(CallId, Work)| work.input.as_ref().map_or(64, |text| text.len());
        let inputs: usize = self.unsent.iter().map(input).sum();
        32 * self.activities.len() + 96 * self.children.len() + 128 * self.timers.len() + inputs
    }
}
