//! Failed instances that go on: what was done stays done, and what failed is done again.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Effect, Input, Partition, Read,
    instance::{Instance, Reply},
    rewrite::{LOCKED, rewritten},
    slots::Slot,
    turn::begun,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    Answer, Change, Envelope, Event, ExecutionId, Failure, InstanceId, Kind, Message, MessageId,
    Outcome, Parent, Refusal, Request, RequestId, RuntimeStatus, Started, Text, Timestamp, Verb,
    codec, turn::Functions,
};

impl Partition {
    /// A client wants a failed instance to go on.
    pub(super) fn rewind(
        &mut self,
        request: RequestId,
        id: &InstanceId,
        reason: Option<Text>,
        now: Timestamp,
    ) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        let status = instance.status();
        if status != RuntimeStatus::Failed {
            let refused = Answer::Refused(Refusal::NotFailed(id.clone(), status));
            instance.replies.push((request, Reply::Answer(refused)));
            return self.touch(id);
        }
        let Some(past) = instance.past.take() else {
            let verb = Verb::Rewind { reason };
            let request = Request { id: request, instance: id.clone(), verb };
            return self.read_past(id, Input::Request(request));
        };
        let answer = match instance.rewind(&past, None, reason.as_ref(), now, &*self.functions) {
            Ok(()) => Answer::Done,
            Err(why) => Answer::Refused(Refusal::CannotRewind(id.clone(), why)),
        };
        instance.replies.push((request, Reply::Answer(answer)));
        self.touch(id);
    }

    /// A parent goes on, and waits for this child under another execution than before.
    pub(super) fn rewind_child(&mut self, envelope: Envelope, now: Timestamp) {
        let (id, message) = (envelope.to.clone(), envelope.id);
        let Message::Rewind { started, execution, reason } = &envelope.message else { return };
        let known = self.slots.known_mut(&id);
        let (Some(instance), Some(parent)) = (known, started.parent.clone()) else {
            return self.start_child(&id, message, started.clone(), now);
        };
        // It need not have heard of each time that its parent was rewound.
        let own = instance.record.parent.as_ref().is_some_and(|was| {
            (&was.instance, was.call) == (&parent.instance, parent.call)
                && was.execution.goes_on_as(*execution)
        });
        match instance.status() {
            RuntimeStatus::Completed if own => {
                // It may have said so when its parent did not listen.
                let outcome = instance.record.outcome.clone().unwrap_or(Ok(None));
                self.tell_parent(&id, message, parent, outcome);
            }
            RuntimeStatus::Failed if own => {
                let Some(past) = instance.past.take() else {
                    return self.read_past(&id, Input::Deliver(envelope));
                };
                let (now_parent, functions) = (Some(parent.clone()), &*self.functions);
                match instance.rewind(&past, now_parent, reason.as_ref(), now, functions) {
                    Ok(()) => instance.taken.push(message),
                    Err(why) => {
                        let why = Refusal::CannotRewind(id.clone(), why).to_string();
                        let failure = Failure::new("CannotRewind", why).non_retriable();
                        return self.tell_parent(&id, message, parent, Err(failure));
                    }
                }
                self.touch(&id);
            }
            status if own && !status.is_terminal() => {
                instance.record.parent = Some(parent);
                instance.changed = true;
                instance.taken.push(message);
                self.touch(&id);
            }
            // It was terminated, or is somebody else's: as if the call were made now.
            _ => self.start_child(&id, message, started.clone(), now),
        }
    }

    /// Reads an instance again, with the history that it has though it has ended.
    fn read_past(&mut self, id: &InstanceId, then: Input) {
        self.slots.put(id.clone(), Slot::Loading(vec![then]));
        self.outbox.hold(Effect::Read(Read::Whole(id.clone())));
    }

    fn tell_parent(&mut self, id: &InstanceId, taken: MessageId, parent: Parent, outcome: Outcome) {
        let Parent { instance, execution, call, .. } = parent;
        let told = (instance, Message::ChildFinished { execution, call, outcome });
        self.record(id, Change::Nothing, vec![told], vec![taken]);
    }
}

impl Instance {
    /// Goes on from before its failure, as a new execution; for a child, with the parent that it
    /// has now. Otherwise tells why that cannot be, and nothing has changed.
    fn rewind(
        &mut self,
        past: &[Bytes],
        parent: Option<Parent>,
        reason: Option<&Text>,
        now: Timestamp,
        functions: &dyn Functions,
    ) -> Result<(), Text> {
        let events = codec::decode_history(past)
            .map_err(|error| format!("its history cannot be read: {error}"))?;
        let Some(Event { kind: Kind::Started(started), .. }) = events.first() else {
            return Err("its history does not begin with a start".into());
        };
        let code = functions.orchestration(&started.name, started.version.as_deref());
        let mut events = rewritten(&events, &self.id, code, now)?;
        let execution = self.record.execution.rewound();
        let parent = parent.or_else(|| self.record.parent.clone());
        if let Kind::Started(started) = &mut events[0].kind {
            started.origin.get_or_insert(started.execution);
            (started.execution, started.parent) = (execution, parent.clone());
        }
        let at = now.max(self.record.updated_at);
        events.push(Event { at, kind: Kind::Rewound { reason: reason.cloned() } });
        let mut anew = Self::known(self.id.clone(), self.record.clone());
        anew.record.execution = execution;
        anew.record.parent = parent;
        anew.record.status = RuntimeStatus::Running;
        (anew.record.outcome, anew.record.completed_at) = (None, None);
        (anew.record.events, anew.replaces) = (0, true);
        anew.live(&events, functions);
        if !anew.ledger.sections.is_empty() {
            return Err(LOCKED.into());
        }
        anew.ask_again(&events, self.record.execution, reason);
        anew.fresh = events;
        anew.seq = self.seq;
        *self = anew;
        Ok(())
    }

    /// Asks others for what is open. (Activities are handed out as after every reading.)
    fn ask_again(&mut self, events: &[Event], before: ExecutionId, reason: Option<&Text>) {
        let execution = self.record.execution;
        let calls = events.iter().map(|event| &event.kind).filter(|kind| kind.is_action());
        // Workers elsewhere use an id again for another attempt: the last one counts.
        let calls: BTreeMap<_, _> = calls.map(|kind| (kind.call(), kind)).collect();
        for kind in calls.into_values() {
            match kind {
                Kind::ChildScheduled { call, instance, work }
                    if self.ledger.children.contains_key(call)
                        && !mutated(Mutation::RewindAlone) =>
                {
                    let parent = self.as_parent(*call);
                    let started = Started { parent: Some(parent), ..begun(execution, *call, work) };
                    let (started, reason) = (Box::new(started), reason.cloned());
                    let message = Message::Rewind { started, execution: before, reason };
                    self.outgoing.push((instance.clone(), message));
                }
                Kind::OperationCalled { call, .. } if self.ledger.operations.contains(call) => {
                    self.use_entity(kind);
                }
                _ => {}
            }
        }
    }
}
