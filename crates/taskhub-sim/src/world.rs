//! One run: a queue of happenings, ordered by virtual time and, where that is equal, by chance.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use taskhub_core::{
    Answer, Batch, Done, InstanceId, MessageId, PartitionId, Task, TaskResult,
    partition::Read,
    store::{CommitError, Ownership},
};
use taskhub_engine::{Delivery, DeliveryId, WorkerId};

use crate::{
    chore::{Chores, Wanted},
    chronicle::Chronicle,
    code::{Deployed, Flaw, Serves},
    coverage::Coverage,
    law::{
        Violation, anew::Restarts, answers::Answers, children::Children, circles::Circles,
        early::Early, elsewhere::Elsewhere, ensure, entities::Entities, exactly_once::Raised,
        giants::Giants, results::Results, timers::Timers, triggers::Triggered,
    },
    node::{Asked, Life, Mail, Node},
    random::Random,
    scenario::{CALM_AFTER, Rates, Scenario},
    store::SimStore,
    trace::Trace,
    worker::Kept,
};

/// The longest that a run may take to come to rest after its troubles, in microseconds. None of
/// thousands took a fifth of that.
const REST_MAX: i64 = 1_800_000_000;

/// The most that may happen in a run: whoever goes round in circles takes no virtual time for it.
const HAPPENINGS_MAX: u64 = 100_000;

/// A run of a scenario.
pub(crate) struct World {
    pub scenario: Scenario,
    pub rates: Rates,
    pub random: Random,
    pub now: i64,
    pub calm: bool,
    pub store: SimStore,
    pub store_down_until: i64,
    pub nodes: Vec<Node>,
    /// The code of workers elsewhere: the right one, and one with a mistake.
    pub workers: [Deployed; 3],
    /// Whether a node with broken code wrote any of what is not synced.
    pub tail_broken: bool,
    pub chronicle: Chronicle,
    pub raised: Raised,
    pub results: Results,
    pub timers: Timers,
    pub elsewhere: Elsewhere,
    pub entities: Entities,
    pub triggered: Triggered,
    pub answers: Answers,
    pub restarts: Restarts,
    pub children: Children,
    pub early: Early,
    pub circles: Circles,
    pub chores: Chores,
    pub giants: Giants,
    pub kept: Kept,
    /// Requests that have no answer yet.
    pub open: BTreeMap<u64, Asked>,
    pub requests: u64,
    pub runs: u64,
    pub coverage: Coverage,
    pub trace: Trace,
    queue: BinaryHeap<Reverse<Queued>>,
    queued: u64,
}

/// What can happen.
#[derive(Debug)]
pub(crate) enum Happening {
    Begin(usize, u32),
    GiveUp(u64),
    Hear(u64, Answer),
    Show(u64, u64, Box<Wanted>),
    Send(Life, Mail),
    Work(Life, usize),
    Alarm(Life, usize),
    Commit(Life, u16),
    Write(Life, Box<Batch>, Fate, bool),
    Sync(Life, Box<Batch>),
    Written(Life, Box<Batch>, Result<(), CommitError>),
    Reopen(Life),
    Heard(Life),
    Open(Life, Ownership),
    Read(Life, Ownership, Read),
    Look(Life, Ownership, Vec<MessageId>),
    Run(Life, Box<Task>),
    Done(Life, TaskResult),
    Join(usize),
    Take(Life, WorkerId, Box<Delivery>),
    Did(Life, DeliveryId, Box<Done>),
    Gone(Life, WorkerId),
    PoolTick(Life),
    Tick(Life),
    Trouble(usize),
    Repair(InstanceId),
    Start(usize, bool),
    Calm,
    Rest,
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Succeeds,
    Fails,
    Lies,
    CrashesBefore,
    CrashesAfter,
}

struct Queued {
    at: i64,
    tie: u64,
    number: u64,
    what: Happening,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.tie, self.number).cmp(&(other.at, other.tie, other.number))
    }
}

