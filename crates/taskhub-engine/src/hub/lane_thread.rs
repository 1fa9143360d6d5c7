//! The thread of a lane: commits what is queued, says what is durable, gives up when that fails.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, sync_channel},
    },
    time::Instant,
};

use taskhub_core::{
    Batch, Epoch, Limits, PartitionId, Refusal, TurnRecord,
    partition::Input,
    store::{CommitError, Ownership, Store},
};

use super::{
    Held,
    keeper::Errand,
    mail::{Generation, Mail, Passed, Post},
    tally::Tallies,
    trouble::Trouble,
};
use crate::{Lane, Tick};

/// What a lane is sent.
pub(super) enum ToLane {
    /// The owner of a partition, which was claimed at that time, made these turns.
    Turns(Ownership, Tick, Vec<TurnRecord>),
    /// A message to this partition was not taken: when all that came before is durable, whoever
    /// owns it is to look into its inbox.
    Look(PartitionId),
}

/// The queue of a lane; senders block while it is full.
pub(super) fn channel(limits: &Limits) -> (SyncSender<ToLane>, Receiver<ToLane>) {
    sync_channel(limits.lane_count_max)
}

/// What a lane is connected to.
#[derive(Clone)]
pub(super) struct Links {
    pub store: Arc<dyn Store>,
    pub held: Held,
    pub post: Post,
    pub keeper: Sender<Errand>,
    pub tallies: Arc<Tallies>,
}

/// Owns the only right to write for its partitions.
pub(super) struct LaneThread {
    links: Links,
    number: u16,
    lane: Lane,
    /// Turns under these epochs or earlier ones are left-overs from before a failure.
    void: BTreeMap<PartitionId, Epoch>,
    /// When the partitions were claimed.
    opened: BTreeMap<PartitionId, Tick>,
    /// Whom to tell to look, once so many turns are written.
    looks: VecDeque<(u64, PartitionId)>,
    queued: u64,
    written: u64,
    generation: Generation,
    trouble: Trouble,
}

impl LaneThread {
    pub(super) fn new(links: Links, number: u16, limits: &Limits) -> Self {
        let (void, opened, looks) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        let (lane, trouble) = (Lane::new(limits), Trouble::default());
        let (queued, written, generation) = (0, 0, 0);
        Self { links, number, lane, void, opened, looks, queued, written, generation, trouble }
    }

    /// Runs until every turn thread is gone and all they sent is written.
    pub(super) fn run(mut self, turns: &Receiver<ToLane>) {
        while self.gather(turns) {
            let batch = self.lane.next_batch();
            if batch.turns.is_empty() {
                continue;
            }
            let begun = Instant::now();
            match self.links.store.commit(&batch) {
                Ok(()) => {
                    self.links.tallies.committed(&batch, begun.elapsed());
                    self.trouble.is_over();
                    self.written += batch.turns.len() as u64;
                    self.tell(&batch);
                    self.tell_to_look();
                }
                Err(error) => self.close(&error),
            }
        }
    }

    /// Waits for something to write, then takes what else is there. False at the end.
    fn gather(&mut self, turns: &Receiver<ToLane>) -> bool {
        if self.lane.is_empty() {
            let Ok(first) = turns.recv() else { return false };
            self.take(first);
        }
        while !self.lane.is_full() {
            let Ok(next) = turns.try_recv() else { break };
            self.take(next);
        }
        self.tell_to_look();
        true
    }

    fn take(&mut self, what: ToLane) {
        match what {
            ToLane::Turns(owner, opened, turns) => {
                if self.void.get(&owner.partition).is_none_or(|void| *void < owner.epoch) {
                    self.opened.insert(owner.partition, opened);
                    self.queued += turns.len() as u64;
                    self.lane.push(owner, turns);
                }
            }
            ToLane::Look(partition) => self.looks.push_back((self.queued, partition)),
        }
    }

    fn tell(&self, batch: &Batch) {
        let post = &self.links.post;
        for (owner, seq) in Lane::durable(batch) {
            post.send(owner.partition, Mail::Owned(owner, Input::Durable(seq)));
        }
        if post.lanes() == 1 {
            return;
        }
        for envelope in Lane::passed_on(batch, post.lanes()) {
            let opened = self.opened.get(&envelope.id.from).copied().unwrap_or(Tick::MAX);
            let envelope = envelope.clone();
            let passed = Passed { envelope, opened, generation: None };
            post.send(passed.envelope.partition, Mail::Deliver(passed));
        }
    }

    fn tell_to_look(&mut self) {
        while let Some((behind, partition)) = self.looks.front()
            && *behind <= self.written
        {
            self.links.post.send(*partition, Mail::Look(*partition, true));
            self.looks.pop_front();
        }
    }

    /// A commit failed, and nobody knows whether it is there. All that builds on it is forgotten,
    /// and the keeper opens the partitions again from the store, under new epochs, so that what
    /// was decided meanwhile can never be written.
    fn close(&mut self, error: &CommitError) {
        let why = error.to_string();
        self.links.tallies.failed();
        self.trouble.tell(&why, "a commit failed; its partitions are closed until the store works");
        self.generation += 1;
        let (post, generation) = (&self.links.post, self.generation);
        let closed = {
            // Whoever opens partitions does so under this lock: before they close, or not at all.
            let mut held = super::lock(&self.links.held);
            let lost = Refusal::Lost(why);
            post.send_all(|| Mail::Close(self.number, generation, lost.clone()));
            held.close(self.number, post.lanes())
        };
        self.void.extend(closed.iter().map(|owned| (owned.partition, owned.epoch)));
        self.lane.clear();
        self.written = self.queued;
        let _ = self.links.keeper.send(Errand::Closed(closed));
    }
}
