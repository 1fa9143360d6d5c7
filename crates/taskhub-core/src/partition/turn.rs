//! What a turn of an orchestration does to its instance, wherever its code ran.

use std::sync::Arc;

use super::{
    deliver::{too_much, within},
    instance::Instance,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    CallId, Caller, Event, ExecutionId, Failure, Inherited, InstanceId, Kind, Limits, LockRequest,
    Message, Parent, Piece, Requested, RuntimeStatus, Started, Tags, Taken, Timestamp, Work,
    failure::shortened,
    turn::{ContinueAsNew, Functions, Progress, Step},
};

impl Instance {
    /// One turn of code in this process: it takes all that waits.
    pub(super) fn turn(&mut self, now: Timestamp, functions: &dyn Functions, limits: &Limits) {
        let Some(code) = self.runner.here() else { return };
        functions.entered(&self.id);
        let step = code.step();
        functions.left();
        self.conclude(step, self.ledger.waiting, None, now, functions, limits);
    }

    /// A worker elsewhere ran the turn `piece`. Whether that was still wanted.
    pub(super) fn turn_done(
        &mut self,
        piece: Piece,
        taken: Taken,
        now: Timestamp,
        functions: &dyn Functions,
        limits: &Limits,
    ) -> bool {
        let Some(remote) = self.runner.elsewhere() else { return false };
        let Some(out) =
            remote.out.take_if(|out| out.piece == piece || mutated(Mutation::TakeOtherTurn))
        else {
            return false;
        };
        remote.last = taken.mark;
        let count = taken.takes.unwrap_or(out.takes).min(out.takes);
        self.conclude(taken.step, count, Some(out.clock), now, functions, limits);
        true
    }

