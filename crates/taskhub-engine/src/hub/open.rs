//! Opens a node: starts its threads, and connects them.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use taskhub_core::{
    Limits, PartitionId,
    store::{Node, Store},
};
use tokio::{runtime::Handle, sync::watch};

use super::{
    Held, Hub, Inner, OpenError,
    dispatch::Dispatch,
    hints,
    keeper::{self, Errand, Keeper, KeeperHandle, State},
    lane_thread::{self, LaneThread, ToLane},
    looks::Looks,
    mail::{self, Mail, Post},
    owners::Owners,
    readers::{self, Reader, Wanted},
    requests::Requests,
    router::Router,
    spawn,
    tally::Tallies,
    tenure::Tenure,
    turn_thread,
    workers::Workers,
};
use crate::{
    Code, Holdings, NodeOptions, Patience, Shard, clock,
    store::system_clock,
    watchdog::{self, Watch, Watched},
};

/// How many lanes a node has whose store others share: a database commits several at once.
const LANES_SHARED: u16 = 4;

impl Hub {
    /// Takes over the store's partitions and begins to work. Activities run on the tokio runtime
    /// that this is called from.
    pub fn open(store: Arc<dyn Store>, code: &Code, limits: Limits) -> Result<Self, OpenError> {
        Self::open_as(store, code, limits, NodeOptions::default())
    }

