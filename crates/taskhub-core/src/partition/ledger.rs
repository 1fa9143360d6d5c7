//! What a history leaves open: a fold over its events, the same whether it was lived or loaded.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use crate::mutation::{Mutation, mutated};
use crate::{
    CallId, Event, ExecutionId, Inherited, InstanceId, Kind, Message, Text, Timestamp, Trace, Work,
};

/// How many activities that find no room stand in the way of those behind them, at least.
const LOOKED_AT_MAX: usize = 64;

/// The open ends of one execution.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Ledger {
    /// Whether the history cannot be read. What comes for a call is then kept: it may be open.
    pub unread: bool,
    /// Activities without a result.
    pub activities: BTreeSet<CallId>,
    /// Those of them that were not handed to a worker, with what to run.
    pub unsent: VecDeque<(CallId, Work)>,
    /// How many bytes these take.
    unsent_bytes: usize,
    /// Children without a result.
    pub children: BTreeMap<CallId, InstanceId>,
    /// Children that the code does not wait for any more, and that may run on.
    pub given_up: BTreeMap<CallId, InstanceId>,
    /// Those of earlier executions that may run on, oldest first.
    pub inherited: Vec<Inherited>,
    /// Operations of entities without a result.
    pub operations: BTreeSet<CallId>,
    /// Critical sections that were asked for and are not left.
    pub sections: BTreeMap<CallId, Section>,
    /// Arrivals that no turn has taken.
    pub waiting: u32,
    /// Whether it was rewound, and no turn has run since.
    pub rewound: bool,
    /// Whether a turn has run.
    pub ran: bool,
    /// Whether it is suspended.
    pub suspended: bool,
    /// When the first turn may run, until it ran.
    pub start_at: Option<Timestamp>,
    /// When it is terminated, unless it has ended by then.
    pub deadline: Option<Timestamp>,
    /// The trace of whoever started it.
    pub trace: Option<Trace>,
    timers: BTreeMap<CallId, Timestamp>,
    due: BTreeSet<(Timestamp, CallId)>,
}

/// A critical section.
#[derive(Debug)]
pub(super) struct Section {
    /// Its name.
    pub name: Text,
    /// The entities that are locked in it, or will be.
    pub entities: Arc<[InstanceId]>,
}

