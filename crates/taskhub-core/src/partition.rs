//! The state machine that owns the instances of one partition under one epoch.
//!
//! [`Partition::handle`] takes inputs and the time, and yields [`Decisions`]: turn records to
//! commit, reads to make, and effects that may leave now. What must not leave before a commit is
//! durable (answers, activities) waits inside until [`Input::Durable`] says so.
//!
//! ```text
//!   Input ──> accept ──arrivals──> Instance ──step──> TurnRecord ──> lane ──┐
//!              │ not in memory?                         │ answers, tasks    │ Durable
//!              └──> load ── Loaded ──> accept           └──> held effects <─┘──> Effect
//! ```
//!
//! Everything accepted is written into the instance's own log at once (see [`crate::Kind`]), so
//! nothing waits elsewhere. Two facts per instance, when it is due and whether it is busy, are all
//! that is needed to find the work again after a crash.

mod accept;
mod ahead;
mod busy;
mod deliver;
mod early;
mod entity;
mod instance;
mod ledger;
mod load;
mod metadata;
mod operate;
mod outbox;
mod requests;
mod rewind;
mod rewrite;
mod room;
mod runner;
mod slots;
mod start;
mod step;
mod tasks;
mod turn;
mod waiters;
mod wakes;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

use crate::{
    Answer, CommitSeq, Envelope, Epoch, Failure, InstanceId, Limits, PartitionId, Request,
    RequestId, Task, TaskResult, Text, Ticket, Timestamp, TurnRecord,
    store::{Ownership, StoreError, Stored, Wake},
    turn::Functions,
};
use busy::Busy;
use deliver::Delivered;
use early::Awaited;
use instance::Todo;
pub use metadata::EntityMetadata;
use outbox::Outbox;
use slots::Slots;
use tasks::Tasks;
use waiters::Waiters;
use wakes::Wakes;

/// How long what could not be read is left alone.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What can happen to a partition.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// A client asks for something.
    Request(Request),
    /// A client no longer wants its answer.
    Forget(RequestId),
    /// Another instance sent a message; it stands in the inbox.
    Deliver(Envelope),
    /// A worker did what it was given.
    TaskDone(TaskResult),
    /// An instance that was asked for has been read.
    Loaded(InstanceId, Result<Option<Box<Stored>>, StoreError>),
    /// What this instance, created at that time, did next is more than the store takes, for this
    /// reason: it is parked, as it would do the same again.
    Unwritable(InstanceId, Timestamp, Text),
    /// A page of wakes that was asked for has been read.
    Wakes(Result<Vec<Wake>, StoreError>),
    /// A page of busy instances that was asked for has been read.
    Busy(Result<Vec<InstanceId>, StoreError>),
    /// All commits up to this one are durable.
    Durable(CommitSeq),
}

/// What a partition decided.
#[derive(Debug, Default)]
pub struct Decisions {
    /// To commit, in this order.
    pub turns: Vec<TurnRecord>,
    /// To read from the store, now.
    pub reads: Vec<Read>,
    /// May leave now: what caused them is durable.
    pub effects: Vec<Effect>,
}

/// Something to read from the store; the answer comes back as an [`Input`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// An instance; comes back as [`Input::Loaded`].
    Instance(InstanceId),
    /// An instance with its history, though it has ended; comes back as [`Input::Loaded`].
    Whole(InstanceId),
    /// Wakes behind this one; come back as [`Input::Wakes`].
    Wakes {
        /// The last one known, if any.
        after: Option<Wake>,
        /// How many are wanted.
        limit: usize,
    },
    /// Busy instances behind this one; come back as [`Input::Busy`].
    Busy {
        /// The last one known, if any.
        after: Option<InstanceId>,
        /// How many are wanted.
        limit: usize,
    },
}

/// Something that leaves the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Tell a client.
    Answer(RequestId, Answer),
    /// Give a worker something to do.
    Dispatch(Task),
    /// Stop that, if it is possible: its result does not count any more.
    Cancel(Ticket),
    /// Read from the store what only now is there.
    Read(Read),
    /// Tell people.
    Warn(InstanceId, Warning),
}

/// What people should hear of an instance, as nobody else does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// It is parked, for this reason.
    Parked(Text),
    /// It is an entity, and performed an operation in vain that nobody waits for.
    SignalFailed(Text, Failure),
}

