//! A partition that owns a whole hub, with a store of the simplest kind behind it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use taskhub_core::{
    Answer, CallId, Done, Epoch, Event, ExecutionId, Failure, InstanceId, Job, Limits, Outcome,
    Record, Request, RequestId, Reuse, RuntimeStatus, Started, Task, TaskResult, Text, Timestamp,
    TurnRecord, Verb, Work, codec,
    partition::{Decisions, Effect, Input, Partition},
    turn::{Command, Functions, Orchestration, Run, Scope},
};

use crate::kept::Kept;

/// Orchestrations by name.
pub(crate) type Code = &'static [(&'static str, fn(Scope) -> Run)];

struct Deployed(Vec<(&'static str, One)>);

struct One(fn(Scope) -> Run);

impl Functions for Deployed {
    fn orchestration(&self, name: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        let known = self.0.iter().find(|(known, _)| *known == name);
        known.map(|(_, code)| code as &dyn Orchestration)
    }
}

impl Orchestration for One {
    fn begin(&self, scope: Scope, _: Option<Text>) -> Run {
        self.0(scope)
    }
}

pub(crate) struct Bench {
    pub(crate) partition: Partition,
    pub(crate) stored: Kept,
    pub(crate) now: Timestamp,
    /// What was handed to workers, and is not done.
    pub(crate) tasks: Vec<Task>,
    /// Whom people were warned of.
    pub(crate) warned: Vec<String>,
    /// What was answered, by the number of the request.
    pub(crate) answers: BTreeMap<u64, Answer>,
    epoch: u64,
    code: Code,
    asked: u64,
    limits: Limits,
}

pub(crate) fn id(text: &str) -> InstanceId {
    InstanceId::trusted(text)
}

impl Bench {
    pub(crate) fn new(code: Code) -> Self {
        Self::with(code, Limits::default())
    }

    pub(crate) fn with(code: Code, limits: Limits) -> Self {
        Self {
            partition: open(code, 1, &Kept::default(), &limits),
            stored: Kept::default(),
            now: Timestamp(1_000_000),
            tasks: Vec::new(),
            warned: Vec::new(),
            answers: BTreeMap::new(),
            epoch: 1,
            code,
            asked: 0,
            limits,
        }
    }

    /// The process dies, and another one with this code takes over.
    pub(crate) fn deploy(&mut self, code: Code) {
        self.epoch += 1;
        self.code = code;
        self.tasks.clear();
        self.partition = open(code, self.epoch, &self.stored, &self.limits);
        self.settle(Vec::new());
    }

    /// The process dies, and another one takes over.
    pub(crate) fn crash(&mut self) {
        self.deploy(self.code);
    }

    /// Commits turns, serves reads, and delivers messages, until nothing happens any more.
    pub(crate) fn settle(&mut self, mut inputs: Vec<Input>) -> Vec<TurnRecord> {
        let mut turns = Vec::new();
        while !inputs.is_empty() || self.partition.next_wake().is_some_and(|at| at <= self.now) {
            let mut decided = Decisions::default();
            self.partition.handle(std::mem::take(&mut inputs), self.now, &mut decided);
            for turn in decided.turns {
                self.store(&turn);
                inputs.push(Input::Durable(turn.seq));
                inputs.extend(turn.sent.iter().cloned().map(Input::Deliver));
                turns.push(turn);
            }
            inputs.extend(decided.reads.into_iter().map(|read| self.stored.read(read)));
            for effect in decided.effects {
                match effect {
                    Effect::Answer(request, answer) => drop(self.answers.insert(request.0, answer)),
                    Effect::Dispatch(task) => self.tasks.push(task),
                    Effect::Cancel(ticket) => self.tasks.retain(|task| task.ticket != ticket),
                    Effect::Read(read) => inputs.push(self.stored.read(read)),
                    Effect::Warn(id, _) => self.warned.push(id.to_string()),
                    _ => {}
                }
            }
        }
        turns
    }

    fn store(&mut self, turn: &TurnRecord) {
        self.stored.write(turn);
        // A test may have damaged it.
        if let Some(stored) = self.stored.get(&turn.instance)
            && let Ok(history) = codec::decode_history(&stored.history)
        {
            assert_eq!(history.len() as u64, stored.record.events);
        }
    }

    /// Asks, and gives the answer.
    pub(crate) fn ask(&mut self, instance: &str, verb: Verb) -> Answer {
        let number = self.post(instance, verb);
        self.answers.remove(&number).expect("an answer")
    }

    /// Asks; the answer may come later, under this number.
    pub(crate) fn post(&mut self, instance: &str, verb: Verb) -> u64 {
        self.asked += 1;
        let request = Request { id: RequestId(self.asked), instance: id(instance), verb };
        self.settle(vec![Input::Request(request)]);
        self.asked
    }

    /// Starts the orchestration of this name under its name.
    pub(crate) fn start(&mut self, name: &'static str) {
        self.start_with(Started::new(name, None, ExecutionId(7)));
    }

    pub(crate) fn start_with(&mut self, started: Started) {
        let instance = started.name.clone();
        let verb = Verb::Start { started: Box::new(started), reuse: Reuse::ended() };
        let answer = self.ask(&instance, verb);
        assert!(matches!(answer, Answer::Started(_)), "{answer:?}");
    }

    pub(crate) fn rewind(&mut self, instance: &str) -> Answer {
        self.ask(instance, Verb::Rewind { reason: Some("mended".into()) })
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        let until = self.now.plus(time);
        while let Some(at) = self.partition.next_wake().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.settle(Vec::new());
        }
        self.now = until;
    }

    /// The activities that workers have, as `name` or `name(input)`.
    pub(crate) fn activities(&self) -> Vec<String> {
        let shown = |work: &Work| match &work.input {
            Some(input) => format!("{}({input})", work.name),
            None => work.name.to_string(),
        };
        let activities = self.tasks.iter().filter_map(|task| match &task.job {
            Job::Activity(work) => Some(shown(work)),
            _ => None,
        });
        activities.collect()
    }

    /// A worker finishes the activity of this name.
    pub(crate) fn finish(&mut self, name: &str, outcome: Outcome) {
        let named = |task: &Task| matches!(&task.job, Job::Activity(work) if *work.name == *name);
        let at = self.tasks.iter().position(named);
        let task = self.tasks.remove(at.unwrap_or_else(|| panic!("{name}: {:?}", self.tasks)));
        self.done(task, Done::Activity(outcome));
    }

    pub(crate) fn succeed(&mut self, name: &str) {
        self.finish(name, Ok(Some(format!("{name} done").into())));
    }

    pub(crate) fn fail(&mut self, name: &str) {
        self.finish(name, Err(Failure::new("Down", format!("{name} is down"))));
    }

    pub(crate) fn done(&mut self, task: Task, done: Done) {
        self.settle(vec![Input::TaskDone(TaskResult { ticket: task.ticket, done })]);
    }

    pub(crate) fn record(&self, instance: &str) -> &Record {
        &self.stored.get(&id(instance)).unwrap_or_else(|| panic!("no {instance}")).record
    }

    pub(crate) fn status(&self, instance: &str) -> RuntimeStatus {
        self.record(instance).status
    }

    pub(crate) fn history(&self, instance: &str) -> Vec<Event> {
        codec::decode_history(&self.stored[&id(instance)].history).expect("a history")
    }

    /// How it ended.
    pub(crate) fn outcome(&self, instance: &str) -> Result<String, String> {
        let outcome = self.record(instance).outcome.clone().expect("an end");
        outcome.map(|it| it.unwrap_or_default().to_string()).map_err(|it| it.message.to_string())
    }
}

fn open(code: Code, epoch: u64, stored: &Kept, limits: &Limits) -> Partition {
    let deployed = Deployed(code.iter().map(|(name, code)| (*name, One(*code))).collect());
    stored.open(Epoch(epoch), Arc::new(deployed), limits)
}

/// Calls an activity.
pub(crate) async fn act(scope: &Scope, name: &'static str) -> Outcome {
    scope.call(Command::Activity(Work::new(name, None))).await
}

/// Calls a child under a given id.
pub(crate) async fn child(scope: &Scope, name: &'static str) -> Outcome {
    let work = Work::new(name, None);
    scope.call(Command::Child { instance: Some(id(name)), work }).await
}

/// Sleeps.
pub(crate) async fn sleep(scope: &Scope, seconds: u64) -> Outcome {
    let fire_at = scope.now().plus(Duration::from_secs(seconds));
    scope.call(Command::Timer { fire_at }).await
}

pub(crate) async fn event(scope: &Scope, name: &'static str) -> Outcome {
    scope.call(Command::Event { name: name.into() }).await
}

/// The numbers of the calls in a history that are open.
pub(crate) fn open_calls(history: &[Event]) -> Vec<CallId> {
    let mut open = Vec::new();
    for event in history {
        let Some(call) = event.kind.call() else { continue };
        open.retain(|it| *it != call);
        let ends = matches!(event.kind, taskhub_core::Kind::CallCancelled { .. });
        if event.kind.is_action() && !ends {
            open.push(call);
        }
    }
    open
}
