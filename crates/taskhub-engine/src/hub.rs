//! The hub as this process runs it: opens the store, starts the threads, takes requests, stops.

mod dispatch;
mod ended;
mod entities;
mod hints;
mod histories;
mod keeper;
mod lane_thread;
mod lending;
mod lengths;
mod looks;
mod mail;
mod members;
mod open;
mod owners;
mod pacer;
mod readers;
mod requests;
mod router;
mod tally;
mod tenure;
mod times;
mod trouble;
mod turn_thread;
mod warnings;
mod workers;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, atomic::Ordering, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use taskhub_core::{
    Answer, Done, InstanceId, Limits, Task, Ticket, Timestamp, TurnRecord, Verb,
    store::{Store, StoreError},
};
use tokio::time::Instant;

use crate::{DeliveryId, Holdings, WorkerOptions, store::Clock};
pub use entities::EntityPage;
pub use histories::HistoryPart;
use keeper::{Errand, KeeperHandle};
pub use lending::Borrowed;
use looks::Looks;
use mail::{Mail, Post};
pub use members::Members;
use router::Router;
use tally::Tallies;
pub use tally::Tally;
pub use times::Times;
pub use turn_thread::{Death, Dies, Lockstep};
use workers::Workers;
pub use workers::{Told, Worker};

/// How long a stop waits until the last commits are durable and everything is given back.
const GIVE_BACK_MAX: Duration = Duration::from_secs(5);

/// The partitions that this node holds just now.
type Held = Arc<Mutex<Holdings>>;

/// A running node. Clones are the same node; it stops by [`Hub::stop`], not by being dropped.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    router: Router,
    post: Post,
    workers: Workers,
    /// `None` for a hub in lockstep.
    keeper: Option<KeeperHandle>,
    tallies: Arc<Tallies>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    looks: Looks,
    limits: Limits,
    clock: Clock,
}

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}; are there too many processes?")]
    Thread(#[from] std::io::Error),
}

impl Hub {
    /// Asks the owner of an instance, on whichever node it is, and waits for the answer; what it
    /// tells is durable. While an instance moves to another node it is asked again, as long as
    /// nothing can have happened. Dropping the future withdraws the question, not what it caused.
    pub fn ask(&self, instance: InstanceId, verb: Verb) -> impl Future<Output = Answer> + Send {
        self.inner.router.ask(instance, verb)
    }

    /// The same for a question that another node has passed on: it is answered by this node or,
    /// when it does not own the instance, refused as [`taskhub_core::Refusal::Moved`].
    pub async fn ask_here(&self, instance: InstanceId, verb: Verb) -> Answer {
        self.inner.router.ask_here(instance, verb).await
    }

    /// Whether an instance of this id lives on this node just now: what it is asked is then
    /// answered here, and not passed on.
    #[must_use]
    pub fn is_here(&self, instance: &InstanceId) -> bool {
        self.inner.router.is_here(instance)
    }

    /// A worker elsewhere connects: it is given work of this hub that is not done in this process.
    #[must_use]
    pub fn connect_worker(&self, options: WorkerOptions) -> Worker {
        self.reconnect_worker(options, Vec::new()).0
    }

    /// The same for one that has deliveries in hand since before: it keeps them, and hears when
    /// one is over. Those whose results nobody wants are returned.
    #[must_use]
    pub fn reconnect_worker(
        &self,
        options: WorkerOptions,
        in_hand: Vec<DeliveryId>,
    ) -> (Worker, Vec<DeliveryId>) {
        self.inner.workers.connect(options, in_hand)
    }

    /// The ticket of a delivery, if its result would still count.
    #[must_use]
    pub fn delivered(&self, delivery: DeliveryId) -> Option<Ticket> {
        self.inner.workers.ticket(delivery)
    }

    /// The turn of an instance that a worker elsewhere has just now.
    #[must_use]
    pub fn delivered_turn(&self, instance: &InstanceId) -> Option<Task> {
        self.inner.workers.turn_of(instance)
    }

