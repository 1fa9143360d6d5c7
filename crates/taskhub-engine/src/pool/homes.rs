//! Who has the code of an instance in memory: the worker that ran its last turn, if it keeps code.
//!
//! Such an instance goes to the same worker again, as long as that has room and is not much busier
//! than another, and need not be sent with its whole history. The worker finds out by itself
//! whether it still stands where the history ends, and asks for the history if not: what stands
//! here is a hint, and may be wrong or forgotten.

use lru::LruCache;
use taskhub_core::{Done, InstanceId, Job, turn::Progress};

use super::{DeliveryId, Item, Pool, WorkerId, worker::Worker};

/// Instances that are remembered.
const COUNT_MAX: usize = 100_000;

/// How much more of its room a worker may have in use than another one, in thousandths, and still
/// get the instances that it has in memory.
const BUSIER_MAX: usize = 250;

/// The workers that have instances in memory.
#[derive(Debug)]
pub(super) struct Homes(LruCache<InstanceId, WorkerId>);

impl Homes {
    pub(super) fn new() -> Self {
        // With a bound of its own it would take all of the memory at once.
        Self(LruCache::unbounded())
    }

    /// Who has the code of this instance in memory.
    pub(super) fn of(&self, instance: &InstanceId) -> Option<WorkerId> {
        self.0.peek(instance).copied()
    }

    /// A worker ran a turn.
    fn put(&mut self, instance: &InstanceId, worker: WorkerId) {
        self.0.put(instance.clone(), worker);
        if self.0.len() > COUNT_MAX {
            self.0.pop_lru();
        }
    }
}

impl Pool {
    /// A worker says what came of a turn: it has the instance in memory now, if that goes on.
    pub fn note(&mut self, delivery: DeliveryId, done: &Done) {
        let taken = match done {
            Done::Turn(taken) => taken,
            Done::Ahead(ahead) => &ahead.taken,
            Done::Activity(_) | Done::Operations(_) => return,
        };
        let Some(worker) = self.deliveries.get(&delivery).map(|given| given.worker) else { return };
        let Some(task) = self.task(delivery) else { return };
        let instance = task.ticket.instance.clone();
        let keeps = self.workers.get(&worker).is_some_and(|it| it.options.keeps_code);
        if keeps && matches!(taken.step.progress, Progress::Waiting) {
            self.homes.put(&instance, worker);
        } else {
            self.homes.0.pop(&instance);
        }
    }

    /// Who is to have an item: whoever has its code in memory, or else who has least to do; among
    /// those, who was given something longest ago. Whoever has it already gets it again only if it
    /// is no activity, and nobody else can do it.
    pub(super) fn taker(&self, item: &Item) -> Option<WorkerId> {
        let free = |worker: &Worker| worker.free(item.kind) && worker.takes(&item.task);
        let share = |it: &Worker| it.used[item.kind] * 1_000 / it.room(item.kind).max(1);
        let has = |id: &WorkerId| {
            item.given.iter().any(|it| self.deliveries.get(it).is_some_and(|it| it.worker == *id))
        };
        let may = |id: &WorkerId| !item.refused_by.contains(id) && (item.kind != 0 || !has(id));
        let candidates = || self.workers.iter().filter(|(id, it)| free(it) && may(id));
        let (best, idle) = candidates().min_by_key(|(id, it)| {
            (has(id), it.options.is_node, share(it), it.latest[item.kind])
        })?;
        let is_turn = matches!(item.task.job, Job::Turn(_));
        let home = self.homes.of(&item.task.ticket.instance).filter(|it| is_turn && !has(it));
        let home = home.and_then(|home| candidates().find(|(id, _)| **id == home));
        let home = home.filter(|(_, it)| share(it) <= share(idle) + BUSIER_MAX);
        Some(*home.map_or(best, |(id, _)| id))
    }
}
