//! A lane: one ordered stream of commits. What is queued goes into one batch, within bounds.
//!
//! There is no linger timer: while one batch is being synced the next one gathers. Inside a lane,
//! work may build on what is not yet durable, since a crash loses a suffix of the lane, never a
//! middle. Whatever leaves the lane waits until its batch is durable.

use std::collections::{BTreeMap, VecDeque};

use taskhub_core::mutation::{Mutation, mutated};
use taskhub_core::{
    Batch, CommitSeq, Envelope, Epoch, Limits, PartitionId, TurnRecord, store::Ownership,
};

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
}

impl Lane {
    /// An empty lane.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            queue: VecDeque::new(),
            count_max: limits.batch_count_max,
            bytes_max: limits.batch_bytes_max,
        }
    }

    /// Queues the turns that the owner of a partition made.
    pub fn push(&mut self, owner: Ownership, turns: Vec<TurnRecord>) {
        self.queue.extend(turns.into_iter().map(|turn| (owner.epoch, turn)));
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

    /// Forgets what is queued; returns how much that was.
    pub fn clear(&mut self) -> usize {
        let len = self.queue.len();
        self.queue.clear();
        len
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
                continue;
            }
            owners.insert(turn.partition, epoch);
            bytes += turn.bytes();
            turns.push(turn);
        }
        Batch { owners: owners.into_iter().collect(), turns }
    }

    /// The messages of a batch to partitions of other lanes, in their order: now that they are
    /// durable, they are passed on.
    pub fn passed_on(batch: &Batch, lanes: u16) -> impl Iterator<Item = &Envelope> {
        batch.turns.iter().flat_map(move |turn| {
            let own = lane_of(turn.partition, lanes);
            turn.sent.iter().filter(move |it| lane_of(it.partition, lanes) != own)
        })
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
