//! A simulated node: shards and a lane of the engine, and what stands around them as threads do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use taskhub_core::{
    Envelope, Epoch, ExecutionId, InstanceId, Limits, PartitionId, RequestId, Started, TaskResult,
    Timestamp,
    partition::{Input, Partition},
    store::{Ownership, Wake},
};
use taskhub_engine::{Holdings, Lane, Passed, Patience, Pool, Shard, Tick, lane_of};

use crate::{
    code::{Deployed, Flaw, Serves},
    law::{circles::Circle, crew::Crew, limits::Out, waiters::Waiters},
    program::Program,
    scenario::Act,
};

/// Virtual time zero, as the nodes' clocks show it: some day in 2001.
pub(crate) const EPOCH: i64 = 1_000_000_000_000_000;

/// Names one life of the process of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub node: usize,
    pub life: u64,
}

/// What a node can be sent.
#[derive(Debug)]
pub(crate) enum Mail {
    /// A client asks.
    Ask(Asked),
    /// A client goes away.
    Forget(RequestId),
    /// Something happened to a partition, if it is still owned under this epoch.
    Owned(Ownership, Vec<Input>),
    /// What a claimed partition begins with, as read from the store.
    Open(Box<Opened>),
    /// What the inbox of a partition had, and when that was all of it, if it was.
    Found(Ownership, Vec<Envelope>, Option<Tick>),
    /// A message comes by itself: sent in this generation of its lane, or durable.
    Deliver(Passed, Option<u64>),
    /// A worker wants to know that its result is durable.
    Finish(TaskResult),
    /// Something happened to a partition, whoever owns it.
    Input(PartitionId, Input),
    /// There is a message in the inbox of a partition. If it is not here: whether to tell others.
    Look(PartitionId, bool),
}

/// A claimed partition, and what stands in the store of it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub owned: Ownership,
    pub claimed: Tick,
    pub wakes: Vec<Wake>,
    pub busy: Vec<InstanceId>,
    pub inbox: Vec<Envelope>,
    /// When that was the whole inbox, if it was.
    pub looked: Option<Tick>,
}

/// A request on its way, or at a node.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub request: RequestId,
    pub operation: usize,
    pub attempt: u32,
    pub instance: InstanceId,
    pub partition: PartitionId,
    pub act: Act,
    /// How many turns were durable when it was sent.
    pub since: u64,
    pub execution: ExecutionId,
    /// For a restart: how the new run begins.
    pub again: Option<Box<Started>>,
}

/// The state of one node.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Node {
    pub life: Life,
    pub up: bool,
    pub stopping: bool,
    /// Whom it can ask, and who can ask it.
    pub circle: Circle,
    pub paused_until: i64,
    pub sleeps: bool,
    pub skew: i64,
    /// The latest time that its clock ever showed to a turn thread.
    pub latest: Timestamp,
    pub broken: bool,
    pub sound: bool,
    pub limits: Limits,
    patience: Patience,
    deployed: Arc<Deployed>,
    partitions: u16,
    /// Work for workers elsewhere, and who of them is connected.
    pub pool: Pool,
    pub crew: Crew,
    /// When the pool looks at its clock next.
    pub pool_alarm: i64,
    pub shards: Vec<Bench>,
    pub lanes: Vec<Writer>,
    pub held: Holdings,
    /// No longer worked on, to be released.
    pub given_back: Vec<Ownership>,
    /// Whether a lane failed, and the store is to be asked again in a moment.
    pub recovering: bool,
    /// Orders what happens on this node.
    pub ticks: Tick,
    pub asks: BTreeMap<RequestId, Asked>,
    /// Results whose workers are to be told.
    pub results: BTreeMap<RequestId, TaskResult>,
    pub waiters: BTreeMap<PartitionId, Waiters>,
    /// What partitions are told first when they are opened again.
    pub void: BTreeMap<PartitionId, Input>,
    /// Work handed out under the present epoch.
    pub out: BTreeMap<PartitionId, Out>,
    pub renewed_at: i64,
    /// When each partition was claimed.
    pub claimed: BTreeMap<PartitionId, Tick>,
    /// The latest request that reached it.
    pub last_asked: RequestId,
    /// What was ever read into its memory, as long as nothing failed.
    pub known: BTreeSet<(PartitionId, Epoch, InstanceId)>,
    /// Blobs that this process has seen.
    pub seen: BTreeSet<usize>,
}

/// A lane, and whether it writes.
pub(crate) struct Writer {
    pub lane: Lane,
    pub committing: bool,
    /// When the batch that is being written left.
    pub sent: Tick,
    /// How often it failed.
    pub generation: u64,
}

/// A shard and what waits for it.
pub(crate) struct Bench {
    pub shard: Shard,
    pub inputs: BTreeMap<PartitionId, Vec<Input>>,
    /// Whether its next round of work is scheduled.
    pub busy: bool,
    /// When it will look at its partitions next.
    pub alarm: i64,
}

