//! Work for workers elsewhere: what waits for one, who has what, and what comes back.
//!
//! Plain state, no I/O: `hub/workers.rs` puts a lock and a clock around it. Whatever is in here is
//! outstanding in its partition, stored, and bounded by it: with this memory nothing is lost.
//!
//! A *delivery* is one piece of work in one worker's hands. It ends by a result, by being given
//! back, or with its worker. One that takes too long is given to a second worker as well, and the
//! first result counts.

mod filter;
mod homes;
mod leaving;
pub(crate) mod lent;
mod options;
mod poison;
mod queue;
mod refused;
mod withdraw;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use foldhash::{HashMap, HashMapExt as _};
use taskhub_core::{
    Done, InstanceId, Job, Piece, Task, Ticket, Timestamp,
    mutation::{Mutation, mutated},
};

pub use filter::{Names, Serves};
use homes::Homes;
use lent::{is_lent, queue};
pub use options::{Patience, WorkerOptions};
use poison::poison;
use queue::{Queue, pause};
use worker::Worker;

/// How soon a second worker is looked for again, for an activity that takes too long.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// Names one worker while it is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(u64);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Names one delivery, in this process.
pub type DeliveryId = u64;

/// Work that is put into a worker's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What the worker says when it is done.
    pub id: DeliveryId,
    /// What to do.
    pub task: Task,
    /// Whether the worker keeps the code of the instance, as far as is known here.
    pub is_kept: bool,
    /// When it is given.
    pub at: Timestamp,
}

/// What the pool wants done now.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// Give this to that worker.
    Give(WorkerId, Delivery),
    /// Tell that worker that nobody wants the result of this activity any more.
    Withdraw(WorkerId, DeliveryId),
    /// Nobody can do this: that is its result.
    Fail(Ticket, Done),
    /// This worker left, and has nothing in hand any more.
    Release(WorkerId),
}

/// All work for workers elsewhere, of one hub.
#[derive(Debug)]
pub struct Pool {
    patience: Patience,
    workers: BTreeMap<WorkerId, Worker>,
    items: HashMap<u64, Item>,
    by_ticket: HashMap<Ticket, u64>,
    /// The latest turn of each instance.
    turns: HashMap<InstanceId, u64>,
    queue: Queue,
    /// Work of other nodes that waits.
    lent: Queue,
    homes: Homes,
    deliveries: HashMap<DeliveryId, Given>,
    /// When deliveries have taken too long.
    ends: BTreeSet<(Timestamp, DeliveryId)>,
    next: u64,
    orders: Vec<Order>,
}

/// Work that has no result yet.
#[derive(Debug, Clone)]
struct Item {
    task: Task,
    kind: usize,
    /// The deliveries of it whose result would count.
    given: Vec<DeliveryId>,
    losses: u32,
    returns: u32,
    /// Who gave it back since it last paused.
    refused_by: Vec<WorkerId>,
}

#[derive(Debug)]
struct Given {
    item: u64,
    kind: usize,
    worker: WorkerId,
}

impl Pool {
    /// A pool that counts its deliveries from `first`.
    #[must_use]
    pub fn new(patience: Patience, first: u64) -> Self {
        Self {
            patience,
            workers: BTreeMap::new(),
            items: HashMap::new(),
            by_ticket: HashMap::new(),
            turns: HashMap::new(),
            queue: Queue::default(),
            lent: Queue::default(),
            homes: Homes::new(),
            deliveries: HashMap::new(),
            ends: BTreeSet::new(),
            next: first,
            orders: Vec::new(),
        }
    }

    /// What is to be done, in this order.
    pub fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// How many workers are connected.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// How much waits for a worker, and how much workers have.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.queue.len() + self.lent.len(), self.deliveries.len())
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A worker comes.
    pub fn connect(&mut self, options: WorkerOptions, now: Timestamp) -> WorkerId {
        self.reconnect(options, Vec::new(), now).0
    }