impl World {
    pub(crate) fn new(scenario: Scenario, trace: Trace) -> Self {
        let workers = [Flaw::None, Flaw::Panics, Flaw::Differs]
            .map(|flaw| Deployed::new(&scenario.programs, Serves::All, flaw));
        let node = |index| {
            let Scenario { partitions, limits, patience, programs, .. } = &scenario;
            Node::new(index, scenario.threads(), *partitions, limits, patience, programs)
        };
        let mut world = Self {
            nodes: (0..scenario.nodes).map(node).collect(),
            random: Random::new(scenario.seed, 2),
            rates: scenario.rates,
            now: 0,
            calm: false,
            store: SimStore::new(scenario.partitions, scenario.embedded),
            store_down_until: 0,
            workers,
            tail_broken: false,
            chronicle: Chronicle::default(),
            raised: Raised::default(),
            results: Results::default(),
            timers: Timers::default(),
            elsewhere: Elsewhere::default(),
            entities: Entities::default(),
            triggered: Triggered::default(),
            answers: Answers::default(),
            restarts: Restarts::default(),
            children: Children::default(),
            early: Early::default(),
            circles: Circles::default(),
            chores: Chores::default(),
            giants: Giants::default(),
            kept: Kept::default(),
            open: BTreeMap::new(),
            requests: 0,
            runs: 0,
            coverage: Coverage::default(),
            trace,
            queue: BinaryHeap::new(),
            queued: 0,
            scenario,
        };
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        for node in 0..self.nodes.len() {
            self.nodes[node].skew = self.random.between(-2_000_000, 2_000_000);
            let at = self.random.between(0, 100_000);
            self.at(at, Happening::Start(node, false));
        }
        let skews = || self.nodes.iter().map(|node| node.skew);
        let apart = skews().max().unwrap_or(0) - skews().min().unwrap_or(0);
        if apart > 1_000_000 {
            self.coverage.count("clusters whose clocks differ by a second");
        }
        for index in 0..self.scenario.operations.len() {
            let at = self.scenario.operations[index].at;
            self.at(at, Happening::Begin(index, 0));
        }
        for worker in 0..self.scenario.workers.len() {
            let at = self.random.between(0, 2_000_000);
            self.at(at, Happening::Join(worker));
        }
        for index in 0..self.scenario.troubles.len() {
            let at = self.scenario.troubles[index].at;
            self.at(at, Happening::Trouble(index));
        }
        self.at(CALM_AFTER, Happening::Calm);
    }

    /// Lets something happen at a time; chance decides what comes first of what is to happen then.
    pub(crate) fn at(&mut self, at: i64, what: Happening) {
        let tie = self.random.word();
        self.enqueue(at, tie, what);
    }

    /// Lets something happen at a time, behind what was put in order before it.
    pub(crate) fn in_order(&mut self, at: i64, what: Happening) {
        self.enqueue(at, 0, what);
    }

    fn enqueue(&mut self, at: i64, tie: u64, what: Happening) {
        self.queued += 1;
        let (at, number) = (at.max(self.now), self.queued);
        self.queue.push(Reverse(Queued { at, tie, number, what }));
    }

    /// Lets something happen after about so many microseconds.
    pub(crate) fn soon(&mut self, typical: i64, what: Happening) {
        let delay = self.random.delay(typical);
        if delay > 10 * typical {
            self.coverage.count(match what {
                Happening::Send(_, Mail::Ask(_)) => "delayed: requests",
                Happening::Send(_, Mail::Look(..)) => "delayed: hints",
                Happening::Send(_, Mail::Found(..)) => "delayed: messages",
                Happening::Hear(..) => "delayed: answers",
                Happening::Done(..) => "delayed: results",
                Happening::Work(..) => "delayed: turn threads",
                Happening::Read(..) => "delayed: reads",
                _ => "delayed: others",
            });
        }
        self.at(self.now + delay, what);
    }

