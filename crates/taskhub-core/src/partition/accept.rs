//! What comes in: which instance it concerns, and whether that has to be read first.

use super::{
    Decisions, Effect, Input, Partition, RETRY_AFTER, Read, instance::Instance, load::UNWRITABLE,
    runner::Runner, slots::Slot,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    Answer, InstanceId, Record, Refusal, Request, RequestId, Reuse, RuntimeStatus, Text, Timestamp,
    Verb,
    store::{StoreError, Stored},
};

impl Partition {
    pub(super) fn accept(&mut self, input: Input, now: Timestamp, out: &mut Decisions) {
        match input {
            Input::Durable(seq) => {
                self.outbox.now_durable(seq);
                self.delivered.forget(seq);
            }
            Input::Forget(request) => self.waiters.forget(request),
            Input::Wakes(page) => self.wakes.take(page, now),
            Input::Busy(page) => self.busy.take(page, now),
            Input::Loaded(id, read) => self.loaded(&id, read, now, out),
            Input::Unwritable(ref id, ..) => {
                let id = id.clone();
                self.route(&id, input, now, out);
            }
            Input::Request(request) => {
                let id = request.instance.clone();
                if request.verb.waits() {
                    self.waiters.announce(request.id, &id, request.verb.expects());
                }
                self.route(&id, Input::Request(request), now, out);
            }
            Input::Deliver(envelope) => {
                if self.delivered.insert(envelope.id) || mutated(Mutation::SkipDedupe) {
                    let id = envelope.to.clone();
                    self.route(&id, Input::Deliver(envelope), now, out);
                }
            }
            Input::TaskDone(result) => {
                let id = result.ticket.instance.clone();
                if result.ticket.epoch == self.epoch || mutated(Mutation::TakeStale) {
                    self.route(&id, Input::TaskDone(result), now, out);
                }
            }
        }
    }

    /// Gives an input to its instance, which may have to be read first.
    fn route(&mut self, id: &InstanceId, input: Input, now: Timestamp, out: &mut Decisions) {
        match self.slots.get_mut(id) {
            Some(Slot::Loading(queue))
                if queue.len() >= self.limits.backlog_count_max && is_of_client(&input) =>
            {
                self.refuse(input, Refusal::Busy("its queue is full"));
            }
            Some(Slot::Loading(queue)) => queue.push(input),
            Some(slot) => {
                // What waits to be written is a commit by itself: no record grows without a bound.
                let most = self.limits.batch_bytes_max;
                let is_full = matches!(slot, Slot::Known(known) if known.fresh_bytes >= most);
                if is_full && !self.step_first(id, now) {
                    return self.queue(id, input);
                }
                self.apply(id, input, now);
            }
            None if is_fresh(&input) => {
                self.slots.put(id.clone(), Slot::Absent(self.outbox.durable()));
                self.apply(id, input, now);
            }
            None => {
                self.slots.put(id.clone(), Slot::Loading(vec![input]));
                out.reads.push(Read::Instance(id.clone()));
            }
        }
    }

    fn loaded(
        &mut self,
        id: &InstanceId,
        read: Result<Option<Box<Stored>>, StoreError>,
        now: Timestamp,
        out: &mut Decisions,
    ) {
        self.busy.loaded(id);
        let Some(Slot::Loading(queue)) = self.slots.get_mut(id) else { return };
        let queue = std::mem::take(queue);
        let slot = match read {
            // Its history says what is still to be done.
            Ok(Some(stored)) if is_owing(&stored.record) && stored.history.is_empty() => {
                self.slots.put(id.clone(), Slot::Loading(queue));
                return out.reads.push(Read::Whole(id.clone()));
            }
            Ok(Some(stored)) => {
                let Stored { record, history } = *stored;
                let mut instance = Instance::load(id.clone(), record, history, &*self.functions);
                if self.revived.remove(id) {
                    instance.is_mended();
                } else {
                    instance.stay_parked();
                }
                Slot::Known(Box::new(instance))
            }
            Ok(None) => Slot::Absent(self.outbox.durable()),
            Err(error) => return self.read_later(id, queue, &error, now),
        };
        if let Slot::Known(instance) = &slot
            && let Runner::Early(_) = instance.runner
        {
            self.awaited.found(id);
        }
        self.slots.put(id.clone(), slot);
        // First of all that its turn is not to be tried again: a timer would begin it.
        let is_unwritable = |input: &Input| matches!(input, Input::Unwritable(..));
        let (unwritable, queue): (Vec<_>, Vec<_>) = queue.into_iter().partition(is_unwritable);
        for input in unwritable {
            self.route(id, input, now, out);
        }
        self.fire_timers(id, now);
        for input in queue {
            self.route(id, input, now, out);
        }
        if let Some(instance) = self.slots.known_mut(id) {
            instance.past = None;
        }
    }