    /// A worker elsewhere did what it was given. A delivery whose result no longer counts is
    /// well too: nothing happens. The answer comes when what was done is durable.
    pub async fn finish(&self, delivery: DeliveryId, done: Done) -> Answer {
        let own = self.inner.workers.finish([(delivery, done)]).pop();
        let Some(result) = own else { return Answer::Done };
        // Whoever owns the instance next gives it out again, and counts only results of that.
        self.ask_here(result.ticket.instance.clone(), Verb::Finish(Box::new(result))).await
    }

    /// The same for many deliveries at once, without an answer: where a result is lost before it
    /// is durable, its work is given out again.
    pub fn finish_all(&self, results: Vec<(DeliveryId, Done)>) {
        self.inner.post.results(self.inner.workers.finish(results));
    }

    /// A worker elsewhere gives back what it was given: others get it first, if anybody wants it.
    pub fn give_back(&self, delivery: DeliveryId) {
        self.inner.workers.give_back(delivery);
    }

    /// How many workers elsewhere are connected, how much waits for one, and how much they have.
    #[must_use]
    pub fn workers(&self) -> (usize, usize, usize) {
        let (waits, given) = self.inner.workers.load();
        (self.inner.workers.count(), waits, given)
    }

    /// What time it is for this hub.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// How many requests wait for an answer.
    #[must_use]
    pub fn held_requests(&self) -> usize {
        self.inner.router.requests.held()
    }

    /// Tells somebody of every change that this node made, as soon as it is durable, those of one
    /// instance in order, until the hub stops; the last who asked for it. It is told on the thread
    /// that commits: whatever takes long goes elsewhere. A hub in lockstep tells nobody.
    pub fn watch(&self, told: impl Fn(&TurnRecord) + Send + Sync + 'static) {
        self.inner.tallies.watched(Some(Arc::new(told)));
    }

    /// What it has done since it was opened; a hub in lockstep does not count.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.inner.tallies.now()
    }

    /// Why its store can write nothing at the moment, if that is so: then nothing is served.
    #[must_use]
    pub fn store_failure(&self) -> Option<String> {
        self.inner.tallies.failing()
    }

    /// How many partitions the hub has.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        self.inner.store.partitions()
    }

    /// Stops: refuses new requests, hands back the held ones, waits for running activities up to
    /// [`Limits::drain_time_max`], finishes the turns in hand, and gives the partitions back. What
    /// other nodes pass on is served until then.
    pub async fn stop(&self) {
        let inner = self.inner.clone();
        inner.router.requests.refuse_all();
        let deadline = Instant::now() + inner.limits.drain_time_max;
        while inner.post.running().load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let stopped = tokio::task::spawn_blocking(move || inner.stop());
        if stopped.await.is_err() {
            tracing::warn!("a thread of the hub panicked while it stopped");
        }
    }
}

impl Inner {
    fn stop(&self) {
        self.workers.close();
        let (done, given_back) = mpsc::sync_channel(1);
        let told = self.keeper.as_ref();
        let told = told.is_some_and(|it| it.errands.send(Errand::Stop(done)).is_ok());
        if told && given_back.recv_timeout(GIVE_BACK_MAX).is_err() {
            tracing::warn!("not all partitions could be given back: others wait for their leases");
        }
        self.post.has_stopped().store(true, Ordering::Relaxed);
        self.post.send_all(|| Mail::Stop);
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            let _ = thread.join();
        }
        self.tallies.watched(None);
        // Nobody else does that for a hub in lockstep.
        let held: Vec<_> = lock(&self.router.held).all().collect();
        if let Err(error) = self.store.release(&held) {
            tracing::warn!(%error, "the partitions could not be given back");
        }
    }
}

/// A lock whose holder panicked still guards a value: the values here are never left half-changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn spawn(
    name: String,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, std::io::Error> {
    std::thread::Builder::new().name(name).spawn(|| {
        // What user code does is caught where it is called. A panic here is a defect of the
        // engine: a node that is half alive would hold its requests for ever, while a process
        // that ends loses nothing and is started again.
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            tracing::error!("a thread of the engine panicked: the process ends, nothing is lost");
            std::process::abort();
        }
    })
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hub({} partitions)", self.partitions())
    }
}
