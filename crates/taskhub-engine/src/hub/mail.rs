//! How everything finds its way to the turn thread of a partition.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    mpsc::{Receiver, Sender, channel},
};

use taskhub_core::{
    Answer, Envelope, InstanceId, Limits, PartitionId, Refusal, Request, TaskResult,
    partition::Input,
    store::{Ownership, Store, StoreError, Wake},
};
use tokio::sync::oneshot;

use super::{pacer::Pacer, tenure::Term};
use crate::{Passed, Tick, lane_of};

/// Counts how often a lane failed. What one of its turns sent in an earlier generation is void, as
/// that turn is.
pub(super) type Generation = u64;

/// A partition with what stands in the store of it: the beginnings of its lists, and its inbox.
pub(super) struct Opened {
    pub owned: Ownership,
    /// When it was claimed, and when its inbox was read.
    pub claimed: Tick,
    pub looked: Tick,
    pub wakes: Vec<Wake>,
    pub busy: Vec<InstanceId>,
    /// What stood in it, and whether there may be more.
    pub inbox: (Vec<Envelope>, bool),
}

/// What was read of an inbox: the time of a read that found all, what it found.
pub(super) type Found = Result<(Option<Tick>, Vec<Envelope>), StoreError>;

/// What a turn thread can be sent.
pub(super) enum Mail {
    /// A client asks; the answer goes back through the channel.
    Ask(PartitionId, Request, oneshot::Sender<Answer>),
    /// Something happened to a partition.
    Input(PartitionId, Input),
    /// Workers elsewhere have these results.
    Results(Vec<TaskResult>),
    /// Something happened to a partition, as long as it is owned under this epoch.
    Owned(Ownership, Input),
    /// A message comes by itself: sent in this generation of its lane, or durable.
    Deliver(Passed, Option<Generation>),
    /// Something new may stand in the inbox of a partition. If it is not here: whether to tell
    /// the other nodes.
    Look(PartitionId, bool),
    /// The inbox of a partition was read.
    Found(Ownership, Found),
    /// These partitions are owned now.
    Open(Vec<Opened>),
    /// A lane failed: its partitions are not owned any more, all that hangs on them is refused.
    Close(u16, Generation, Refusal),
    /// What a partition is to be told first when it is opened again.
    Void(PartitionId, Input),
    /// Another node has claimed a partition.
    Lose(Ownership),
    /// The leases had run out and are renewed: what was lost has been told.
    Term(Term),
    /// A partition is to be given away.
    Leave(Ownership),
    /// Refuse what waits, but go on.
    Refuse,
    /// Finish.
    Stop,
}

/// Knows the turn thread of each partition. Never blocks: what is sent is bounded by those who
/// send (requests by [`super::requests`], activities and reads by the partitions themselves).
#[derive(Clone)]
pub(super) struct Post {
    threads: Arc<[Sender<Mail>]>,
    /// How many lanes the node has.
    lanes: u16,
    running: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
    ticks: Arc<AtomicU64>,
    /// Who makes the one thread of a hub in lockstep look into its box.
    pacer: Option<Pacer>,
}

/// A post with one box per turn thread.
pub(super) fn post(threads: usize, lanes: u16) -> (Post, Vec<Receiver<Mail>>) {
    let (senders, boxes): (Vec<_>, Vec<_>) = (0..threads.max(1)).map(|_| channel()).unzip();
    let (threads, running, stopping) = (senders.into(), Arc::default(), Arc::default());
    let (stopped, ticks, pacer) = (Arc::default(), Arc::default(), None);
    (Post { threads, lanes, running, stopping, stopped, ticks, pacer }, boxes)
}

impl Post {
    /// The same post, of a hub whose thread moves only when it is made to.
    pub(super) fn paced(mut self, pacer: Pacer) -> Self {
        self.pacer = Some(pacer);
        self
    }

    fn step(&self) {
        if let Some(pacer) = &self.pacer {
            pacer.step();
        }
    }

    /// Sends to the thread of a partition; a thread that is gone has nobody left to tell.
    pub(super) fn send(&self, partition: PartitionId, mail: Mail) {
        let _ = self.threads[self.thread_of(partition)].send(mail);
        self.step();
    }

    /// Sends its share of some results to each thread, in one piece.
    pub(super) fn results(&self, results: Vec<TaskResult>) {
        let mut shares: Vec<_> = self.threads.iter().map(|_| Vec::new()).collect();
        for result in results {
            shares[self.thread_of(result.ticket.partition)].push(result);
        }
        for (thread, share) in self.threads.iter().zip(shares) {
            if !share.is_empty() {
                let _ = thread.send(Mail::Results(share));
            }
        }
        self.step();
    }

    /// Sends its share of what is opened to each thread.
    pub(super) fn open(&self, opened: Vec<Opened>) {
        let mut shares: Vec<_> = self.threads.iter().map(|_| Vec::new()).collect();
        for opened in opened {
            shares[self.thread_of(opened.owned.partition)].push(opened);
        }
        for (thread, share) in self.threads.iter().zip(shares) {
            let _ = thread.send(Mail::Open(share));
        }
        self.step();
    }

    /// A time behind all earlier ones.
    pub(super) fn tick(&self) -> Tick {
        self.ticks.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn thread_of(&self, partition: PartitionId) -> usize {
        usize::from(partition.0) % self.threads.len()
    }

    pub(super) fn lane_of(&self, partition: PartitionId) -> u16 {
        lane_of(partition, self.lanes)
    }

    pub(super) fn send_all(&self, mail: impl Fn() -> Mail) {
        for thread in self.threads.iter() {
            let _ = thread.send(mail());
        }
        self.step();
    }

    pub(super) fn threads(&self) -> usize {
        self.threads.len()
    }

    pub(super) fn lanes(&self) -> u16 {
        self.lanes
    }

    /// Counts the activities that run in this process.
    pub(super) fn running(&self) -> &Arc<AtomicUsize> {
        &self.running
    }

    /// Set once the node is to stop: from then on nothing new begins.
    pub(super) fn stopping(&self) -> &AtomicBool {
        &self.stopping
    }

    /// Set once it has stopped.
    pub(super) fn has_stopped(&self) -> &AtomicBool {
        &self.stopped
    }
}

/// Reads what partitions begin with, all of them before any runs.
pub(super) fn read(
    post: &Post,
    store: &dyn Store,
    claimed: (Tick, &[Ownership]),
    limits: &Limits,
) -> Result<Vec<Opened>, StoreError> {
    let (claimed, owned) = claimed;
    let read = |owned: &Ownership| {
        let (owned, id, looked) = (*owned, owned.partition, post.tick());
        let wakes = store.wakes(id, None, limits.wakes_count_max)?;
        let busy = store.busy(id, None, limits.wakes_count_max)?;
        let inbox = store.inbox(id, &[], limits.backlog_count_max)?;
        let more = inbox.len() >= limits.backlog_count_max;
        let inbox = (inbox, more);
        Ok(Opened { owned, claimed, looked, wakes, busy, inbox })
    };
    owned.iter().map(read).collect()
}
