//! How everything finds its way to the turn thread of a partition.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize},
    mpsc::{Receiver, Sender, channel},
};

use taskhub_core::{
    Answer, Envelope, InstanceId, Limits, PartitionId, Refusal, Request,
    partition::Input,
    store::{Ownership, Store, StoreError, Wake},
};
use tokio::sync::oneshot;

use super::turn_thread::Pacer;

/// Counts how often the partitions of this node were opened and closed; odd while they are open.
///
/// Threads open one after the other. A message that comes before its receiver is open waits for
/// it; one that was sent before everything was closed is void, as the turn that sent it is.
pub(super) type Generation = u64;

/// A partition with what stands in the store of it: the beginnings of its lists, and its inbox.
pub(super) struct Opened {
    pub owned: Ownership,
    pub wakes: Vec<Wake>,
    pub busy: Vec<InstanceId>,
    pub inbox: Vec<Envelope>,
}

/// What a turn thread can be sent.
pub(super) enum Mail {
    /// A client asks; the answer goes back through the channel.
    Ask(PartitionId, Request, oneshot::Sender<Answer>),
    /// Something happened to a partition.
    Input(PartitionId, Input),
    /// Something happened to a partition, as long as it is owned under this epoch.
    Owned(Ownership, Input),
    /// One instance sent a message to another, in this generation.
    Deliver(Generation, Envelope),
    /// These partitions are owned now: all of this thread.
    Open(Generation, Vec<Opened>),
    /// Nothing is owned any more: all that hangs on it is refused.
    Close(Generation, Refusal),
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
    running: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    /// Who makes the one thread of a hub in lockstep look into its box.
    pacer: Option<Pacer>,
}

/// A post with one box per turn thread.
pub(super) fn post(threads: usize) -> (Post, Vec<Receiver<Mail>>) {
    let (senders, boxes): (Vec<_>, Vec<_>) = (0..threads.max(1)).map(|_| channel()).unzip();
    let threads: Arc<[Sender<Mail>]> = senders.into();
    (Post { threads, running: Arc::default(), stopping: Arc::default(), pacer: None }, boxes)
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

    /// Reads what the partitions begin with, all of them before any runs, and hands them out.
    pub(super) fn open(
        &self,
        generation: Generation,
        store: &dyn Store,
        held: &[Ownership],
        limits: &Limits,
    ) -> Result<(), StoreError> {
        let mut shares: Vec<_> = self.threads.iter().map(|_| Vec::new()).collect();
        for owned in held {
            let id = owned.partition;
            let wakes = store.wakes(id, None, limits.wakes_count_max)?;
            let busy = store.busy(id, None, limits.wakes_count_max)?;
            let inbox = store.inbox(id, &[], limits.backlog_count_max)?;
            shares[self.thread_of(id)].push(Opened { owned: *owned, wakes, busy, inbox });
        }
        for (thread, share) in self.threads.iter().zip(shares) {
            let _ = thread.send(Mail::Open(generation, share));
        }
        self.step();
        Ok(())
    }

    pub(super) fn thread_of(&self, partition: PartitionId) -> usize {
        usize::from(partition.0) % self.threads.len()
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

    /// Counts the activities that run in this process.
    pub(super) fn running(&self) -> &Arc<AtomicUsize> {
        &self.running
    }

    /// Set once the node is to stop: from then on nothing new begins.
    pub(super) fn stopping(&self) -> &AtomicBool {
        &self.stopping
    }
}
