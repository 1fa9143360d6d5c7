//! A simulated node: shards and a lane of the engine, and what stands around them as threads do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use taskhub_core::{
    Envelope, Epoch, ExecutionId, InstanceId, Limits, MessageId, PartitionId, RequestId,
    TaskResult, Timestamp,
    partition::{Input, Partition},
    store::Ownership,
};
use taskhub_engine::{Lane, Shard};

use crate::{
    code::{Deployed, Serves},
    law::{limits::Out, waiters::Waiters},
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
    /// What the inbox of a partition had at that time: all of it, if a time is given.
    Found(Ownership, Vec<Input>, Option<i64>),
    /// A worker wants to know that its result is durable.
    Finish(TaskResult),
    /// Something happened to a partition, whoever owns it.
    Input(PartitionId, Input),
    /// There is a message in the inbox of a partition.
    Look(PartitionId),
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
}

/// The state of one node.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Node {
    pub life: Life,
    pub up: bool,
    pub stopping: bool,
    pub paused_until: i64,
    pub sleeps: bool,
    pub skew: i64,
    /// The latest time that its clock ever showed to a turn thread.
    pub latest: Timestamp,
    pub broken: bool,
    pub sound: bool,
    pub limits: Limits,
    deployed: Arc<Deployed>,
    partitions: u16,
    pub shards: Vec<Bench>,
    pub lane: Lane,
    pub committing: bool,
    pub recovering: bool,
    pub held: BTreeMap<PartitionId, Epoch>,
    /// Owned, but no longer worked on: to be given back when the lane is empty.
    pub leaving: Vec<Ownership>,
    pub asks: BTreeMap<RequestId, Asked>,
    /// Results whose workers are to be told.
    pub results: BTreeMap<RequestId, TaskResult>,
    pub waiters: BTreeMap<PartitionId, Waiters>,
    /// Work handed out under the present epoch.
    pub out: BTreeMap<PartitionId, Out>,
    /// Messages that were handed to their receiver in memory, and are not durable.
    pub direct: BTreeSet<MessageId>,
    pub renewed_at: i64,
    /// When each partition was opened, and up to when its inbox is known.
    pub opened: BTreeMap<PartitionId, i64>,
    pub looked: BTreeMap<PartitionId, i64>,
    /// The latest request that reached it.
    pub last_asked: RequestId,
    /// What was ever read into its memory, as long as nothing failed.
    pub known: BTreeSet<(PartitionId, Epoch, InstanceId)>,
    /// Blobs that this process has seen.
    pub seen: BTreeSet<usize>,
    /// From which owner to which partition messages go by way of the inbox.
    by_inbox: BTreeSet<(PartitionId, Epoch, PartitionId)>,
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
        shards: usize,
        partitions: u16,
        limits: &Limits,
        programs: &[Program],
    ) -> Self {
        let deployed = Arc::new(Deployed::new(programs, Serves::Early, false));
        let mut node = Self {
            life: Life { node: index, life: 0 },
            up: false,
            stopping: false,
            paused_until: 0,
            sleeps: false,
            skew: 0,
            latest: Timestamp::START,
            broken: false,
            sound: false,
            limits: limits.clone(),
            deployed,
            partitions,
            shards: Vec::new(),
            lane: Lane::new(limits),
            committing: false,
            recovering: false,
            held: BTreeMap::new(),
            leaving: Vec::new(),
            asks: BTreeMap::new(),
            results: BTreeMap::new(),
            waiters: BTreeMap::new(),
            out: BTreeMap::new(),
            direct: BTreeSet::new(),
            renewed_at: 0,
            opened: BTreeMap::new(),
            looked: BTreeMap::new(),
            last_asked: RequestId(0),
            known: BTreeSet::new(),
            seen: BTreeSet::new(),
            by_inbox: BTreeSet::new(),
        };
        node.forget_all(shards);
        node
    }

    /// Everything in memory is gone.
    pub(crate) fn forget_all(&mut self, shards: usize) {
        self.shards = (0..shards)
            .map(|_| Bench {
                shard: Shard::new(self.deployed.clone(), &self.limits, self.partitions),
                inputs: BTreeMap::new(),
                busy: false,
                alarm: i64::MAX,
            })
            .collect();
        self.lane = Lane::new(&self.limits);
        self.committing = false;
        self.recovering = false;
        self.stopping = false;
        self.held.clear();
        self.leaving.clear();
        self.asks.clear();
        self.results.clear();
        self.waiters.clear();
        self.out.clear();
        self.direct.clear();
        self.opened.clear();
        self.looked.clear();
        self.known.clear();
        self.seen.clear();
        self.by_inbox.clear();
    }

    /// A new process, with this code.
    pub(crate) fn start(&mut self, shards: usize, programs: &[Program], sound: bool, broken: bool) {
        let serves = if sound { Serves::Late } else { Serves::Early };
        self.deployed = Arc::new(Deployed::new(programs, serves, broken));
        self.broken = broken;
        self.sound = sound && !broken;
        self.life.life += 1;
        self.up = true;
        self.paused_until = 0;
        self.forget_all(shards);
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
        self.waiters.remove(&partition);
        self.out.remove(&partition);
        self.looked.remove(&partition);
        self.results.retain(|_, result| result.ticket.partition != partition);
        self.asks.extract_if(.., |_, asked| asked.partition == partition).map(|it| it.1).collect()
    }

    /// Whether this message goes from hand to hand, behind the turn that sent it. It must not
    /// overtake one from the same sender that went, or will go, by way of the stored inbox.
    pub(crate) fn takes_directly(&mut self, envelope: &Envelope) -> Option<Ownership> {
        let MessageId { from, epoch, .. } = envelope.id;
        let to = envelope.partition;
        let way = (from, epoch, to);
        // All that earlier owners of the sender sent stood in the inbox when this one was opened.
        let seen = self.looked.get(&to) > self.opened.get(&from);
        let owned = self.owned(to).filter(|_| seen && !self.by_inbox.contains(&way));
        if owned.is_some() {
            self.direct.insert(envelope.id);
        } else {
            self.by_inbox.insert(way);
        }
        owned
    }
}
