//! The life of one execution in a test: its history, and what it waits for.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::Duration,
};

use taskhub_core::{
    CallId, Event, ExecutionId, InstanceId, Kind, Operation, Outcome, RuntimeStatus, Started, Text,
    Timestamp, Work,
    turn::{Execution, Orchestration, Progress},
};

use super::{check::Check, stray};
use crate::History;

/// Turns that one step of a test may take, before it counts as a loop without an end.
const TURNS_MAX: u32 = 100_000;

pub(super) struct Life {
    name: &'static str,
    code: Box<dyn Orchestration>,
    instance: InstanceId,
    execution: Execution,
    history: Vec<Event>,
    check: Check,
    pub now: Timestamp,
    pub open: BTreeMap<CallId, Open>,
    pub sent: Vec<Sent>,
    /// Operations that entities were signaled to perform.
    pub signaled: Vec<(InstanceId, Operation)>,
    /// Locks that were asked for in this turn: in a test, all entities are free.
    locks: VecDeque<(CallId, Text)>,
    pub outcome: Option<Outcome>,
    pub custom_status: Option<Text>,
}

/// A call without a result.
pub(super) enum Open {
    Activity(Work),
    Child(InstanceId, Work),
    Operation(InstanceId, Operation),
    Timer(Timestamp),
}

/// An event that was raised for another instance.
pub(super) struct Sent {
    pub to: InstanceId,
    pub name: Text,
    pub input: Option<Text>,
}

impl Life {
    #[track_caller]
    pub(super) fn begin(
        name: &'static str,
        code: Box<dyn Orchestration>,
        instance: InstanceId,
        at: Timestamp,
        input: Option<Text>,
    ) -> Self {
        let started = Started::new(name, input, ExecutionId(1));
        let mut life = Self {
            execution: Execution::begin(&*code, instance.clone(), &started, at),
            name,
            code,
            instance,
            history: Vec::new(),
            check: Check::default(),
            now: at,
            open: BTreeMap::new(),
            sent: Vec::new(),
            signaled: Vec::new(),
            locks: VecDeque::new(),
            outcome: None,
            custom_status: None,
        };
        life.arrive(Kind::Started(Box::new(started)));
        life
    }

    /// Something happens, and the code runs as far as it goes.
    #[track_caller]
    pub(super) fn arrive(&mut self, kind: Kind) {
        if self.outcome.is_some() {
            return;
        }
        if let Some(call) = kind.call() {
            self.open.remove(&call);
        }
        self.write(kind);
        let mut takes = 1;
        for _ in 0..TURNS_MAX {
            takes = match (self.turn(takes), self.outcome.is_none()) {
                (Some(kept), _) => kept,
                (None, true) if let Some((call, section)) = self.locks.pop_front() => {
                    self.write(Kind::LocksGranted { call, section });
                    1
                }
                _ => return,
            };
        }
        panic!("`{}` goes on again and again without waiting for anything", self.name);
    }

    fn write(&mut self, kind: Kind) {
        let event = Event { at: self.now, kind };
        self.execution.absorb(self.history.len() as u64, &event);
        self.history.push(event);
    }

    /// One turn. How many arrivals the next execution begins with, if the code continues as new.
    #[track_caller]
    fn turn(&mut self, takes: u32) -> Option<u32> {
        let _guard = stray::guard();
        let step = self.execution.step();
        self.history.push(Event { at: self.now, kind: Kind::TurnStarted { takes, clock: None } });
        for kind in step.actions {
            self.act(&kind);
            self.history.push(Event { at: self.now, kind });
        }
        if step.custom_status.is_some() {
            self.custom_status.clone_from(&step.custom_status);
        }
        match step.progress {
            Progress::Stuck(why) => panic!("`{}` cannot go on: {why}", self.name),
            Progress::Waiting => {}
            Progress::Finished(outcome) => {
                self.open.clear();
                self.outcome = Some(outcome);
            }
            Progress::Terminated(_) => {
                unreachable!("code in this process does not end so")
            }
            Progress::ContinuedAsNew(how, kept) => {
                let mut started = self.started();
                started.input = how.input;
                started.execution = started.execution.derive(u64::MAX);
                return Some(self.continue_as_new(started, kept));
            }
        }
        let (code, instance) = (&*self.code, &self.instance);
        self.check.note(step.custom_status);
        self.check.replay(self.name, code, instance, &self.history, self.outcome.as_ref());
        None
    }

