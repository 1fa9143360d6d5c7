//! A hub for tests, whose one thread moves only when its callers do, on the clock of tokio.
//!
//! Whoever sends it something waits until that has been dealt with, committed and answered. So
//! tokio never finds time passing while the hub works: with its clock paused, all that waits for
//! time waits for nothing else. The turns run on a plain thread all the same, as everywhere.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
        mpsc::{self, Receiver},
    },
    time::Duration,
};

use taskhub_core::{
    Batch, CommitSeq, Limits, PartitionId, Request, RequestId, Timestamp, TurnRecord,
    partition::{Effect, Input},
    store::{Node, Ownership, Store, StoreError},
};
use tokio::runtime::Handle;

use super::{Links, TurnThread};
use crate::{
    Code, Holdings, Hub, OpenError, Patience, Shard, clock,
    hub::{
        Held, Inner,
        dispatch::Dispatch,
        lane_thread::{self, ToLane},
        lock,
        looks::Looks,
        mail::{self, Mail, Opened, Post},
        pacer::{Pacer, Step},
        readers::{self, Reader, Reads},
        requests::Requests,
        router::Router,
        spawn,
        tenure::Tenure,
        workers::Workers,
    },
};

/// How often one step looks at partitions that want to be called again at once.
const CALLS_MAX: u32 = 1_000;

/// Whether the process dies beside the commit of this turn.
pub type Dies = Box<dyn FnMut(&TurnRecord) -> Option<Death> + Send>;

/// When a process dies, beside a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Just before it: nothing of the turn is kept.
    Before,
    /// Just after it, when clients have been told what became of their requests, and nothing else
    /// has left: no activity has begun, no message was handed on.
    After,
}

/// How a hub in lockstep goes.
pub struct Lockstep {
    /// What time it is when the hub opens; from then on tokio's clock counts.
    pub begins_at: Timestamp,
    /// Shown each turn before it is committed. When it says so, the process dies: what is in memory
    /// is lost, and the hub opens again from the store.
    pub dies: Dies,
}

impl fmt::Debug for Lockstep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lockstep(from {})", self.begins_at)
    }
}

