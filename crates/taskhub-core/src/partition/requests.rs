//! What a client's request does to its instance.

use super::{
    Input, Partition,
    instance::{Instance, Reply, Todo},
    runner::Runner,
    slots::Slot,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    Answer, Change, Failure, InstanceId, Kind, Message, Refusal, Request, RequestId, Requested,
    RuntimeStatus, TaskResult, Timestamp, Verb,
};

impl Partition {
    pub(super) fn request(&mut self, request: Request, now: Timestamp) {
        if request.verb.waits() && !self.waiters.expects(request.id) {
            return; // Forgotten while the instance was being read.
        }
        if let Some(why) = improper(&request, self.limits.payload_bytes_max) {
            return self.answer(request.id, Answer::Refused(why));
        }
        if !commutes(&request.verb) && !self.step_first(&request.instance, now) {
            let id = request.instance.clone();
            return self.queue(&id, Input::Request(request));
        }
        let Request { id: request, instance: id, verb } = request;
        let verb = match verb {
            Verb::Finish(result) => return self.finish(request, &id, *result, now),
            verb => verb,
        };
        let Some(status) = self.status_of(&id) else {
            return self.absent(request, id, verb, now);
        };
        match verb {
            Verb::Start { started, reuse } => {
                self.reuse(request, &id, started, &reuse, status, now);
            }
            Verb::StartOrRaise { started, reuse, name, input } => {
                let event = Kind::EventRaised { name, input };
                self.start_or_raise(request, &id, started, &reuse, event, now);
            }
            Verb::Wait | Verb::Expect if !status.is_terminal() => {
                self.waiters.until_end(request, id);
            }
            Verb::WaitStart | Verb::ExpectStart if status == RuntimeStatus::Pending => {
                self.waiters.until_start(request, id);
            }
            _ if verb.waits() || matches!(verb, Verb::Status) => {
                self.reply(request, &id, Reply::Status);
            }
            Verb::Purge => self.purge(request, &id, status),
            Verb::Signal(requested) => self.signal(request, &id, requested, now),
            Verb::Rewind { reason } => self.rewind(request, &id, reason, now),
            _ if status.is_terminal() => {
                let why = Refusal::Ended(id.clone(), status);
                self.reply(request, &id, refused(why));
            }
            verb => self.control(request, &id, verb, status, now),
        }
    }

    /// What can be asked of an instance that nobody has started yet.
    fn absent(&mut self, request: RequestId, id: InstanceId, verb: Verb, now: Timestamp) {
        match verb {
            Verb::Start { started, .. } => self.start(request, &id, started, now),
            Verb::StartOrRaise { started, name, input, .. } => {
                let event = Kind::EventRaised { name, input };
                self.start_with(request, &id, started, event, now);
            }
            Verb::RaiseEarly { name, input, until } => {
                self.keep(request, &id, Kind::EventRaised { name, input }, until, now);
            }
            Verb::Purge if self.slots.known_mut(&id).is_some() => {
                self.vanish(&id);
                self.answer(request, Answer::Done);
            }
            Verb::Signal(requested) => self.signal(request, &id, requested, now),
            Verb::Expect => self.waiters.until_end(request, id),
            Verb::ExpectStart => self.waiters.until_start(request, id),
            _ => self.answer(request, Answer::Refused(Refusal::NotFound(id))),
        }
    }

    /// What can be done to an instance that has not ended.
    fn control(
        &mut self,
        request: RequestId,
        id: &InstanceId,
        verb: Verb,
        status: RuntimeStatus,
        now: Timestamp,
    ) {
        match verb {
            Verb::Raise { name, input } | Verb::RaiseEarly { name, input, .. } => {
                self.arrive(request, id, now, Kind::EventRaised { name, input }, Answer::Done);
            }
            Verb::Suspend { .. } if status == RuntimeStatus::Suspended => {
                self.reply(request, id, Reply::Answer(Answer::Done));
            }
            Verb::Suspend { reason } => {
                self.arrive(request, id, now, Kind::Suspended { reason }, Answer::Done);
            }
            Verb::Resume { reason } => self.resume(request, id, reason, status, now),
            Verb::Unlock { section } => {
                self.relieve(request, id, now, Kind::LockReleased { section });
            }
            Verb::Terminate { reason, recursive } => {
                self.terminate(id, now, reason, recursive);
                self.reply(request, id, Reply::Answer(Answer::Done));
            }
            other => debug_assert!(false, "{other:?} is handled before"),
        }
    }

    fn finish(&mut self, request: RequestId, id: &InstanceId, result: TaskResult, now: Timestamp) {
        self.task_done(result, now);
        // A result that nobody waits for any more changes nothing, and that is well.
        match self.status_of(id) {
            Some(_) => self.reply(request, id, Reply::Answer(Answer::Done)),
            None => self.answer(request, Answer::Done),
        }
    }

    fn signal(
        &mut self,
        request: RequestId,
        id: &InstanceId,
        requested: Box<Requested>,
        now: Timestamp,
    ) {
        self.summon(id, now);
        self.arrive(request, id, now, Kind::OperationRequested(requested), Answer::Done);
    }

