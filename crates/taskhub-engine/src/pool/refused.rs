//! Work that workers give back: others get it first, and who gave it back after a pause.

use taskhub_core::Timestamp;

use super::{DeliveryId, Pool, WorkerId, queue::pause, worker::Worker};

impl Pool {
    /// A worker gives work back: others first, then perhaps the same again, after a pause.
    pub fn give_back(&mut self, delivery: DeliveryId, now: Timestamp) {
        let Some(given) = self.end(delivery, now) else { return };
        let Some(item) = self.items.get_mut(&given.item) else { return };
        if !item.given.contains(&delivery) {
            return;
        }
        item.given.retain(|it| *it != delivery);
        if !item.given.is_empty() {
            return;
        }
        item.returns += 1;
        if !item.refused_by.contains(&given.worker) {
            item.refused_by.push(given.worker);
        }
        let other = |(id, worker): (&WorkerId, &Worker)| {
            worker.takes(&item.task) && !item.refused_by.contains(id)
        };
        if self.workers.iter().any(other) {
            return self.place(given.item, now, true);
        }
        item.refused_by.clear();
        let pause = pause(item.returns);
        self.queue.push_later(now.plus(pause), given.item);
    }

    /// Who gave an item back may get it again.
    pub(super) fn forgive(&mut self, number: u64) {
        if let Some(item) = self.items.get_mut(&number) {
            item.refused_by.clear();
        }
    }
}
