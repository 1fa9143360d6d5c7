//! Which of the nodes that live share the partitions.
//!
//! What a node owns that nobody can ask is out of reach for whoever asks another one. So only nodes
//! with an address share. Where none has one, one node has everything.

use taskhub_core::store::{Lease, Node, StoreError};

/// How many nodes share the partitions, `own` among them; 0: it is to have none. The `owners` are
/// asked for only where no node can be asked.
pub(super) fn sharing(
    nodes: &[Node],
    own: &Node,
    owners: impl FnOnce() -> Result<Vec<Lease>, StoreError>,
) -> Result<usize, StoreError> {
    let reached = nodes.iter().filter(|node| !node.address.is_empty()).count();
    if !own.address.is_empty() {
        return Ok(reached.max(1));
    }
    if reached > 0 {
        return Ok(0);
    }
    if nodes.len() <= 1 {
        return Ok(1);
    }
    // Who has some keeps them, and gets the rest.
    let owners = owners()?;
    let lives = |lease: &&Lease| nodes.iter().any(|node| node.id == lease.node.id);
    let owner = owners.iter().filter(|lease| !lease.lasts.is_zero()).find(lives);
    let chosen = owner.map(|lease| &lease.node.id).or(nodes.first().map(|node| &node.id));
    Ok(usize::from(chosen == Some(&own.id)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taskhub_core::{Epoch, PartitionId, store::Ownership};

    use super::*;

    fn node(id: &str, address: &str) -> Node {
        Node { id: id.into(), address: address.into() }
    }

    /// What each of them is to share with, when these have a partition each.
    fn shares(nodes: &[Node], owners: &[&str]) -> Vec<usize> {
        let lease = |(id, owner): (u16, &&str)| Lease {
            owned: Ownership { partition: PartitionId(id), epoch: Epoch(1) },
            node: node(owner, ""),
            lasts: Duration::from_secs(1),
        };
        let owners: Vec<_> = (0..).zip(owners).map(lease).collect();
        let share = |own| sharing(nodes, own, || Ok(owners.clone())).expect("it is in memory");
        nodes.iter().map(share).collect()
    }

    #[test]
    fn only_nodes_that_can_be_asked_share() {
        assert_eq!(shares(&[node("a", "a"), node("b", "b")], &[]), [2, 2]);
        assert_eq!(shares(&[node("a", ""), node("b", "b")], &["a"]), [0, 1]);
        assert_eq!(shares(&[node("a", ""), node("b", "b"), node("c", "c")], &[]), [0, 2, 2]);
    }

    #[test]
    fn where_nobody_can_be_asked_one_has_everything() {
        assert_eq!(shares(&[node("a", "")], &[]), [1]);
        assert_eq!(shares(&[node("a", ""), node("b", "")], &[]), [1, 0]);
        assert_eq!(shares(&[node("a", ""), node("b", "")], &["dead", "b", "a"]), [0, 1]);
    }
}