/// The owner of one partition.
pub struct Partition {
    id: PartitionId,
    epoch: Epoch,
    count: u16,
    limits: Limits,
    functions: Arc<dyn Functions>,
    slots: Slots,
    outbox: Outbox,
    wakes: Wakes,
    busy: Busy,
    awaited: Awaited,
    tasks: Tasks,
    /// Instances to step before this call of `handle` ends.
    dirty: Vec<InstanceId>,
    /// Instances that used up their share of continue-as-new and go on at the next call.
    again: Vec<InstanceId>,
    /// Instances that could not be read, and when to try again. Nothing else reads them.
    retries: BTreeSet<(Timestamp, InstanceId)>,
    waiters: Waiters,
    /// Those that are not there, and whose first turn the store did not take, with the reason.
    unwritable: HashMap<InstanceId, Text>,
    /// Parked instances that somebody resumed, and that are being read for that.
    revived: HashSet<InstanceId>,
    delivered: Delivered,
    /// How many messages it sent to each partition under this epoch.
    messages: HashMap<PartitionId, u64>,
    /// What this call of `handle` commits.
    turns: Vec<TurnRecord>,
}

impl Partition {
    /// Takes over a partition of a hub of `count` partitions. `wakes` and `busy` are the first
    /// pages of the store's lists, of up to [`Limits::wakes_count_max`]; the inbox is delivered
    /// afterwards.
    #[must_use]
    pub fn open(
        owned: Ownership,
        count: u16,
        wakes: Vec<Wake>,
        busy: Vec<InstanceId>,
        functions: Arc<dyn Functions>,
        limits: &Limits,
    ) -> Self {
        Self {
            id: owned.partition,
            epoch: owned.epoch,
            count,
            functions,
            slots: Slots::new(limits.cache_bytes_max / usize::from(count.max(1))),
            outbox: Outbox::default(),
            wakes: Wakes::new(wakes, limits.wakes_count_max),
            busy: Busy::new(busy, limits.wakes_count_max),
            awaited: Awaited::new(limits, count),
            tasks: Tasks::new(limits.tasks_count_max),
            limits: limits.clone(),
            dirty: Vec::new(),
            again: Vec::new(),
            retries: BTreeSet::new(),
            waiters: Waiters::new(),
            unwritable: HashMap::new(),
            revived: HashSet::new(),
            delivered: Delivered::new(),
            messages: HashMap::new(),
            turns: Vec::new(),
        }
    }

    /// Which partition it is, and under which epoch it is owned.
    #[must_use]
    pub fn owned(&self) -> Ownership {
        Ownership { partition: self.id, epoch: self.epoch }
    }

    /// When it wants to be called though nothing happened. May lie in the past.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        if !self.again.is_empty() || self.tasks.is_hungry() {
            return Some(Timestamp::START);
        }
        let retry = self.retries.first().map(|(at, _)| *at);
        self.wakes.next().into_iter().chain(retry).chain(self.next_walk()).min()
    }

    /// Takes in what happened, then runs each instance that it concerns, once.
    pub fn handle(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        now: Timestamp,
        out: &mut Decisions,
    ) {
        for id in std::mem::take(&mut self.again) {
            if self.slots.get_mut(&id).is_some() {
                self.touch(&id);
            } else {
                self.fetch(id, out); // It was dropped from memory meanwhile.
            }
        }
        for input in inputs {
            self.accept(input, now, out);
        }
        self.feed_tasks(out);
        self.wake(now, out);
        self.walk(now, out);
        while let Some(id) = self.dirty.pop() {
            self.step(&id, now);
        }
        out.turns.append(&mut self.turns);
        self.outbox.release(&mut out.effects);
        self.slots.evict(self.outbox.durable());
    }

    /// While it is being given away it takes nothing in any more: all commits up to `seq` are
    /// durable, and the effects that waited for that may leave. Whether it is settled: nothing of
    /// it is under way, and whatever it was asked and has not answered did not happen.
    pub fn settle(&mut self, seq: CommitSeq, effects: &mut Vec<Effect>) -> bool {
        self.outbox.now_durable(seq);
        self.outbox.release(effects);
        self.outbox.is_empty()
    }

    /// How many instances it keeps in memory, and about how many bytes they take.
    #[must_use]
    pub fn cached(&self) -> (usize, usize) {
        (self.slots.len(), self.slots.bytes())
    }

    /// How many entries of the store's lists it keeps in memory: wakes, and busy instances.
    #[must_use]
    pub fn listed(&self) -> (usize, usize) {
        (self.wakes.len(), self.busy.len())
    }

    /// Lists an instance to be stepped before this call of `handle` ends.
    fn touch(&mut self, id: &InstanceId) {
        if let Some(instance) = self.slots.known_mut(id)
            && instance.todo == Todo::Nothing
        {
            instance.todo = Todo::Step;
            self.dirty.push(id.clone());
        }
    }

    fn partition_of(&self, instance: &InstanceId) -> PartitionId {
        PartitionId::of(instance, self.count)
    }
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Partition({} under epoch {})", self.id.0, self.epoch.0)
    }
}
