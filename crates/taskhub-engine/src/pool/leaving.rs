//! Workers that leave in good order: they finish what they have, or others do.

use std::time::Duration;

use taskhub_core::{Piece, Timestamp};

use super::{DeliveryId, Order, Pool, WorkerId, worker::Worker};

/// How long a worker that leaves may still run its activities before others get them too.
const LEAVING_ACTIVITY: Duration = Duration::from_secs(5);

impl Pool {
    /// A worker wants nothing more, but may finish what it has. Others get that as well, and the
    /// first result counts; activities a little later, as they are not for nothing done twice.
    pub fn leave(&mut self, id: WorkerId, now: Timestamp) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.leaves = true;
        let left = worker.hand.iter().filter_map(|delivery| self.deliveries.get(delivery));
        let mut left: Vec<_> = left.map(|given| (given.item, given.kind)).collect();
        left.sort_unstable();
        for (number, kind) in left {
            if kind == 0 {
                self.queue.push_later(now.plus(LEAVING_ACTIVITY), number);
            } else if !self.is_in_hand(number) {
                self.place(number, now, true);
            }
        }
        self.release(id);
    }

    /// Whether a worker has an item that does not leave.
    pub(super) fn is_in_hand(&self, number: u64) -> bool {
        let stays = |id| self.workers.get(id).is_some_and(|worker: &Worker| !worker.leaves);
        let given = self.items.get(&number).map_or(&[][..], |item| &item.given);
        given.iter().filter_map(|id| self.deliveries.get(id)).any(|it| stays(&it.worker))
    }

    pub(super) fn release(&mut self, id: WorkerId) {
        let is_through = |worker: &Worker| worker.leaves && worker.used == [0; Piece::KINDS];
        if self.workers.get(&id).is_some_and(is_through) {
            self.orders.push(Order::Release(id));
        }
    }

    /// A delivery never reached its worker: it goes to another, as if nothing had been.
    pub fn unsend(&mut self, delivery: DeliveryId, now: Timestamp) {
        let Some(given) = self.end(delivery, now) else { return };
        let Some(item) = self.items.get_mut(&given.item) else { return };
        item.given.retain(|it| *it != delivery);
        // Of one that leaves, others may have it already.
        if !self.is_in_hand(given.item) {
            self.place(given.item, now, true);
        }
    }
}