    fn started(&self) -> Started {
        match self.history.first().map(|event| &event.kind) {
            Some(Kind::Started(started)) => (**started).clone(),
            _ => Started::new(self.name, None, ExecutionId(1)),
        }
    }

    fn continue_as_new(&mut self, started: Started, kept: Vec<Kind>) -> u32 {
        self.history.clear();
        self.open.clear();
        self.locks.clear();
        self.check = Check::default();
        let instance = self.instance.clone();
        self.execution = Execution::begin(&*self.code, instance, &started, self.now);
        self.write(Kind::Started(Box::new(started)));
        let mut takes = 1;
        for event in kept {
            takes += 1;
            self.write(event);
        }
        takes
    }

    fn act(&mut self, kind: &Kind) {
        match kind.clone() {
            Kind::ActivityScheduled { call, work } => {
                self.open.insert(call, Open::Activity(work));
            }
            Kind::ChildScheduled { call, instance, work } => {
                self.open.insert(call, Open::Child(instance, work));
            }
            Kind::TimerCreated { call, fire_at } => {
                self.open.insert(call, Open::Timer(fire_at));
            }
            Kind::OperationCalled { call, entity, operation } => {
                self.open.insert(call, Open::Operation(entity, operation));
            }
            Kind::OperationSignaled { entity, operation, .. } => {
                self.signaled.push((entity, operation));
            }
            Kind::LocksRequested { call, section, .. } => self.locks.push_back((call, section)),
            Kind::CallCancelled { call } => {
                self.open.remove(&call);
                self.locks.retain(|(lock, _)| *lock != call);
            }
            Kind::EventSent { to, name, input, .. } => self.sent.push(Sent { to, name, input }),
            _ => {}
        }
    }

    #[track_caller]
    pub(super) fn advance(&mut self, time: Duration) {
        let until = self.now.plus(time);
        for _ in 0..TURNS_MAX {
            let timers = self.open.iter().filter_map(|(call, open)| match open {
                Open::Timer(fire_at) if *fire_at <= until => Some((*fire_at, *call)),
                _ => None,
            });
            let Some((fire_at, call)) = timers.min() else {
                self.now = until;
                return;
            };
            self.now = self.now.max(fire_at);
            self.arrive(Kind::TimerFired { call });
        }
        panic!("`{}` sets timer after timer; advance in smaller steps", self.name);
    }

    /// For the messages of failed tests.
    pub(super) fn waits_for(&self) -> String {
        if self.outcome.is_some() {
            return "it has ended".to_owned();
        }
        if self.open.is_empty() {
            return "it waits for an event".to_owned();
        }
        let open: Vec<_> = self.open.iter().map(|(call, open)| format!("{call} {open}")).collect();
        format!("it waits for {}", open.join(", "))
    }

    pub(super) fn export(&self) -> History {
        let status = match &self.outcome {
            None => RuntimeStatus::Running,
            Some(Ok(_)) => RuntimeStatus::Completed,
            Some(Err(_)) => RuntimeStatus::Failed,
        };
        let mut events = self.history.clone();
        if self.outcome.is_some() {
            events.push(Event { at: self.now, kind: Kind::Completed { status } });
        }
        History {
            instance: self.instance.clone(),
            status,
            outcome: self.outcome.clone(),
            custom_status: self.custom_status.clone(),
            events,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let input = |work: &Work| work.input.as_deref().unwrap_or_default().to_owned();
        match self {
            Self::Activity(work) => write!(f, "activity {}({})", work.name, input(work)),
            Self::Child(_, work) => write!(f, "orchestration {}({})", work.name, input(work)),
            Self::Operation(entity, Operation { name, input, .. }) => {
                write!(f, "operation {name}({}) of {entity}", input.as_deref().unwrap_or_default())
            }
            Self::Timer(at) => write!(f, "a timer at {}", crate::Timestamp::of(*at)),
        }
    }
}
