//! How partitions come to a turn thread and go: opened, closed, lost, given away.

use taskhub_core::{PartitionId, Refusal, store::Ownership};

use super::{TurnThread, lost};
use crate::hub::{
    keeper::Errand,
    mail::{Generation, Opened},
};

impl TurnThread {
    pub(super) fn open(&mut self, share: Vec<Opened>) {
        for Opened { owned, claimed, looked, wakes, busy, inbox } in share {
            self.shard.own(owned, claimed, wakes, busy);
            // What others sent since it was read comes with the next look.
            if inbox.1 || self.links.hints.is_some() {
                self.look(owned.partition, false);
            }
            let all = (!inbox.1).then_some(looked);
            let inputs = self.shard.found(owned, inbox.0, all);
            let void = self.void.remove(&owned.partition);
            self.inputs.entry(owned.partition).or_default().extend(void.into_iter().chain(inputs));
        }
    }

    /// A lane failed: what its turns built on each other is void.
    pub(super) fn close(&mut self, lane: u16, generation: Generation, why: &Refusal) {
        let post = self.links.post.clone();
        let of_lane = |partition: PartitionId| post.lane_of(partition) == lane;
        self.generations[usize::from(lane)] = generation;
        self.shard.close(lane);
        self.inputs.retain(|partition, _| !of_lane(*partition));
        self.links.dispatch.abandon(of_lane);
        self.refuse(|asker| of_lane(asker.partition), |_| why.clone());
    }

    /// Another node has claimed a partition: what was asked here is perhaps written, perhaps not.
    pub(super) fn lose(&mut self, owned: Ownership) {
        if self.shard.owns(owned) {
            self.let_go(owned.partition);
            self.refuse(|asker| asker.partition == owned.partition, lost);
        }
    }

    /// A partition is given away: from now on it takes nothing in.
    pub(super) fn leave(&mut self, owned: Ownership) {
        if self.shard.owns(owned) {
            self.shard.leave(owned);
            self.inputs.entry(owned.partition).or_default();
        }
    }

    /// Nothing of a partition is under way any more. What was asked of it and is not answered did
    /// not happen.
    pub(super) fn left(&mut self, owned: Ownership) {
        self.let_go(owned.partition);
        let moved = |asker: &super::Asker| Refusal::Moved(asker.instance.clone());
        self.refuse(|asker| asker.partition == owned.partition, moved);
        let _ = self.links.keeper.send(Errand::Left(owned));
    }

    fn let_go(&mut self, partition: PartitionId) {
        self.shard.disown(partition);
        self.inputs.remove(&partition);
        self.links.dispatch.abandon(|of| of == partition);
    }
}