    fn purge(&mut self, request: RequestId, id: &InstanceId, status: RuntimeStatus) {
        let known = self.slots.known_mut(id);
        let parked = known.as_ref().is_some_and(|known| known.record.stuck.is_some());
        if let Some(entity) = known.and_then(|known| known.runner.entity()) {
            if !entity.is_resting() {
                return self.reply(request, id, refused(Refusal::InUse(id.clone())));
            }
        } else if !status.is_terminal() && !parked {
            let why = Refusal::NotEnded(id.clone(), status);
            return self.reply(request, id, refused(why));
        }
        let last = self.slots.known_mut(id).map(Instance::abandon).unwrap_or_default();
        self.withdraw(id);
        let seq = self.record(id, Change::Purge, last, Vec::new());
        self.slots.put(id.clone(), Slot::Absent(seq));
        self.wakes.set(id, None);
        for waiter in self.waiters.abandoned(id) {
            self.answer(waiter, Answer::Refused(Refusal::NotFound(id.clone())));
        }
        self.answer(request, Answer::Done);
    }

    fn resume(
        &mut self,
        request: RequestId,
        id: &InstanceId,
        reason: Option<crate::Text>,
        status: RuntimeStatus,
        now: Timestamp,
    ) {
        // Either way the reply lists it.
        if status == RuntimeStatus::Suspended {
            self.relieve(request, id, now, Kind::Resumed { reason });
        } else {
            self.reply(request, id, Reply::Answer(Answer::Done));
        }
        // One that was read again after it was parked tries already, with the code of today.
        if let Some(instance) = self.slots.known_mut(id)
            && instance.record.stuck.is_some()
            && matches!(instance.runner, Runner::Nobody)
        {
            instance.todo = Todo::Revive;
        }
    }

    /// Writes an event that a client sent, and gives this answer, if there is room for it.
    pub(super) fn arrive(
        &mut self,
        request: RequestId,
        id: &InstanceId,
        now: Timestamp,
        kind: Kind,
        answer: Answer,
    ) {
        let backlog_max = self.limits.backlog_count_max;
        let Some(instance) = self.slots.known_mut(id) else { return };
        let backlog = instance.runner.entity().map_or(0, |entity| entity.backlog());
        if instance.ledger.waiting as usize + backlog >= backlog_max {
            let why = Refusal::Busy("too many events wait for this instance");
            return self.reply(request, id, refused(why));
        }
        instance.arrive(now, kind);
        self.reply(request, id, Reply::Answer(answer));
    }

    /// Writes an event after which less will wait: there is always room for it.
    fn relieve(&mut self, request: RequestId, id: &InstanceId, now: Timestamp, kind: Kind) {
        if mutated(Mutation::RefuseRelief) {
            return self.arrive(request, id, now, kind, Answer::Done);
        }
        if let Some(instance) = self.slots.known_mut(id) {
            instance.arrive(now, kind);
            self.reply(request, id, Reply::Answer(Answer::Done));
        }
    }

    pub(super) fn reply(&mut self, request: RequestId, id: &InstanceId, reply: Reply) {
        if let Some(instance) = self.slots.known_mut(id) {
            instance.replies.push((request, reply));
            self.touch(id);
        }
    }
}

impl Instance {
    /// What it sends when it is purged: one that was parked gives back what it has locked, and
    /// tells its parent. What it called does not matter any more.
    fn abandon(&mut self) -> Vec<(InstanceId, Message)> {
        if self.record.status.is_terminal() {
            return Vec::new();
        }
        let failure = format!("instance {} was parked, and purged", self.id);
        let outcome = Err(Failure::new("Purged", failure).non_retriable());
        let told = self.record.parent.take().map(|parent| {
            let (execution, call) = (parent.execution, parent.call);
            (parent.instance, Message::ChildFinished { execution, call, outcome })
        });
        self.forget_calls();
        self.outgoing.extend(told);
        std::mem::take(&mut self.outgoing)
    }
}

/// Whether it makes no difference if the turn before it runs first: all others see its result.
fn commutes(verb: &Verb) -> bool {
    matches!(verb, Verb::Raise { .. } | Verb::Signal(_) | Verb::Finish(_) | Verb::Status)
        || verb.waits()
}

/// Why a request cannot be made at all.
fn improper(request: &Request, bytes_max: usize) -> Option<Refusal> {
    let Request { instance, verb, .. } = request;
    let is_entity = instance.as_entity().is_some();
    let is_for_it = match verb {
        Verb::Signal(_) | Verb::Unlock { .. } => is_entity,
        Verb::Status | Verb::Purge | Verb::Resume { .. } | Verb::Finish(_) => true,
        _ => !is_entity,
    };
    if !is_for_it {
        return Some(Refusal::OtherKind(instance.clone()));
    }
    let bytes = input_bytes(verb);
    (bytes > bytes_max).then(|| Refusal::TooLarge(instance.clone(), bytes, bytes_max))
}

fn input_bytes(verb: &Verb) -> usize {
    let input = match verb {
        Verb::Start { started, .. } => &started.input,
        Verb::Raise { input, .. } | Verb::RaiseEarly { input, .. } => input,
        Verb::StartOrRaise { started, input, .. } => {
            let bytes = |input: &Option<crate::Text>| input.as_ref().map_or(0, |it| it.len());
            return bytes(&started.input).max(bytes(input));
        }
        Verb::Signal(requested) => &requested.operation.input,
        Verb::Terminate { reason, .. }
        | Verb::Suspend { reason }
        | Verb::Resume { reason }
        | Verb::Rewind { reason } => reason,
        _ => return 0,
    };
    input.as_ref().map_or(0, |input| input.len())
}

pub(super) fn refused(why: Refusal) -> Reply {
    Reply::Answer(Answer::Refused(why))
}