    /// The same, for a node that may be one of several: it takes over its share of what nobody
    /// has, and gets the rest of it from the others in a moment.
    pub fn open_as(
        store: Arc<dyn Store>,
        code: &Code,
        limits: Limits,
        options: NodeOptions,
    ) -> Result<Self, OpenError> {
        let node =
            Node { id: clock::node_id().into(), address: options.address, circle: options.circle };
        let shares = store.shared().is_some();
        let partitions = store.partitions();
        let lanes = options.lanes.unwrap_or(if shares { LANES_SHARED } else { 1 });
        let threads = turn_threads().min(usize::from(partitions));
        let (post, boxes) = mail::post(threads, lanes.clamp(1, partitions.max(1)));
        let workers = Workers::new(post.clone(), Patience::of(&limits), &Handle::current());
        let (to_keeper, errands) = mpsc::channel();
        let (to_hints, hints) = mpsc::channel();
        let (to_readers, reads) = readers::channel();
        let mut crew = Crew {
            store: store.clone(),
            held: Arc::new(Mutex::new(Holdings::new(partitions))),
            owners: Owners::unknown(),
            tenure: if shares { Tenure::ended() } else { Tenure::endless() },
            post: post.clone(),
            tallies: Arc::default(),
            limits: limits.clone(),
            threads: Vec::new(),
        };
        let links = Links {
            lanes: crew.lanes(&to_keeper)?,
            readers: to_readers,
            keeper: to_keeper.clone(),
            hints: shares.then_some(to_hints),
        };
        crew.turn_threads(code, boxes, &workers, links)?;
        crew.readers(&reads)?;
        let name = node.id.clone();
        let deleted = crew.keeper(node, (options.ttl, options.looks), errands);
        let deleted = deleted.inspect_err(|_| post.send_all(|| Mail::Stop))?;
        if shares {
            crew.hints(hints, to_keeper.clone())?;
        }
        let Crew { held, owners, tallies, threads, .. } = crew;
        let requests = Requests::new(post.clone(), partitions, &limits);
        let mut router = Router::alone(requests, store.clone(), held);
        (router.owners, router.tallies) = (owners, tallies.clone());
        (router.shares, router.node, router.ttl) = (shares, name, options.ttl);
        router.peers = options.peers;
        let keeper = Some(KeeperHandle { errands: to_keeper, deleted });
        let (threads, clock, looks) = (Mutex::new(threads), system_clock(), Looks::new(&limits));
        let inner =
            Inner { store, router, post, workers, keeper, tallies, threads, looks, limits, clock };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// The threads of a node, while they are started, and what they share.
struct Crew {
    store: Arc<dyn Store>,
    held: Held,
    owners: Owners,
    tenure: Tenure,
    post: Post,
    tallies: Arc<Tallies>,
    limits: Limits,
    threads: Vec<JoinHandle<()>>,
}

/// Where turn threads send what they do not do themselves.
struct Links {
    lanes: Vec<mpsc::SyncSender<ToLane>>,
    readers: mpsc::Sender<Wanted>,
    keeper: mpsc::Sender<Errand>,
    hints: Option<mpsc::Sender<PartitionId>>,
}

impl Crew {
    fn lanes(
        &mut self,
        keeper: &mpsc::Sender<Errand>,
    ) -> Result<Vec<mpsc::SyncSender<ToLane>>, OpenError> {
        let mut lanes = Vec::new();
        for number in 0..self.post.lanes() {
            let links = lane_thread::Links {
                store: self.store.clone(),
                held: self.held.clone(),
                post: self.post.clone(),
                keeper: keeper.clone(),
                tallies: self.tallies.clone(),
            };
            let (to_lane, turns) = lane_thread::channel(&self.limits);
            let lane = LaneThread::new(links, number, &self.limits);
            self.threads.push(spawn(format!("taskhub-lane-{number}"), move || lane.run(&turns))?);
            lanes.push(to_lane);
        }
        Ok(lanes)
    }

    fn turn_threads(
        &mut self,
        code: &Code,
        boxes: Vec<mpsc::Receiver<Mail>>,
        workers: &Workers,
        links: Links,
    ) -> Result<(), OpenError> {
        let Links { lanes, readers, keeper, hints } = links;
        let mut watches = Vec::new();
        for (index, inbox) in boxes.into_iter().enumerate() {
            let (post, limits) = (self.post.clone(), self.limits.clone());
            let dispatch = Dispatch::new(code, &limits, post.clone(), workers.clone(), index);
            let links = turn_thread::Links {
                tallies: self.tallies.clone(),
                cached: self.tallies.cached(),
                inbox,
                lanes: lanes.clone(),
                readers: readers.clone(),
                keeper: keeper.clone(),
                hints: hints.clone(),
                tenure: self.tenure.clone(),
                dispatch,
                clock: system_clock(),
                post,
            };
            let watch = Arc::<Watch>::default();
            watches.push(watch.clone());
            let functions = Arc::new(Watched { functions: code.functions.clone(), watch });
            let lanes = self.post.lanes();
            let partitions = self.store.partitions();
            // The shard is made where it stays: orchestrations never move between threads.
            self.threads.push(spawn(format!("taskhub-turns-{index}"), move || {
                turn_thread::run(Shard::new(functions, &limits, partitions, lanes), links);
            })?);
        }
        Ok(watchdog::watch(&watches)?)
    }

    fn readers(&mut self, reads: &readers::Reads) -> Result<(), OpenError> {
        for index in 0..self.limits.readers_count.max(1) {
            let inbox_max = self.limits.backlog_count_max;
            let (store, post) = (self.store.clone(), self.post.clone());
            let reader = Reader::new(store, reads.clone(), post, inbox_max);
            self.threads.push(spawn(format!("taskhub-reader-{index}"), move || reader.run())?);
        }
        Ok(())
    }

    /// What can be claimed is claimed before the node takes its first request. Returns what tells
    /// whether somebody deletes the hub.
    fn keeper(
        &mut self,
        node: Node,
        (ttl, looks): (Duration, Duration),
        errands: mpsc::Receiver<Errand>,
    ) -> Result<watch::Receiver<bool>, OpenError> {
        let (tells, deleted) = watch::channel(false);
        let state = State::new(keeper::look_every(self.store.shared().is_some(), ttl, looks));
        let mut keeper = Keeper {
            node,
            store: self.store.clone(),
            held: self.held.clone(),
            owners: self.owners.clone(),
            post: self.post.clone(),
            limits: self.limits.clone(),
            tenure: self.tenure.clone(),
            ttl,
            state,
            tallies: self.tallies.clone(),
            deleted: tells,
        };
        keeper.tend()?;
        self.threads.push(spawn("taskhub-keeper".to_owned(), move || keeper.run(&errands))?);
        Ok(deleted)
    }

    /// Nobody waits for these: they end by themselves.
    fn hints(
        &self,
        hints: mpsc::Receiver<PartitionId>,
        keeper: mpsc::Sender<Errand>,
    ) -> Result<(), OpenError> {
        let store = self.store.clone();
        spawn("taskhub-hints-out".to_owned(), move || hints::tell(&*store, &hints))?;
        let (store, post) = (self.store.clone(), self.post.clone());
        spawn("taskhub-hints-in".to_owned(), move || hints::hear(&store, &post, &keeper))?;
        let (store, post) = (self.store.clone(), self.post.clone());
        spawn("taskhub-mail".to_owned(), move || hints::find(&*store, &post))?;
        Ok(())
    }
}

/// Turn threads are few: they only compute, and the web server needs the cores too.
fn turn_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)).min(8)
}
