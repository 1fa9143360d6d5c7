//! One partition with a store, an inbox and a clock of the simplest kind.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use taskhub_core::{
    Answer, Done, EntityMetadata, Envelope, Epoch, ExecutionId, InstanceId, Job, Limits, Message,
    MessageId, Operations, Outcome, Performed, Request, RequestId, Requested, Reuse, Started, Task,
    TaskResult, Text, Timestamp, TurnRecord, Verb,
    partition::{Decisions, Effect, Input, Partition, Warning},
    store::Stored,
};

use crate::kept::Kept;

use super::script::{self, Code, entity, operation};

/// What happens to the partition between any two things that a test does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// It is opened again from the store.
    Crash,
    /// It keeps nothing in memory that it can read again.
    Forget,
}

pub(crate) struct World {
    partition: Partition,
    trouble: Trouble,
    limits: Limits,
    epoch: Epoch,
    stored: Kept,
    inbox: BTreeMap<MessageId, Envelope>,
    pub(crate) now: Timestamp,
    asked: u64,
    /// What workers were given and have not done.
    pub(crate) tasks: VecDeque<Task>,
    pub(crate) answers: Vec<Answer>,
    /// What people were told: the operations of signals that came to nothing, and why.
    pub(crate) warnings: Vec<(Text, Text)>,
    /// Whether grants of locks stay on their way, and those that do.
    pub(crate) delays_grants: bool,
    pub(crate) delayed: Vec<Input>,
}

/// Runs a test without trouble, and with each kind of it: nobody may notice.
pub(crate) fn whatever_happens(test: impl Fn(&mut World)) {
    for trouble in [Trouble::None, Trouble::Crash, Trouble::Forget] {
        println!("trouble: {trouble:?}");
        test(&mut World::new(trouble, Limits::default()));
    }
}

impl World {
    pub(crate) fn new(trouble: Trouble, mut limits: Limits) -> Self {
        if trouble == Trouble::Forget {
            limits.cache_bytes_max = 0;
        }
        Self {
            partition: open(Epoch(1), &limits, &Kept::default()),
            trouble,
            limits,
            epoch: Epoch(1),
            stored: Kept::default(),
            inbox: BTreeMap::new(),
            now: Timestamp(1_000_000),
            asked: 0,
            tasks: VecDeque::new(),
            answers: Vec::new(),
            warnings: Vec::new(),
            delays_grants: false,
            delayed: Vec::new(),
        }
    }

    /// Starts an instance that runs a script.
    pub(crate) fn start(&mut self, id: &str, script: &str) {
        let execution = ExecutionId(u128::from(self.asked) << 64);
        let started = Started::new("script", Some(script.into()), execution);
        let reuse = Reuse::ended();
        self.ask(&InstanceId::trusted(id), Verb::Start { started: Box::new(started), reuse });
    }

    pub(crate) fn signal(&mut self, key: &str, name: &str, input: &str) {
        self.signal_at(key, name, input, None);
    }

    pub(crate) fn signal_at(&mut self, key: &str, name: &str, input: &str, due: Option<Timestamp>) {
        let operation = operation(name, input);
        let requested = Box::new(Requested { operation, caller: None, due });
        self.ask(&entity(key), Verb::Signal(requested));
    }

    pub(crate) fn raise(&mut self, id: &str, event: &str) {
        let verb = Verb::Raise { name: event.into(), input: None };
        self.ask(&InstanceId::trusted(id), verb);
    }

    pub(crate) fn terminate(&mut self, id: &str) {
        let verb = Verb::Terminate { reason: None, recursive: false };
        self.ask(&InstanceId::trusted(id), verb);
    }

    pub(crate) fn ask(&mut self, id: &InstanceId, verb: Verb) -> Answer {
        self.asked += 1;
        let request = Request { id: RequestId(self.asked), instance: id.clone(), verb };
        self.go(vec![Input::Request(request)]);
        self.answers.last().cloned().expect("it was answered")
    }

    /// Does all that workers are given, and what follows from it.
    pub(crate) fn perform(&mut self) {
        while let Some(task) = self.tasks.pop_front() {
            let performed = script::perform(operations(&task));
            self.done(task, performed);
        }
    }