    /// A worker comes back, and has this in hand since before: that is its own from now on, takes
    /// up its room, and is not given to others. The rest, whose results nobody wants, is returned.
    pub fn reconnect(
        &mut self,
        options: WorkerOptions,
        in_hand: Vec<DeliveryId>,
        now: Timestamp,
    ) -> (WorkerId, Vec<DeliveryId>) {
        let id = WorkerId(self.number());
        let worker = Worker::new(options);
        // What nobody here could do does not wait any longer: this one may.
        let fits = |number: &u64| {
            let item = self.items.get(number).filter(|item| item.returns > 0 && item.losses == 0);
            item.is_some_and(|item| item.given.is_empty() && worker.takes(&item.task))
        };
        for number in self.queue.hasten(fits) {
            let task = &self.items[&number].task;
            queue(&mut self.queue, &mut self.lent, &task.ticket).push(task, number, true);
        }
        self.workers.insert(id, worker);
        let unwanted = in_hand.into_iter().filter(|delivery| !self.adopt(id, *delivery)).collect();
        self.feed(id, now);
        (id, unwanted)
    }

    /// A worker is gone: what it had is given to others, first of all.
    pub fn disconnect(&mut self, id: WorkerId, now: Timestamp) {
        let Some(worker) = self.workers.remove(&id) else { return };
        for delivery in worker.hand.into_iter().rev() {
            let Some(given) = self.deliveries.remove(&delivery) else { continue };
            if mutated(Mutation::ForgetLost) {
                continue;
            }
            self.lose(given.item, delivery, now);
        }
    }

    /// Work comes.
    pub fn offer(&mut self, task: Task, now: Timestamp) {
        let kind = task.ticket.piece.kind();
        let number = self.number();
        self.by_ticket.insert(task.ticket.clone(), number);
        if matches!(task.job, Job::Turn(_)) {
            self.turns.insert(task.ticket.instance.clone(), number);
        }
        let item =
            Item { task, kind, given: Vec::new(), losses: 0, returns: 0, refused_by: Vec::new() };
        self.items.insert(number, item);
        self.place(number, now, false);
    }

    /// Gives an item to a worker, or lets it wait for one.
    fn place(&mut self, number: u64, now: Timestamp, first: bool) {
        let Some(item) = self.items.get(&number) else { return };
        let worker = self.taker(item);
        // Who gave it back is asked again some time, even if the others stay busy.
        if worker.is_none() && !item.refused_by.is_empty() && !self.queue.is_later(number) {
            self.queue.push_later(now.plus(pause(item.returns)), number);
        }
        let queue = queue(&mut self.queue, &mut self.lent, &item.task.ticket);
        match worker {
            Some(worker) => {
                queue.remove(&item.task, number);
                self.give(number, worker, now);
            }
            None => queue.push(&item.task, number, first),
        }
    }

    fn give(&mut self, number: u64, worker: WorkerId, now: Timestamp) {
        let delivery = self.number();
        let Some(item) = self.items.get_mut(&number) else { return };
        let Some(taker) = self.workers.get_mut(&worker) else { return };
        self.queue.take_up(number);
        let kind = item.kind;
        taker.take(delivery, kind);
        taker.latest[kind] = delivery;
        item.given.push(delivery);
        self.deliveries.insert(delivery, Given { item: number, kind, worker });
        self.ends.insert((now.plus(self.patience.with(kind)), delivery));
        let task = item.task.clone();
        // Who has lent an activity does not take a turn with its result.
        let is_of_use = matches!(task.job, Job::Turn(_)) || !is_lent(&task.ticket);
        let is_kept = is_of_use && self.homes.of(&task.ticket.instance) == Some(worker);
        let delivery = Delivery { id: delivery, task, is_kept, at: now };
        self.orders.push(Order::Give(worker, delivery));
    }

    /// Gives a worker as much as it takes.
    fn feed(&mut self, id: WorkerId, now: Timestamp) {
        for kind in 0..Piece::KINDS {
            while let Some(number) = self.next_for(id, kind) {
                self.give(number, id, now);
            }
        }
    }

    /// A worker has a result. Its ticket, if the result still counts.
    pub fn finish(&mut self, delivery: DeliveryId, now: Timestamp) -> Option<Task> {
        let number = self.deliveries.get(&delivery)?.item;
        let counts = self.items.get(&number).is_some_and(|item| item.given.contains(&delivery));
        let item = match counts {
            true if mutated(Mutation::CountAgain) => self.items.get(&number).cloned(),
            true => self.settle(number),
            false => None,
        };
        self.end(delivery, now);
        item.map(|item| {
            self.withdraw(&item);
            item.task
        })
    }

