//! Who owns what, as this node last read it: the keeper does at each of its looks, the router when
//! a question went astray.

use std::sync::Arc;

use taskhub_core::{
    PartitionId,
    store::{Lease, Ownership},
};
use tokio::sync::watch;

/// The leases of a hub. Clones are the same.
#[derive(Clone)]
pub(super) struct Owners(Arc<watch::Sender<Vec<Lease>>>);

impl Owners {
    /// Nothing is known yet.
    pub(super) fn unknown() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }

    /// They were read, in the order of the partitions.
    pub(super) fn are(&self, leases: Vec<Lease>) {
        let owned = |leases: &[Lease]| leases.iter().map(|it| it.owned).collect::<Vec<_>>();
        self.0.send_if_modified(|known| {
            // Nobody is woken because somebody renewed.
            let has_changed = owned(known) != owned(&leases);
            *known = leases;
            has_changed
        });
    }

    /// The lease of a partition, if it has one.
    pub(super) fn of(&self, partition: PartitionId) -> Option<Lease> {
        find(&self.0.borrow(), partition).cloned()
    }

    /// Waits until somebody has claimed a partition after this owner.
    pub(super) async fn replaced(&self, owner: Ownership) {
        let is_later = |lease: &Lease| lease.owned.epoch > owner.epoch;
        let mut owners = self.0.subscribe();
        let replaced = owners.wait_for(|all| find(all, owner.partition).is_some_and(is_later));
        if replaced.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn find(leases: &[Lease], partition: PartitionId) -> Option<&Lease> {
    let place = leases.binary_search_by_key(&partition, |lease| lease.owned.partition);
    place.ok().map(|place| &leases[place])
}
