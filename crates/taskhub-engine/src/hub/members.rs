//! Who takes part in a hub: its nodes, and who owns what.

use taskhub_core::store::{Lease, Node, StoreError};

use super::Hub;

/// The nodes that share a hub, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// The nodes that live, by id.
    pub nodes: Vec<Node>,
    /// Who owns which partition, in their order; who is not listed has no owner.
    pub leases: Vec<Lease>,
}

impl Hub {
    /// Waits until somebody has deleted the hub in its store, another node for instance: then it
    /// can do nothing any more, and is to be stopped. False when it was stopped before.
    pub fn deleted(&self) -> impl Future<Output = bool> + Send + use<> {
        let deleted = self.inner.keeper.as_ref().map(|keeper| keeper.deleted.clone());
        async move {
            match deleted {
                Some(mut deleted) => deleted.wait_for(|is_deleted| *is_deleted).await.is_ok(),
                None => false,
            }
        }
    }

    /// Whether other nodes have the hub, and answer nothing of what this one asks, as it does not
    /// know their secret: then it serves nobody.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.inner.tallies.is_apart()
    }

    /// Who takes part in it, as the store knows; `None` when its store belongs to this process.
    pub async fn members(&self) -> Result<Option<Members>, StoreError> {
        self.read(|store| {
            let Some(shared) = store.shared() else { return Ok(None) };
            let (nodes, leases) = (shared.nodes()?, shared.owners()?);
            Ok(Some(Members { nodes, leases }))
        })
        .await
    }
}
