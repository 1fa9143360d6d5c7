//! The hub as this process runs it: opens the store, starts the threads, takes requests, stops.

mod dispatch;
mod ended;
mod entities;
mod histories;
mod lane_thread;
mod lending;
mod mail;
mod readers;
mod requests;
mod tally;
mod turn_thread;
mod workers;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use taskhub_core::{
    Answer, Done, Event, InstanceId, Limits, Task, TaskResult, Timestamp, TurnRecord, Verb, codec,
    store::{Filter, Node, Ownership, Page, Store, StoreError},
};
use tokio::{runtime::Handle, time::Instant};

use crate::{
    Code, DeliveryId, NodeOptions, Patience, Shard, WorkerOptions, clock,
    store::{Clock, system_clock},
};
use dispatch::Dispatch;
pub use entities::{Cleaned, EntityPage};
pub use histories::HistoryPart;
pub use lending::Borrowed;
use mail::{Mail, Post};
use requests::Requests;
use tally::Tallies;
pub use tally::Tally;
pub use turn_thread::{Dies, Lockstep};
pub use workers::Worker;
use workers::Workers;

/// How long a claim of partitions holds: a hub whose store has one process needs no renewal.
const LEASE: Duration = Duration::MAX;

/// The partitions that this node owns just now.
type Held = Arc<Mutex<Vec<Ownership>>>;