impl Node {
    pub(crate) fn new(
        index: usize,
        (shards, lanes): (usize, u16),
        partitions: u16,
        limits: &Limits,
        patience: &Patience,
        programs: &[Program],
    ) -> Self {
        let deployed = Arc::new(Deployed::new(programs, Serves::Early, Flaw::None));
        let mut node = Self {
            life: Life { node: index, life: 0 },
            up: false,
            stopping: false,
            circle: Circle::Secret(0),
            paused_until: 0,
            sleeps: false,
            skew: 0,
            latest: Timestamp::START,
            broken: false,
            sound: false,
            limits: limits.clone(),
            patience: patience.clone(),
            deployed,
            partitions,
            pool: Pool::new(patience.clone(), 0),
            crew: Crew::default(),
            pool_alarm: i64::MAX,
            shards: Vec::new(),
            lanes: Vec::new(),
            held: Holdings::new(partitions),
            given_back: Vec::new(),
            recovering: false,
            ticks: 0,
            asks: BTreeMap::new(),
            results: BTreeMap::new(),
            waiters: BTreeMap::new(),
            void: BTreeMap::new(),
            out: BTreeMap::new(),
            renewed_at: 0,
            claimed: BTreeMap::new(),
            last_asked: RequestId(0),
            known: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        node.forget_all(shards, lanes);
        node
    }

    /// Everything in memory is gone.
    pub(crate) fn forget_all(&mut self, shards: usize, lanes: u16) {
        self.shards = (0..shards)
            .map(|_| Bench {
                shard: Shard::new(self.deployed.clone(), &self.limits, self.partitions, lanes),
                inputs: BTreeMap::new(),
                busy: false,
                alarm: i64::MAX,
            })
            .collect();
        let lane = || Lane::new(&self.limits, lanes);
        let writer = |_| Writer { lane: lane(), committing: false, sent: 0, generation: 0 };
        self.lanes = (0..lanes).map(writer).collect();
        // From anywhere, so that a delivery of an earlier process is none of this one.
        self.pool = Pool::new(self.patience.clone(), self.life.life << 32);
        self.crew = Crew::default();
        self.pool_alarm = i64::MAX;
        self.recovering = false;
        self.stopping = false;
        self.held = Holdings::new(self.partitions);
        self.given_back.clear();
        self.asks.clear();
        self.results.clear();
        self.waiters.clear();
        self.void.clear();
        self.out.clear();
        self.claimed.clear();
        self.known.clear();
        self.seen.clear();
    }

    /// A new process, with this code.
    pub(crate) fn start(
        &mut self,
        (shards, lanes): (usize, u16),
        programs: &[Program],
        sound: bool,
        broken: bool,
    ) {
        let serves = if sound { Serves::Late } else { Serves::Early };
        self.broken = broken;
        self.sound = sound && !broken;
        self.deployed = Arc::new(Deployed::new(programs, serves, self.flaw()));
        self.life.life += 1;
        self.up = true;
        self.paused_until = 0;
        self.forget_all(shards, lanes);
    }

    /// What is wrong with the code of its process, and of its workers.
    pub(crate) fn flaw(&self) -> Flaw {
        match (self.broken, self.sound) {
            (true, _) => Flaw::Differs,
            (false, false) => Flaw::Panics,
            (false, true) => Flaw::None,
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("node{}.{}", self.life.node, self.life.life)
    }

    /// What its clock shows.
    pub(crate) fn clock(&self, now: i64) -> Timestamp {
        Timestamp(EPOCH + now + self.skew)
    }

    pub(crate) fn shard_of(&self, partition: PartitionId) -> usize {
        usize::from(partition.0) % self.shards.len()
    }

    pub(crate) fn bench(&mut self, partition: PartitionId) -> &mut Bench {
        let at = self.shard_of(partition);
        &mut self.shards[at]
    }

    pub(crate) fn owns(&mut self, owned: Ownership) -> bool {
        self.bench(owned.partition).shard.owns(owned)
    }

    /// Under which epoch it works on a partition, if it does.
    pub(crate) fn owned(&mut self, partition: PartitionId) -> Option<Ownership> {
        self.bench(partition).shard.partition(partition).map(Partition::owned)
    }

    /// Drops a partition from memory; returns the requests that hung on it.
    pub(crate) fn disown(&mut self, partition: PartitionId) -> Vec<Asked> {
        let bench = self.bench(partition);
        bench.shard.disown(partition);
        bench.inputs.remove(&partition);
        self.pool.forget(|ticket| ticket.partition == partition);
        self.crew.forget(partition);
        self.waiters.remove(&partition);
        self.out.remove(&partition);
        self.results.retain(|_, result| result.ticket.partition != partition);
        self.asks.extract_if(.., |_, asked| asked.partition == partition).map(|it| it.1).collect()
    }

    /// Whether it works on a partition, and is not about to give it away.
    pub(crate) fn serves(&mut self, partition: PartitionId) -> bool {
        self.bench(partition).shard.serves(partition)
    }

    pub(crate) fn lane_of(&self, partition: PartitionId) -> u16 {
        lane_of(partition, u16::try_from(self.lanes.len()).unwrap_or(1))
    }

    pub(crate) fn writer(&mut self, lane: u16) -> &mut Writer {
        &mut self.lanes[usize::from(lane)]
    }

    /// A time behind all earlier ones.
    pub(crate) fn tick(&mut self) -> Tick {
        self.ticks += 1;
        self.ticks
    }
}
