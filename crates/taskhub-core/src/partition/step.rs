//! A step of an instance: run its code as far as it goes, then write one turn record.

use super::{
    Effect, Partition, Read,
    deliver::too_large,
    instance::{Instance, Reply, Todo},
    slots::Slot,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    Answer, Change, CommitSeq, Envelope, Event, Failure, InstanceId, Kind, Limits, Message,
    MessageId, Parent, RuntimeStatus, Started, Timestamp, TurnRecord,
    turn::{ContinueAsNew, Functions, Progress},
};

impl Partition {
    /// Runs what can be run of an instance and writes what came of it; nothing if nothing did.
    pub(super) fn step(&mut self, id: &InstanceId, now: Timestamp) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        if std::mem::replace(&mut instance.todo, Todo::Nothing) == Todo::Revive {
            return self.revive(id);
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
        self.dispatch(id);
        self.slots.measure(id);
    }

    /// Writes the turn record of an instance, if anything changed, and prepares its replies.
    fn write(&mut self, id: &InstanceId) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        let outgoing = std::mem::take(&mut instance.outgoing);
        let taken = std::mem::take(&mut instance.taken);
        if instance.is_changed() || !outgoing.is_empty() || !taken.is_empty() {
            let history = instance.take_history();
            instance.refresh_record();
            instance.changed = false;
            let due = instance.record.due;
            let record = Box::new(instance.record.clone());
            let seq = self.record(id, Change::Write { record, history }, outgoing, taken);
            self.wakes.set(id, due);
            if let Some(instance) = self.slots.known_mut(id) {
                instance.seq = seq;
            }
        }
        self.tell(id);
    }

    /// Answers those who asked about an instance, as of the step that was just written.
    fn tell(&mut self, id: &InstanceId) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        let replies = std::mem::take(&mut instance.replies);
        let ended = instance.record.status.is_terminal();
        let ended = ended && !mutated(Mutation::ForgetWaiter);
        let waiters = if ended { self.waiters.remove(id).unwrap_or_default() } else { Vec::new() };
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
        self.slots.put(id.clone(), Slot::Loading(Vec::new()));
        self.outbox.hold(Effect::Read(Read::Instance(id.clone())));
    }
}

impl Instance {
    /// One turn: its code takes all that waits.
    fn turn(&mut self, now: Timestamp, functions: &dyn Functions, limits: &Limits) {
        let Some(code) = &mut self.code else { return };
        let step = code.step();
        if let Progress::Stuck(why) = &step.progress {
            return self.park(why);
        }
        self.record.stuck = None;
        let at = now.max(self.record.updated_at);
        self.write(Event { at, kind: Kind::TurnStarted { takes: self.ledger.waiting } });
        if let Some(status) = step.custom_status
            && self.record.custom_status.as_ref() != Some(&status)
        {
            self.record.custom_status = Some(status);
            self.changed = true;
        }
        let events = self.record.events + (self.fresh.len() + step.actions.len()) as u64;
        if events > limits.history_events_max || step.actions.len() > limits.calls_per_turn_max {
            return self.end(now, RuntimeStatus::Failed, Err(too_long(limits)));
        }
        let output = match &step.progress {
            Progress::Finished(Ok(Some(output))) => output.len(),
            _ => 0,
        };
        let largest = step.actions.iter().map(Kind::payload_bytes).max().unwrap_or(0).max(output);
        if largest > limits.payload_bytes_max {
            let why = too_large(largest, limits);
            return self.end(now, RuntimeStatus::Failed, Err(why));
        }
        for kind in step.actions {
            self.act(at, kind);
        }
        match step.progress {
            Progress::Waiting | Progress::Stuck(_) => {}
            Progress::Finished(Ok(output)) => self.end(now, RuntimeStatus::Completed, Ok(output)),
            Progress::Finished(Err(why)) => self.end(now, RuntimeStatus::Failed, Err(why)),
            Progress::ContinuedAsNew(how, kept) => self.continue_as_new(how, kept, now, functions),
        }
    }

    /// Writes a call that the code made, and sends what it sends.
    fn act(&mut self, at: Timestamp, kind: Kind) {
        match &kind {
            Kind::ChildScheduled { call, instance, work } => {
                let execution = self.record.execution;
                let own = execution.derive(u64::from(call.0) | 1 << 32);
                let started = Started {
                    version: work.version.clone(),
                    parent: Some(Parent {
                        instance: self.id.clone(),
                        execution,
                        name: self.record.name.clone(),
                        call: *call,
                    }),
                    tags: work.tags.clone(),
                    ..Started::new(work.name.clone(), work.input.clone(), own)
                };
                self.outgoing.push((instance.clone(), Message::Start(Box::new(started))));
            }
            Kind::EventSent { to, name, input, .. } => {
                let message = Message::Raise { name: name.clone(), input: input.clone() };
                self.outgoing.push((to.clone(), message));
            }
            Kind::CallCancelled { call } if self.ledger.activities.contains(call) => {
                self.cancelled.push((self.record.execution, *call));
            }
            _ => {}
        }
        self.write(Event { at, kind });
    }

    fn continue_as_new(
        &mut self,
        how: ContinueAsNew,
        kept: Vec<Kind>,
        now: Timestamp,
        functions: &dyn Functions,
    ) {
        let execution = self.record.execution.derive(u64::MAX);
        let started = Started {
            version: how.version.or_else(|| self.record.version.clone()),
            parent: self.record.parent.clone(),
            deadline: self.ledger.deadline,
            tags: self.record.tags.clone(),
            ..Started::new(self.record.name.clone(), how.input, execution)
        };
        self.restart(Box::new(started), now, functions);
        for event in kept {
            self.arrive(now, event);
        }
    }
}

fn too_long(limits: &Limits) -> Failure {
    let message = format!(
        "a history has at most {} events and a turn makes at most {} calls; use continue_as_new",
        limits.history_events_max, limits.calls_per_turn_max
    );
    Failure::new("HistoryTooLong", message).non_retriable()
}