/// A running node. Clones are the same node; it stops by [`Hub::stop`], not by being dropped.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    requests: Requests,
    post: Post,
    workers: Workers,
    held: Held,
    tallies: Arc<Tallies>,
    threads: Mutex<Vec<JoinHandle<()>>>,
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
    /// Takes over the store's partitions and begins to work. Activities run on the tokio runtime
    /// that this is called from.
    pub fn open(store: Arc<dyn Store>, code: &Code, limits: Limits) -> Result<Self, OpenError> {
        Self::open_as(store, code, limits, NodeOptions::default())
    }

    /// The same, for a node that may be one of several.
    pub fn open_as(
        store: Arc<dyn Store>,
        code: &Code,
        limits: Limits,
        options: NodeOptions,
    ) -> Result<Self, OpenError> {
        let node = Node { id: clock::node_id().into(), address: options.address };
        let held = store.claim(&node, usize::from(store.partitions()), LEASE)?;
        let held = Arc::new(Mutex::new(held));
        let count = turn_threads().min(usize::from(store.partitions()));
        let (post, boxes) = mail::post(count);
        let workers = Workers::new(post.clone(), Patience::default(), &Handle::current());
        let (to_lane, from_turns) = lane_thread::channel(&limits);
        let (to_readers, reads) = readers::channel();
        let tallies = Arc::<Tallies>::default();
        let mut threads = Vec::new();
        for (index, inbox) in boxes.into_iter().enumerate() {
            let links = turn_thread::Links {
                tallies: tallies.clone(),
                cached: tallies.cached(),
                inbox,
                post: post.clone(),
                lane: to_lane.clone(),
                readers: to_readers.clone(),
                dispatch: Dispatch::new(code, &limits, post.clone(), workers.clone(), index),
                clock: system_clock(),
            };
            let (functions, limits) = (code.functions.clone(), limits.clone());
            let partitions = store.partitions();
            // The shard is made where it stays: orchestrations never move between threads.
            threads.push(spawn(format!("taskhub-turns-{index}"), move || {
                turn_thread::run(Shard::new(functions, &limits, partitions), links);
            })?);
        }
        drop(to_lane);
        let lane = lane_thread::LaneThread::new(&store, node, held.clone(), post.clone(), &limits)
            .counted(&tallies);
        threads.push(spawn("taskhub-lane".to_owned(), move || lane.run(&from_turns))?);
        for index in 0..limits.readers_count.max(1) {
            let reader = readers::Reader::new(store.clone(), reads.clone(), post.clone());
            threads.push(spawn(format!("taskhub-reader-{index}"), move || reader.run())?);
        }
        if let Err(error) = post.open(lane_thread::FIRST, &*store, &lock(&held), &limits) {
            post.send_all(|| Mail::Stop);
            return Err(error.into());
        }
        let requests = Requests::new(post.clone(), store.partitions(), &limits);
        let (threads, clock) = (Mutex::new(threads), system_clock());
        let inner = Inner { store, requests, post, workers, held, tallies, threads, limits, clock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Asks the owner of an instance, and waits for the answer; what it tells is durable. Dropping
    /// the future withdraws the question, not what it caused.
    pub async fn ask(&self, instance: InstanceId, verb: Verb) -> Answer {
        self.inner.requests.ask(instance, verb).await
    }

    /// The same for a question that another node has passed on: it is answered by this node or,
    /// when it does not own the instance, refused as [`taskhub_core::Refusal::Moved`].
    pub async fn ask_here(&self, instance: InstanceId, verb: Verb) -> Answer {
        self.inner.requests.ask(instance, verb).await
    }

    /// A worker elsewhere connects: it is given work of this hub that is not done in this process.
    #[must_use]
    pub fn connect_worker(&self, options: WorkerOptions) -> Worker {
        self.inner.workers.connect(options)
    }

    /// The task of a delivery, if its result would still count.
    #[must_use]
    pub fn delivered(&self, delivery: DeliveryId) -> Option<Task> {
        self.inner.workers.task(delivery)
    }

    /// The turn of an instance that a worker elsewhere has just now.
    #[must_use]
    pub fn delivered_turn(&self, instance: &InstanceId) -> Option<Task> {
        self.inner.workers.turn_of(instance)
    }

    /// A worker elsewhere did what it was given. A delivery whose result no longer counts is
    /// well too: nothing happens. The answer comes when what was done is durable.
    pub async fn finish(&self, delivery: DeliveryId, done: Done) -> Answer {
        let Some(task) = self.inner.workers.finish(delivery) else { return Answer::Done };
        let done = match lending::hand_over(&self.inner.workers, &task.ticket, done) {
            Ok(answer) => return answer,
            Err(done) => done,
        };
        let result = TaskResult { ticket: task.ticket, done };
        self.ask(result.ticket.instance.clone(), Verb::Finish(Box::new(result))).await
    }

    /// A worker elsewhere gives back what it was given: others get it first.
    pub fn give_back(&self, delivery: DeliveryId) {
        self.inner.workers.give_back(delivery);
    }

    /// How many workers elsewhere are connected, how much waits for one, and how much they have.
    #[must_use]
    pub fn workers(&self) -> (usize, usize, usize) {
        let (waits, given) = self.inner.workers.load();
        (self.inner.workers.count(), waits, given)
    }

    /// Lists instances, as last committed.
    pub async fn query(&self, filter: Filter) -> Result<Page, StoreError> {
        self.read(move |store| store.query(&filter)).await
    }

    /// The history of an instance, as last committed; `None` when there is no such instance.
    pub async fn history(&self, instance: InstanceId) -> Result<Option<Vec<Event>>, StoreError> {
        self.read(move |store| {
            if store.load(&instance)?.is_none() {
                return Ok(None);
            }
            let pieces = store.history(&instance, 0..u64::MAX)?;
            let events = codec::decode_history(&pieces);
            events.map(Some).map_err(|why| StoreError::Damaged(why.to_string()))
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.inner.store.clone();
        tokio::task::spawn_blocking(move || read(&*store))
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
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
        self.inner.requests.held()
    }

    /// Tells somebody of every change as soon as it is durable, in order, until the hub stops; the
    /// last who asked for it. It is told on the thread that commits: whatever takes long goes
    /// elsewhere. A hub in lockstep tells nobody.
    pub fn watch(&self, told: impl Fn(&TurnRecord) + Send + Sync + 'static) {
        self.inner.tallies.watched(Some(Box::new(told)));
    }

    /// What it has done since it was opened; a hub in lockstep does not count.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.inner.tallies.now()
    }

    /// How many partitions the hub has.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        self.inner.store.partitions()
    }

    /// Stops: refuses new requests, hands back the held ones, finishes the turns in hand, waits for
    /// running activities up to [`Limits::drain_time_max`], and gives the partitions back.
    pub async fn stop(&self) {
        let inner = self.inner.clone();
        inner.requests.refuse_all();
        let deadline = Instant::now() + inner.limits.drain_time_max;
        while inner.post.running().load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        inner.post.send_all(|| Mail::Stop);
        let stopped = tokio::task::spawn_blocking(move || {
            let threads = std::mem::take(&mut *lock(&inner.threads));
            for thread in threads {
                let _ = thread.join();
            }
            if let Err(error) = inner.store.release(&lock(&inner.held)) {
                tracing::warn!(%error, "the partitions could not be given back");
            }
        });
        if stopped.await.is_err() {
            tracing::warn!("a thread of the hub panicked while it stopped");
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

/// Turn threads are few: they only compute, and the web server needs the cores too.
fn turn_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)).min(8)
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hub({} partitions)", self.partitions())
    }
}
