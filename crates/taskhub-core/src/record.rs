//! What is kept of an instance beside its history, and what one commit changes.

use bytes::Bytes;

use crate::{
    CommitSeq, Envelope, Epoch, ExecutionId, InstanceId, MessageId, Outcome, Parent, PartitionId,
    Tags, Text, Timestamp,
};

/// Where an instance stands. The numbers are those of the Durable Task protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RuntimeStatus {
    /// Its first turn has run.
    Running = 0,
    /// It returned.
    Completed = 1,
    /// Between two executions; seen only in histories.
    ContinuedAsNew = 2,
    /// Its code returned an error.
    Failed = 3,
    /// It was cancelled; kept for the protocol's sake, the engine never sets it.
    Canceled = 4,
    /// It was terminated.
    Terminated = 5,
    /// Accepted, its first turn has not run.
    Pending = 6,
    /// It accepts events but does not run.
    Suspended = 7,
}

impl RuntimeStatus {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::Completed,
        Self::ContinuedAsNew,
        Self::Failed,
        Self::Canceled,
        Self::Terminated,
        Self::Pending,
        Self::Suspended,
    ];

    /// The status with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Whether nothing can happen to the instance any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled | Self::Terminated)
    }
}

/// The one row that is kept of an instance; small, since every turn rewrites it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The current execution.
    pub execution: ExecutionId,
    /// The orchestration's name.
    pub name: Text,
    /// The orchestration's version.
    pub version: Option<Text>,
    /// Where it stands.
    pub status: RuntimeStatus,
    /// When the instance was first accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended; `None` as long as its status is none of an end.
    pub completed_at: Option<Timestamp>,
    /// When its next timer, its deadline or its scheduled start is due, whatever else it does.
    pub due: Option<Timestamp>,
    /// Whether it has work that is outstanding or could run: activities without a result, arrivals
    /// that no turn took and that may run. A parked instance is busy, one that is not started, and
    /// one that has ended as long as activities are not done that its code, elsewhere, had called.
    pub busy: bool,
    /// What the code last showed to the outside.
    pub custom_status: Option<Text>,
    /// Labels, sorted by key.
    pub tags: Tags,
    /// Who called it, for a child.
    pub parent: Option<Parent>,
    /// Why it is parked: the engine cannot run it until a person helps.
    pub stuck: Option<Text>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// How many events its history has.
    pub events: u64,
}

impl Record {
    /// How many bytes its custom status and its output have.
    #[must_use]
    pub fn shown_bytes(&self) -> usize {
        let output = self.outcome.as_ref().and_then(|outcome| outcome.as_ref().ok()?.as_ref());
        self.custom_status.iter().chain(output).map(|text| text.len()).sum()
    }

    /// Whether nobody has started it yet: it only keeps events for who does. No list has it.
    #[must_use]
    pub fn is_awaited(&self, instance: &InstanceId) -> bool {
        self.name.is_empty() && instance.as_entity().is_none()
    }
}

/// What a commit does to the history of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryChange {
    /// Nothing.
    Keep,
    /// Adds encoded events behind the first `at` ones.
    Append {
        /// How many events stand before them.
        at: u64,
        /// The events, encoded by [`crate::codec`].
        events: Bytes,
    },
    /// Forgets the former execution; the history begins with these events.
    Replace {
        /// The events, encoded.
        events: Bytes,
    },
}

impl HistoryChange {
    /// How many bytes it adds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Keep => 0,
            Self::Append { events, .. } | Self::Replace { events } => events.len(),
        }
    }
}

/// What a commit does to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Creates or updates it.
    Write {
        /// Its new record.
        record: Box<Record>,
        /// Whether its custom status or its outcome may be others than before. If not, a store
        /// need not write them again, however large they are.
        shows: bool,
        /// Its history.
        history: HistoryChange,
    },
    /// Removes it with its history.
    Purge,
    /// Leaves it alone, exists or not: only takes messages that come to nothing.
    Nothing,
}

/// One turn, to be committed whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnRecord {
    /// The partition that owns the instance.
    pub partition: PartitionId,
    /// Its place among that partition's commits.
    pub seq: CommitSeq,
    /// The instance.
    pub instance: InstanceId,
    /// What becomes of it.
    pub change: Change,
    /// Messages to other instances; each is put into its receiver's inbox.
    pub sent: Vec<Envelope>,
    /// Messages taken out of this partition's inbox.
    pub taken: Vec<MessageId>,
}

impl TurnRecord {
    /// About how many bytes it puts into the store.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let written = match &self.change {
            Change::Write { record, shows, history } => {
                let shown = if *shows { record.shown_bytes() } else { 0 };
                shown + history.bytes()
            }
            Change::Purge | Change::Nothing => 0,
        };
        256 + written + 256 * self.sent.len()
    }
}

/// What one lane commits at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The partitions that wrote it, each with the epoch it believes to own it under.
    pub owners: Vec<(PartitionId, Epoch)>,
    /// The turns, in the order in which they were made.
    pub turns: Vec<TurnRecord>,
}
