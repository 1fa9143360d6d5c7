//! Work on its way to workers: only so much at a time, the rest waits where it is stored.

use std::collections::VecDeque;

use foldhash::{HashSet, HashSetExt as _};

use super::{
    Decisions, Effect, Partition,
    instance::Instance,
    runner::{Runner, TurnOut},
    slots::Slot,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    ExecutionId, InstanceId, Job, Limits, Operations, Piece, Task, Ticket, Timestamp, Turn,
};

/// What is out, and whose turn it is next; for each kind of work, so that none waits for another.
#[derive(Debug)]
pub(super) struct Tasks {
    kinds: [OfKind; Piece::KINDS],
    /// Whether more instances found no room than the queues hold; then the store knows which.
    pub passed_over: bool,
}

#[derive(Debug)]
struct OfKind {
    out: HashSet<(InstanceId, ExecutionId, Piece)>,
    /// Instances with work that found no room.
    starved: VecDeque<InstanceId>,
    count_max: usize,
}

impl Tasks {
    pub(super) fn new(count_max: usize) -> Self {
        let of_kind = || OfKind { out: HashSet::new(), starved: VecDeque::new(), count_max };
        Self { kinds: [of_kind(), of_kind(), of_kind()], passed_over: false }
    }

    /// Whether somebody found no room, and there is room now.
    pub(super) fn is_hungry(&self) -> bool {
        self.kinds.iter().any(|it| !it.starved.is_empty() && it.free() > 0)
    }

    /// How much work of others may go out, beside what found no room before: of the kind that has
    /// least room, as nobody knows what an instance has to do before it is read.
    pub(super) fn spare(&self) -> usize {
        self.kinds.iter().map(OfKind::spare).min().unwrap_or(0)
    }

    /// A result came: the work is no longer out.
    pub(super) fn returned(&mut self, ticket: &Ticket) {
        let key = (ticket.instance.clone(), ticket.execution, ticket.piece);
        self.kinds[ticket.piece.kind()].out.remove(&key);
    }

    fn is_out(&self, id: &InstanceId, execution: ExecutionId, piece: Piece) -> bool {
        self.kinds[piece.kind()].out.contains(&(id.clone(), execution, piece))
    }
}

impl OfKind {
    fn has_room(&self) -> bool {
        self.out.len() < self.count_max || mutated(Mutation::Unbounded)
    }

    /// How much work of instances that found no room may go out now.
    fn free(&self) -> usize {
        self.count_max.div_ceil(2).saturating_sub(self.out.len())
    }

    fn spare(&self) -> usize {
        if self.starved.is_empty() { self.count_max.saturating_sub(self.out.len()) } else { 0 }
    }

    /// Lets an instance wait for room. Whether the queue holds it.
    fn starve(&mut self, id: &InstanceId) -> bool {
        let holds = self.starved.len() < 8 * self.count_max;
        if holds && !mutated(Mutation::ForgetStarved) {
            self.starved.push_back(id.clone());
        }
        holds
    }
}

impl Partition {
    /// Takes back work of an instance that no longer matters, and hands out what it has for others,
    /// as far as there is room.
    pub(super) fn dispatch(&mut self, id: &InstanceId, now: Timestamp) {
        self.withdraw(id);
        let (partition, epoch) = (self.id, self.epoch);
        let Some(Slot::Known(instance)) = self.slots.get_mut(id) else { return };
        let execution = instance.record.execution;
        while let Some(kind) = instance.has_work(now) {
            let of_kind = &mut self.tasks.kinds[kind];
            if !of_kind.has_room() {
                self.tasks.passed_over |= !of_kind.starve(id);
                return;
            }
            let Some((piece, job)) = instance.next_job(now, &self.limits) else { continue };
            if of_kind.out.insert((id.clone(), execution, piece)) {
                let ticket = Ticket { partition, epoch, instance: id.clone(), execution, piece };
                self.outbox.hold(Effect::Dispatch(Task { ticket, job }));
            }
        }
    }

    /// Takes back work of an instance that no longer matters.
    pub(super) fn withdraw(&mut self, id: &InstanceId) {
        let (partition, epoch) = (self.id, self.epoch);
        let Some(Slot::Known(instance)) = self.slots.get_mut(id) else { return };
        for (execution, piece) in std::mem::take(&mut instance.cancelled) {
            if self.tasks.is_out(id, execution, piece) {
                let ticket = Ticket { partition, epoch, instance: id.clone(), execution, piece };
                self.outbox.hold(Effect::Cancel(ticket));
            }
        }
    }

    /// Turns to the instances that found no room, when half of the room is free again.
    pub(super) fn feed_tasks(&mut self, out: &mut Decisions) {
        for kind in 0..Piece::KINDS {
            self.feed(kind, out);
        }
    }

    fn feed(&mut self, kind: usize, out: &mut Decisions) {
        let mut room = self.tasks.kinds[kind].free();
        while room > 0
            && let Some(id) = self.tasks.kinds[kind].starved.pop_front()
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

impl Instance {
    /// Which kind of work it has for others.
    fn has_work(&self, now: Timestamp) -> Option<usize> {
        if !self.ledger.unsent.is_empty() {
            return Some(0);
        }
        match &self.runner {
            Runner::Elsewhere(remote) if remote.out.is_none() && self.wants_turn(now) => Some(1),
            Runner::Entity(entity) if entity.is_ready() => Some(2),
            _ => None,
        }
    }

    /// The next piece of work for others.
    fn next_job(&mut self, now: Timestamp, limits: &Limits) -> Option<(Piece, Job)> {
        if !self.ledger.unsent.is_empty() {
            let (call, work) = self.ledger.next_unsent()?;
            return Some((Piece::Activity(call), Job::Activity(work)));
        }
        let (events, takes) = (self.record.events, self.ledger.waiting);
        match &mut self.runner {
            Runner::Elsewhere(remote) => {
                let (piece, clock) = (Piece::Turn(events), now.max(self.record.updated_at));
                remote.out = Some(TurnOut { piece, takes, clock });
                let (name, version) = (self.record.name.clone(), self.record.version.clone());
                let history = remote.history.clone();
                let turn = Turn { name, version, history, takes, clock };
                Some((piece, Job::Turn(Box::new(turn))))
            }
            Runner::Entity(entity) => {
                let piece = Piece::Operations(events);
                let requested = entity.give(piece, limits.operations_count_max);
                let state = entity.now.state.clone();
                Some((piece, Job::Operations(Box::new(Operations { state, requested }))))
            }
            Runner::Here(_) | Runner::Nobody | Runner::Early(_) => None,
        }
    }
}
