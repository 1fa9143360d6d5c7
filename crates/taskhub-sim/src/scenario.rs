//! Everything that one seed decides before the run begins: the cluster, the workload, the troubles.

mod draw;

use taskhub_core::{InstanceId, Limits, Reuse, Text, Timestamp};
use taskhub_engine::{Patience, WorkerOptions};

use crate::{node::EPOCH, program::Program};

const MILLIS: i64 = 1_000;
const SECONDS: i64 = 1_000_000;

/// When clients and troubles come to an end, in microseconds of virtual time.
pub(crate) const CALM_AFTER: i64 = 30 * SECONDS;

/// One run, before it begins.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The seed it was drawn from.
    pub seed: u64,
    /// How many partitions the hub has.
    pub partitions: u16,
    /// How many nodes share it.
    pub nodes: usize,
    /// How many turn threads each node would have.
    pub shards: usize,
    /// How many lanes each node has.
    pub lanes: u16,
    /// Whether the store is a file of one node instead of a database of many.
    pub embedded: bool,
    /// Whether the store takes only so much at once, until somebody sees to it.
    pub narrow: bool,
    /// The limits of the nodes.
    pub limits: Limits,
    /// How often things go wrong.
    pub rates: Rates,
    /// The workers elsewhere. Without any, turns, entities and all activities are done by nobody
    /// knows whom, who comes to more grief than a pool allows.
    pub workers: Vec<WorkerOptions>,
    /// How patient the nodes are with workers.
    pub patience: Patience,
    /// What the orchestrations do.
    pub programs: Vec<Program>,
    /// What clients ask for.
    pub operations: Vec<Operation>,
    /// Whether every node has a schedule.
    pub schedule: bool,
    /// When blobs appear that every node looks for.
    pub blobs: Vec<i64>,
    /// What happens to the nodes.
    pub troubles: Vec<Trouble>,
}

/// How many times out of a thousand something goes wrong, while there are troubles.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// A commit fails and nothing took effect.
    pub commit_fails: u32,
    /// A commit fails though it took effect.
    pub commit_lies: u32,
    /// A commit takes up to half a minute.
    pub commit_slow: u32,
    /// The node crashes before or after a commit took effect.
    pub commit_crashes: u32,
    /// A read fails.
    pub read_fails: u32,
    /// An activity fails.
    pub activity_fails: u32,
    /// An activity hangs, perhaps until the troubles end.
    pub activity_hangs: u32,
    /// A worker is lost with a turn or with operations, and another one gets them.
    pub worker_lost: u32,
    /// A worker wants to leave when it is given something.
    pub worker_leaves: u32,
    /// A worker gives back what it was given.
    pub work_refused: u32,
    /// A worker takes fewer arrivals with a turn than it was given, or performs fewer operations.
    pub turn_partial: u32,
    /// A turn thread comes late to its mail.
    pub thread_late: u32,
    /// A result is told twice.
    pub result_twice: u32,
    /// A hint about a message to another node is lost.
    pub hint_lost: u32,
    /// A message is delivered twice.
    pub message_twice: u32,
    /// A node believes that there is one more, and gives partitions away.
    pub nodes_miscounted: u32,
    /// A node is started with a wrong secret, or without an address.
    pub secret_wrong: u32,
}

impl Rates {
    /// Whether anything can go wrong by chance.
    #[must_use]
    pub fn is_any(&self) -> bool {
        let Self { commit_fails, commit_lies, commit_slow, commit_crashes, read_fails, .. } = self;
        let Self { activity_fails, activity_hangs, result_twice, hint_lost, message_twice, .. } =
            self;
        let Self { worker_lost, turn_partial, thread_late, nodes_miscounted, .. } = self;
        let Self { worker_leaves, work_refused, secret_wrong, .. } = self;
        commit_fails
            + commit_lies
            + commit_slow
            + commit_crashes
            + read_fails
            + activity_fails
            + activity_hangs
            + result_twice
            + hint_lost
            + message_twice
            + worker_lost
            + worker_leaves
            + work_refused
            + turn_partial
            + thread_late
            + nodes_miscounted
            + secret_wrong
            > 0
    }
}

