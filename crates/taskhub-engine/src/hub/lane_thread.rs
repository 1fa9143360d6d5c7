//! The thread of a lane: commits what is queued, says what is durable, gives up when that fails.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, sync_channel},
    },
    time::Instant,
};

use taskhub_core::{
    Batch, Limits, PartitionId, Refusal, TurnRecord,
    partition::Input,
    store::{CommitError, Ownership, Store},
};

use super::{
    Held,
    keeper::{Blame, Errand},
    lengths,
    mail::{Generation, Mail, Post},
    tally::Tallies,
    trouble::Trouble,
};
use crate::{Lane, Tick};

/// What a lane is sent.
pub(super) enum ToLane {
    /// The owner of a partition, which was claimed at that time, made these turns, and began with
    /// them then.
    Turns(Ownership, Tick, Vec<TurnRecord>, Instant),
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
    /// When turns that the lane has were begun, and how many each time.
    begun: VecDeque<(Instant, usize)>,
    generation: Generation,
    trouble: Trouble,
    history_events_warn: u64,
}

impl LaneThread {
    pub(super) fn new(links: Links, number: u16, limits: &Limits) -> Self {
        let lane = Lane::new(limits, links.post.lanes());
        let history_events_warn = limits.history_events_warn;
        let (begun, generation, trouble) = (VecDeque::new(), 0, Trouble::default());
        Self { links, number, lane, begun, generation, trouble, history_events_warn }
    }

    /// Runs until every turn thread is gone and all they sent is written.
    pub(super) fn run(mut self, turns: &Receiver<ToLane>) {
        while self.gather(turns) {
            let batch = self.lane.next_batch();
            if batch.turns.is_empty() {
                continue;
            }
            let (begun, sent) = (Instant::now(), self.links.post.tick());
            match self.links.store.commit(&batch) {
                Ok(()) => {
                    self.links.tallies.committed(&batch, begun.elapsed());
                    self.clock(batch.turns.len());
                    lengths::warn(&batch, self.history_events_warn);
                    self.trouble.is_over();
                    self.tell(&batch, sent);
                }
                Err(error) => self.close(&error, &batch),
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
            ToLane::Turns(owner, opened, turns, begun) => {
                self.links.tallies.taken(turns.len());
                let before = self.lane.len();
                self.lane.push(owner, opened, turns);
                self.begun.push_back((begun, self.lane.len() - before));
            }
            ToLane::Look(partition) => self.lane.look(partition),
        }
    }

    /// Notes how long it took until the oldest of the turns, so many, were durable.
    fn clock(&mut self, mut turns: usize) {
        while turns > 0
            && let Some((begun, left)) = self.begun.front_mut()
        {
            let durable = turns.min(*left);
            self.links.tallies.durable(durable, begun.elapsed());
            (turns, *left) = (turns - durable, *left - durable);
            if *left == 0 {
                self.begun.pop_front();
            }
        }
    }

    fn tell(&mut self, batch: &Batch, sent: Tick) {
        let post = &self.links.post;
        for (owner, seq) in Lane::durable(batch) {
            post.send(owner.partition, Mail::Owned(owner, Input::Durable(seq)));
        }
        for passed in self.lane.written(batch, sent) {
            post.send(passed.envelope.partition, Mail::Deliver(passed, None));
        }
        self.tell_to_look();
    }

    fn tell_to_look(&mut self) {
        for partition in self.lane.due_looks() {
            self.links.post.send(partition, Mail::Look(partition, true));
        }
    }

    /// A commit failed, and nobody knows whether it is there. All that builds on it is forgotten,
    /// and the keeper opens the partitions again from the store, under new epochs, so that what
    /// was decided meanwhile can never be written. A turn that the store will never take would be
    /// made again: its instance is parked.
    fn close(&mut self, error: &CommitError, batch: &Batch) {
        let (why, is_fenced) = (error.to_string(), matches!(error, CommitError::Fenced(_)));
        self.links.tallies.failed();
        if !is_fenced {
            self.links.tallies.fails(Some(why.clone()));
        }
        self.trouble.tell(&why, "a commit failed; its partitions are closed until the store works");
        self.generation += 1;
        let (post, generation) = (&self.links.post, self.generation);
        let closed = {
            // Whoever opens partitions does so under this lock: before they close, or not at all.
            let mut held = super::lock(&self.links.held);
            let lost = Refusal::Lost(why);
            post.send_all(|| Mail::Close(self.number, generation, lost.clone()));
            if let Some((partition, input)) = Lane::unwritable(error, batch) {
                post.send(partition, Mail::Void(partition, input));
            }
            held.close(self.number, post.lanes())
        };
        self.lane.close(&closed);
        self.begun.clear();
        let blame = if is_fenced { Blame::Fence } else { Blame::Store };
        let _ = self.links.keeper.send(Errand::Closed(closed, blame));
    }
}
