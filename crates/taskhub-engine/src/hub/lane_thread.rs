//! The thread of a lane: commits what is queued, says what is durable, recovers when that fails.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use taskhub_core::{
    Batch, Epoch, Limits, PartitionId, Refusal, TurnRecord,
    partition::Input,
    store::{CommitError, Node, Ownership, Store, StoreError},
};

use super::{
    Held, LEASE,
    mail::{Generation, Mail, Post},
    tally::Tallies,
};
use crate::Lane;

/// How long a lane waits before it tries a store again that failed: ever longer.
const RETRY_AFTER: Duration = Duration::from_millis(200);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// The generation in which a node begins.
pub(super) const FIRST: Generation = 1;

/// How often the same trouble is logged.
const TELL_EVERY: Duration = Duration::from_secs(30);

type Turns = (Ownership, Vec<TurnRecord>);

/// The queue of a lane; senders block while it is full.
pub(super) fn channel(limits: &Limits) -> (SyncSender<Turns>, Receiver<Turns>) {
    sync_channel(limits.lane_count_max)
}

/// Owns the only right to write.
pub(super) struct LaneThread {
    store: Arc<dyn Store>,
    node: Node,
    held: Held,
    post: Post,
    limits: Limits,
    lane: Lane,
    tallies: Arc<Tallies>,
    /// Turns under an earlier epoch than this are left-overs from before a failure.
    epochs: BTreeMap<PartitionId, Epoch>,
    generation: Generation,
    /// How long to wait before the store is tried again.
    pause: Duration,
    /// What is wrong with the store, and when it was logged last.
    trouble: Option<(String, Instant)>,
}

impl LaneThread {
    pub(super) fn new(
        store: &Arc<dyn Store>,
        node: Node,
        held: Held,
        post: Post,
        limits: &Limits,
    ) -> Self {
        let (store, limits) = (store.clone(), limits.clone());
        let lane = Lane::new(&limits);
        let (epochs, generation, pause) = (BTreeMap::new(), FIRST, RETRY_AFTER);
        let (tallies, trouble) = (Arc::default(), None);
        Self { store, node, held, post, limits, lane, tallies, epochs, generation, pause, trouble }
    }

    /// The same, counting into these numbers.
    pub(super) fn counted(mut self, tallies: &Arc<Tallies>) -> Self {
        self.tallies = tallies.clone();
        self
    }

    /// Runs until every turn thread is gone and all they sent is written.
    pub(super) fn run(mut self, turns: &Receiver<Turns>) {
        self.write(turns);
        self.tallies.watched(None);
    }

    fn write(&mut self, turns: &Receiver<Turns>) {
        while self.gather(turns) {
            let batch = self.lane.next_batch();
            if batch.turns.is_empty() {
                continue;
            }
            let begun = Instant::now();
            match self.store.commit(&batch) {
                Ok(()) => {
                    self.tallies.committed(&batch, begun.elapsed());
                    self.tallies.settled(batch.turns.len());
                    self.pause = RETRY_AFTER;
                    self.tell(&batch);
                    if self.trouble.take().is_some() {
                        tracing::info!("the store works again");
                    }
                }
                Err(error) => {
                    self.tallies.settled(batch.turns.len());
                    if !self.recover(&error) {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for something to write, then takes what else is there. Whether there is anything.
    fn gather(&mut self, turns: &Receiver<Turns>) -> bool {
        if self.lane.is_empty() {
            let Ok((owner, turns)) = turns.recv() else { return false };
            self.push(owner, turns);
        }
        while !self.lane.is_full() {
            let Ok((owner, turns)) = turns.try_recv() else { break };
            self.push(owner, turns);
        }
        true
    }

    fn push(&mut self, owner: Ownership, turns: Vec<TurnRecord>) {
        if self.epochs.get(&owner.partition).is_none_or(|epoch| *epoch <= owner.epoch) {
            self.lane.push(owner, turns);
        } else {
            self.tallies.settled(turns.len());
        }
    }

    fn tell(&self, batch: &Batch) {
        for (owner, seq) in Lane::durable(batch) {
            self.post.send(owner.partition, Mail::Owned(owner, Input::Durable(seq)));
        }
    }

    /// A commit failed, and nobody knows whether it is there. All that builds on it is forgotten,
    /// and the partitions are opened again from the store, under new epochs, so that what was
    /// decided meanwhile can never be written. False when the node is to stop before that works.
    fn recover(&mut self, error: &CommitError) -> bool {
        let why = error.to_string();
        self.tallies.failed();
        self.complain(&why, "a commit failed; the hub refuses requests until the store works");
        self.generation += 1;
        let generation = self.generation;
        self.post.send_all(|| Mail::Close(generation, Refusal::Lost(why.clone())));
        self.tallies.settled(self.lane.clear());
        loop {
            std::thread::sleep(self.pause);
            self.pause = (self.pause * 2).min(RETRY_AFTER_MAX);
            match self.reopen() {
                Ok(()) => break,
                Err(error) => self.complain(&error.to_string(), "the store still fails"),
            }
            if self.post.stopping().load(Ordering::Relaxed) {
                return false;
            }
        }
        true
    }

    /// Logs a trouble when it is new, and then now and then: a full disk must not fill with logs.
    fn complain(&mut self, error: &str, what: &str) {
        let is_known =
            |(known, told): &(String, Instant)| known == error && told.elapsed() < TELL_EVERY;
        if !self.trouble.as_ref().is_some_and(is_known) {
            tracing::error!(error, "{what}");
            self.trouble = Some((error.to_owned(), Instant::now()));
        }
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        let mut held = super::lock(&self.held);
        self.store.release(&held)?;
        *held = self.store.claim(&self.node, usize::from(self.store.partitions()), LEASE)?;
        self.epochs = held.iter().map(|owned| (owned.partition, owned.epoch)).collect();
        self.post.open(self.generation + 1, &*self.store, &held, &self.limits)?;
        self.generation += 1;
        Ok(())
    }
}
