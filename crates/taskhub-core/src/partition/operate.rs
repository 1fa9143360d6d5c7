//! What entities do: they are asked, locked and unlocked, and their operations are performed.

use super::{
    Effect, Partition, Warning,
    deliver::{too_much, within},
    instance::Instance,
    runner::Runner,
    slots::Slot,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    Act, Caller, Change, Envelope, Event, ExecutionId, Failure, InstanceId, Kind, Limits, Message,
    MessageId, Outcome, Performed, Piece, Requested, Started, Text, Timestamp,
    partition::turn::begun,
};

impl Partition {
    /// Makes sure that an entity is there; one that was not there has no state.
    pub(super) fn summon(&mut self, id: &InstanceId, now: Timestamp) {
        if self.slots.known_mut(id).is_some() {
            return;
        }
        // Two lives of an entity never share an execution, as a commit lies in between; nor do two
        // entities, since their ids differ.
        let life = u128::from(self.epoch.0) << 64 | u128::from(self.outbox.last().0);
        let execution = id
            .as_str()
            .bytes()
            .fold(ExecutionId(life), |so_far, byte| so_far.derive(u64::from(byte)));
        let mut instance = Instance::entity(id.clone(), execution, now);
        if let Some(Slot::Absent(seq)) = self.slots.get_mut(id) {
            instance.seq = *seq;
        }
        self.slots.put(id.clone(), Slot::Known(Box::new(instance)));
    }

    /// A message to an entity.
    pub(super) fn deliver_to_entity(&mut self, envelope: Envelope, now: Timestamp) {
        let Envelope { id: message, to, message: asked, .. } = envelope;
        let mut onwards = None;
        let kind = match asked {
            Message::Operation(requested) => Kind::OperationRequested(requested),
            Message::Lock(request) => Kind::LockRequested(request),
            Message::Unlock { section, next } if self.slots.known_mut(&to).is_some() => {
                onwards = Message::unlock(&section, &next);
                Kind::LockReleased { section }
            }
            other => return self.drop_message(&to, message, other),
        };
        self.summon(&to, now);
        if let Some(instance) = self.slots.known_mut(&to) {
            instance.arrive(now, kind);
            instance.taken.push(message);
            instance.outgoing.extend(onwards);
        }
        self.touch(&to);
    }

    /// A message that nobody can take. Those who wait for something are told.
    pub(super) fn drop_message(&mut self, to: &InstanceId, message: MessageId, dropped: Message) {
        let mut in_vain = None;
        let answers = match dropped {
            Message::LocksGranted { section, entities: next, .. }
            | Message::Unlock { section, next } => {
                Message::unlock(&section, &next).into_iter().collect()
            }
            // What is no entity cannot be locked; whoever wants all of them still gets the others.
            Message::Lock(request) => vec![request.onwards()],
            Message::Operation(requested) => {
                let failure = Failure::new("NotAnEntity", format!("{to} is not an entity"));
                let failure = failure.non_retriable();
                if let Some(caller) = requested.caller {
                    vec![answer(caller, Err(failure))]
                } else {
                    in_vain = Some(Warning::SignalFailed(requested.operation.name, failure));
                    Vec::new()
                }
            }
            Message::Start(started) => {
                let failure = Failure::new("NotAnOrchestration", format!("{to} is an entity"));
                let parent = started.parent.map(|parent| {
                    let (execution, call) = (parent.execution, parent.call);
                    let outcome = Err(failure.non_retriable());
                    (parent.instance, Message::ChildFinished { execution, call, outcome })
                });
                parent.into_iter().collect()
            }
            _ => Vec::new(),
        };
        self.record(to, Change::Nothing, answers, vec![message]);
        if let Some(warning) = in_vain {
            self.outbox.hold(Effect::Warn(to.clone(), warning));
        }
    }
}

impl Instance {
    /// Locks an entity for who waits for that, as far as it is free.
    pub(super) fn settle_locks(&mut self, now: Timestamp) {
        let Runner::Entity(entity) = &mut self.runner else { return };
        if let Some(request) = entity.grant() {
            self.outgoing.push(request.onwards());
            self.begin_anew(now);
        }
    }

    /// Whether it is an entity without a state, of which nobody wants anything.
    pub(super) fn is_gone(&self) -> bool {
        matches!(&self.runner, Runner::Entity(entity) if entity.is_gone())
            && !mutated(Mutation::KeepEmpty)
    }

