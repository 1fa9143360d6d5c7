//! Activities on their way to workers: only so many at a time, the rest waits where it is stored.

use std::collections::VecDeque;

use foldhash::{HashSet, HashSetExt as _};

use super::{Decisions, Effect, Partition, slots::Slot};
use crate::mutation::{Mutation, mutated};
use crate::{CallId, ExecutionId, InstanceId, Task, Ticket};

/// What is out, and whose turn it is next.
#[derive(Debug)]
pub(super) struct Tasks {
    out: HashSet<(InstanceId, ExecutionId, CallId)>,
    /// Instances with activities that found no room.
    starved: VecDeque<InstanceId>,
    /// Whether there are more of them than the queue holds; then the store knows which.
    pub passed_over: bool,
    count_max: usize,
}

impl Tasks {
    pub(super) fn new(count_max: usize) -> Self {
        Self { out: HashSet::new(), starved: VecDeque::new(), passed_over: false, count_max }
    }

    /// Whether another activity may go out.
    pub(super) fn has_room(&self) -> bool {
        self.out.len() < self.count_max || mutated(Mutation::Unbounded)
    }

    /// How many activities of instances that found no room may go out now.
    fn free(&self) -> usize {
        self.count_max.div_ceil(2).saturating_sub(self.out.len())
    }

    /// Whether somebody found no room, and there is room now.
    pub(super) fn is_hungry(&self) -> bool {
        !self.starved.is_empty() && self.free() > 0
    }

    /// How many activities of others may go out, beside those that found no room before.
    pub(super) fn spare(&self) -> usize {
        if self.starved.is_empty() { self.count_max.saturating_sub(self.out.len()) } else { 0 }
    }

    /// A result came: the activity is no longer out.
    pub(super) fn returned(&mut self, ticket: &Ticket) {
        self.out.remove(&(ticket.instance.clone(), ticket.execution, ticket.call));
    }

    fn starve(&mut self, id: &InstanceId) {
        if mutated(Mutation::ForgetStarved) {
            return;
        }
        if self.starved.len() < 8 * self.count_max {
            self.starved.push_back(id.clone());
        } else {
            self.passed_over = true;
        }
    }
}

impl Partition {
    /// Hands out the activities that an instance called, as far as there is room, and takes back
    /// those that no longer matter.
    pub(super) fn dispatch(&mut self, id: &InstanceId) {
        let Some(Slot::Known(instance)) = self.slots.get_mut(id) else { return };
        let (partition, epoch) = (self.id, self.epoch);
        let ticket =
            |execution, call| Ticket { partition, epoch, instance: id.clone(), execution, call };
        for (execution, call) in std::mem::take(&mut instance.cancelled) {
            if self.tasks.out.contains(&(id.clone(), execution, call)) {
                self.outbox.hold(Effect::Cancel(ticket(execution, call)));
            }
        }
        let execution = instance.record.execution;
        while !instance.ledger.unsent.is_empty() {
            if !self.tasks.has_room() {
                return self.tasks.starve(id);
            }
            let Some((call, work)) = instance.ledger.next_unsent() else { return };
            if self.tasks.out.insert((id.clone(), execution, call)) {
                let ticket = ticket(execution, call);
                self.outbox.hold(Effect::Dispatch(Task { ticket, work }));
            }
        }
    }

    /// Turns to the instances that found no room, when half of the room is free again.
    pub(super) fn feed_tasks(&mut self, out: &mut Decisions) {
        let mut room = self.tasks.free();
        while room > 0
            && let Some(id) = self.tasks.starved.pop_front()
        {
            room -= 1;
            match self.slots.get_mut(&id) {
                Some(Slot::Known(instance)) => {
                    room = room.saturating_sub(instance.ledger.unsent.len());
                }
                Some(_) => continue,
                None => {
                    self.fetch(id, out);
                    continue;
                }
            }
            self.touch(&id);
        }
    }
}
