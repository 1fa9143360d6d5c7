//! Messages from other instances, and results of workers.

use std::collections::{BTreeMap, VecDeque};

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

use super::{Input, Partition, instance::Instance, slots::Slot};
use crate::mutation::{Mutation, mutated};
use crate::{
    CallId, Change, CommitSeq, Done, Envelope, Epoch, Event, ExecutionId, Failure, Inherited,
    InstanceId, Kind, Limits, Message, MessageId, Outcome, Parent, PartitionId, Piece,
    RuntimeStatus, Started, TaskResult, Text, Timestamp,
};

/// Messages that were delivered, so that a second delivery is recognised, however late it comes.
#[derive(Debug)]
pub(super) struct Delivered {
    /// Every message that was ever delivered to this owner: per sender, ranges of numbers. Senders
    /// count without gaps, so that a handful of ranges remembers them all.
    seen: HashMap<(PartitionId, Epoch), BTreeMap<u64, u64>>,
    /// Those of them that may still stand in the inbox.
    ids: HashSet<MessageId>,
    taken: VecDeque<(CommitSeq, MessageId)>,
}

impl Delivered {
    pub(super) fn new() -> Self {
        Self { seen: HashMap::new(), ids: HashSet::new(), taken: VecDeque::new() }
    }

    /// Whether this message was not there before.
    pub(super) fn insert(&mut self, id: MessageId) -> bool {
        let new = note(self.seen.entry((id.from, id.epoch)).or_default(), id.number);
        new && self.ids.insert(id)
    }

    pub(super) fn taken(&mut self, seq: CommitSeq, ids: &[MessageId]) {
        self.taken.extend(ids.iter().map(|id| (seq, *id)));
    }

    pub(super) fn forget(&mut self, durable: CommitSeq) {
        while let Some((seq, id)) = self.taken.front()
            && *seq <= durable
        {
            self.ids.remove(id);
            self.taken.pop_front();
        }
    }
}

/// Adds a number to ranges, each from its key to its value; whether it was in none.
fn note(ranges: &mut BTreeMap<u64, u64>, number: u64) -> bool {
    let before = ranges.range(..=number).next_back().map(|(start, end)| (*start, *end));
    if before.is_some_and(|(_, end)| number <= end) {
        return false;
    }
    let end = ranges.remove(&(number + 1)).unwrap_or(number);
    let start = before.filter(|(_, end)| end + 1 == number).map_or(number, |(start, _)| start);
    ranges.insert(start, end);
    true
}

