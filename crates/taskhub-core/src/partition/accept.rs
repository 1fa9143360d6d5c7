//! What comes in: which instance it concerns, and what a client's request does to it.

use super::{
    Decisions, Effect, Input, Partition, Read,
    instance::{Instance, Reply, Todo},
    slots::Slot,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    Answer, Change, Failure, InstanceId, Kind, Message, Parent, Refusal, Request, RequestId, Reuse,
    RuntimeStatus, Started, Timestamp, Verb,
    store::{StoreError, Stored},
};

/// How long an instance that could not be read is left alone.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_millis(500);

impl Partition {
    pub(super) fn accept(&mut self, input: Input, now: Timestamp, out: &mut Decisions) {
        match input {
            Input::Durable(seq) => {
                self.outbox.now_durable(seq);
                self.delivered.forget(seq);
            }
            Input::Forget(request) => self.forget(request),
            Input::Wakes(page) => self.wakes.take(page),
            Input::Busy(page) => self.busy.take(page),
            Input::Loaded(id, read) => self.loaded(&id, read, now, out),
            Input::Request(request) => {
                let id = request.instance.clone();
                if matches!(request.verb, Verb::Wait) {
                    self.waiting.insert(request.id, id.clone());
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
                if result.ticket.epoch == self.epoch || mutated(Mutation::TakeStale) {
                    self.tasks.returned(&result.ticket);
                    let id = result.ticket.instance.clone();
                    self.route(&id, Input::TaskDone(result), now, out);
                }
            }
        }
    }

    /// Gives an input to its instance, which may have to be read first.
    fn route(&mut self, id: &InstanceId, input: Input, now: Timestamp, out: &mut Decisions) {
        match self.slots.get_mut(id) {
            // What is accepted already, a message or a result, is never refused.
            Some(Slot::Loading(queue))
                if queue.len() >= self.limits.backlog_count_max
                    && matches!(input, Input::Request(_)) =>
            {
                self.refuse(input, Refusal::Busy("its queue is full"));
            }
            Some(Slot::Loading(queue)) => queue.push(input),
            Some(_) => self.apply(id, input, now),
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
            Ok(Some(stored)) => {
                let Stored { record, history } = *stored;
                let instance = Instance::load(id.clone(), record, &history, &*self.functions);
                Slot::Known(Box::new(instance))
            }
            Ok(None) => Slot::Absent(self.outbox.durable()),
            Err(error) => return self.read_later(id, queue, &error, now),
        };
        self.slots.put(id.clone(), slot);
        self.fire_timers(id, now);
        for input in queue {
            self.route(id, input, now, out);
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
            if matches!(input, Input::Request(_)) {
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
        self.waiting.remove(&request);
        self.outbox.hold(Effect::Answer(request, answer));
    }

    fn apply(&mut self, id: &InstanceId, input: Input, now: Timestamp) {
        match input {
            Input::Request(request) => self.request(request, now),
            Input::Deliver(envelope) => self.deliver(envelope, now),
            Input::TaskDone(result) => self.task_done(result, now),
            _ => debug_assert!(false, "{id} got an input that concerns no instance"),
        }
    }

    fn request(&mut self, request: Request, now: Timestamp) {
        if matches!(request.verb, Verb::Wait) && !self.waiting.contains_key(&request.id) {
            return; // Forgotten while the instance was being read.
        }
        let (bytes, bytes_max) = (input_bytes(&request.verb), self.limits.payload_bytes_max);
        if bytes > bytes_max {
            let why = Refusal::TooLarge(request.instance, bytes, bytes_max);
            return self.answer(request.id, Answer::Refused(why));
        }
        if !commutes(&request.verb) && !self.step_first(&request.instance, now) {
            let id = request.instance.clone();
            return self.queue(&id, Input::Request(request));
        }
        let Request { id: request, instance: id, verb } = request;
        let Some(status) = self.status_of(&id) else {
            return match verb {
                Verb::Start { started, .. } => self.start(request, &id, started, now),
                _ => self.answer(request, Answer::Refused(Refusal::NotFound(id))),
            };
        };
        match verb {
            Verb::Start { started, reuse } => {
                self.reuse(request, &id, started, &reuse, status, now);
            }
            Verb::Status => self.reply(request, &id, Reply::Status),
            Verb::Wait if status.is_terminal() => self.reply(request, &id, Reply::Status),
            Verb::Wait => {
                self.waiters.entry(id).or_default().push(request);
            }
            Verb::Purge => self.purge(request, &id, status),
            _ if status.is_terminal() => {
                let why = Refusal::Ended(id.clone(), status);
                self.reply(request, &id, Reply::Answer(Answer::Refused(why)));
            }
            Verb::Raise { name, input } => {
                self.arrive(request, &id, now, Kind::EventRaised { name, input });
            }
            Verb::Suspend { .. } if status == RuntimeStatus::Suspended => {
                self.reply(request, &id, Reply::Answer(Answer::Done));
            }
            Verb::Suspend { reason } => self.arrive(request, &id, now, Kind::Suspended { reason }),
            Verb::Resume { reason } => self.resume(request, &id, reason, status, now),
            Verb::Terminate { reason, recursive } => {
                self.terminate(&id, now, reason, recursive);
                self.reply(request, &id, Reply::Answer(Answer::Done));
            }
        }
    }

    fn start(
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
        if let Some(old) = self.slots.known_mut(id) {
            instance.replaces = true;
            instance.cancelled = std::mem::take(&mut old.cancelled);
        }
        // A purge that is not durable yet has left its commit here: the new history replaces.
        if let Some(Slot::Absent(seq)) = self.slots.get_mut(id) {
            instance.seq = *seq;
        }
        self.slots.put(id.clone(), Slot::Known(Box::new(instance)));
        self.touch(id);
    }

    fn reuse(
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
            Reuse::Join => {
                if let Some(instance) = self.slots.known_mut(id) {
                    let answer = Answer::Started(instance.record.execution);
                    self.reply(request, id, Reply::Answer(answer));
                }
            }
            Reuse::Fresh | Reuse::Replace(_) => {
                let why = Refusal::Exists(id.clone(), status);
                self.reply(request, id, Reply::Answer(Answer::Refused(why)));
            }
        }
    }

    fn purge(&mut self, request: RequestId, id: &InstanceId, status: RuntimeStatus) {
        let parked = self.slots.known_mut(id).is_some_and(|known| known.record.stuck.is_some());
        if !status.is_terminal() && !parked {
            let why = Refusal::NotEnded(id.clone(), status);
            return self.reply(request, id, Reply::Answer(Answer::Refused(why)));
        }
        let parent = self.slots.known_mut(id).and_then(|known| known.record.parent.clone());
        let orphaned = parent.filter(|_| !status.is_terminal()).map(|parent| purged(id, &parent));
        let seq = self.record(id, Change::Purge, orphaned.into_iter().collect(), Vec::new());
        self.slots.put(id.clone(), Slot::Absent(seq));
        self.wakes.set(id, None);
        for waiter in self.waiters.remove(id).unwrap_or_default() {
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
            self.arrive(request, id, now, Kind::Resumed { reason });
        } else {
            self.reply(request, id, Reply::Answer(Answer::Done));
        }
        if let Some(instance) = self.slots.known_mut(id)
            && instance.record.stuck.is_some()
        {
            instance.todo = Todo::Revive;
        }
    }

    fn arrive(&mut self, request: RequestId, id: &InstanceId, now: Timestamp, kind: Kind) {
        let backlog_max = self.limits.backlog_count_max;
        let Some(instance) = self.slots.known_mut(id) else { return };
        if instance.ledger.waiting as usize >= backlog_max {
            let why = Refusal::Busy("too many events wait for this instance");
            return self.reply(request, id, Reply::Answer(Answer::Refused(why)));
        }
        instance.arrive(now, kind);
        self.reply(request, id, Reply::Answer(Answer::Done));
    }

    fn reply(&mut self, request: RequestId, id: &InstanceId, reply: Reply) {
        if let Some(instance) = self.slots.known_mut(id) {
            instance.replies.push((request, reply));
            self.touch(id);
        }
    }

    /// Where an instance stands; `None` when there is none.
    pub(super) fn status_of(&mut self, id: &InstanceId) -> Option<RuntimeStatus> {
        self.slots.known_mut(id).map(|instance| instance.status())
    }

    fn forget(&mut self, request: RequestId) {
        if let Some(id) = self.waiting.remove(&request)
            && let Some(waiters) = self.waiters.get_mut(&id)
        {
            waiters.retain(|waiter| *waiter != request);
            if waiters.is_empty() {
                self.waiters.remove(&id);
            }
        }
    }
}

/// What a parent is told whose child was parked, and purged.
fn purged(id: &InstanceId, parent: &Parent) -> (InstanceId, Message) {
    let failure = Failure::new("Purged", format!("instance {id} was parked, and purged"));
    let (execution, call) = (parent.execution, parent.call);
    let message = Message::ChildFinished { execution, call, outcome: Err(failure.non_retriable()) };
    (parent.instance.clone(), message)
}

/// Whether it makes no difference if the turn before it runs first: all others see its result.
fn commutes(verb: &Verb) -> bool {
    matches!(verb, Verb::Raise { .. } | Verb::Status | Verb::Wait)
}

fn input_bytes(verb: &Verb) -> usize {
    let input = match verb {
        Verb::Start { started, .. } => &started.input,
        Verb::Raise { input, .. } => input,
        _ => return 0,
    };
    input.as_ref().map_or(0, |input| input.len())
}

fn is_fresh(input: &Input) -> bool {
    matches!(input, Input::Request(Request { verb: Verb::Start { reuse: Reuse::Fresh, .. }, .. }))
}
