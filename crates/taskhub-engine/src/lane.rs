//! A lane: one ordered stream of commits. What is queued goes into one batch, within bounds.
//!
//! There is no linger timer: while one batch is being synced the next one gathers. Inside a lane,
//! work may build on what is not yet durable, since a crash loses a suffix of the lane, never a
//! middle. Whatever leaves the lane waits until its batch is durable.

use std::collections::{BTreeMap, VecDeque};

use taskhub_core::mutation::{Mutation, mutated};
use taskhub_core::{
    Batch, Change, CommitSeq, Epoch, Limits, PartitionId, TurnRecord,
    partition::Input,
    store::{CommitError, Ownership, StoreError},
};

use crate::{Passed, Tick};

/// The lane of a partition on a node that has so many.
#[must_use]
pub fn lane_of(partition: PartitionId, lanes: u16) -> u16 {
    partition.0 % lanes.max(1)
}

/// Turn records on their way into the store.
#[derive(Debug)]
pub struct Lane {
    queue: VecDeque<(Epoch, TurnRecord)>,
    count_max: usize,
    bytes_max: usize,
    /// How many lanes the node has.
    lanes: u16,
    /// How many turns were ever queued, and how many of them are written, or never will be.
    queued: u64,
    written: u64,
    /// Turns under these epochs or earlier ones are left-overs from before a failure.
    void: BTreeMap<PartitionId, Epoch>,
    /// When the partitions were claimed.
    opened: BTreeMap<PartitionId, Tick>,
    /// Whose inboxes are to be looked into, each once so many turns are written.
    looks: VecDeque<(u64, PartitionId)>,
}

impl Lane {
    /// An empty lane of a node that has so many.
    #[must_use]
    pub fn new(limits: &Limits, lanes: u16) -> Self {
        Self {
            queue: VecDeque::new(),
            count_max: limits.batch_count_max,
            bytes_max: limits.batch_bytes_max,
            lanes,
            queued: 0,
            written: 0,
            void: BTreeMap::new(),
            opened: BTreeMap::new(),
            looks: VecDeque::new(),
        }
    }

    /// Queues the turns that the owner of a partition made, who claimed it at `opened`.
    pub fn push(&mut self, owner: Ownership, opened: Tick, turns: Vec<TurnRecord>) {
        if self.void.get(&owner.partition).is_none_or(|void| *void < owner.epoch) {
            self.opened.insert(owner.partition, opened);
            self.queued += turns.len() as u64;
            self.queue.extend(turns.into_iter().map(|turn| (owner.epoch, turn)));
        }
    }

    /// A message that was sent before it was durable was not taken by its receiver: that is to look
    /// into its inbox when all that is queued now is written.
    pub fn look(&mut self, receiver: PartitionId) {
        self.looks.push_back((self.queued, receiver));
    }

    /// The partitions that are to look into their inboxes now.
    pub fn due_looks(&mut self) -> Vec<PartitionId> {
        let due = self.looks.iter().take_while(|(behind, _)| *behind <= self.written).count();
        self.looks.drain(..due).map(|(_, partition)| partition).collect()
    }

    /// How many turns are queued.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a further turn would not fit into the next batch.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue.len() >= self.count_max
    }

    /// A commit failed: what is queued is forgotten, and whatever else these owners made is void.
    pub fn close(&mut self, closed: &[Ownership]) {
        self.void.extend(closed.iter().map(|owned| (owned.partition, owned.epoch)));
        self.queue.clear();
        self.written = self.queued;
    }

    /// Takes the next batch off the queue; empty when nothing is queued.
    pub fn next_batch(&mut self) -> Batch {
        let mut owners = BTreeMap::new();
        let mut turns = Vec::with_capacity(self.queue.len().min(self.count_max));
        let mut bytes = 0;
        while let Some((epoch, turn)) = self.queue.front() {
            let full = turns.len() == self.count_max || bytes + turn.bytes() > self.bytes_max;
            let other_epoch = owners.get(&turn.partition).is_some_and(|known| known != epoch);
            if !turns.is_empty() && (full || other_epoch) {
                break;
            }
            let Some((epoch, turn)) = self.queue.pop_front() else { break };
            if turns.len() == 1 && mutated(Mutation::LoseMiddle) {
                self.written += 1;
                continue;
            }
            owners.insert(turn.partition, epoch);
            bytes += turn.bytes();
            turns.push(turn);
        }
        Batch { owners: owners.into_iter().collect(), turns }
    }

    /// A batch is durable, and was not yet at `sent`. Its messages to partitions of other lanes can
    /// be passed on now.
    pub fn written(&mut self, batch: &Batch, sent: Tick) -> Vec<Passed> {
        self.written += batch.turns.len() as u64;
        if self.lanes == 1 {
            return Vec::new();
        }
        let (lanes, opened) = (self.lanes, &self.opened);
        let passed = batch.turns.iter().flat_map(|turn| {
            let own = lane_of(turn.partition, lanes);
            turn.sent.iter().filter(move |it| lane_of(it.partition, lanes) != own)
        });
        let since = |from| opened.get(&from).copied().unwrap_or(Tick::MAX);
        let passed = passed.map(|envelope| Passed {
            opened: since(envelope.id.from),
            envelope: envelope.clone(),
            sent,
        });
        passed.collect()
    }

    /// Of a batch that the store does not take: whose turn it was, the largest, which has its batch
    /// for itself; what its partition is to be told when it is opened again.
    #[must_use]
    pub fn unwritable(error: &CommitError, batch: &Batch) -> Option<(PartitionId, Input)> {
        let CommitError::Store(error @ StoreError::TooLarge(_)) = error else { return None };
        let turn = batch.turns.iter().max_by_key(|turn| turn.bytes())?;
        let why = format!("{} bytes: {error}", turn.bytes());
        let other = batch.turns.iter().min_by_key(|turn| turn.bytes())?;
        let turn = if mutated(Mutation::ParkOther) { other } else { turn };
        let Change::Write { record, .. } = &turn.change else { return None };
        let input = Input::Unwritable(turn.instance.clone(), record.created_at, why.into());
        Some((turn.partition, input)).filter(|_| !mutated(Mutation::ForgetGiant))
    }

    /// The last commit of each partition that a batch makes durable, with the owner's epoch.
    #[must_use]
    pub fn durable(batch: &Batch) -> Vec<(Ownership, CommitSeq)> {
        let mut last: BTreeMap<PartitionId, CommitSeq> = BTreeMap::new();
        for turn in &batch.turns {
            last.insert(turn.partition, turn.seq);
        }
        let seq = |partition: &PartitionId| last.get(partition).copied().unwrap_or_default();
        batch
            .owners
            .iter()
            .map(|(partition, epoch)| {
                (Ownership { partition: *partition, epoch: *epoch }, seq(partition))
            })
            .collect()
    }
}