impl Partition {
    /// Which messages were delivered and may still stand in the stored inbox.
    #[must_use]
    pub fn delivered(&self) -> Vec<MessageId> {
        let mut ids: Vec<_> = self.delivered.ids.iter().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn deliver(&mut self, envelope: Envelope, now: Timestamp) {
        if envelope.to.as_entity().is_some() {
            return self.deliver_to_entity(envelope, now);
        }
        if matches!(envelope.message, Message::Operation(_) | Message::Lock(_)) {
            return self.drop_message(&envelope.to, envelope.id, envelope.message);
        }
        let waits_for_turn = matches!(
            envelope.message,
            Message::Start(_) | Message::Terminate { .. } | Message::Rewind { .. }
        );
        if waits_for_turn && !self.step_first(&envelope.to, now) {
            let id = envelope.to.clone();
            return self.queue(&id, Input::Deliver(envelope));
        }
        if let Message::Rewind { .. } = envelope.message {
            return self.rewind_child(envelope, now);
        }
        let Envelope { id: message_id, to, message, .. } = envelope;
        match message {
            Message::Start(started) => self.start_child(&to, message_id, started, now),
            message => match self.slots.get_mut(&to) {
                Some(Slot::Known(instance)) if instance.is_alive() => {
                    instance.taken.push(message_id);
                    self.receive(&to, message, now);
                    self.touch(&to);
                }
                _ => {
                    self.step(&to, now); // Its end is written first, since it is the reason.
                    self.drop_message(&to, message_id, message);
                }
            },
        }
    }

    fn receive(&mut self, id: &InstanceId, message: Message, now: Timestamp) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        match message {
            Message::Raise { name, input } => {
                instance.arrive(now, Kind::EventRaised { name, input });
            }
            Message::ChildFinished { execution, call, outcome } => {
                instance.child_finished(execution, call, outcome, now);
            }
            Message::OperationFinished { execution, call, outcome } => {
                let ledger = &instance.ledger;
                if instance.record.execution == execution
                    && (ledger.unread || ledger.operations.contains(&call))
                {
                    instance.arrive(now, Kind::OperationFinished { call, outcome });
                }
            }
            Message::LocksGranted { execution, call, section, entities } => {
                let ledger = &instance.ledger;
                if instance.record.execution == execution
                    && (ledger.unread || ledger.sections.contains_key(&call))
                {
                    instance.arrive(now, Kind::LocksGranted { call, section });
                } else {
                    // Whoever asked does not wait any more.
                    instance.outgoing.extend(Message::unlock(&section, &entities));
                }
            }
            // An id that was in use when the parent called it belongs to somebody else.
            Message::Terminate { child_of, reason, recursive } => {
                let parent = instance.record.parent.as_ref();
                let is_own = |(execution, call)| {
                    let goes_on = |it: &Parent| it.execution.goes_on_as(execution);
                    parent.is_some_and(|it| it.call == call && goes_on(it))
                };
                if child_of.is_none_or(is_own) {
                    self.terminate(id, now, reason, recursive);
                }
            }
            // Only entities perform operations, and are locked.
            Message::Operation(_) | Message::Lock(_) | Message::Unlock { .. } => {}
            Message::Start(_) | Message::Rewind { .. } => {
                debug_assert!(false, "starts are handled before");
            }
        }
    }

    /// A parent calls a child. An id in use by an instance that has not ended fails the call.
    pub(super) fn start_child(
        &mut self,
        to: &InstanceId,
        message: MessageId,
        started: Box<Started>,
        now: Timestamp,
    ) {
        if let Some(status) = self.status_of(to)
            && !status.is_terminal()
        {
            let refusal = started.parent.map(|parent| in_use(to, status, &parent));
            self.record(to, Change::Nothing, refusal.into_iter().collect(), vec![message]);
            return;
        }
        self.create(to, started, now);
        if let Some(instance) = self.slots.known_mut(to) {
            instance.taken.push(message);
        }
    }

    /// Ends an instance that has not ended, after the turns of what came before.
    pub(super) fn terminate(
        &mut self,
        id: &InstanceId,
        now: Timestamp,
        reason: Option<Text>,
        recursive: bool,
    ) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        if instance.status().is_terminal() {
            return;
        }
        if recursive {
            let message = |Inherited { execution, call, instance }| {
                let child_of = Some((execution, call));
                (instance, Message::Terminate { child_of, reason: reason.clone(), recursive })
            };
            let children = instance.ledger.all_children(instance.record.execution);
            instance.outgoing.extend(children.map(message));
        }
        instance.arrive(now, Kind::Terminated { reason: reason.clone() });
        instance.end(now, RuntimeStatus::Terminated, Ok(reason));
        self.touch(id);
    }

    /// A worker is done. Its result counts if that piece of that execution is still open.
    pub(super) fn task_done(&mut self, result: TaskResult, now: Timestamp) {
        let TaskResult { ticket, done } = result;
        if ticket.epoch != self.epoch && !mutated(Mutation::TakeStale) {
            return;
        }
        self.tasks.returned(&ticket);
        let Some(instance) = self.slots.known_mut(&ticket.instance) else { return };
        if !waits_for(instance, ticket.execution) {
            if let Piece::Activity(call) = ticket.piece
                && instance.record.execution == ticket.execution
                && instance.settle(call)
            {
                self.touch(&ticket.instance);
            }
            return;
        }
        let (functions, limits) = (&*self.functions, &self.limits);
        let wanted = match (ticket.piece, done) {
            (Piece::Activity(call), Done::Activity(outcome)) => {
                instance.activity_done(call, outcome, now, limits)
            }
            (Piece::Activity(call), Done::Ahead(ahead)) => {
                instance.ahead_done(call, *ahead, now, functions, limits)
            }
            (piece @ Piece::Turn(_), Done::Turn(taken)) => {
                instance.turn_done(piece, *taken, now, functions, limits)
            }
            (piece @ Piece::Operations(_), Done::Operations(performed)) => {
                instance.operations_done(piece, *performed, now, limits)
            }
            _ => false,
        };
        if wanted {
            self.touch(&ticket.instance);
        }
    }
}

