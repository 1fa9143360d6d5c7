//! How instances come to be: started, in place of others, with an event, or after their events.

use super::{
    Partition,
    instance::{Instance, Reply},
    requests::refused,
    slots::Slot,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    Answer, ExecutionId, InstanceId, Kind, Refusal, RequestId, Reuse, RuntimeStatus, Started,
    Timestamp,
};

impl Partition {
    pub(super) fn start(
        &mut self,
        request: RequestId,
        id: &InstanceId,
        started: Box<Started>,
        now: Timestamp,
    ) {
        let execution = started.execution;
        self.create(id, started, now);
        self.reply(request, id, Reply::Answer(Answer::Started(execution)));
    }

    /// Creates an instance, or replaces the one that is there.
    pub(super) fn create(&mut self, id: &InstanceId, started: Box<Started>, now: Timestamp) {
        let mut instance = Instance::start(id.clone(), started, now, &*self.functions);
        if let Some(why) = self.unwritable.remove(id) {
            instance.park(&why);
        }
        if let Some(old) = self.slots.known_mut(id) {
            instance.replaces = true;
            if let Some(early) = old.runner.early() {
                for event in std::mem::take(&mut early.events) {
                    instance.arrive(now, event);
                }
            }
            instance.cancelled = std::mem::take(&mut old.cancelled);
        }
        // A purge that is not durable yet has left its commit here: the new history replaces.
        if let Some(Slot::Absent(seq)) = self.slots.get_mut(id) {
            instance.seq = *seq;
        }
        self.slots.put(id.clone(), Slot::Known(Box::new(instance)));
        self.touch(id);
    }

    pub(super) fn reuse(
        &mut self,
        request: RequestId,
        id: &InstanceId,
        started: Box<Started>,
        reuse: &Reuse,
        status: RuntimeStatus,
        now: Timestamp,
    ) {
        match reuse {
            Reuse::Replace(statuses) if statuses.contains(&status) => {
                // Whoever waits for the one that is there hears of its end.
                self.terminate(id, now, Some("replaced by a new start".into()), false);
                self.step(id, now);
                self.start(request, id, started, now);
            }
            Reuse::Join if status.is_terminal() && mutated(Mutation::JoinAnew) => {
                self.start(request, id, started, now);
            }
            Reuse::Join => {
                if let Some(instance) = self.slots.known_mut(id) {
                    let answer = Answer::Started(instance.record.execution);
                    self.reply(request, id, Reply::Answer(answer));
                }
            }
            Reuse::Fresh | Reuse::Replace(_) => {
                let why = Refusal::Exists(id.clone(), status);
                self.reply(request, id, refused(why));
            }
        }
    }

    /// Starts an instance that has an event from the beginning.
    pub(super) fn start_with(
        &mut self,
        request: RequestId,
        id: &InstanceId,
        started: Box<Started>,
        event: Kind,
        now: Timestamp,
    ) {
        let execution = started.execution;
        self.create(id, started, now);
        if let Some(instance) = self.slots.known_mut(id) {
            instance.arrive(now, event);
        }
        self.reply(request, id, Reply::Answer(Answer::Started(execution)));
    }

    /// Raises an event for an instance that has not ended, and starts one in the place of one that
    /// has.
    pub(super) fn start_or_raise(
        &mut self,
        request: RequestId,
        id: &InstanceId,
        started: Box<Started>,
        reuse: &Reuse,
        event: Kind,
        now: Timestamp,
    ) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        let status = instance.status();
        let execution = instance.record.execution;
        match reuse {
            _ if !status.is_terminal() => {
                self.arrive(request, id, now, event, Answer::Started(execution));
            }
            Reuse::Replace(statuses) if statuses.contains(&status) => {
                self.start_with(request, id, started, event, now);
            }
            _ => {
                let why = Refusal::Ended(id.clone(), status);
                self.reply(request, id, refused(why));
            }
        }
    }
}

impl Started {
    /// A start of the same once more: this function and version, with this input and these labels.
    #[must_use]
    pub fn again(self, execution: ExecutionId) -> Self {
        let Self { name, version, input, tags, .. } = self;
        let input = input.filter(|_| !mutated(Mutation::RestartBare));
        Self { version, tags, ..Self::new(name, input, execution) }
    }
}
