//! The partitions of one turn thread.

use std::{collections::BTreeMap, sync::Arc};

use taskhub_core::{
    CommitSeq, Envelope, InstanceId, Limits, PartitionId, Timestamp, TurnRecord,
    mutation::{Mutation, mutated},
    partition::{Decisions, Effect, Input, Partition, Read},
    store::{Ownership, Wake},
    turn::Functions,
};

use crate::{
    arrivals::{Arrivals, Tick},
    lane::lane_of,
};

/// Some partitions of this node, run one after another.
pub struct Shard {
    partitions: BTreeMap<PartitionId, Kept>,
    functions: Arc<dyn Functions>,
    limits: Limits,
    count: u16,
    lanes: u16,
}

/// A partition, and what is known about its mail.
struct Kept {
    partition: Partition,
    opened: Tick,
    arrivals: Arrivals,
    /// Whether it is being given away.
    leaving: bool,
}

/// What one partition decided, and where it has to go.
#[derive(Debug)]
pub struct Routed {
    /// Who decided.
    pub owner: Ownership,
    /// When the owner claimed it.
    pub opened: Tick,
    /// To the lane, before anything else is done with them.
    pub turns: Vec<TurnRecord>,
    /// Messages of these turns to the partitions of the same lane, which they reach at once,
    /// behind the turns. The lane passes on the others when they are durable.
    pub sent: Vec<Envelope>,
    /// To the store's readers.
    pub reads: Vec<Read>,
    /// To clients and workers.
    pub effects: Vec<Effect>,
    /// Whether nothing of it is under way any more, and it can be given away. What it was asked
    /// and has not answered did not happen.
    pub left: bool,
}

/// A message that comes by itself, not from the inbox.
#[derive(Debug, Clone)]
pub struct Passed {
    /// The message.
    pub envelope: Envelope,
    /// When the partition of its sender was claimed.
    pub opened: Tick,
    /// When it was sent, or a later time when it was not durable yet.
    pub sent: Tick,
}

impl Shard {
    /// No partitions yet, of a hub that has `count`, on a node that has so many lanes.
    #[must_use]
    pub fn new(functions: Arc<dyn Functions>, limits: &Limits, count: u16, lanes: u16) -> Self {
        Self { partitions: BTreeMap::new(), functions, limits: limits.clone(), count, lanes }
    }

    /// Takes over a partition that was claimed at `opened`, with the first pages of its wakes and
    /// of its busy instances. An earlier epoch is forgotten.
    pub fn own(&mut self, owned: Ownership, opened: Tick, wakes: Vec<Wake>, busy: Vec<InstanceId>) {
        let functions = self.functions.clone();
        let partition = Partition::open(owned, self.count, wakes, busy, functions, &self.limits);
        let kept = Kept { partition, opened, arrivals: Arrivals::new(opened), leaving: false };
        self.partitions.insert(owned.partition, kept);
    }

    /// Begins to give a partition away: from now on it takes nothing in. It is left when a call of
    /// [`Shard::handle`] says so.
    pub fn leave(&mut self, owned: Ownership) {
        let kept = self.partitions.get_mut(&owned.partition);
        if let Some(kept) = kept.filter(|kept| kept.partition.owned() == owned) {
            kept.leaving = true;
        }
    }

    /// Lets go of a partition, with all that it holds in memory.
    pub fn disown(&mut self, id: PartitionId) {
        self.partitions.remove(&id);
    }

    /// Lets go of all partitions of a lane; returns them.
    pub fn close(&mut self, lane: u16) -> Vec<PartitionId> {
        let lanes = self.lanes;
        let of_lane = |id: &PartitionId, _: &mut Kept| lane_of(*id, lanes) == lane;
        self.partitions.extract_if(.., of_lane).map(|(id, _)| id).collect()
    }

    /// Whether it owns a partition under this epoch.
    #[must_use]
    pub fn owns(&self, owned: Ownership) -> bool {
        self.partition(owned.partition).is_some_and(|partition| partition.owned() == owned)
    }

    /// Whether a partition is here, and not about to be given away.
    #[must_use]
    pub fn serves(&self, id: PartitionId) -> bool {
        self.partitions.get(&id).is_some_and(|kept| !kept.leaving)
    }

