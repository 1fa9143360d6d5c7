//! Which node owns which partition: leases are claimed, renewed, lost and given back.

use std::time::Duration;

use taskhub_core::{
    Answer, MessageId, PartitionId, Refusal,
    partition::{Input, Partition},
    store::{Node, Ownership, Store as _},
};

use crate::{
    law::Violation,
    node::{Life, Mail},
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
        if self.nodes[life.node].recovering || self.store_fails() {
            return Ok(());
        }
        self.renew(life);
        if !self.nodes[life.node].stopping {
            self.balance(life)?;
        }
        self.give_back(life);
        let node = &mut self.nodes[life.node];
        let held: Vec<_> = node.held.keys().copied().collect();
        for partition in held {
            if let Some(owned) = self.nodes[life.node].owned(partition) {
                self.look_soon(life, owned);
            }
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
        let own = |(partition, epoch): (&PartitionId, &_)| Ownership {
            partition: *partition,
            epoch: *epoch,
        };
        let held: Vec<_> = node.held.iter().map(own).collect();
        let lost = self.store.renew(&held, LEASE).unwrap_or_default();
        for partition in lost {
            self.coverage.count("leases lost while working");
            self.let_go(life, partition);
        }
    }

    /// A partition is no longer worked on; what its callers asked for may or may not be written.
    fn let_go(&mut self, life: Life, partition: PartitionId) {
        self.nodes[life.node].held.remove(&partition);
        for asked in self.nodes[life.node].disown(partition) {
            let why = "the partition moved to another node".to_owned();
            self.reply(&asked, Answer::Refused(Refusal::Lost(why)));
        }
    }

    fn balance(&mut self, life: Life) -> Result<(), Violation> {
        let up = self.nodes.iter().filter(|node| node.up && !node.stopping).count();
        let share = usize::from(self.scenario.partitions).div_ceil(up.max(1));
        let held = self.nodes[life.node].held.len();
        if held > share {
            let last = self.nodes[life.node].held.keys().next_back().copied();
            if let Some(partition) = last {
                self.leave(life, partition);
            }
            return Ok(());
        }
        // A claim is a write that is synced, and all that was written before with it.
        self.harden()?;
        let name = self.nodes[life.node].name();
        let wanted = share - held;
        let node = Node { id: name.into(), address: "".into() };
        for owned in self.store.claim(&node, wanted, LEASE).unwrap_or_default() {
            self.coverage.count("partitions claimed");
            if self.nodes[life.node].held.contains_key(&owned.partition) {
                self.let_go(life, owned.partition);
            }
            self.nodes[life.node].held.insert(owned.partition, owned.epoch);
            self.soon(1_000, Happening::Open(life, owned));
        }
        Ok(())
    }

    /// Gives a partition away in good order: its last turns are written first.
    pub(crate) fn leave(&mut self, life: Life, partition: PartitionId) {
        self.coverage.count("partitions handed over");
        let Some(epoch) = self.nodes[life.node].held.get(&partition).copied() else { return };
        self.let_go(life, partition);
        self.nodes[life.node].leaving.push(Ownership { partition, epoch });
        self.give_back(life);
    }

    /// Gives back what is left, once the lane is empty; a node that stops is gone then.
    pub(crate) fn give_back(&mut self, life: Life) {
        let node = &mut self.nodes[life.node];
        if node.committing || !node.lane.is_empty() {
            return;
        }
        let leaving = std::mem::take(&mut node.leaving);
        let _ = self.store.release(&leaving);
        if node.stopping && node.held.is_empty() {
            node.up = false;
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
        let lost = std::mem::take(&mut self.nodes[life.node].leaving);
        let _ = self.store.release(&lost);
        if self.nodes[life.node].stopping { Ok(()) } else { self.balance(life) }
    }

    /// Reads what a newly owned partition begins with, and begins to work on it.
    pub(crate) fn open_partition(&mut self, life: Life, owned: Ownership) {
        let node = &mut self.nodes[life.node];
        if node.held.get(&owned.partition) != Some(&owned.epoch) {
            return;
        }
        if self.store_fails() || self.random.chance(self.rates.read_fails) {
            return self.soon(300_000, Happening::Open(life, owned));
        }
        let limit = self.scenario.limits.wakes_count_max;
        let wakes = self.store.wakes(owned.partition, None, limit).unwrap_or_default();
        let busy = self.store.busy(owned.partition, None, limit).unwrap_or_default();
        let node = &mut self.nodes[life.node];
        node.bench(owned.partition).shard.own(owned, wakes, busy);
        node.opened.insert(owned.partition, self.now);
        let (now, numbers) = (self.now, [5, life.node as u64, owned.epoch.0]);
        self.trace.note(now, &numbers, || format!("node{} owns {owned:?}", life.node));
        self.look_soon(life, owned);
        self.put(life, owned.partition, Vec::new());
    }

    pub(crate) fn look_soon(&mut self, life: Life, owned: Ownership) {
        let partition =
            self.nodes[life.node].bench(owned.partition).shard.partition(owned.partition);
        let known = partition.map(Partition::delivered).unwrap_or_default();
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
        let all = (inbox.len() < limit).then_some(self.now);
        let inputs = inbox.into_iter().map(Input::Deliver).collect();
        self.soon(5_000, Happening::Send(life, Mail::Found(owned, inputs, all)));
    }
}
