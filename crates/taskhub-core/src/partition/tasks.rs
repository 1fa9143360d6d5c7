//! Work on its way to workers: only so much at a time, the rest waits where it is stored.

use super::{
    Decisions, Effect, Partition,
    instance::Instance,
    room::{Label, Room},
    runner::{Runner, TurnOut},
    slots::Slot,
};
use crate::{
    ExecutionId, InstanceId, Job, Limits, Operations, Piece, Task, Ticket, Timestamp, Turn, Work,
};

/// What is out, and whose turn it is next; for each kind of work, so that none waits for another.
#[derive(Debug)]
pub(super) struct Tasks {
    kinds: [Room; Piece::KINDS],
}

impl Tasks {
    pub(super) fn new(count_max: usize) -> Self {
        Self { kinds: [Room::new(count_max), Room::new(count_max), Room::new(count_max)] }
    }

    /// Whether somebody found no room, and there is room now.
    pub(super) fn is_hungry(&self) -> bool {
        self.kinds.iter().any(Room::is_hungry)
    }

    /// How much work of others may go out, beside what found no room before: of the kind that has
    /// least room, as nobody knows what an instance has to do before it is read.
    pub(super) fn spare(&self) -> usize {
        self.kinds.iter().map(Room::spare).min().unwrap_or(0)
    }

    /// Whether the store knows of some who found no room, and there is room now.
    pub(super) fn misses(&self) -> bool {
        self.kinds.iter().any(Room::misses)
    }

    /// Those are looked for.
    pub(super) fn look_for_missing(&mut self) {
        self.kinds.iter_mut().for_each(Room::look_for_missing);
    }

    /// A result came: the work is no longer out.
    pub(super) fn returned(&mut self, ticket: &Ticket) {
        let key = (ticket.instance.clone(), ticket.execution, ticket.piece);
        self.kinds[ticket.piece.kind()].returned(&key);
    }

    fn is_out(&self, id: &InstanceId, execution: ExecutionId, piece: Piece) -> bool {
        self.kinds[piece.kind()].is_out(&(id.clone(), execution, piece))
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
        let rooms = &mut self.tasks.kinds;
        while let Some((label, piece, job)) = instance.next_job(now, &self.limits, rooms) {
            if rooms[piece.kind()].send((id.clone(), execution, piece), label) {
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

    /// Turns to the instances that found no room, when a good part of it is free again.
    pub(super) fn feed_tasks(&mut self, out: &mut Decisions) {
        for kind in 0..Piece::KINDS {
            for (label, room) in self.tasks.kinds[kind].hungry() {
                self.feed(kind, &label, room, out);
            }
        }
    }

    fn feed(&mut self, kind: usize, label: &Label, mut room: usize, out: &mut Decisions) {
        while room > 0
            && let Some(id) = self.tasks.kinds[kind].next(label)
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
    /// The next piece of work for others for which there is room.
    fn next_job(
        &mut self,
        now: Timestamp,
        limits: &Limits,
        rooms: &mut [Room; Piece::KINDS],
    ) -> Option<(Label, Piece, Job)> {
        let id = &self.id;
        let fits = |work: &Work| rooms[0].admit(&(work.name.clone(), work.version.clone()), id);
        if let Some((call, work)) = self.ledger.next_unsent(fits) {
            let label = (work.name.clone(), work.version.clone());
            return Some((label, Piece::Activity(call), Job::Activity(work)));
        }
        let (kind, label) = match &self.runner {
            Runner::Elsewhere(remote) if remote.out.is_none() && self.wants_turn(now) => {
                (1, (self.record.name.clone(), self.record.version.clone()))
            }
            Runner::Entity(entity) if entity.is_ready() => {
                let (name, _) = self.id.as_entity().unwrap_or_default();
                (2, (name.into(), None))
            }
            _ => return None,
        };
        if !rooms[kind].admit(&label, &self.id) {
            return None;
        }
        let (piece, job) = self.task(now, limits)?;
        Some((label, piece, job))
    }

    /// Its turn, or its operations.
    fn task(&mut self, now: Timestamp, limits: &Limits) -> Option<(Piece, Job)> {
        let (events, takes) = (self.record.events, self.ledger.waiting);
        match &mut self.runner {
            Runner::Elsewhere(remote) => {
                let (piece, clock) = (Piece::Turn(events), now.max(self.record.updated_at));
                remote.out = Some(TurnOut { piece, takes, clock });
                let (name, version) = (self.record.name.clone(), self.record.version.clone());
                let history = remote.history.clone();
                let after = remote.last;
                let turn = Turn { name, version, history, takes, clock, after };
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
