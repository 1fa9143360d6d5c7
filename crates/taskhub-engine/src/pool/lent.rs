//! Work of another node, and what the workers of this node can do for others.

use std::sync::Arc;

use taskhub_core::{Epoch, PartitionId, Ticket};

use super::{Pool, Queue, WorkerId, WorkerOptions};

/// Epochs of partitions never come so far.
const LENT: u64 = 1 << 63;

/// Whether this is work that another node has lent to this one.
pub(super) fn is_lent(ticket: &Ticket) -> bool {
    ticket.epoch.0 & LENT != 0
}

/// Where work waits.
pub(super) fn queue<'a>(own: &'a mut Queue, lent: &'a mut Queue, ticket: &Ticket) -> &'a mut Queue {
    if is_lent(ticket) { lent } else { own }
}

impl Pool {
    /// The next item for a worker that has room: one of this node, or else one that another node
    /// has lent. Not one that it has given back.
    pub(super) fn next_for(&mut self, id: WorkerId, kind: usize) -> Option<u64> {
        let Self { workers, items, queue, lent, .. } = self;
        let worker = workers.get(&id).filter(|worker| worker.free(kind))?;
        let may = |number| !items.get(&number).is_some_and(|it| it.refused_by.contains(&id));
        let WorkerOptions { serves, is_node, .. } = &*worker.options;
        let own = queue.pop(kind, serves, may);
        own.or_else(|| if *is_node { None } else { lent.pop(kind, serves, may) })
    }

    /// Marks work as that of another node, in a way of its own.
    pub(crate) fn lent_ticket(&mut self, ticket: Ticket) -> Ticket {
        let epoch = Epoch(LENT | self.number());
        Ticket { partition: PartitionId(0), epoch, ..ticket }
    }

    /// The workers of this node, which may work for others too.
    pub(crate) fn lends(&self) -> Vec<(WorkerId, Arc<WorkerOptions>)> {
        let own = self.workers.iter().filter(|(_, it)| !it.options.is_node && !it.leaves);
        own.map(|(id, worker)| (*id, worker.options.clone())).collect()
    }
}