    pub(crate) fn done(&mut self, task: Task, performed: Performed) {
        let done = Done::Operations(Box::new(performed));
        self.go(vec![Input::TaskDone(TaskResult { ticket: task.ticket, done })]);
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(std::time::Duration::from_secs(seconds));
        self.go(Vec::new());
    }

    /// Hands in inputs, and what follows from them, until nothing happens any more.
    pub(crate) fn go(&mut self, inputs: Vec<Input>) {
        self.settle(inputs);
        if self.trouble == Trouble::Crash {
            self.crash();
        }
    }

    pub(crate) fn crash(&mut self) {
        self.epoch.0 += 1;
        self.tasks.clear();
        self.partition = open(self.epoch, &self.limits, &self.stored);
        let inbox = self.inbox.values().cloned().map(Input::Deliver).collect();
        self.settle(inbox);
    }

    fn settle(&mut self, mut inputs: Vec<Input>) {
        while !inputs.is_empty() || self.partition.next_wake().is_some_and(|at| at <= self.now) {
            let mut decided = Decisions::default();
            self.partition.handle(std::mem::take(&mut inputs), self.now, &mut decided);
            let mut sent = Vec::new();
            for turn in decided.turns {
                self.store(&turn);
                inputs.push(Input::Durable(turn.seq));
                sent.extend(turn.sent);
            }
            let is_grant = |it: &Envelope| matches!(it.message, Message::LocksGranted { .. });
            let delays = self.delays_grants;
            let (late, sent): (Vec<_>, _) = sent.into_iter().partition(|it| delays && is_grant(it));
            self.delayed.extend(late.into_iter().map(Input::Deliver));
            inputs.extend(sent.into_iter().map(Input::Deliver));
            let mut reads = decided.reads;
            for effect in decided.effects {
                match effect {
                    Effect::Answer(_, answer) => self.answers.push(answer),
                    Effect::Dispatch(task) => self.tasks.push_back(task),
                    Effect::Read(read) => reads.push(read),
                    Effect::Warn(_, Warning::SignalFailed(operation, failure)) => {
                        self.warnings.push((operation, failure.kind));
                    }
                    _ => {}
                }
            }
            inputs.extend(reads.into_iter().map(|read| self.stored.read(read)));
        }
    }

    fn store(&mut self, turn: &TurnRecord) {
        for envelope in &turn.sent {
            self.inbox.insert(envelope.id, envelope.clone());
        }
        for taken in &turn.taken {
            self.inbox.remove(taken);
        }
        self.stored.write(turn);
    }

    /// An entity as others see it; `None` when there is none.
    pub(crate) fn entity(&self, key: &str) -> Option<EntityMetadata> {
        let id = entity(key);
        self.stored.get(&id).map(|stored| EntityMetadata::of(id, stored))
    }

    /// The state of an entity, empty if it has none.
    pub(crate) fn state(&self, key: &str) -> String {
        let state = self.entity(key).and_then(|entity| entity.state);
        state.as_deref().unwrap_or_default().to_owned()
    }

    /// Who holds an entity.
    pub(crate) fn holder(&self, key: &str) -> Option<String> {
        Some(self.entity(key)?.locked_by?.to_string())
    }

    pub(crate) fn outcome(&self, id: &str) -> Option<Outcome> {
        self.stored.get(&InstanceId::trusted(id))?.record.outcome.clone()
    }

    pub(crate) fn output(&self, id: &str) -> Option<Text> {
        self.outcome(id)?.expect("it did not fail")
    }

    pub(crate) fn stored(&mut self, id: &InstanceId) -> &mut Stored {
        self.stored.get_mut(id).expect("it is there")
    }
}

pub(crate) fn operations(task: &Task) -> &Operations {
    match &task.job {
        Job::Operations(operations) => operations,
        other => panic!("only entities work here: {other:?}"),
    }
}

fn open(epoch: Epoch, limits: &Limits, stored: &Kept) -> Partition {
    stored.open(epoch, Arc::new(Code), limits)
}