    /// A partition, if it is here.
    #[must_use]
    pub fn partition(&self, id: PartitionId) -> Option<&Partition> {
        self.partitions.get(&id).map(|kept| &kept.partition)
    }

    /// The partitions that are here and not about to be given away.
    pub fn served(&self) -> impl Iterator<Item = PartitionId> {
        self.partitions.iter().filter(|(_, kept)| !kept.leaving).map(|(id, _)| *id)
    }

    /// The inbox of a partition was read: these were in it, and if a time is given, nothing else
    /// was then. Yields what the partition is to be given.
    pub fn found(
        &mut self,
        owned: Ownership,
        inbox: Vec<Envelope>,
        all: Option<Tick>,
    ) -> Vec<Input> {
        let kept = self.partitions.get_mut(&owned.partition);
        let Some(kept) = kept.filter(|kept| kept.partition.owned() == owned && !kept.leaving)
        else {
            return Vec::new();
        };
        for envelope in &inbox {
            kept.arrivals.found(envelope.id);
        }
        if let Some(at) = all {
            kept.arrivals.looked(at);
        }
        inbox.into_iter().map(Input::Deliver).collect()
    }

    /// A message comes by itself. Whether its receiver is to be given it; otherwise it is left to
    /// the inbox.
    pub fn takes(&mut self, passed: &Passed) -> bool {
        let Passed { envelope, opened, sent } = passed;
        let kept = self.partitions.get_mut(&envelope.partition);
        kept.is_some_and(|kept| !kept.leaving && kept.arrivals.comes(envelope.id, *opened, *sent))
    }

    /// How many instances are in memory, and about how many bytes they take.
    #[must_use]
    pub fn cached(&self) -> (usize, usize) {
        let each = self.partitions.values().map(|kept| kept.partition.cached());
        each.fold((0, 0), |sum, cached| (sum.0 + cached.0, sum.1 + cached.1))
    }

    /// Gives inputs to a partition. `None` when it is not here: the inputs are lost with it, and
    /// whoever sent them hears of it by the loss of the partition.
    pub fn handle(
        &mut self,
        id: PartitionId,
        inputs: impl IntoIterator<Item = Input>,
        now: Timestamp,
    ) -> Option<Routed> {
        let kept = self.partitions.get_mut(&id)?;
        if kept.leaving {
            return Some(kept.settle(inputs));
        }
        let mut decisions = Decisions::default();
        kept.partition.handle(inputs, now, &mut decisions);
        let Decisions { turns, reads, effects } = decisions;
        let (lanes, own) = (self.lanes, lane_of(id, self.lanes));
        let at_once = |envelope: &&Envelope| {
            lane_of(envelope.partition, lanes) == own || mutated(Mutation::PassEarly)
        };
        let sent = turns.iter().flat_map(|turn| turn.sent.iter().filter(at_once).cloned());
        let (sent, owner, opened) = (sent.collect(), kept.partition.owned(), kept.opened);
        Some(Routed { owner, opened, turns, sent, reads, effects, left: false })
    }

    /// The partitions that want to be called at `now` though nothing happened.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<PartitionId> {
        let due = |kept: &Kept| kept.next_wake().is_some_and(|at| at <= now);
        self.partitions.iter().filter(|(_, kept)| due(kept)).map(|(id, _)| *id).collect()
    }

    /// When the next partition wants to be called.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.partitions.values().filter_map(Kept::next_wake).min()
    }
}

impl Kept {
    fn next_wake(&self) -> Option<Timestamp> {
        if self.leaving { None } else { self.partition.next_wake() }
    }

    /// What is durable is told; all else is for the next owner.
    fn settle(&mut self, inputs: impl IntoIterator<Item = Input>) -> Routed {
        let durable = |input| match input {
            Input::Durable(seq) => Some(seq),
            _ => None,
        };
        let seq = inputs.into_iter().filter_map(durable).max().unwrap_or(CommitSeq(0));
        let mut effects = Vec::new();
        let left = self.partition.settle(seq, &mut effects);
        effects.retain(|effect| matches!(effect, Effect::Answer(..)));
        let (owner, opened) = (self.partition.owned(), self.opened);
        let (turns, sent, reads) = (Vec::new(), Vec::new(), Vec::new());
        Routed { owner, opened, turns, sent, reads, effects, left }
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.partitions.values().map(|kept| &kept.partition)).finish()
    }
}