impl Section {
    /// What gives back all of its entities; those that are not locked yet are no longer asked.
    pub(super) fn unlock(&self) -> Option<(InstanceId, Message)> {
        Message::unlock(&self.name, &self.entities)
    }
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
                self.trace.clone_from(&started.trace);
                self.inherited = started.inherited.to_vec();
            }
            Kind::TurnStarted { takes, .. } => {
                self.waiting = self.waiting.saturating_sub(*takes);
                self.ran = true;
                self.rewound = false;
                self.start_at = None;
            }
            Kind::ActivityScheduled { call, work } => {
                self.activities.insert(*call);
                self.unsent_bytes += work_bytes(work);
                self.unsent.push_back((*call, work.clone()));
            }
            Kind::ChildScheduled { call, instance, .. } => {
                self.children.insert(*call, instance.clone());
            }
            Kind::TimerCreated { call, fire_at } => {
                self.timers.insert(*call, *fire_at);
                self.due.insert((*fire_at, *call));
            }
            Kind::OperationCalled { call, .. } => {
                self.operations.insert(*call);
            }
            Kind::LocksRequested { call, section, entities } => {
                let (name, entities) = (section.clone(), entities.clone());
                self.sections.insert(*call, Section { name, entities });
            }
            Kind::Unlocked { section, entity, .. } => self.unlock(section, entity),
            Kind::ActivityFinished { call, .. }
            | Kind::OperationFinished { call, .. }
            | Kind::ChildFinished { call, .. }
            | Kind::TimerFired { call } => self.close(*call),
            Kind::CallCancelled { call } => {
                let child = self.children.remove_entry(call);
                self.close(*call);
                self.given_up.extend(child);
            }
            Kind::ChildGone { execution, call } => {
                let is_it =
                    |child: &Inherited| (child.execution, child.call) == (*execution, *call);
                match self.inherited.iter().position(is_it) {
                    Some(at) => drop(self.inherited.remove(at)),
                    None => drop(self.given_up.remove(call)),
                }
            }
            Kind::Rewound { .. } => self.rewound = true,
            Kind::Suspended { .. } => self.suspended = true,
            Kind::Resumed { .. } => self.suspended = false,
            _ => {}
        }
    }

    /// Whether there is something that a turn could do.
    pub(super) fn has_turn(&self) -> bool {
        self.waiting > 0 || self.rewound
    }

    /// Takes out the activities without a result.
    pub(super) fn take_activities(&mut self) -> Self {
        let activities = std::mem::take(&mut self.activities);
        let (unsent, unsent_bytes) =
            (std::mem::take(&mut self.unsent), std::mem::take(&mut self.unsent_bytes));
        Self { activities, unsent, unsent_bytes, ..Self::default() }
    }

    /// The children that may run, of this execution, which is `own`, and of earlier ones.
    pub(super) fn all_children(&self, own: ExecutionId) -> impl Iterator<Item = Inherited> {
        let child = move |(call, instance): (&CallId, &InstanceId)| Inherited {
            execution: own,
            call: *call,
            instance: instance.clone(),
        };
        let inherited = self.inherited.iter().filter(|_| !mutated(Mutation::Disinherit)).cloned();
        inherited.chain(self.children.iter().chain(&self.given_up).map(child))
    }

    /// The latest of the children that may run, as many as a later execution may inherit.
    pub(super) fn bequest(&self, own: ExecutionId, count_max: usize) -> Arc<[Inherited]> {
        let all: Vec<_> = self.all_children(own).collect();
        all[all.len().saturating_sub(count_max)..].into()
    }

    /// Whether this is a child that nobody waits for, and that may have run until now.
    pub(super) fn remembers(&self, execution: ExecutionId, call: CallId, own: ExecutionId) -> bool {
        let is_it = |child: &Inherited| (child.execution, child.call) == (execution, call);
        self.inherited.iter().any(is_it)
            || self.given_up.contains_key(&call) && execution.goes_on_as(own)
    }

    fn close(&mut self, call: CallId) {
        self.activities.remove(&call);
        self.children.remove(&call);
        // Its end may have come while nobody could tell that it was given up.
        self.given_up.remove(&call);
        self.operations.remove(&call);
        self.sections.remove(&call);
        if !mutated(Mutation::FireTwice)
            && let Some(at) = self.timers.remove(&call)
        {
            self.due.remove(&(at, call));
        }
    }

    /// Whether an entity is locked in a critical section of this name, or will be.
    pub(super) fn uses(&self, name: &Text, entity: &InstanceId) -> bool {
        let mut named = self.sections.values().filter(|section| section.name == *name);
        named.any(|section| section.entities.contains(entity))
    }

    fn unlock(&mut self, name: &Text, entity: &InstanceId) {
        self.sections.retain(|_, section| {
            if section.name == *name {
                let left = section.entities.iter().filter(|it| *it != entity);
                section.entities = left.cloned().collect();
            }
            !section.entities.is_empty()
        });
    }

    /// The timers that are due at `now`, earliest first.
    pub(super) fn due(&self, now: Timestamp) -> Vec<CallId> {
        self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, call)| *call).collect()
    }

    /// The next activity to hand to a worker that still matters and `fits`, among the first ones.
    pub(super) fn next_unsent(
        &mut self,
        mut fits: impl FnMut(&Work) -> bool,
    ) -> Option<(CallId, Work)> {
        let mut at = 0;
        while let Some((call, work)) = self.unsent.get(at).filter(|_| at < LOOKED_AT_MAX) {
            let matters = self.activities.contains(call);
            if matters && !fits(work) {
                at += 1;
                continue;
            }
            let (call, work) = self.unsent.remove(at)?;
            self.unsent_bytes -= work_bytes(&work);
            if matters {
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
        let unsent = self.unsent.iter().map(|(_, work)| work_bytes(work));
        debug_assert_eq!(self.unsent_bytes, unsent.sum::<usize>());
        let sections = self.sections.values().map(|section| 128 + 32 * section.entities.len());
        let inputs = self.unsent_bytes + sections.sum::<usize>() + 32 * self.operations.len();
        let children = self.children.len() + self.given_up.len() + self.inherited.len();
        32 * self.activities.len() + 96 * children + 128 * self.timers.len() + inputs
    }
}

/// About how many bytes an activity takes that waits to be handed out.
fn work_bytes(work: &Work) -> usize {
    64 + work.input.as_ref().map_or(0, |text| text.len())
}
