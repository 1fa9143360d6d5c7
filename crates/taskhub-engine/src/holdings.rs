//! Which partitions a node holds, and what it is to do about that: how many to claim, which to
//! give away. It decides; others ask the store and the turn threads.

use std::collections::BTreeMap;

use taskhub_core::{
    Epoch, PartitionId,
    mutation::{Mutation, mutated},
    store::Ownership,
};

use crate::lane::lane_of;

/// The partitions that a node holds.
#[derive(Debug)]
pub struct Holdings {
    partitions: u16,
    held: BTreeMap<PartitionId, Holding>,
    stopping: bool,
}

#[derive(Debug, Clone, Copy)]
struct Holding {
    epoch: Epoch,
    leaving: bool,
}

/// What a node is to do so that each has its fair share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// It has its share.
    Rest,
    /// Claim up to so many that nobody has.
    Claim(usize),
    /// Begin to give these away.
    Leave(Vec<Ownership>),
}

impl Holdings {
    /// None yet, of a hub that has so many.
    #[must_use]
    pub fn new(partitions: u16) -> Self {
        Self { partitions, held: BTreeMap::new(), stopping: false }
    }

    /// What is to be done when so many nodes share, this one included; 0: it is to have none. What
    /// it says to leave, it counts as leaving.
    pub fn balance(&mut self, nodes: usize) -> Balance {
        let share = usize::from(self.partitions).div_ceil(nodes.max(1));
        let share = if self.stopping || nodes == 0 { 0 } else { share };
        let staying: Vec<_> = self.all().filter(|it| self.stays(*it)).collect();
        // The first are claimed first, so the last go: what stays is spread over the lanes.
        match staying.get(share..) {
            None => Balance::Claim(share - staying.len()),
            Some([]) => Balance::Rest,
            Some(_) if mutated(Mutation::KeepShare) && !self.stopping => Balance::Rest,
            Some(surplus) => {
                for owned in surplus {
                    self.set(*owned, true);
                }
                Balance::Leave(surplus.to_vec())
            }
        }
    }

    /// From now on everything is to be given away.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// These were claimed.
    pub fn claimed(&mut self, claimed: &[Ownership]) {
        for owned in claimed {
            self.set(*owned, false);
        }
    }

    /// A partition was left, or another node has claimed it. Whether it was held until now.
    pub fn remove(&mut self, owned: Ownership) -> bool {
        let held = self.holds(owned);
        if held {
            self.held.remove(&owned.partition);
        }
        held
    }

    /// A lane failed: all that it writes for is held no more, and returned.
    pub fn close(&mut self, lane: u16, lanes: u16) -> Vec<Ownership> {
        let of_lane: Vec<_> =
            self.all().filter(|owned| lane_of(owned.partition, lanes) == lane).collect();
        for owned in &of_lane {
            self.held.remove(&owned.partition);
        }
        of_lane
    }

    /// All that are held, those that are being given away included: their leases go on.
    pub fn all(&self) -> impl Iterator<Item = Ownership> {
        self.held.iter().map(|(id, holding)| Ownership { partition: *id, epoch: holding.epoch })
    }

    /// Under which epoch a partition is held, if it is.
    #[must_use]
    pub fn held(&self, id: PartitionId) -> Option<Ownership> {
        self.held.get(&id).map(|holding| Ownership { partition: id, epoch: holding.epoch })
    }

    /// Whether a partition is held under this epoch.
    #[must_use]
    pub fn holds(&self, owned: Ownership) -> bool {
        self.held(owned.partition) == Some(owned)
    }

    /// Whether a partition is held under this epoch, and is not being given away.
    #[must_use]
    pub fn stays(&self, owned: Ownership) -> bool {
        self.held.get(&owned.partition).is_some_and(|it| it.epoch == owned.epoch && !it.leaving)
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn set(&mut self, owned: Ownership, leaving: bool) {
        self.held.insert(owned.partition, Holding { epoch: owned.epoch, leaving });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(partition: u16, epoch: u64) -> Ownership {
        Ownership { partition: PartitionId(partition), epoch: Epoch(epoch) }
    }

    #[test]
    fn a_node_alone_claims_all_and_gives_away_when_others_come() {
        let mut holdings = Holdings::new(7);
        assert_eq!(holdings.balance(1), Balance::Claim(7));
        holdings.claimed(&(0..7).map(|id| owned(id, 1)).collect::<Vec<_>>());
        assert_eq!(holdings.balance(1), Balance::Rest);
        assert_eq!(holdings.balance(2), Balance::Leave((4..7).map(|id| owned(id, 1)).collect()));
        assert_eq!(holdings.balance(2), Balance::Rest, "they are leaving already");
        assert!(holdings.holds(owned(4, 1)) && !holdings.stays(owned(4, 1)));
        assert!(holdings.remove(owned(4, 1)) && !holdings.remove(owned(4, 1)));
        assert_eq!(holdings.balance(1), Balance::Claim(3));
    }

    #[test]
    fn a_node_that_stops_gives_all_away_and_claims_nothing() {
        let mut holdings = Holdings::new(2);
        holdings.claimed(&[owned(0, 1)]);
        holdings.stop();
        assert_eq!(holdings.balance(1), Balance::Leave(vec![owned(0, 1)]));
        assert!(holdings.remove(owned(0, 1)));
        assert_eq!((holdings.balance(1), holdings.is_empty()), (Balance::Rest, true));
    }

    #[test]
    fn a_lane_that_fails_takes_its_own_partitions_with_it() {
        let mut holdings = Holdings::new(4);
        holdings.claimed(&(0..4).map(|id| owned(id, 1)).collect::<Vec<_>>());
        assert_eq!(holdings.close(1, 2), [owned(1, 1), owned(3, 1)]);
        assert_eq!(holdings.all().collect::<Vec<_>>(), [owned(0, 1), owned(2, 1)]);
    }

    #[test]
    fn an_earlier_epoch_is_not_held() {
        let mut holdings = Holdings::new(1);
        holdings.claimed(&[owned(0, 1)]);
        holdings.claimed(&[owned(0, 2)]);
        assert!(!holdings.holds(owned(0, 1)) && !holdings.remove(owned(0, 1)));
        assert!(holdings.holds(owned(0, 2)));
    }
}