    /// The store could not read an instance: clients hear so, everything else waits.
    fn read_later(
        &mut self,
        id: &InstanceId,
        queue: Vec<Input>,
        error: &StoreError,
        now: Timestamp,
    ) {
        let mut kept = Vec::new();
        for input in queue {
            if is_of_client(&input) {
                self.refuse(input, Refusal::Unavailable(id.clone(), error.to_string()));
            } else {
                kept.push(input);
            }
        }
        self.slots.put(id.clone(), Slot::Loading(kept));
        self.retries.insert((now.plus(RETRY_AFTER), id.clone()));
    }

    /// Lets an input wait for an instance that is being read.
    pub(super) fn queue(&mut self, id: &InstanceId, input: Input) {
        if let Some(Slot::Loading(queue)) = self.slots.get_mut(id) {
            queue.push(input);
        }
    }

    /// Runs the turn of what came before, so that what comes now sees its result. False when the
    /// instance has to be read again before anything else can happen to it.
    pub(super) fn step_first(&mut self, id: &InstanceId, now: Timestamp) -> bool {
        self.step(id, now);
        !matches!(self.slots.get_mut(id), Some(Slot::Loading(_)))
    }

    fn refuse(&mut self, input: Input, why: Refusal) {
        if let Input::Request(request) = input {
            self.answer(request.id, Answer::Refused(why));
        }
    }

    /// Tells a client, once everything decided so far is durable.
    pub(super) fn answer(&mut self, request: RequestId, answer: Answer) {
        self.waiters.answered(request);
        self.outbox.hold(Effect::Answer(request, answer));
    }

    fn apply(&mut self, id: &InstanceId, input: Input, now: Timestamp) {
        match input {
            Input::Request(request) => self.request(request, now),
            Input::Deliver(envelope) => self.deliver(envelope, now),
            Input::TaskDone(result) => self.task_done(result, now),
            Input::Unwritable(_, created_at, why) => {
                let why: Text = format!("{UNWRITABLE}, {why}").into();
                let is_it = |it: &&mut Instance| it.record.created_at == created_at;
                match self.slots.known_mut(id).filter(is_it) {
                    Some(instance) if instance.is_alive() => instance.park(&why),
                    // It has ended, or its start was in the same commit, perhaps in place of what
                    // is there. That start will come again.
                    _ => drop(self.unwritable.insert(id.clone(), why)),
                }
                self.touch(id);
            }
            _ => debug_assert!(false, "{id} got an input that concerns no instance"),
        }
    }

    /// Where an instance stands; `None` when there is none, or nobody has started it yet.
    pub(super) fn status_of(&mut self, id: &InstanceId) -> Option<RuntimeStatus> {
        let known = self.slots.known_mut(id).filter(|it| !matches!(it.runner, Runner::Early(_)));
        known.map(|instance| instance.status())
    }
}

/// Whether it may be refused: what is accepted already may not, neither a message nor a result, as
/// nobody would give that work out again.
fn is_of_client(input: &Input) -> bool {
    matches!(input, Input::Request(request) if !matches!(request.verb, Verb::Finish(_)))
}

/// Whether it starts an instance whose id cannot be in use. That is believed of an id that was made
/// with the execution: of one that somebody chose it may be said by mistake, and nobody could
/// write a second beginning behind a history that is there.
fn is_fresh(input: &Input) -> bool {
    let Input::Request(Request { instance, verb, .. }) = input else { return false };
    let Verb::Start { started, reuse: Reuse::Fresh } = verb else { return false };
    instance.is_fresh(started.execution) || mutated(Mutation::BelieveFresh)
}

/// Whether an instance has ended, and called activities that are not done.
fn is_owing(record: &Record) -> bool {
    record.status.is_terminal() && record.busy
}