    /// The task of a delivery that counts still.
    #[must_use]
    pub fn task(&self, delivery: DeliveryId) -> Option<&Task> {
        let item = self.items.get(&self.deliveries.get(&delivery)?.item)?;
        item.given.contains(&delivery).then_some(&item.task)
    }

    /// The turn of an instance that a worker has.
    #[must_use]
    pub fn turn_of(&self, instance: &InstanceId) -> Option<&Task> {
        let item = self.items.get(self.turns.get(instance)?)?;
        (!item.given.is_empty()).then_some(&item.task)
    }

    /// An item is over.
    fn settle(&mut self, number: u64) -> Option<Item> {
        let item = self.items.remove(&number)?;
        let ticket = &item.task.ticket;
        queue(&mut self.queue, &mut self.lent, ticket).remove(&item.task, number);
        self.by_ticket.remove(ticket);
        if self.turns.get(&ticket.instance) == Some(&number) {
            self.turns.remove(&ticket.instance);
        }
        Some(item)
    }

    /// A delivery is over: its worker has room again.
    fn end(&mut self, delivery: DeliveryId, now: Timestamp) -> Option<Given> {
        let given = self.deliveries.remove(&delivery)?;
        if let Some(worker) = self.workers.get_mut(&given.worker) {
            worker.lay_down(delivery, given.kind);
        }
        self.feed(given.worker, now);
        self.release(given.worker);
        Some(given)
    }

    /// The worker that had an item is gone.
    fn lose(&mut self, number: u64, delivery: DeliveryId, now: Timestamp) {
        let Some(item) = self.items.get_mut(&number) else { return };
        item.given.retain(|it| *it != delivery);
        if !item.given.is_empty() {
            return;
        }
        item.losses += 1;
        if item.losses > self.patience.losses_max && !mutated(Mutation::PoisonForever) {
            let losses = item.losses;
            let Some(item) = self.settle(number) else { return };
            let done = poison(&item.task, losses);
            self.orders.push(Order::Fail(item.task.ticket, done));
        } else if item.losses <= 2 {
            self.place(number, now, true);
        } else {
            let pause = pause(item.losses - 2);
            self.queue.push_later(now.plus(pause), number);
        }
    }

    /// Time passes: what was put off is given out, what takes too long goes to a second worker.
    pub fn tick(&mut self, now: Timestamp) {
        for number in self.queue.due(now) {
            if !self.is_in_hand(number) {
                self.forgive(number);
                self.place(number, now, true);
            }
        }
        while let Some((at, delivery)) = self.ends.pop_first() {
            if at > now {
                self.ends.insert((at, delivery));
                break;
            }
            self.overdue(delivery, now);
        }
    }

    /// A delivery takes too long. An activity goes to one more worker, as it may be well where it
    /// is; a turn, or operations of an entity, to any.
    fn overdue(&mut self, delivery: DeliveryId, now: Timestamp) {
        let Some(Given { item: number, kind, .. }) = self.deliveries.get(&delivery) else { return };
        let (number, kind) = (*number, *kind);
        // It may be the only one again: the second worker may be lost, or give it back.
        let mut again = self.patience.with(kind);
        let item = self.items.get(&number).filter(|it| it.given.last() == Some(&delivery));
        match item.filter(|_| !mutated(Mutation::ForgetSlow)) {
            Some(item) if kind == 0 && item.given.len() == 1 => match self.taker(item) {
                Some(worker) => self.give(number, worker, now),
                None => again = again.min(LOOK_AGAIN),
            },
            Some(_) if kind != 0 => self.place(number, now, true),
            _ => {}
        }
        self.ends.insert((now.plus(again), delivery));
    }

    /// When time has to be told next.
    pub fn next_tick(&mut self) -> Option<Timestamp> {
        // What has ended long ago would wake nobody for a reason.
        while let Some((_, delivery)) = self.ends.first()
            && !self.deliveries.contains_key(delivery)
        {
            self.ends.pop_first();
        }
        let ends = self.ends.first().map(|(at, _)| *at);
        self.queue.next_due().into_iter().chain(ends).min()
    }
}

#[cfg(test)]
mod tests;
