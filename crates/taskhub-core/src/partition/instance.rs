//! One instance in memory: its record, its open ends, its code, and what is not yet written.

use bytes::Bytes;

use super::{
    ledger::{Ledger, Section},
    runner::Runner,
};
use crate::mutation::{Mutation, mutated};
use crate::{
    Answer, CallId, CommitSeq, Event, ExecutionId, Failure, HistoryChange, InstanceId, Kind,
    Message, MessageId, Outcome, Piece, Record, RequestId, RuntimeStatus, Started, Tags, Text,
    Timestamp, codec, turn::Functions,
};

/// An instance that exists, and has been read or created.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one step, each by itself")]
pub(super) struct Instance {
    pub id: InstanceId,
    pub record: Record,
    pub ledger: Ledger,
    /// Who runs it.
    pub runner: Runner,
    /// Events that are not in a turn record yet.
    pub fresh: Vec<Event>,
    /// How many bytes of payload came with them.
    pub fresh_bytes: usize,
    /// Whether what is stored of an earlier execution is to be forgotten.
    pub replaces: bool,
    /// Whether the record changed otherwise.
    pub changed: bool,
    /// Whether what the record shows, its custom status and its outcome, is not written yet.
    pub shows: bool,
    /// Whether it was parked by this step.
    pub parked: bool,
    /// Messages that this step sends, and those that it takes.
    pub outgoing: Vec<(InstanceId, Message)>,
    pub taken: Vec<MessageId>,
    /// Work whose result this step made pointless.
    pub cancelled: Vec<(ExecutionId, Piece)>,
    /// Who is told what, once this step is durable.
    pub replies: Vec<(RequestId, Reply)>,
    /// The commit that wrote it last.
    pub seq: CommitSeq,
    /// What is to be done with it before this call of `handle` ends.
    pub todo: Todo,
    /// The history of one that has ended, while somebody needs it.
    pub past: Option<Vec<Bytes>>,
}

/// What a listed instance waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Todo {
    /// It is not listed.
    Nothing,
    /// A step.
    Step,
    /// It was parked: it is read again and starts from its history, with the code of today.
    Revive,
}

/// What a client will be told.
#[derive(Debug)]
pub(super) enum Reply {
    /// This.
    Answer(Answer),
    /// Where the instance stands after the step.
    Status,
}

impl Instance {
    /// A new execution of an instance, old or new.
    pub(super) fn start(
        id: InstanceId,
        started: Box<Started>,
        now: Timestamp,
        functions: &dyn Functions,
    ) -> Self {
        let record = Record {
            version: started.version.clone(),
            tags: started.tags.clone(),
            parent: started.parent.clone(),
            ..unknown(started.name.clone(), started.execution, now)
        };
        let mut instance = Self::known(id, record);
        instance.runner = instance.begin(&started, now, functions);
        instance.arrive(now, Kind::Started(started));
        instance
    }

    /// An entity without a state, that nobody asked for anything yet.
    pub(super) fn entity(id: InstanceId, execution: ExecutionId, now: Timestamp) -> Self {
        let name = id.as_entity().map_or("", |(name, _)| name).into();
        let record = Record { status: RuntimeStatus::Running, ..unknown(name, execution, now) };
        let mut instance = Self::known(id, record);
        instance.runner = Runner::Entity(Box::default());
        instance
    }

    /// An instance that nobody has started yet.
    pub(super) fn early(id: InstanceId, now: Timestamp) -> Self {
        let mut instance = Self::known(id, unknown("".into(), ExecutionId(0), now));
        instance.runner = Runner::Early(Box::default());
        instance
    }

    pub(super) fn known(id: InstanceId, record: Record) -> Self {
        Self {
            id,
            record,
            ledger: Ledger::default(),
            runner: Runner::Nobody,
            fresh: Vec::new(),
            fresh_bytes: 0,
            replaces: false,
            changed: false,
            shows: true,
            parked: false,
            outgoing: Vec::new(),
            cancelled: Vec::new(),
            taken: Vec::new(),
            replies: Vec::new(),
            seq: CommitSeq(0),
            todo: Todo::Nothing,
            past: None,
        }
    }

    /// Writes an event that came from outside.
    pub(super) fn arrive(&mut self, now: Timestamp, kind: Kind) {
        let at = now.max(self.record.updated_at);
        let event = Event { at, kind };
        let position = self.record.events + self.fresh.len() as u64;
        match &mut self.runner {
            Runner::Here(code) => code.absorb(position, &event),
            Runner::Entity(entity) => {
                entity.note(&event);
                return self.push(event);
            }
            Runner::Early(early) => {
                early.note(&event.kind);
                return self.push(event);
            }
            Runner::Elsewhere(_) | Runner::Nobody => {}
        }
        self.write(event);
    }

