//! Who owns which partition, under which epoch, and until when.

use std::time::Duration;

use taskhub_core::{
    Batch, Epoch, PartitionId, Timestamp,
    store::{self, CommitError, Node, Ownership},
};

/// The leases of all partitions of a hub.
#[derive(Debug, Clone)]
pub(super) struct Leases(Vec<Lease>);

#[derive(Debug, Clone, Default)]
struct Lease {
    /// The latest epoch; 0 before the first claim.
    epoch: Epoch,
    /// Who holds it and until when; `None` when nobody does.
    holder: Option<(Node, Timestamp)>,
}

impl Leases {
    /// Leases that nobody holds, with the latest epoch of each partition.
    pub(super) fn free(epochs: impl IntoIterator<Item = Epoch>) -> Self {
        Self(epochs.into_iter().map(|epoch| Lease { epoch, holder: None }).collect())
    }

    /// Which partitions `claim` would give now, each under its next epoch.
    pub(super) fn claimable(&self, limit: usize, now: Timestamp) -> Vec<Ownership> {
        (0..)
            .zip(&self.0)
            .filter(|(_, lease)| lease.holder.as_ref().is_none_or(|(_, until)| *until <= now))
            .map(|(id, lease)| Ownership {
                partition: PartitionId(id),
                epoch: Epoch(lease.epoch.0 + 1),
            })
            .take(limit)
            .collect()
    }

    /// Gives out what [`Leases::claimable`] offered.
    pub(super) fn grant(&mut self, granted: &[Ownership], node: &Node, until: Timestamp) {
        for held in granted {
            if let Some(lease) = self.0.get_mut(usize::from(held.partition.0)) {
                *lease = Lease { epoch: held.epoch, holder: Some((node.clone(), until)) };
            }
        }
    }

    /// Extends those of `held` that nobody else has claimed; returns the others.
    pub(super) fn renew(
        &mut self,
        held: &[Ownership],
        now: Timestamp,
        ttl: Duration,
    ) -> Vec<PartitionId> {
        let mut lost = Vec::new();
        for held in held {
            match self.held(*held) {
                Some(until) => *until = now.plus(ttl),
                None => lost.push(held.partition),
            }
        }
        lost
    }

    /// Frees those of `held` that nobody else has claimed.
    pub(super) fn release(&mut self, held: &[Ownership]) {
        for held in held {
            if self.held(*held).is_some() {
                self.0[usize::from(held.partition.0)].holder = None;
            }
        }
    }

    fn held(&mut self, held: Ownership) -> Option<&mut Timestamp> {
        let lease = self.0.get_mut(usize::from(held.partition.0))?;
        if lease.epoch != held.epoch {
            return None;
        }
        lease.holder.as_mut().map(|(_, until)| until)
    }

    /// Who holds what, for how long from now.
    pub(super) fn owners(&self, now: Timestamp) -> Vec<store::Lease> {
        (0..)
            .zip(&self.0)
            .filter_map(|(id, lease)| {
                let (node, until) = lease.holder.clone()?;
                let owned = Ownership { partition: PartitionId(id), epoch: lease.epoch };
                Some(store::Lease { owned, node, lasts: until.since(now) })
            })
            .collect()
    }

    /// Whether every owner in `batch` is the latest, and every turn has an owner.
    pub(super) fn check(&self, batch: &Batch) -> Result<(), CommitError> {
        let mut named = vec![false; self.0.len()];
        for (partition, epoch) in &batch.owners {
            match self.0.get(usize::from(partition.0)) {
                Some(lease) if lease.epoch == *epoch && epoch.0 > 0 => {
                    named[usize::from(partition.0)] = true;
                }
                _ => return Err(CommitError::Fenced(*partition)),
            }
        }
        let unowned = |turn: &&taskhub_core::TurnRecord| {
            !named.get(usize::from(turn.partition.0)).is_some_and(|named| *named)
        };
        match batch.turns.iter().find(unowned) {
            Some(turn) => Err(CommitError::Fenced(turn.partition)),
            None => Ok(()),
        }
    }
}
