//! Messages between partitions: those that come by themselves, and those that stand in inboxes.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use taskhub_core::{Envelope, PartitionId, partition::Input, store::Ownership};

use super::TurnThread;
use crate::{
    Passed, Tick,
    hub::{
        lane_thread::ToLane,
        mail::{Found, Generation, Mail},
        readers::Wanted,
    },
};

/// How long an inbox that could not be read is left alone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Which inboxes are to be read.
#[derive(Default)]
pub(super) struct Looks {
    wanted: BTreeSet<PartitionId>,
    under_way: BTreeSet<PartitionId>,
    /// Those that could not be read, and when such were tried again.
    failed: BTreeSet<PartitionId>,
    again: Option<Instant>,
}

impl TurnThread {
    /// Messages to partitions of the same lane.
    pub(super) fn send(&mut self, owner: Ownership, opened: Tick, sent: Vec<Envelope>) {
        if sent.is_empty() {
            return;
        }
        let (now, generation) =
            (self.links.post.tick(), self.generations[self.lane(owner.partition)]);
        for envelope in sent {
            let to = envelope.partition;
            let passed = Passed { envelope, opened, sent: now };
            if self.shard.serves(to) {
                self.deliver(passed, Some(generation));
            } else {
                self.links.post.send(to, Mail::Deliver(passed, Some(generation)));
            }
        }
    }

    /// A message comes by itself. If it is not its turn, or its receiver is not here, it is left
    /// to the inbox, where it stands as soon as it is durable.
    pub(super) fn deliver(&mut self, passed: Passed, sent_in: Option<Generation>) {
        let to = passed.envelope.partition;
        let lane = self.lane(passed.envelope.id.from);
        if sent_in.is_some_and(|sent| sent < self.generations[lane]) {
            return; // The turn that sent it is void.
        }
        if self.shard.takes(&passed) {
            self.inputs.entry(to).or_default().push(Input::Deliver(passed.envelope));
        } else if sent_in.is_some() {
            let _ = self.links.lanes[lane].send(ToLane::Look(to));
        } else {
            self.look(to, true);
        }
    }

    /// Something new may stand in the inbox of a partition. If it is not here, others are told
    /// when that is wanted.
    pub(super) fn look(&mut self, partition: PartitionId, tell: bool) {
        if self.shard.serves(partition) {
            self.looks.wanted.insert(partition);
        } else if tell && let Some(hints) = &self.links.hints {
            let _ = hints.send(partition);
        }
    }

    /// Has the inboxes read into which it is to look; each by one reader at a time.
    pub(super) fn look_around(&mut self) {
        if self.looks.again.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.looks.again = Some(Instant::now());
            self.looks.wanted.append(&mut self.looks.failed);
        }
        if self.looks.wanted.is_empty() {
            return;
        }
        let Looks { wanted, under_way, .. } = &mut self.looks;
        let free: Vec<_> = wanted.extract_if(.., |id| !under_way.contains(id)).collect();
        for id in free {
            if let Some(partition) = self.shard.partition(id) {
                under_way.insert(id);
                let wanted = Wanted::Inbox(partition.owned(), partition.delivered());
                let _ = self.links.readers.send(wanted);
            }
        }
    }

    /// An inbox was read.
    pub(super) fn found(&mut self, owner: Ownership, found: Found) {
        let id = owner.partition;
        self.looks.under_way.remove(&id);
        match found {
            Ok((all, inbox)) => {
                if all.is_none() {
                    self.looks.wanted.insert(id);
                }
                let inputs = self.shard.found(owner, inbox, all);
                if !inputs.is_empty() {
                    self.inputs.entry(id).or_default().extend(inputs);
                }
            }
            Err(_) => drop(self.looks.failed.insert(id)),
        }
    }
}