    /// Writes an event.
    pub(super) fn write(&mut self, event: Event) {
        self.ledger.note(&event);
        self.push(event);
    }

    fn push(&mut self, event: Event) {
        self.fresh_bytes += event.kind.payload_bytes();
        self.fresh.push(event);
    }

    /// Goes on as a new execution; what the old one did is forgotten, except who it is.
    pub(super) fn restart(
        &mut self,
        started: Box<Started>,
        now: Timestamp,
        functions: &dyn Functions,
    ) {
        self.forget_calls();
        self.record.execution = started.execution;
        self.record.version.clone_from(&started.version);
        self.record.events = 0;
        self.replaces = true;
        (self.fresh, self.fresh_bytes) = (Vec::new(), 0);
        // As the event will say, so that the code sees the same time at every replay.
        let at = now.max(self.record.updated_at);
        self.runner = self.begin(&started, at, functions);
        self.arrive(now, Kind::Started(started));
    }

    /// No call of this execution matters any more; what it has locked is given back.
    pub(super) fn forget_calls(&mut self) {
        let ledger = std::mem::take(&mut self.ledger);
        let execution = self.record.execution;
        let activities = ledger.activities.into_iter().map(Piece::Activity);
        let turn = self.runner.elsewhere().and_then(|remote| remote.out.take());
        let pieces = activities.chain(turn.map(|turn| turn.piece));
        self.cancelled.extend(pieces.map(|piece| (execution, piece)));
        if !mutated(Mutation::KeepLocks) {
            self.outgoing.extend(ledger.sections.values().filter_map(Section::unlock));
        }
    }

    /// It cannot be run until a person helps.
    pub(super) fn park(&mut self, why: &str) {
        self.runner = Runner::Nobody;
        if self.record.stuck.as_deref() != Some(why) {
            self.record.stuck = Some(why.into());
            (self.changed, self.parked) = (true, true);
        }
    }

    /// It has ended.
    pub(super) fn end(&mut self, now: Timestamp, status: RuntimeStatus, outcome: Outcome) {
        let at = now.max(self.record.updated_at);
        self.write(Event { at, kind: Kind::Completed { status } });
        // What a worker called without waiting for it is done all the same.
        let elsewhere = matches!(self.runner, Runner::Elsewhere(_)) && !status_ends_all(status);
        let elsewhere = elsewhere && !mutated(Mutation::ForgetOwed);
        let owed = if elsewhere { self.ledger.take_activities() } else { Ledger::default() };
        self.forget_calls();
        self.ledger = owed;
        self.runner = Runner::Nobody;
        if let Some(parent) = &self.record.parent {
            let outcome = match (&outcome, status) {
                (Ok(reason), RuntimeStatus::Terminated) => Err(terminated(reason.as_deref())),
                (outcome, _) => outcome.clone(),
            };
            let (execution, call) = (parent.execution, parent.call);
            let message = Message::ChildFinished { execution, call, outcome };
            self.outgoing.push((parent.instance.clone(), message));
        }
        self.record.status = status;
        self.record.stuck = None;
        self.record.outcome = Some(outcome);
        self.shows = true;
        self.record.completed_at = Some(at);
    }

    /// Whether it has ended, and activities that it called are not done.
    pub(super) fn owes(&self) -> bool {
        self.record.status.is_terminal() && !self.ledger.activities.is_empty()
    }

    /// Whether a worker has one of these: another reading would give it out again.
    pub(super) fn is_owing(&self) -> bool {
        self.owes() && self.ledger.activities.len() > self.ledger.unsent.len()
    }

    /// An activity is done that an instance had called before it ended. Whether that mattered.
    pub(super) fn settle(&mut self, call: CallId) -> bool {
        let settled = self.owes() && self.ledger.activities.remove(&call);
        self.changed |= settled && !self.owes();
        settled
    }

    /// Where it stands, what is not written yet included.
    pub(super) fn status(&self) -> RuntimeStatus {
        match self.record.status {
            ended if ended.is_terminal() => ended,
            running if matches!(self.runner, Runner::Entity(_)) => running,
            _ if self.ledger.suspended => RuntimeStatus::Suspended,
            _ if self.ledger.ran => RuntimeStatus::Running,
            _ => RuntimeStatus::Pending,
        }
    }