    /// Lets what an entity was asked for later take its place in line, if its time has come. The
    /// log says so: whoever reads it again comes to the same order.
    pub(super) fn wake(&mut self, now: Timestamp) {
        let Some(entity) = self.runner.entity() else { return };
        let count = entity.wake(now);
        if count > 0 && !mutated(Mutation::ForgetPlace) {
            let at = now.max(self.record.updated_at);
            self.fresh.push(Event { at, kind: Kind::OperationsDue { count } });
        }
    }

    /// Lets the history of an entity begin with what it is now.
    fn begin_anew(&mut self, now: Timestamp) {
        let Runner::Entity(entity) = &mut self.runner else { return };
        let at = now.max(self.record.updated_at);
        let summary = entity.summary().into_iter().map(|kind| Event { at, kind });
        self.fresh = summary.collect();
        self.record.execution = self.record.execution.derive(u64::MAX);
        self.record.events = 0;
        self.replaces = true;
    }

    /// A worker performed operations of an entity. Whether that was still wanted.
    pub(super) fn operations_done(
        &mut self,
        piece: Piece,
        performed: Performed,
        now: Timestamp,
        limits: &Limits,
    ) -> bool {
        let execution = self.record.execution;
        let Runner::Entity(entity) = &mut self.runner else { return false };
        // Which of several made it too large nobody knows: each answers for itself.
        let is_whole = performed.failed.is_none();
        if is_whole && too_much(&sizes(&performed, limits), limits).is_some() && entity.split(piece)
        {
            self.begin_anew(now);
            return true;
        }
        let performed = checked(performed, limits);
        let done = if performed.failed.is_some() { usize::MAX } else { performed.outcomes.len() };
        let Some(requested) = entity.take_back(piece, done) else { return false };
        let mut outcomes = performed.outcomes.into_iter();
        let failed = performed.failed;
        for Requested { caller, operation, .. } in requested {
            let outcome = match &failed {
                Some(failure) => Err(failure.clone()),
                None => outcomes.next().unwrap_or(Ok(None)),
            };
            match (caller, outcome) {
                (Some(caller), outcome) => self.outgoing.push(answer(caller, outcome)),
                (None, Ok(_)) => {}
                (None, Err(failure)) => {
                    self.warnings.push(Warning::SignalFailed(operation.name, failure));
                }
            }
        }
        if failed.is_none() {
            entity.now.state = performed.state;
            let acts = performed.acts.into_iter().zip(1 << 34..);
            let acts = acts.map(|(act, number)| carry_out(act, execution.derive(number)));
            self.outgoing.extend(acts);
        }
        self.begin_anew(now);
        true
    }
}

/// What a worker may not give back becomes the failure of the operations.
fn checked(mut performed: Performed, limits: &Limits) -> Performed {
    let outcomes = performed.outcomes.into_iter().map(|outcome| within(outcome, limits));
    performed.outcomes = outcomes.collect();
    performed.failed = performed.failed.map(|failure| failure.within(limits));
    let too_much = too_much(&sizes(&performed, limits), limits);
    let nothing = performed.outcomes.is_empty() && performed.failed.is_none();
    if too_much.is_some() {
        performed.failed = too_much;
    } else if nothing {
        let message = "the worker gave no result for any of the operations";
        performed.failed = Some(Failure::new("NoResult", message));
    }
    performed
}

/// The bytes of the state, of each input that is sent to others, and of each answer. (One that is
/// too large by itself fails by itself.)
fn sizes(performed: &Performed, limits: &Limits) -> Vec<usize> {
    let bytes = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.len());
    let acts = performed.acts.iter().map(|act| match act {
        Act::Signal(_, requested) => bytes(&requested.operation.input),
        Act::Start { work, .. } => bytes(&work.input),
    });
    let answers = performed.outcomes.iter().map(|outcome| outcome.as_ref().map_or(0, bytes));
    let answers = answers.map(|bytes| bytes.min(limits.payload_bytes_max));
    acts.chain(answers).chain([bytes(&performed.state)]).collect()
}

/// Tells who waits how the operation ended.
fn answer(caller: Caller, outcome: Outcome) -> (InstanceId, Message) {
    let Caller { instance, execution, call } = caller;
    (instance, Message::OperationFinished { execution, call, outcome })
}

fn carry_out(act: Act, execution: ExecutionId) -> (InstanceId, Message) {
    match act {
        Act::Signal(entity, requested) => (entity, Message::Operation(Box::new(requested))),
        Act::Start { instance, work, at } => {
            let started = Started { start_at: at, ..begun(execution, crate::CallId(0), &work) };
            (instance, Message::Start(Box::new(started)))
        }
    }
}
