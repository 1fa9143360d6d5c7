//! Which node owns which partition: leases are claimed, renewed, lost and given back.

use std::time::Duration;

use taskhub_core::{
    Answer, PartitionId, Refusal,
    store::{Lease, Node, Ownership, Store as _},
};
use taskhub_engine::{Balance, sharing};

use crate::{
    law::{Violation, circles::Circle},
    node::{Life, Mail, Opened},
    world::{Happening, World},
};

/// How long a claim holds, and how often it is renewed.
const LEASE: Duration = Duration::from_secs(15);
const RENEW: i64 = 5_000_000;

impl World {
    /// Once a second: renew, claim what nobody has, give away what is too much, look at inboxes.
    pub(crate) fn tick(&mut self, life: Life) -> Result<(), Violation> {
        let next = self.now + 1_000_000;
        self.at(next, Happening::Tick(life));
        self.scan(life);
        if self.random.chance(100) {
            self.mend();
        }
        if self.nodes[life.node].recovering || self.store_fails() {
            return Ok(());
        }
        self.renew(life);
        self.give_back(life);
        self.balance(life)?;
        let (now, store) = (self.now, (&self.store, self.store_fails()));
        if self.circles.look(&self.nodes, now, store)? {
            self.coverage.count("circles beside each other that are settled");
        }
        self.coverage.check(11, 1);
        let held: Vec<_> = self.nodes[life.node].held.all().collect();
        for owned in held {
            self.look_soon(life, owned.partition);
        }
        for shard in 0..self.nodes[life.node].shards.len() {
            self.alarm(life, shard);
        }
        Ok(())
    }

    fn renew(&mut self, life: Life) {
        let node = &mut self.nodes[life.node];
        if self.now < node.renewed_at + RENEW {
            return;
        }
        node.renewed_at = self.now;
        let held: Vec<_> = node.held.all().collect();
        let lost = self.store.renew(&held, LEASE).unwrap_or_default();
        for owned in held.into_iter().filter(|owned| lost.contains(&owned.partition)) {
            self.coverage.count("leases lost while working");
            self.let_go(life, owned);
        }
    }

    /// Another node owns a partition; what its callers asked for may or may not be written.
    fn let_go(&mut self, life: Life, owned: Ownership) {
        self.nodes[life.node].held.remove(owned);
        for asked in self.nodes[life.node].disown(owned.partition) {
            let why = "the partition moved to another node".to_owned();
            self.reply(&asked, Answer::Refused(Refusal::Lost(why)));
        }
    }

    /// Claims what it has too little, begins to give away what it has too much.
    pub(crate) fn balance(&mut self, life: Life) -> Result<(), Violation> {
        let mut up = self.sharing(life);
        let is_shared = !self.scenario.embedded && up > 0;
        if is_shared && self.random.chance(self.rates.nodes_miscounted) {
            self.coverage.count("nodes that believe in one more node");
            up += 1;
        }
        let wanted = match self.nodes[life.node].held.balance(up) {
            Balance::Rest => return Ok(()),
            Balance::Leave(surplus) => {
                self.soon(100_000, Happening::Heard(life));
                for owned in surplus {
                    self.coverage.count("partitions handed over");
                    self.nodes[life.node].bench(owned.partition).shard.leave(owned);
                    self.put(life, owned.partition, Vec::new());
                }
                return Ok(());
            }
            Balance::Claim(wanted) => wanted,
        };
        // A claim is a write that is synced, and all that was written before with it.
        self.harden()?;
        let node = known(&self.nodes[life.node]);
        let claimed = self.store.claim(&node, wanted, LEASE).unwrap_or_default();
        let node = &mut self.nodes[life.node];
        node.held.claimed(&claimed);
        let tick = node.tick();
        for owned in claimed {
            self.coverage.count("partitions claimed");
            // One that it lost unnoticed is its own again.
            for asked in self.nodes[life.node].disown(owned.partition) {
                self.lose(&asked);
            }
            self.nodes[life.node].claimed.insert(owned.partition, tick);
            self.soon(1_000, Happening::Open(life, owned));
        }
        Ok(())
    }

    /// How many nodes share the partitions, as this one sees them; 0: it is to have none.
    fn sharing(&self, life: Life) -> usize {
        let running = self.nodes.iter().filter(|node| node.up && !node.stopping);
        let nodes: Vec<_> = running.map(known).collect();
        let lease = |partition| {
            let (id, epoch) = self.store.holder(partition)?;
            let node = Node { id: id.into(), address: "".into(), circle: "".into() };
            Some(Lease { owned: Ownership { partition, epoch }, node, lasts: LEASE })
        };
        let leases = (0..self.scenario.partitions).map(PartitionId).filter_map(lease);
        let share = sharing(&nodes, &known(&self.nodes[life.node]), || Ok(leases.collect()));
        share.map_or(1, |share| share.count)
    }