/// Something that a client asks for, at a time.
#[derive(Debug, Clone)]
pub struct Operation {
    /// When, in microseconds.
    pub at: i64,
    /// About which instance.
    pub instance: InstanceId,
    /// What.
    pub act: Act,
    /// After how long the client goes away without an answer, if ever.
    pub patience: Option<i64>,
    /// For a start: after how long the instance is terminated.
    pub within: Option<i64>,
}

/// What a client can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Start the program of that index, perhaps only after some microseconds.
    Start(usize, Reuse, Option<i64>),
    /// Raise an event with a payload that no other client uses.
    Raise(Text, Text),
    /// Raise an event; keep it for so many microseconds if nobody has started the instance.
    RaiseEarly(Text, Text, i64),
    /// Start once more what it was started with, if it has ended: under its id, or this one.
    Restart(Option<InstanceId>),
    /// Let it go on from before its failure.
    Rewind,
    /// Start the program of that index and raise an event, or only the latter.
    StartOrRaise(usize, Reuse, Text, Text),
    /// Terminate it, perhaps with its children.
    Terminate(bool),
    /// Suspend it.
    Suspend,
    /// Resume it.
    Resume,
    /// Purge it.
    Purge,
    /// Purge it with its children.
    PurgeAll,
    /// Clean up all entities, whichever this is.
    Clean,
    /// Give back the lock of an entity that this section has.
    Unlock(Text),
    /// Ask the entity for an operation, perhaps for only after some microseconds.
    Signal(Option<i64>),
    /// Ask where it stands.
    Status,
    /// Wait for its end.
    Wait,
    /// The same, whoever starts it when.
    Expect,
}

impl Act {
    /// Whether it waits for an end.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::Wait | Self::Expect)
    }

    /// The payload of the event that is raised, if one is.
    pub(crate) fn payload(&self) -> Option<&Text> {
        match self {
            Self::Raise(_, payload)
            | Self::RaiseEarly(_, payload, _)
            | Self::StartOrRaise(_, _, _, payload) => Some(payload),
            _ => None,
        }
    }
}

/// Something that happens to a node, at a time.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// When, in microseconds.
    pub at: i64,
    /// To which node.
    pub node: usize,
    /// What.
    pub kind: TroubleKind,
}

/// What can happen to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// Its process dies and is started again after so many microseconds.
    Crash(i64),
    /// The power fails: what was not synced is lost; it is started again.
    PowerCut(i64),
    /// It stops for so many microseconds and knows nothing of it.
    Pause(i64),
    /// Its clock is set forward or back.
    Jump(i64),
    /// The store takes a partition's lease away from whoever has it.
    LoseLease(u16),
    /// It is started again with code that makes other calls at replay.
    DeployBroken(i64),
    /// It stops in good order and gives its partitions away, then is started again.
    Leave(i64),
    /// The store does not work for so many microseconds.
    StoreDown(i64),
    /// The store loses a part of some history, and the node that has it in memory dies; it is
    /// started again after so many microseconds.
    Damage(i64),
}

impl Scenario {
    /// From when on, by every clock, nothing can be wrong.
    pub(crate) fn calm_from(&self) -> Timestamp {
        Timestamp(EPOCH + if self.is_calm() { 10 * SECONDS } else { CALM_AFTER + 120 * SECONDS })
    }

    /// How many turn threads and lanes each node has.
    pub(crate) fn threads(&self) -> (usize, u16) {
        (self.shards, self.lanes)
    }

    /// Whether nothing is ever wrong.
    pub(crate) fn is_calm(&self) -> bool {
        self.troubles.is_empty() && !self.rates.is_any()
    }
}
