//! Clients' requests: counted, bounded, and withdrawn when their caller goes away.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use taskhub_core::{
    Answer, InstanceId, Limits, PartitionId, Refusal, Request, RequestId, Verb, partition::Input,
};
use tokio::sync::oneshot;

use super::mail::{Mail, Post};

/// Takes requests as long as there is room.
pub(super) struct Requests {
    post: Post,
    partitions: u16,
    next: AtomicU64,
    waits: Bound,
    others: Bound,
}

/// So many at a time.
struct Bound {
    count: Arc<AtomicUsize>,
    max: usize,
}

impl Requests {
    pub(super) fn new(post: Post, partitions: u16, limits: &Limits) -> Self {
        let others = limits.mailbox_count_max * post.threads();
        Self {
            post,
            partitions,
            next: AtomicU64::new(1),
            waits: Bound { count: Arc::default(), max: limits.waiters_count_max },
            others: Bound { count: Arc::default(), max: others },
        }
    }

    pub(super) fn post(&self) -> &Post {
        &self.post
    }

    /// Counts a request as long as what this yields is kept, if there is room.
    pub(super) fn count(&self, verb: &Verb) -> Result<Option<Counted>, Refusal> {
        let waits = verb.waits();
        let bound = if waits { &self.waits } else { &self.others };
        // A result was asked for, and is bounded by that.
        let is_result = matches!(verb, Verb::Finish(_));
        let counted = bound.take();
        if counted.is_none() && !is_result {
            let what = if waits { "too many requests are held" } else { "the mailbox is full" };
            return Err(Refusal::Busy(what));
        }
        Ok(counted)
    }

    /// Asks the owner of an instance, if it is a thread of this node; what this returns waits for
    /// the answer. It is asked before that, so that the question is not kept.
    pub(super) fn send(&self, instance: InstanceId, verb: Verb) -> impl Future<Output = Answer> {
        let (answer, withdraw) = self.sent(instance.clone(), verb);
        async move {
            let answer = answer.await;
            withdraw.disarm();
            // A thread answers what it took in. This one had ended before.
            answer.unwrap_or(Answer::Refused(Refusal::Moved(instance)))
        }
    }

    fn sent(&self, instance: InstanceId, verb: Verb) -> (oneshot::Receiver<Answer>, Withdraw<'_>) {
        let waits = verb.waits();
        let id = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let partition = PartitionId::of(&instance, self.partitions);
        let (sender, receiver) = oneshot::channel();
        let request = Request { id, instance, verb };
        self.post.send(partition, Mail::Ask(partition, request, sender));
        (receiver, Withdraw { post: &self.post, partition, id, armed: waits })
    }

    pub(super) fn held(&self) -> usize {
        self.waits.count.load(Ordering::Relaxed)
    }

    /// From now on every request is refused, and those that wait are handed back.
    pub(super) fn refuse_all(&self) {
        self.post.stopping().store(true, Ordering::Relaxed);
        self.post.send_all(|| Mail::Refuse);
    }
}

impl Bound {
    fn take(&self) -> Option<Counted> {
        let counted = Counted(self.count.clone());
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        (before < self.max).then_some(counted)
    }
}

pub(super) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the owner that nobody waits any more, when the caller went away.
struct Withdraw<'a> {
    post: &'a Post,
    partition: PartitionId,
    id: RequestId,
    armed: bool,
}

impl Withdraw<'_> {
    /// It was answered.
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        if self.armed {
            let forget = Mail::Input(self.partition, Input::Forget(self.id));
            self.post.send(self.partition, forget);
        }
    }
}
