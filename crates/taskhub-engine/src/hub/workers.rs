//! Workers elsewhere, as this hub's other parts and its servers see them.

use std::{
    fmt,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, Once},
    task::{Context, Poll},
    time::Duration,
};

use foldhash::{HashMap, HashMapExt as _};
use taskhub_core::{Done, InstanceId, Task, TaskResult, Ticket, Timestamp, partition::Input};
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, oneshot, watch},
};

use super::mail::{Mail, Post};
use crate::{
    clock,
    pool::{Delivery, DeliveryId, Order, Patience, Pool, WorkerId, WorkerOptions},
};

/// Workers of this node, each with what it takes and how much at once.
pub(super) type Lends = Vec<(WorkerId, Arc<WorkerOptions>)>;

/// The pool of a hub, and the way to its workers.
#[derive(Clone)]
pub(super) struct Workers {
    inner: Arc<Inner>,
}

struct Inner {
    post: Post,
    changed: Notify,
    known: Mutex<Known>,
    runtime: Handle,
    clock: Once,
}

struct Known {
    pool: Pool,
    /// When the clock looks next; it is woken only for what is due earlier.
    looks_at: Timestamp,
    ways: HashMap<WorkerId, mpsc::UnboundedSender<Told>>,
    /// Who waits for the results of work that other nodes have lent.
    lenders: HashMap<Ticket, oneshot::Sender<Done>>,
    /// The workers of this node, for others.
    lends: watch::Sender<Lends>,
    /// Whether the hub has stopped: no worker is told anything any more.
    closed: bool,
}

/// A connected worker. It gets no more than it has room for; when this is dropped, what it has and
/// did not finish is given to others at once.
pub struct Worker {
    workers: Workers,
    id: WorkerId,
    told: mpsc::UnboundedReceiver<Told>,
}

/// What a worker is told.
#[derive(Debug)]
pub enum Told {
    /// To do this.
    Do(Delivery),
    /// That nobody wants the result of this activity any more. It has room for another one when it
    /// gives it back, or finishes it.
    Withdrawn(DeliveryId),
}

impl Workers {
    /// A pool without workers, whose clock runs on this runtime.
    pub(super) fn new(post: Post, patience: Patience, runtime: &Handle) -> Self {
        let known = Known {
            // From anywhere, so that a delivery of another hub, or of an earlier process, is none
            // of this one.
            pool: Pool::new(patience, RandomState::new().build_hasher().finish() >> 1),
            looks_at: Timestamp(i64::MAX),
            ways: HashMap::new(),
            lenders: HashMap::new(),
            lends: watch::Sender::new(Vec::new()),
            closed: false,
        };
        let (changed, known) = (Notify::new(), Mutex::new(known));
        let (runtime, clock) = (runtime.clone(), Once::new());
        Self { inner: Arc::new(Inner { post, changed, known, runtime, clock }) }
    }

    /// Lets time pass in the pool, from when there is anything in it.
    fn start_clock(&self) {
        self.inner.clock.call_once(|| {
            let watched = Arc::downgrade(&self.inner);
            self.inner.runtime.spawn(async move {
                while let Some(inner) = watched.upgrade() {
                    let pause = inner.look();
                    // A hub that is gone is noticed a minute later at most.
                    let _ = tokio::time::timeout(pause, inner.changed.notified()).await;
                }
            });
        });
    }

    pub(super) fn connect(
        &self,
        options: WorkerOptions,
        in_hand: Vec<DeliveryId>,
    ) -> (Worker, Vec<DeliveryId>) {
        self.start_clock();
        let (way, told) = mpsc::unbounded_channel();
        let mut known = super::lock(&self.inner.known);
        let (id, unwanted) = known.pool.reconnect(options, in_hand, clock::now());
        if !known.closed {
            known.ways.insert(id, way);
        }
        known.offer_to_others();
        self.inner.carry_out(known);
        (Worker { workers: self.clone(), id, told }, unwanted)
    }

    pub(super) fn offer(&self, tasks: Vec<Task>) {
        self.start_clock();
        let now = clock::now();
        self.inner.act(|pool| tasks.into_iter().for_each(|task| pool.offer(task, now)));
    }

    pub(super) fn cancel(&self, ticket: &Ticket) -> bool {
        self.inner.act(|pool| pool.cancel(ticket))
    }

    pub(super) fn forget(&self, of: impl Fn(&Ticket) -> bool) {
        self.inner.act(|pool| pool.forget(of));
    }

    /// Takes results: those of work of this node that still count. One of lent work goes to who
    /// lent it.
    pub(super) fn finish(
        &self,
        results: impl IntoIterator<Item = (DeliveryId, Done)>,
    ) -> Vec<TaskResult> {
        let (now, mut own) = (clock::now(), Vec::new());
        let mut known = super::lock(&self.inner.known);
        for (delivery, done) in results {
            known.pool.note(delivery, &done);
            let Some(Task { ticket, .. }) = known.pool.finish(delivery, now) else { continue };
            match known.lenders.remove(&ticket) {
                // Who lent it may have gone: then it is done elsewhere again.
                Some(lender) => drop(lender.send(done)),
                None => own.push(TaskResult { ticket, done }),
            }
        }
        self.inner.carry_out(known);
        own
    }

