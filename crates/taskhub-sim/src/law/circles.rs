//! Promise 11, of nodes that cannot ask each other: "An instance that can progress does, on some
//! node, within a bounded time". What is owned beside the largest circle is out of its reach.

use std::collections::BTreeSet;

use taskhub_core::store::Ownership;

use super::{Violation, ensure};
use crate::{
    node::{Life, Node},
    store::SimStore,
};

/// How long nodes may take to find out about each other, in microseconds: they look every second.
const SETTLED_AFTER: i64 = 3_500_000;

/// Which nodes there are, and since when nothing has changed about them or their leases.
#[derive(Debug, Default)]
pub(crate) struct Circles {
    seen: Vec<Seen>,
    since: i64,
}

/// What is known of a node: its life, whether it takes part and knows of itself, its circle.
type Seen = (Life, bool, bool, Circle);

/// By what nodes find each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Circle {
    /// It has this secret.
    Secret(u8),
    /// It says nobody where it is: nobody can ask it.
    Nobody,
}

impl Circles {
    /// A lease ran out early: where it was the only one, another circle may begin.
    pub(crate) fn shaken(&mut self, now: i64) {
        self.since = now;
    }

    /// Somebody looked. Once all have had the time to, nobody has anything beside the largest
    /// circle, and where several are as large one has everything. Whether that could be told.
    pub(crate) fn look(
        &mut self,
        nodes: &[Node],
        now: i64,
        (store, store_fails): (&SimStore, bool),
    ) -> Result<bool, Violation> {
        let seen: Vec<_> = nodes.iter().map(|node| seen(node, now)).collect();
        if store_fails || seen != self.seen {
            (self.seen, self.since) = (seen, now);
        }
        let knows = |(_, takes_part, knows, _): &Seen| !takes_part || *knows;
        if now < self.since + SETTLED_AFTER || !self.seen.iter().all(knows) {
            return Ok(false);
        }
        let live: Vec<_> = nodes.iter().filter(|node| takes_part(node)).collect();
        let with = |node: &Node| match node.circle {
            Circle::Nobody => (false, 1),
            circle @ Circle::Secret(_) => {
                (true, live.iter().filter(|other| other.circle == circle).count())
            }
        };
        let largest = live.iter().map(|node| with(node)).max();
        // What another one has claimed it may not have heard yet.
        let owns = |node: &Node, it: Ownership| {
            node.held.stays(it) && store.epoch(it.partition) == it.epoch
        };
        let keeps = |node: &&Node| node.held.all().any(|owned| owns(node, owned));
        let owners: Vec<_> = live.iter().copied().filter(keeps).collect();
        let beside = owners.iter().find(|node| Some(with(node)) < largest);
        ensure(beside.is_none(), || {
            let happened = beside.map_or(String::new(), |node| node.name());
            Violation::new(11, "nobody owns anything beside the largest circle", happened)
        })?;
        let one = |node: &&Node| match node.circle {
            Circle::Nobody => (Circle::Nobody, node.life.node),
            circle @ Circle::Secret(_) => (circle, 0),
        };
        let circles: BTreeSet<_> = owners.iter().map(one).collect();
        ensure(circles.len() < 2, || {
            Violation::new(11, "one circle has the whole hub", format!("{circles:?} share it"))
        })?;
        let differ = live.iter().map(|node| node.circle).collect::<BTreeSet<_>>();
        Ok(differ.len() > 1)
    }
}

fn seen(node: &Node, now: i64) -> Seen {
    let knows = now > node.paused_until + SETTLED_AFTER && !node.recovering;
    (node.life, takes_part(node), knows, node.circle)
}

fn takes_part(node: &Node) -> bool {
    node.up && !node.stopping
}
