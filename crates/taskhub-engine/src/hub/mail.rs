//! How everything finds its way to the turn thread of a partition.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize},
    mpsc::{Receiver, Sender, channel},
};

use taskhub_core::{
    Answer, Envelope, PartitionId, Refusal, Request,
    partition::Input,
    store::{Ownership, Wake},
};
use tokio::sync::oneshot;

/// What a turn thread can be sent.
pub(super) enum Mail {
    /// A client asks; the answer goes back through the channel.
    Ask(PartitionId, Request, oneshot::Sender<Answer>),
    /// Something happened to a partition.
    Input(PartitionId, Input),
    /// Something happened to a partition, as long as it is owned under this epoch.
    Owned(Ownership, Input),
    /// A partition is owned now; its first wakes, and what stands in its inbox.
    Own(Ownership, Vec<Wake>, Vec<Envelope>),
    /// A partition is no longer owned: all that hangs on it is refused.
    Disown(PartitionId, Refusal),
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
}

/// A post with one box per turn thread.
pub(super) fn post(threads: usize) -> (Post, Vec<Receiver<Mail>>) {
    let (senders, boxes): (Vec<_>, Vec<_>) = (0..threads.max(1)).map(|_| channel()).unzip();
    let threads: Arc<[Sender<Mail>]> = senders.into();
    (Post { threads, running: Arc::default(), stopping: Arc::default() }, boxes)
}

impl Post {
    /// Sends to the thread of a partition; a thread that is gone has nobody left to tell.
    pub(super) fn send(&self, partition: PartitionId, mail: Mail) {
        let _ = self.threads[usize::from(partition.0) % self.threads.len()].send(mail);
    }

    pub(super) fn send_all(&self, mail: impl Fn() -> Mail) {
        for thread in self.threads.iter() {
            let _ = thread.send(mail());
        }
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