    /// Writes what a turn did that took the oldest `takes` arrivals.
    pub(super) fn conclude(
        &mut self,
        step: Step,
        takes: u32,
        clock: Option<Timestamp>,
        now: Timestamp,
        functions: &dyn Functions,
        limits: &Limits,
    ) {
        if let Progress::Stuck(why) = &step.progress {
            let half = step.actions.into_iter().filter(|_| mutated(Mutation::KeepHalfTurn));
            half.for_each(|kind| self.act(now, kind));
            return self.park(&shortened(why, limits.failure_text_bytes_max));
        }
        self.record.stuck = None;
        let at = now.max(self.record.updated_at);
        let later = match &step.progress {
            Progress::ContinuedAsNew(..) if !mutated(Mutation::ForgetLater) => {
                let remote = self.runner.elsewhere();
                remote.map(|remote| remote.untaken(&self.fresh, takes)).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        self.write(Event { at, kind: Kind::TurnStarted { takes, clock } });
        if let Some(why) = self.exceeds(&step, limits) {
            return self.end(now, RuntimeStatus::Failed, Err(why));
        }
        if let Some(status) = step.custom_status
            && self.record.custom_status.as_ref() != Some(&status)
        {
            self.record.custom_status = Some(status);
            (self.changed, self.shows) = (true, true);
        }
        for kind in step.actions {
            self.act(at, self.traced(kind, limits));
        }
        match step.progress {
            Progress::Waiting | Progress::Stuck(_) => {}
            Progress::Finished(Ok(output)) => self.end(now, RuntimeStatus::Completed, Ok(output)),
            Progress::Finished(failed) => {
                self.end(now, RuntimeStatus::Failed, within(failed, limits));
            }
            Progress::Terminated(why) => self.end(now, RuntimeStatus::Terminated, Ok(why)),
            Progress::ContinuedAsNew(how, kept) => {
                let kept = kept.into_iter().chain(later.into_iter().filter(goes_over));
                let inherited =
                    self.ledger.bequest(self.record.execution, limits.children_kept_max);
                self.continue_as_new(how, kept.collect(), inherited, now, functions);
            }
        }
    }

    /// Why what a turn did is too much.
    fn exceeds(&self, step: &Step, limits: &Limits) -> Option<Failure> {
        let Step { actions, progress, custom_status } = step;
        let events = self.record.events + (self.fresh.len() + actions.len()) as u64;
        if events > limits.history_events_max || actions.len() > limits.calls_per_turn_max {
            return Some(too_long(limits));
        }
        let last = match progress {
            Progress::Finished(Ok(output)) => output.as_ref(),
            Progress::Terminated(why) => why.as_ref(),
            Progress::ContinuedAsNew(next, _) => next.input.as_ref(),
            _ => None,
        };
        let shown = custom_status.iter().chain(last).map(|text| text.len());
        let sizes: Vec<_> = actions.iter().map(Kind::payload_bytes).chain(shown).collect();
        too_much(&sizes, limits)
    }

    /// A call that the code made, in the trace of whoever started the instance, unless the code
    /// says otherwise.
    fn traced(&self, mut kind: Kind, limits: &Limits) -> Kind {
        let (call, within) = match &mut kind {
            Kind::ActivityScheduled { call, work }
            | Kind::ChildScheduled { call, work, .. }
            | Kind::InstanceStarted { call, work, .. } => (call, &mut work.trace),
            Kind::OperationCalled { call, operation, .. }
            | Kind::OperationSignaled { call, operation, .. } => (call, &mut operation.trace),
            _ => return kind,
        };
        if within.is_none()
            && let Some(trace) = &self.ledger.trace
        {
            let span = self.record.execution.span_of_call(*call);
            *within = Some(if limits.spans { trace.within(span) } else { trace.clone() });
        }
        kind
    }

    /// Writes a call that the code made, and sends what it sends.
    fn act(&mut self, at: Timestamp, kind: Kind) {
        let execution = self.record.execution;
        match &kind {
            Kind::ChildScheduled { call, instance, work } => {
                let parent = Some(self.as_parent(*call));
                let started = Started { parent, ..begun(execution, *call, work) };
                self.send(instance, Message::Start(Box::new(started)));
            }
            Kind::InstanceStarted { call, instance, work, at } => {
                let started = Started { start_at: *at, ..begun(execution, *call, work) };
                self.send(instance, Message::Start(Box::new(started)));
            }
            Kind::EventSent { to, name, input, .. } => {
                for _ in 0..=usize::from(mutated(Mutation::SendTwice)) {
                    self.send(to, Message::Raise { name: name.clone(), input: input.clone() });
                }
            }
            Kind::TerminateSent { to, reason, recursive, .. } => {
                let (reason, recursive) = (reason.clone(), *recursive);
                self.send(to, Message::Terminate { child_of: None, reason, recursive });
            }
            Kind::CallCancelled { call } => self.cancel(*call),
            kind => self.use_entity(kind),
        }
        self.write(Event { at, kind });
    }

    /// What it is to the child of a call.
    pub(super) fn as_parent(&self, call: CallId) -> Parent {
        let (instance, name) = (self.id.clone(), self.record.name.clone());
        Parent { instance, execution: self.record.execution, name, call }
    }

    fn send(&mut self, to: &InstanceId, message: Message) {
        self.outgoing.push((to.clone(), message));
    }

    /// Nobody waits for a call any more.
    fn cancel(&mut self, call: CallId) {
        if self.ledger.activities.contains(&call) {
            self.cancelled.push((self.record.execution, Piece::Activity(call)));
        }
        if let Some(section) = self.ledger.sections.get(&call) {
            self.outgoing.extend(section.unlock());
        }
    }

    pub(super) fn use_entity(&mut self, kind: &Kind) {
        let caller =
            |call| Caller { instance: self.id.clone(), execution: self.record.execution, call };
        match kind {
            Kind::OperationCalled { call, entity, operation } => {
                let (operation, caller) = (operation.clone(), Some(caller(*call)));
                let requested = Requested { operation, caller, due: None };
                self.send(entity, Message::Operation(Box::new(requested)));
            }
            Kind::OperationSignaled { entity, operation, at, .. } => {
                let requested = Requested { operation: operation.clone(), caller: None, due: *at };
                self.send(entity, Message::Operation(Box::new(requested)));
            }
            Kind::LocksRequested { call, section, entities } => {
                let (section, entities) = (section.clone(), entities.clone());
                let request = LockRequest { section, entities, position: 0, caller: caller(*call) };
                self.outgoing.push(request.next());
            }
            // Names of sections may be known elsewhere: of others' nothing is given back.
            Kind::Unlocked { section, entity, .. } if self.ledger.uses(section, entity) => {
                self.outgoing.extend(Message::unlock(section, std::slice::from_ref(entity)));
            }
            _ => {}
        }
    }

    /// The labels that the next execution has, unless the code says otherwise.
    fn labels(&self) -> Tags {
        if mutated(Mutation::DropTags) { Tags::default() } else { self.record.tags.clone() }
    }

    fn continue_as_new(
        &mut self,
        how: ContinueAsNew,
        kept: Vec<Kind>,
        inherited: Arc<[Inherited]>,
        now: Timestamp,
        functions: &dyn Functions,
    ) {
        let execution = self.record.execution.derive(u64::MAX);
        let started = Started {
            version: how.version.or_else(|| self.record.version.clone()),
            parent: self.record.parent.clone(),
            deadline: self.ledger.deadline,
            trace: self.ledger.trace.clone(),
            tags: how.tags.unwrap_or_else(|| self.labels()),
            inherited,
            ..Started::new(self.record.name.clone(), how.input, execution)
        };
        self.record.tags = started.tags.clone();
        self.restart(Box::new(started), now, functions);
        for event in kept {
            self.arrive(now, event);
        }
    }
}

/// How an instance begins that code started.
pub(super) fn begun(execution: ExecutionId, call: CallId, work: &Work) -> Started {
    let own = execution.derive(u64::from(call.0) | 1 << 32);
    Started {
        version: work.version.clone(),
        tags: work.tags.clone(),
        trace: work.trace.clone(),
        ..Started::new(work.name.clone(), work.input.clone(), own)
    }
}

impl LockRequest {
    /// Where it goes from the entity that it has come to.
    pub(super) fn onwards(mut self) -> (InstanceId, Message) {
        self.position += 1;
        self.next()
    }

    /// Where it goes now: to the entity whose turn it is, or to the caller when all are locked.
    pub(super) fn next(self) -> (InstanceId, Message) {
        if let Some(entity) = self.entities.get(self.position as usize) {
            return (entity.clone(), Message::Lock(Box::new(self)));
        }
        let Caller { instance, execution, call } = self.caller;
        let (section, entities) = (self.section, self.entities);
        (instance, Message::LocksGranted { execution, call, section, entities })
    }
}

/// Whether an arrival that no turn took concerns the next execution too.
fn goes_over(kind: &Kind) -> bool {
    matches!(kind, Kind::EventRaised { .. } | Kind::Suspended { .. } | Kind::Resumed { .. })
}

fn too_long(limits: &Limits) -> Failure {
    let message = format!(
        "a history has at most {} events and a turn makes at most {} calls; use continue_as_new",
        limits.history_events_max, limits.calls_per_turn_max
    );
    Failure::new("HistoryTooLong", message).non_retriable()
}