    /// Whether it was started and has not ended.
    pub(super) fn is_alive(&self) -> bool {
        !self.record.status.is_terminal() && !matches!(self.runner, Runner::Early(_))
    }

    /// Whether its next turn shall begin with a replay: it is one of so many, and its history has
    /// doubled since it had so many events.
    pub(super) fn is_sample(&self, before: u64, samples: u64) -> bool {
        let is_one = || self.record.execution.derive(0).0.is_multiple_of(u128::from(samples));
        let bits = |events: u64| u64::BITS - events.leading_zeros();
        samples > 0
            && bits(before) < bits(self.record.events)
            && matches!(self.runner, Runner::Here(_))
            && is_one()
    }

    /// Whether there is something to write.
    pub(super) fn is_changed(&self) -> bool {
        self.changed || self.replaces || !self.fresh.is_empty()
    }

    /// Whether a turn can run now, in this process.
    pub(super) fn is_runnable(&self, now: Timestamp) -> bool {
        matches!(self.runner, Runner::Here(_)) && self.wants_turn(now)
    }

    /// Whether there is something for a turn to take.
    pub(super) fn wants_turn(&self, now: Timestamp) -> bool {
        self.ledger.has_turn()
            && !self.ledger.suspended
            && self.ledger.start_at.is_none_or(|at| at <= now)
    }

    /// Takes what this step wrote as a change of the history.
    pub(super) fn take_history(&mut self) -> HistoryChange {
        if self.fresh.is_empty() {
            return HistoryChange::Keep;
        }
        let fresh = std::mem::take(&mut self.fresh);
        self.fresh_bytes = 0;
        let events = codec::encode_events(&fresh);
        let at = self.record.events;
        self.record.events += fresh.len() as u64;
        self.record.updated_at = fresh.last().map_or(self.record.updated_at, |event| event.at);
        if let Some(remote) = self.runner.elsewhere() {
            remote.add(fresh);
        }
        if std::mem::take(&mut self.replaces) || mutated(Mutation::RewriteHistory) {
            HistoryChange::Replace { events }
        } else {
            HistoryChange::Append { at, events }
        }
    }

    /// Brings the record up to date with the open ends.
    pub(super) fn refresh_record(&mut self) {
        if self.record.status.is_terminal() {
            self.record.due = None;
            self.record.busy = self.owes();
            return;
        }
        if let Runner::Early(_) = &self.runner {
            (self.record.due, self.record.busy) = (self.next_due(), true);
            return;
        }
        if let Runner::Entity(entity) = &self.runner {
            self.record.due = self.next_due();
            self.record.busy = entity.is_busy() || self.record.stuck.is_some();
            return;
        }
        self.record.status = self.status();
        self.record.due = self.next_due();
        self.record.busy = !self.ledger.activities.is_empty()
            || self.record.stuck.is_some()
            || (self.ledger.has_turn() && !self.ledger.suspended && self.ledger.start_at.is_none());
    }

    /// When it wants to be looked at though nothing arrived.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        match &self.runner {
            Runner::Entity(entity) => entity.next_due(),
            Runner::Early(early) => Some(early.ends()),
            _ => self.ledger.next_due(),
        }
    }

    /// About how many bytes it keeps in memory.
    pub(super) fn bytes(&self) -> usize {
        let output = match &self.record.outcome {
            Some(Ok(Some(output))) => output.len(),
            _ => 0,
        };
        // Its texts, its place in the cache, and what the allocator adds to each piece.
        size_of::<Self>() + 640 + output + self.runner.bytes() + self.ledger.bytes()
    }
}

/// The record of an instance of which nothing is known but its name.
fn unknown(name: Text, execution: ExecutionId, now: Timestamp) -> Record {
    Record {
        execution,
        name,
        version: None,
        status: RuntimeStatus::Pending,
        created_at: now,
        updated_at: now,
        completed_at: None,
        due: None,
        busy: false,
        custom_status: None,
        tags: Tags::default(),
        parent: None,
        stuck: None,
        outcome: None,
        events: 0,
    }
}

/// Whether nothing that was called is to be done any more.
fn status_ends_all(status: RuntimeStatus) -> bool {
    status == RuntimeStatus::Terminated
}

fn terminated(reason: Option<&str>) -> Failure {
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    Failure::new("Terminated", format!("the orchestration was terminated{reason}"))
}