    /// Runs until everything has come as far as it can, or a promise is broken.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        while let Some(Reverse(next)) = self.queue.pop() {
            self.now = next.at;
            self.store.tell_time(self.now);
            if let Some(until) = self.waits_for_node(&next.what) {
                self.at(until, next.what);
                continue;
            }
            if matches!(next.what, Happening::Rest) {
                if self.rests()? {
                    return Ok(());
                }
                self.mend();
                self.at(self.now + 1_000_000, Happening::Rest);
                continue;
            }
            if let Some(life) = of_node(&next.what) {
                self.wake(life);
            }
            self.coverage.events += 1;
            ensure(self.coverage.events < HAPPENINGS_MAX, || {
                let happened = format!("{HAPPENINGS_MAX} happenings in {} us", self.now);
                Violation::new(11, "everything comes to rest", happened)
            })?;
            self.happen(next.what)?;
        }
        Ok(())
    }

    /// Whether everything rests. When it does not for too long, that is a broken promise.
    fn rests(&mut self) -> Result<bool, Violation> {
        match self.at_rest() {
            Ok(()) => {
                self.coverage.waits(&self.scenario.programs, &self.chronicle);
                Ok(true)
            }
            Err(violation) if self.now > CALM_AFTER + REST_MAX => Err(violation),
            Err(_) => Ok(false),
        }
    }

    /// A paused node takes part in nothing until it wakes.
    fn waits_for_node(&self, what: &Happening) -> Option<i64> {
        let until = self.nodes[of_node(what)?.node].paused_until;
        (until > self.now).then_some(until)
    }

    /// Whether this life of the process goes on.
    pub(crate) fn lives(&self, life: Life) -> bool {
        let node = &self.nodes[life.node];
        node.up && node.life == life
    }

    fn happen(&mut self, what: Happening) -> Result<(), Violation> {
        match what {
            Happening::Begin(operation, attempt) => return self.begin(operation, attempt),
            Happening::GiveUp(request) => self.give_up(request),
            Happening::Hear(request, answer) => return self.hear(request, answer),
            Happening::Show(chore, want, wanted) => return self.show(chore, want, *wanted),
            Happening::Trouble(index) => return self.trouble(index),
            Happening::Repair(id) => self.store.damage(&id, true),
            Happening::Start(node, broken) => self.start(node, broken),
            Happening::Calm => return self.calm_down(),
            Happening::Write(life, batch, fate, broken) => {
                return self.write(life, *batch, fate, broken);
            }
            Happening::Sync(life, batch) => return self.synced(life, *batch),
            Happening::Send(life, mail) => self.receive(life, mail),
            Happening::Work(life, shard) if self.lives(life) => return self.work(life, shard),
            Happening::Alarm(life, shard) if self.lives(life) => self.alarm(life, shard),
            Happening::Commit(life, lane) if self.lives(life) => return self.commit(life, lane),
            Happening::Written(life, batch, result) if self.lives(life) => {
                self.written(life, &batch, result);
            }
            Happening::Reopen(life) if self.lives(life) => return self.reopen(life),
            Happening::Heard(life) if self.lives(life) => return self.heard(life),
            Happening::Open(life, owned) if self.lives(life) => self.read_partition(life, owned),
            Happening::Read(life, owner, read) if self.lives(life) => self.read(life, owner, read),
            Happening::Look(life, owner, known) if self.lives(life) => {
                self.look(life, owner, &known);
            }
            Happening::Run(life, task) if self.lives(life) => self.run_task(life, task),
            Happening::Done(life, result) if self.lives(life) => {
                self.task_done(life, result);
            }
            Happening::Tick(life) if self.lives(life) => return self.tick(life),
            Happening::Join(worker) => return self.join(worker),
            Happening::PoolTick(life) if self.lives(life) => return self.pool_tick(life),
            Happening::Take(life, worker, delivery) if self.lives(life) => {
                return self.take(life, worker, &delivery);
            }
            Happening::Did(life, id, done) if self.lives(life) => return self.did(life, id, *done),
            Happening::Gone(life, worker) if self.lives(life) => {
                return self.lose_worker(life, worker);
            }
            _ => {}
        }
        Ok(())
    }

    /// The partition of an instance.
    pub(crate) fn partition_of(&self, instance: &InstanceId) -> PartitionId {
        PartitionId::of(instance, self.scenario.partitions)
    }
}

/// The node that has to be awake for it.
fn of_node(what: &Happening) -> Option<Life> {
    match what {
        Happening::Send(life, _)
        | Happening::Work(life, _)
        | Happening::Alarm(life, _)
        | Happening::Commit(life, _)
        | Happening::Written(life, ..)
        | Happening::Reopen(life)
        | Happening::Heard(life)
        | Happening::Open(life, _)
        | Happening::Run(life, _)
        | Happening::Done(life, _)
        | Happening::Take(life, ..)
        | Happening::Did(life, ..)
        | Happening::Gone(life, _)
        | Happening::PoolTick(life)
        | Happening::Tick(life) => Some(*life),
        _ => None,
    }
}