impl Hub {
    /// Like [`Hub::open`], but in lockstep. Callers do not notice when its process "dies": what
    /// they asked, and were not told, is asked again.
    pub fn open_in_lockstep(
        store: Arc<dyn Store>,
        code: &Code,
        limits: Limits,
        how: Lockstep,
    ) -> Result<Self, OpenError> {
        let node = Node { id: clock::node_id().into(), address: "".into(), circle: "".into() };
        let (steps, when_stepped) = mpsc::channel();
        let pacer = Pacer::new(steps, how.begins_at);
        let (post, mut boxes) = mail::post(1, 1);
        let post = post.paced(pacer.clone());
        let workers = Workers::new(post.clone(), Patience::of(&limits), &Handle::current());
        let (to_lane, lane) = lane_thread::channel(&limits);
        let (to_readers, reads) = readers::channel();
        let (shown, clock) = (pacer.shown(), pacer.shown());
        let tallies = Arc::<super::Tallies>::default();
        let links = Links {
            tallies: tallies.clone(),
            cached: tallies.cached(),
            inbox: boxes.remove(0),
            dispatch: Dispatch::new(code, &limits, post.clone(), workers.clone(), 0),
            post: post.clone(),
            lanes: vec![to_lane],
            readers: to_readers,
            keeper: mpsc::channel().0, // Nobody else wants the partitions.
            hints: None,
            tenure: Tenure::endless(),
            clock: Arc::new(move || Timestamp(clock.load(Ordering::Relaxed))),
        };
        let (functions, partitions) = (code.functions.clone(), store.partitions());
        let held: Held = Arc::new(Mutex::new(Holdings::new(partitions)));
        let inbox_max = limits.backlog_count_max;
        let reader = Reader::new(store.clone(), reads.clone(), post.clone(), inbox_max);
        let world = World {
            node,
            store: store.clone(),
            held: held.clone(),
            post: post.clone(),
            limits: limits.clone(),
            reader,
        };
        let opened = world.open()?;
        let thread = spawn("taskhub-lockstep".to_owned(), move || {
            let thread =
                TurnThread::new(Shard::new(functions, &world.limits, partitions, 1), links);
            let (queue, asked, dies) = (VecDeque::new(), BTreeMap::new(), how.dies);
            Paced { thread, world, lane, reads, shown, dies, queue, asked }.run(&when_stepped);
        })?;
        post.open(opened);
        pacer.start();
        let requests = Requests::new(post.clone(), partitions, &limits);
        let router = Router::alone(requests, store.clone(), held);
        let clock = Arc::new(move || pacer.now());
        let (threads, keeper) = (Mutex::new(vec![thread]), None);
        let looks = Looks::new(&limits);
        let inner =
            Inner { store, router, post, workers, keeper, tallies, threads, looks, limits, clock };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// What outlives the process of a hub in lockstep.
struct World {
    node: Node,
    store: Arc<dyn Store>,
    held: Held,
    post: Post,
    limits: Limits,
    reader: Reader,
}

impl World {
    /// Claims all partitions, and reads what they begin with.
    fn open(&self) -> Result<Vec<Opened>, StoreError> {
        let all = usize::from(self.store.partitions());
        let claimed = self.store.claim(&self.node, all, Duration::MAX)?;
        lock(&self.held).claimed(&claimed);
        mail::read(&self.post, &*self.store, (self.post.tick(), &claimed), &self.limits)
    }
}

/// A turn thread together with all that is a thread of its own elsewhere.
struct Paced {
    thread: TurnThread,
    world: World,
    lane: Receiver<ToLane>,
    reads: Reads,
    shown: Arc<AtomicI64>,
    dies: Dies,
    queue: VecDeque<(Ownership, TurnRecord)>,
    /// Requests without an answer, which are asked again when the process dies.
    asked: BTreeMap<RequestId, (PartitionId, Request)>,
}

impl Paced {
    fn run(mut self, steps: &Receiver<Step>) {
        Pacer::moves_this_thread();
        while let Ok(Step { now, done }) = steps.recv() {
            self.shown.fetch_max(now.0, Ordering::Relaxed);
            if let Err(error) = self.settle() {
                panic!("the store of a hub in lockstep failed: {error}");
            }
            let ends = self.thread.stop_by.is_some();
            let _ = done.send(self.thread.shard.next_wake());
            if ends {
                return;
            }
        }
    }

    /// Goes on until nothing is left to do at this time.
    fn settle(&mut self) -> Result<(), StoreError> {
        let mut calls = 0;
        loop {
            while let Ok(mail) = self.thread.links.inbox.try_recv() {
                if let Mail::Ask(partition, request, _) = &mail {
                    self.asked.insert(request.id, (*partition, request.clone()));
                }
                self.thread.sort(mail);
            }
            let due = self.thread.shard.due((self.thread.links.clock)());
            if !due.is_empty() && calls < CALLS_MAX {
                calls += 1;
                for id in due {
                    self.thread.inputs.entry(id).or_default();
                }
            }
            self.thread.work();
            self.thread.look_around();
            let has_read = self.read();
            let has_written = self.commit()?;
            if !has_read && !has_written && self.thread.inputs.is_empty() {
                break;
            }
        }
        let answers = &self.thread.answers;
        self.asked.retain(|request, _| answers.contains_key(request));
        Ok(())
    }

    fn read(&mut self) -> bool {
        let wanted: Vec<_> = lock(&self.reads).try_iter().collect();
        let any = !wanted.is_empty();
        for wanted in wanted {
            let mail = self.world.reader.answer(wanted);
            self.thread.sort(mail);
        }
        any
    }

    /// Commits the next turn, alone, so that the process can die between any two.
    fn commit(&mut self) -> Result<bool, StoreError> {
        for sent in self.lane.try_iter() {
            // With one thread and one lane, every message reaches its receiver at once.
            if let ToLane::Turns(owner, _, turns, _) = sent {
                self.queue.extend(turns.into_iter().map(|turn| (owner, turn)));
            }
        }
        let Some((owner, turn)) = self.queue.pop_front() else { return Ok(false) };
        let death = (self.dies)(&turn);
        if death == Some(Death::Before) {
            self.die()?;
            return Ok(true);
        }
        let seq = turn.seq;
        let batch = Batch { owners: vec![(owner.partition, owner.epoch)], turns: vec![turn] };
        let written = self.world.store.commit(&batch);
        written.map_err(|error| StoreError::Damaged(error.to_string()))?;
        if death == Some(Death::After) {
            self.tell(owner, seq);
            self.die()?;
            return Ok(true);
        }
        self.thread.sort(Mail::Owned(owner, Input::Durable(seq)));
        Ok(true)
    }

    /// Tells clients what is durable, and nobody else.
    fn tell(&mut self, owner: Ownership, seq: CommitSeq) {
        let (now, durable) = ((self.thread.links.clock)(), Input::Durable(seq));
        let routed = self.thread.shard.handle(owner.partition, [durable], now);
        let effects = routed.into_iter().flat_map(|routed| routed.effects);
        for effect in effects.filter(|effect| matches!(effect, Effect::Answer(..))) {
            self.thread.effect(owner, effect);
        }
    }

    /// Forgets what a process forgets when it dies, and opens the hub again from the store.
    fn die(&mut self) -> Result<(), StoreError> {
        self.thread.links.dispatch.abandon(|_| true);
        self.thread.shard.close(0);
        self.thread.inputs.clear();
        self.queue.clear();
        self.lane.try_iter().for_each(drop);
        lock(&self.reads).try_iter().for_each(drop);
        let closed = lock(&self.world.held).close(0, 1);
        self.world.store.release(&closed)?;
        let opened = self.world.open()?;
        self.thread.sort(Mail::Open(opened));
        for (id, (partition, request)) in &self.asked {
            if self.thread.answers.contains_key(id) {
                let inputs = self.thread.inputs.entry(*partition).or_default();
                inputs.push(Input::Request(request.clone()));
            }
        }
        Ok(())
    }
}
