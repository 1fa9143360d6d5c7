//! Which of the nodes that live share the partitions.
//!
//! What a node owns that nobody can ask is out of reach for whoever asks another one. So only nodes
//! share that can ask each other: they have addresses, and are of one circle, as the mark of the
//! secret that they know each other by is called. Of several circles the largest has everything;
//! of equally large ones that which has something already. So a node with a wrong secret takes
//! nothing away, and while nodes get a new secret one after another the hub moves once. A node
//! without an address is a circle of its own, and the last that is thought of.

use taskhub_core::{
    mutation::{Mutation, mutated},
    store::{Lease, Node, StoreError},
};

/// What a node has of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many nodes share the partitions, it among them; 0: it is to have none.
    pub count: usize,
    /// Whether those that have them answer what it asks.
    pub is_answered: bool,
}

/// What `own` has, of these nodes that live. The `owners` are asked for only where the nodes alone
/// do not tell, and what fails is that.
pub fn sharing(
    nodes: &[Node],
    own: &Node,
    owners: impl FnOnce() -> Result<Vec<Lease>, StoreError>,
) -> Result<Share, StoreError> {
    let circle = |node: &Node| nodes.iter().filter(|other| has_with_it(node, other)).count();
    let rank = |node: &Node| (!node.address.is_empty(), circle(node));
    let highest = nodes.iter().map(rank).max();
    let largest: Vec<_> = nodes.iter().filter(|node| Some(rank(node)) == highest).collect();
    let Some(&first) = largest.first() else { return Ok(Share { count: 1, is_answered: true }) };
    let chosen = if largest.iter().all(|node| has_with_it(first, node)) {
        first
    } else {
        let owners = owners()?;
        let live = owners.iter().filter(|lease| !lease.lasts.is_zero());
        let mut found = live.filter_map(|it| largest.iter().find(|node| node.id == it.node.id));
        found.next().unwrap_or(&first)
    };
    if has_with_it(chosen, own) {
        return Ok(Share { count: circle(chosen).max(1), is_answered: true });
    }
    let knows_them = !own.circle.is_empty() && own.circle == chosen.circle;
    Ok(Share { count: 0, is_answered: knows_them && !chosen.address.is_empty() })
}

/// Whether `other` has its share where the circle of `node` has everything. A node that runs an
/// older version tells no circle, and takes its share in any case.
fn has_with_it(node: &Node, other: &Node) -> bool {
    if mutated(Mutation::ShareBlindly) {
        return true;
    }
    let are_reached = !node.address.is_empty() && !other.address.is_empty();
    let is_of_it = other.circle == node.circle || other.circle.is_empty();
    node.id == other.id || are_reached && is_of_it
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taskhub_core::{Epoch, PartitionId, store::Ownership};

    use super::*;

    fn node(id: &str, address: &str) -> Node {
        Node { id: id.into(), address: address.into(), circle: "".into() }
    }

    /// Nodes that can be asked, each with its circle.
    fn circles(nodes: &[(&str, &str)]) -> Vec<Node> {
        nodes.iter().map(|(id, circle)| Node { circle: (*circle).into(), ..node(id, id) }).collect()
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
        nodes.iter().map(|own| share(own).count).collect()
    }

    #[test]
    fn who_knows_the_secret_is_answered_though_nobody_can_ask_it() {
        let mut nodes = circles(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "2"), ("e", "")]);
        (nodes[2].address, nodes[4].address) = ("".into(), "".into());
        let shares = nodes.iter().map(|own| sharing(&nodes, own, || Ok(vec![])));
        let shares = shares.map(|share| share.map(|it| (it.count, it.is_answered)));
        let expected = [(2, true), (2, true), (0, true), (0, false), (0, false)];
        assert_eq!(shares.collect::<Vec<_>>(), expected.map(Ok));
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

    #[test]
    fn a_node_with_a_wrong_secret_owns_nothing_beside_the_others() {
        let nodes = circles(&[("a", "wrong"), ("b", "1"), ("c", "1")]);
        assert_eq!(shares(&nodes, &["a"]), [0, 2, 2], "though it came first");
        let nodes = circles(&[("a", "wrong"), ("b", "wrong too"), ("c", "1")]);
        assert_eq!(shares(&nodes, &["dead", "c", "b"]), [0, 0, 1], "one goes on");
        assert_eq!(shares(&nodes, &[]), [1, 0, 0], "nobody has anything yet");
    }

    #[test]
    fn while_the_secret_changes_node_by_node_the_hub_moves_once() {
        let owner = |secrets: [&str; 3], owners: &[&str]| {
            let nodes: Vec<_> = ["a", "b", "c"].into_iter().zip(secrets).collect();
            let lives = nodes.into_iter().filter(|(_, secret)| !secret.is_empty());
            shares(&circles(&lives.collect::<Vec<_>>()), owners)
        };
        assert_eq!(owner(["old", "old", ""], &["a", "b", "a"]), [2, 2]);
        assert_eq!(owner(["old", "old", "new"], &["a", "b", "a"]), [2, 2, 0]);
        assert_eq!(owner(["old", "", "new"], &["a", "a", "a"]), [1, 0]);
        assert_eq!(owner(["old", "new", "new"], &["a", "a", "a"]), [0, 2, 2], "here");
        assert_eq!(owner(["", "new", "new"], &["b", "c", "b"]), [2, 2]);
        assert_eq!(owner(["new", "new", "new"], &["b", "c", "b"]), [3, 3, 3]);
    }

    #[test]
    fn nodes_that_tell_no_circle_take_their_share() {
        let nodes = circles(&[("a", ""), ("b", "1"), ("c", "1"), ("d", "2")]);
        assert_eq!(shares(&nodes, &[]), [3, 3, 3, 0]);
        assert_eq!(shares(&circles(&[("a", ""), ("b", "1")]), &["a"]), [2, 2]);
    }
}