impl Instance {
    /// A child ended. Whoever waits for it hears that; otherwise it is only remembered no longer.
    fn child_finished(
        &mut self,
        execution: ExecutionId,
        call: CallId,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let own = self.record.execution;
        let unread = self.ledger.unread;
        if execution == own && (unread || self.ledger.children.contains_key(&call)) {
            self.arrive(now, Kind::ChildFinished { call, outcome });
        } else if unread || self.ledger.remembers(execution, call, own) {
            let at = now.max(self.record.updated_at);
            self.write(Event { at, kind: Kind::ChildGone { execution, call } });
        }
    }

    /// An activity ended. Whether somebody waits for that.
    pub(super) fn activity_done(
        &mut self,
        call: CallId,
        outcome: Outcome,
        now: Timestamp,
        limits: &Limits,
    ) -> bool {
        if !self.ledger.activities.contains(&call) && !mutated(Mutation::TakeTwice) {
            return false;
        }
        let outcome = within(outcome, limits);
        self.arrive(now, Kind::ActivityFinished { call, outcome });
        true
    }
}

fn waits_for(instance: &Instance, execution: ExecutionId) -> bool {
    instance.record.execution == execution && !instance.record.status.is_terminal()
}

/// How something ended, as much of it as may be kept.
pub(super) fn within(outcome: Outcome, limits: &Limits) -> Outcome {
    match outcome {
        Ok(Some(output))
            if output.len() > limits.payload_bytes_max && !mutated(Mutation::KeepLarge) =>
        {
            Err(too_large(output.len(), limits))
        }
        outcome => outcome.map_err(|failure| failure.within(limits)),
    }
}

/// The failure of code that makes payloads of these sizes in one turn, if they are too large, or
/// too many: what a turn does is written in one commit, and no store takes just anything.
pub(super) fn too_much(sizes: &[usize], limits: &Limits) -> Option<Failure> {
    let largest = sizes.iter().copied().max().unwrap_or(0);
    if largest > limits.payload_bytes_max {
        return Some(too_large(largest, limits));
    }
    let (all, most) = (sizes.iter().sum::<usize>(), limits.turn_bytes_max);
    let message = format!(
        "one turn wrote {all} bytes, {most} are allowed; call fewer at once, pass references, or \
         raise `Limits::turn_bytes_max`"
    );
    (all > most).then(|| Failure::new("TurnTooLarge", message).non_retriable())
}

/// The failure of code that makes a payload of this size.
fn too_large(bytes: usize, limits: &Limits) -> Failure {
    let message = format!(
        "a payload of {bytes} bytes is too large, {} are allowed; pass a reference to it, or \
         raise `Limits::payload_bytes_max`, of a server its setting `limits.payload_bytes`",
        limits.payload_bytes_max
    );
    Failure::new("PayloadTooLarge", message).non_retriable()
}

fn in_use(id: &InstanceId, status: RuntimeStatus, parent: &Parent) -> (InstanceId, Message) {
    let failure = Failure::new(
        "InstanceAlreadyExists",
        format!("instance {id} exists already and is {status:?}; give the child another id"),
    );
    let (execution, call) = (parent.execution, parent.call);
    let message = Message::ChildFinished { execution, call, outcome: Err(failure.non_retriable()) };
    (parent.instance.clone(), message)
}