    /// Work of another node comes; its result, unless it is cancelled.
    pub(super) fn borrow(&self, task: Task) -> (Ticket, oneshot::Receiver<Done>) {
        self.start_clock();
        let mut known = super::lock(&self.inner.known);
        let ticket = known.pool.lent_ticket(task.ticket);
        let (lender, result) = oneshot::channel();
        known.lenders.insert(ticket.clone(), lender);
        known.pool.offer(Task { ticket: ticket.clone(), ..task }, clock::now());
        self.inner.carry_out(known);
        (ticket, result)
    }

    /// Nobody waits for the result of lent work any more.
    pub(super) fn give_up(&self, ticket: &Ticket) {
        let mut known = super::lock(&self.inner.known);
        known.lenders.remove(ticket);
        known.pool.cancel(ticket);
        self.inner.carry_out(known);
    }

    pub(super) fn lends(&self) -> watch::Receiver<Lends> {
        let mut known = super::lock(&self.inner.known);
        let lends = known.lends.subscribe();
        known.offer_to_others();
        lends
    }

    pub(super) fn ticket(&self, delivery: DeliveryId) -> Option<Ticket> {
        super::lock(&self.inner.known).pool.task(delivery).map(|task| task.ticket.clone())
    }

    pub(super) fn turn_of(&self, instance: &InstanceId) -> Option<Task> {
        super::lock(&self.inner.known).pool.turn_of(instance).cloned()
    }

    pub(super) fn give_back(&self, delivery: DeliveryId) {
        self.inner.act(|pool| pool.give_back(delivery, clock::now()));
    }

    /// The hub has stopped: workers hear so, those that come later too.
    pub(super) fn close(&self) {
        let mut known = super::lock(&self.inner.known);
        known.closed = true;
        known.ways.clear();
    }

    pub(super) fn count(&self) -> usize {
        super::lock(&self.inner.known).pool.workers()
    }

    pub(super) fn load(&self) -> (usize, usize) {
        super::lock(&self.inner.known).pool.load()
    }
}

impl Known {
    /// One whose way is closed is about to be disconnected.
    fn tell(&self, worker: WorkerId, what: Told) {
        if let Some(way) = self.ways.get(&worker) {
            let _ = way.send(what);
        }
    }

    /// The workers have changed: whoever lends them hears of it.
    fn offer_to_others(&mut self) {
        if self.lends.receiver_count() == 0 {
            return;
        }
        let lends = self.pool.lends();
        self.lends.send_if_modified(|last| {
            let is_new = *last != lends;
            *last = lends;
            is_new
        });
    }
}

impl Inner {
    fn act<T>(&self, act: impl FnOnce(&mut Pool) -> T) -> T {
        let mut known = super::lock(&self.known);
        let done = act(&mut known.pool);
        self.carry_out(known);
        done
    }

    fn carry_out(&self, mut known: MutexGuard<'_, Known>) {
        for order in known.pool.take_orders() {
            match order {
                Order::Give(worker, delivery) => {
                    known.tell(worker, Told::Do(delivery));
                }
                Order::Withdraw(worker, delivery) => {
                    known.tell(worker, Told::Withdrawn(delivery));
                }
                Order::Release(worker) => drop(known.ways.remove(&worker)),
                // Without a result its node gives it to somebody else.
                Order::Fail(ticket, _) if known.lenders.remove(&ticket).is_some() => {}
                Order::Fail(ticket, done) => {
                    let partition = ticket.partition;
                    let done = Input::TaskDone(TaskResult { ticket, done });
                    self.post.send(partition, Mail::Input(partition, done));
                }
            }
        }
        let next = known.pool.next_tick();
        if next.is_some_and(|at| at < known.looks_at) {
            drop(known);
            self.changed.notify_one();
        }
    }

    /// Lets the pool see the time; says after how long to look again.
    fn look(&self) -> Duration {
        let now = clock::now();
        self.act(|pool| pool.tick(now));
        let mut known = super::lock(&self.known);
        let latest = now.plus(Duration::from_mins(1));
        known.looks_at = known.pool.next_tick().map_or(latest, |at| at.min(latest));
        known.looks_at.since(now)
    }
}

impl Worker {
    /// What it is told next. `None` when the hub has stopped and, once it [leaves](Self::leave),
    /// when it has finished all that it had.
    pub async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// The same, for whoever polls.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Told>> {
        self.told.poll_recv(cx)
    }

    /// It takes no more, but may finish what it has until it is dropped. What was not taken yet
    /// goes to others.
    pub fn leave(&mut self) {
        {
            let mut known = super::lock(&self.workers.inner.known);
            known.pool.leave(self.id, clock::now());
            known.offer_to_others();
            self.workers.inner.carry_out(known);
        }
        while let Ok(told) = self.told.try_recv() {
            if let Told::Do(delivery) = told {
                self.workers.inner.act(|pool| pool.unsend(delivery.id, clock::now()));
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut known = super::lock(&self.workers.inner.known);
        known.ways.remove(&self.id);
        known.pool.disconnect(self.id, clock::now());
        known.offer_to_others();
        self.workers.inner.carry_out(known);
    }
}

/// By what one without a name is told from the others.
impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Worker({:?})", self.id)
    }
}