    /// Nothing of a partition is under way any more. What it was asked and has not answered did
    /// not happen.
    pub(crate) fn left(&mut self, life: Life, owned: Ownership) {
        for asked in self.nodes[life.node].disown(owned.partition) {
            self.coverage.count("requests that found their partition leaving");
            self.reply(&asked, Answer::Refused(Refusal::Moved(asked.instance.clone())));
        }
        let node = &mut self.nodes[life.node];
        if node.held.remove(owned) {
            node.given_back.push(owned);
        }
        self.give_back(life);
    }

    /// Releases what is no longer held, and tells the others; a node that stops is gone then.
    pub(crate) fn give_back(&mut self, life: Life) {
        if self.store_fails() {
            return;
        }
        let node = &mut self.nodes[life.node];
        let given_back = std::mem::take(&mut node.given_back);
        if node.stopping && node.held.is_empty() {
            node.up = false;
        }
        let _ = self.store.release(&given_back);
        if given_back.is_empty() || self.random.chance(self.rates.hint_lost) {
            return;
        }
        for other in 0..self.nodes.len() {
            let life = self.nodes[other].life;
            self.soon(1_000, Happening::Heard(life));
        }
    }

    /// The store works again, perhaps: the node claims anew.
    pub(crate) fn reopen(&mut self, life: Life) -> Result<(), Violation> {
        if self.store_fails() {
            let at = self.now + 200_000;
            self.at(at, Happening::Reopen(life));
            return Ok(());
        }
        self.nodes[life.node].recovering = false;
        self.give_back(life);
        if self.lives(life) { self.balance(life) } else { Ok(()) }
    }

    /// Something is free, perhaps.
    pub(crate) fn heard(&mut self, life: Life) -> Result<(), Violation> {
        let ready = !self.nodes[life.node].recovering && !self.store_fails();
        if ready { self.balance(life) } else { Ok(()) }
    }

    /// Reads what a newly owned partition begins with.
    pub(crate) fn read_partition(&mut self, life: Life, owned: Ownership) {
        if !self.nodes[life.node].held.holds(owned) {
            return;
        }
        if self.store_fails() || self.random.chance(self.rates.read_fails) {
            return self.soon(300_000, Happening::Open(life, owned));
        }
        let limit = self.scenario.limits.wakes_count_max;
        let wakes = self.store.wakes(owned.partition, None, limit).unwrap_or_default();
        let busy = self.store.busy(owned.partition, None, limit).unwrap_or_default();
        let limit = if self.random.chance(500) { 2 } else { 100 };
        let inbox = self.store.inbox(owned.partition, &[], limit).unwrap_or_default();
        let node = &mut self.nodes[life.node];
        let looked = (inbox.len() < limit).then(|| node.tick());
        let claimed = node.claimed.get(&owned.partition).copied().unwrap_or_default();
        let opened = Box::new(Opened { owned, claimed, wakes, busy, inbox, looked });
        self.soon(1_000, Happening::Send(life, Mail::Open(opened)));
    }

    /// Begins to work on a partition.
    pub(crate) fn open_partition(&mut self, life: Life, opened: Opened) {
        let Opened { owned, claimed, wakes, busy, inbox, looked } = opened;
        let node = &mut self.nodes[life.node];
        if !node.held.stays(owned) {
            // It is to be given away before it was opened.
            if node.held.holds(owned) {
                self.left(life, owned);
            }
            return;
        }
        let shard = &mut node.bench(owned.partition).shard;
        shard.own(owned, claimed, wakes, busy);
        let found = shard.found(owned, inbox, looked);
        let inputs = node.void.remove(&owned.partition).into_iter().chain(found).collect();
        let (now, numbers) = (self.now, [5, life.node as u64, owned.epoch.0]);
        self.trace.note(now, &numbers, || format!("node{} owns {owned:?}", life.node));
        self.put(life, owned.partition, inputs);
        self.look_soon(life, owned.partition);
    }
}

/// A node as others see it in the store.
fn known(node: &crate::node::Node) -> Node {
    let name = node.name();
    let (address, circle) = match node.circle {
        Circle::Secret(secret) => (name.clone(), format!("secret {secret}")),
        Circle::Nobody => (String::new(), String::new()),
    };
    Node { id: name.into(), address: address.into(), circle: circle.into() }
}
