//! The partitions of one turn thread.

use std::{collections::BTreeMap, sync::Arc};

use taskhub_core::{
    Envelope, InstanceId, Limits, PartitionId, Timestamp, TurnRecord,
    partition::{Decisions, Effect, Input, Partition, Read},
    store::{Ownership, Wake},
    turn::Functions,
};

/// Some partitions of this node, run one after another.
pub struct Shard {
    partitions: BTreeMap<PartitionId, Partition>,
    functions: Arc<dyn Functions>,
    limits: Limits,
    count: u16,
}

/// What one partition decided, and where it has to go.
#[derive(Debug)]
pub struct Routed {
    /// Who decided.
    pub owner: Ownership,
    /// To the lane, before anything else is done with them.
    pub turns: Vec<TurnRecord>,
    /// Messages of these turns: to the partitions of the same lane, behind the turns; other
    /// partitions find them in their inbox once the turns are durable.
    pub sent: Vec<Envelope>,
    /// To the store's readers.
    pub reads: Vec<Read>,
    /// To clients and workers.
    pub effects: Vec<Effect>,
}

impl Shard {
    /// No partitions yet, of a hub that has `count`.
    #[must_use]
    pub fn new(functions: Arc<dyn Functions>, limits: &Limits, count: u16) -> Self {
        Self { partitions: BTreeMap::new(), functions, limits: limits.clone(), count }
    }

    /// Takes over a partition, with the first pages of its wakes and of its busy instances. An
    /// earlier epoch is forgotten.
    pub fn own(&mut self, owned: Ownership, wakes: Vec<Wake>, busy: Vec<InstanceId>) {
        let functions = self.functions.clone();
        let partition = Partition::open(owned, self.count, wakes, busy, functions, &self.limits);
        self.partitions.insert(owned.partition, partition);
    }

    /// Lets go of a partition, with all that it holds in memory.
    pub fn disown(&mut self, id: PartitionId) {
        self.partitions.remove(&id);
    }

    /// Lets go of all partitions.
    pub fn clear(&mut self) {
        self.partitions.clear();
    }

    /// Whether it owns a partition under this epoch.
    #[must_use]
    pub fn owns(&self, owned: Ownership) -> bool {
        self.partition(owned.partition).is_some_and(|partition| partition.owned() == owned)
    }

    /// A partition, if it is here.
    #[must_use]
    pub fn partition(&self, id: PartitionId) -> Option<&Partition> {
        self.partitions.get(&id)
    }

    /// How many instances are in memory, and about how many bytes they take.
    #[must_use]
    pub fn cached(&self) -> (usize, usize) {
        let each = self.partitions.values().map(Partition::cached);
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
        let partition = self.partitions.get_mut(&id)?;
        let mut decisions = Decisions::default();
        partition.handle(inputs, now, &mut decisions);
        let Decisions { turns, reads, effects } = decisions;
        let sent = turns.iter().flat_map(|turn| turn.sent.iter().cloned()).collect();
        Some(Routed { owner: partition.owned(), turns, sent, reads, effects })
    }

    /// The partitions that want to be called at `now` though nothing happened.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<PartitionId> {
        let due = |partition: &Partition| partition.next_wake().is_some_and(|at| at <= now);
        self.partitions.iter().filter(|(_, known)| due(known)).map(|(id, _)| *id).collect()
    }

    /// When the next partition wants to be called.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.partitions.values().filter_map(Partition::next_wake).min()
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.partitions.values()).finish()
    }
}
