//! A step of an instance: run its code as far as it goes, then write one turn record.

use super::{
    Effect, Partition, Read,
    instance::{Reply, Todo},
    slots::Slot,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    Answer, Change, CommitSeq, Envelope, InstanceId, Message, MessageId, Refusal, Timestamp,
    TurnRecord,
};

impl Partition {
    /// Runs what can be run of an instance and writes what came of it; nothing if nothing did.
    pub(super) fn step(&mut self, id: &InstanceId, now: Timestamp) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        if std::mem::replace(&mut instance.todo, Todo::Nothing) == Todo::Revive {
            return self.revive(id);
        }
        if instance.runner.early().is_some_and(|early| early.ends() <= now) {
            return self.vanish(id);
        }
        instance.wake(now);
        instance.settle_locks(now);
        if instance.is_gone() {
            return self.vanish(id);
        }
        let mut turns = 0;
        while instance.is_runnable(now) {
            if turns == self.limits.continues_in_row_max {
                self.again.push(id.clone());
                break;
            }
            turns += 1;
            instance.turn(now, &*self.functions, &self.limits);
        }
        self.write(id);
        self.dispatch(id, now);
        self.slots.measure(id);
    }

    /// Writes the turn record of an instance, if anything changed, and prepares its replies.
    fn write(&mut self, id: &InstanceId) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        let outgoing = std::mem::take(&mut instance.outgoing);
        let taken = std::mem::take(&mut instance.taken);
        if instance.is_changed() || !outgoing.is_empty() || !taken.is_empty() {
            let written = if instance.replaces { 0 } else { instance.record.events };
            let history = instance.take_history();
            instance.refresh_record();
            instance.changed = false;
            let shows = std::mem::take(&mut instance.shows) && !mutated(Mutation::NeverShow);
            let due = instance.record.due;
            let record = Box::new(instance.record.clone());
            let seq = self.record(id, Change::Write { record, shows, history }, outgoing, taken);
            self.wakes.set(id, due);
            if let Some(instance) = self.slots.known_mut(id) {
                instance.seq = seq;
                for warning in std::mem::take(&mut instance.warnings) {
                    self.outbox.hold(Effect::Warn(id.clone(), warning));
                }
                if instance.is_sample(written, self.limits.replay_samples) {
                    self.slots.sample(id.clone());
                }
            }
        }
        self.tell(id);
    }

    /// Forgets an entity that has no state, and of which nobody wants anything; or events that were
    /// kept for somebody who did not come.
    pub(super) fn vanish(&mut self, id: &InstanceId) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        let outgoing = std::mem::take(&mut instance.outgoing);
        let taken = std::mem::take(&mut instance.taken);
        let replies = std::mem::take(&mut instance.replies);
        let warnings = std::mem::take(&mut instance.warnings);
        let seq = self.record(id, Change::Purge, outgoing, taken);
        for warning in warnings {
            self.outbox.hold(Effect::Warn(id.clone(), warning));
        }
        let gone = || Answer::Refused(Refusal::NotFound(id.clone()));
        for (request, reply) in replies {
            self.answer(
                request,
                match reply {
                    Reply::Answer(answer) => answer,
                    Reply::Status => gone(),
                },
            );
        }
        for waiter in self.waiters.abandoned(id) {
            self.answer(waiter, gone());
        }
        self.slots.put(id.clone(), Slot::Absent(seq));
        self.wakes.set(id, None);
    }

    /// Answers those who asked about an instance, as of the step that was just written.
    fn tell(&mut self, id: &InstanceId) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        let replies = std::mem::take(&mut instance.replies);
        let status = instance.record.status;
        let waiters =
            if mutated(Mutation::ForgetWaiter) { vec![] } else { self.waiters.reached(id, status) };
        if replies.is_empty() && waiters.is_empty() {
            return;
        }
        let status = || Answer::Status(Box::new(instance.record.clone()));
        let waiters = waiters.into_iter().map(|request| (request, Reply::Status));
        let answers: Vec<_> = replies
            .into_iter()
            .chain(waiters)
            .map(|(request, reply)| match reply {
                Reply::Answer(answer) => (request, answer),
                Reply::Status => (request, status()),
            })
            .collect();
        for (request, answer) in answers {
            self.answer(request, answer);
        }
    }

    /// Adds a turn record to the decisions; its messages get their ids.
    pub(super) fn record(
        &mut self,
        id: &InstanceId,
        change: Change,
        outgoing: Vec<(InstanceId, Message)>,
        taken: Vec<MessageId>,
    ) -> CommitSeq {
        let seq = self.outbox.next_seq();
        self.delivered.taken(seq, &taken);
        self.awaited.note(id, &change);
        let sent = outgoing.into_iter().map(|(to, message)| {
            let partition = self.partition_of(&to);
            let count = self.messages.entry(partition).or_default();
            *count += 1;
            let number = u64::from(partition.0) << 40 | *count;
            let message_id = MessageId { from: self.id, epoch: self.epoch, number };
            Envelope { id: message_id, partition, to, message }
        });
        let sent = sent.filter(|_| !mutated(Mutation::SplitTurn)).collect();
        let turn =
            TurnRecord { partition: self.id, seq, instance: id.clone(), change, sent, taken };
        self.turns.push(turn);
        seq
    }

    /// Reads a parked instance again, so that it starts from its history, with the code of today.
    fn revive(&mut self, id: &InstanceId) {
        self.write(id);
        self.revived.insert(id.clone());
        self.slots.put(id.clone(), Slot::Loading(Vec::new()));
        self.outbox.hold(Effect::Read(Read::Instance(id.clone())));
    }
}
