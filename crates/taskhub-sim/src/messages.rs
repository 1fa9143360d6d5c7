//! Messages between partitions: those that come by themselves, those in inboxes, and hints.

use taskhub_core::{
    MessageId, PartitionId,
    partition::{Input, Partition},
    store::{Ownership, Store as _},
};
use taskhub_engine::Passed;

use crate::{
    node::{Life, Mail},
    world::{Happening, World},
};

impl World {
    /// A message leaves for a partition of this node.
    pub(crate) fn pass(&mut self, life: Life, from: PartitionId, passed: Passed) {
        let lane = self.nodes[life.node].lane_of(from);
        let generation = Some(self.nodes[life.node].writer(lane).generation);
        if self.random.chance(self.rates.message_twice) {
            self.coverage.count("messages delivered twice");
            let again = Mail::Deliver(passed.clone(), generation);
            self.soon(500_000, Happening::Send(life, again));
        }
        let node = &self.nodes[life.node];
        if node.shard_of(passed.envelope.partition) == node.shard_of(from) {
            return self.deliver(life, passed, generation);
        }
        // In the order of sending: one thread's mail to another does not overtake itself.
        self.in_order(self.now + 20, Happening::Send(life, Mail::Deliver(passed, generation)));
    }

    /// A message comes by itself. If it is not its turn, or its receiver is not here, it is left
    /// to the inbox.
    pub(crate) fn deliver(&mut self, life: Life, passed: Passed, generation: Option<u64>) {
        let (to, node) = (passed.envelope.partition, &mut self.nodes[life.node]);
        let lane = node.lane_of(passed.envelope.id.from);
        if generation.is_some_and(|sent| sent < node.writer(lane).generation) {
            return self.coverage.count("messages that are void");
        }
        if node.bench(to).shard.takes(&passed) {
            self.coverage.count("messages that came by themselves");
            self.put(life, to, vec![Input::Deliver(passed.envelope)]);
        } else if generation.is_some() {
            self.coverage.count("messages left to the inbox");
            node.writer(lane).lane.look(to);
            self.look_if_due(life, lane);
        } else {
            self.look_or_hint(life, to, true);
        }
    }

    /// Those to whom the lane owes a look are told, if what they wait for is written.
    pub(crate) fn look_if_due(&mut self, life: Life, lane: u16) {
        for partition in self.nodes[life.node].writer(lane).lane.due_looks() {
            self.look_or_hint(life, partition, true);
        }
    }

    /// There may be something new in an inbox. If it is not here, others are told when that is
    /// wanted.
    pub(crate) fn look_or_hint(&mut self, life: Life, partition: PartitionId, tell: bool) {
        if self.nodes[life.node].serves(partition) {
            self.look_soon(life, partition);
        } else if tell {
            self.hint(partition);
        }
    }

    /// Whoever owns a partition is told that its inbox has something; that may be lost.
    fn hint(&mut self, partition: PartitionId) {
        if self.random.chance(self.rates.hint_lost) {
            return self.coverage.count("hints lost");
        }
        self.coverage.count("hints to other nodes");
        let Some((name, _)) = self.store.holder(partition) else { return };
        let Some(node) = self.nodes.iter().find(|node| node.up && node.name() == name) else {
            return;
        };
        let life = node.life;
        self.soon(1_000, Happening::Send(life, Mail::Look(partition, false)));
    }

    /// An inbox will be read.
    pub(crate) fn look_soon(&mut self, life: Life, partition: PartitionId) {
        let node = &mut self.nodes[life.node];
        if !node.serves(partition) {
            return;
        }
        let Some(owned) = node.owned(partition) else { return };
        let known = node.bench(partition).shard.partition(partition);
        let known = known.map(Partition::delivered).unwrap_or_default();
        self.soon(2_000, Happening::Look(life, owned, known));
    }

    /// Reads an inbox; what is in it takes some time to arrive.
    pub(crate) fn look(&mut self, life: Life, owned: Ownership, known: &[MessageId]) {
        if self.store_fails() || self.random.chance(self.rates.read_fails) {
            return;
        }
        let limit = if self.random.chance(500) { 2 } else { 100 };
        let inbox = self.store.inbox(owned.partition, known, limit).unwrap_or_default();
        if !inbox.is_empty() {
            self.coverage.count("inboxes read with something in them");
        }
        let all = (inbox.len() < limit).then(|| self.nodes[life.node].tick());
        self.soon(5_000, Happening::Send(life, Mail::Found(owned, inbox, all)));
    }
}
