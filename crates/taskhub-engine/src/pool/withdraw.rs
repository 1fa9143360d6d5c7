//! Work that nobody wants any more, and what its workers hear of it.
//!
//! A delivery of it stays in its worker's hands until that says something: so long it has no room
//! for anything else. Word goes to a worker once. One that was not there to hear it says what it
//! has in hand when it comes back.

use taskhub_core::{
    Ticket,
    mutation::{Mutation, mutated},
};

use super::{DeliveryId, Item, Order, Pool, WorkerId, lent, queue};

impl Pool {
    /// Nobody waits for a result any more.
    pub fn cancel(&mut self, ticket: &Ticket) -> bool {
        let Some(number) = self.by_ticket.get(ticket).copied() else { return false };
        if let Some(item) = self.settle(number) {
            self.withdraw(&item);
        }
        true
    }

    /// Forgets the work of some partitions: they are gone, and offer it again.
    pub fn forget(&mut self, of: impl Fn(&Ticket) -> bool) {
        let own = |(ticket, _): &(&Ticket, &u64)| !lent::is_lent(ticket) && of(ticket);
        let own = self.by_ticket.iter().filter(own);
        let mut items: Vec<_> = own.map(|(ticket, number)| (*number, ticket.clone())).collect();
        items.sort_unstable_by_key(|(number, _)| *number);
        for (_, ticket) in items {
            self.cancel(&ticket);
        }
    }

    /// Whoever still has an item that is settled need not go on. Turns and operations are short.
    pub(super) fn withdraw(&mut self, item: &Item) {
        let activities = item.given.iter().filter(|_| item.kind == 0);
        for delivery in activities {
            if let Some(given) = self.deliveries.get(delivery) {
                self.orders.push(Order::Withdraw(given.worker, *delivery));
            }
        }
    }

    /// A worker that comes back keeps this, if its result would count.
    pub(super) fn adopt(&mut self, worker: WorkerId, delivery: DeliveryId) -> bool {
        let Some(given) = self.deliveries.get_mut(&delivery) else { return false };
        let number = given.item;
        let counts = self.items.get(&number).filter(|it| it.given.contains(&delivery));
        let Some(item) = counts.filter(|_| !mutated(Mutation::ForgetHands)) else {
            return mutated(Mutation::AdoptAll);
        };
        let (old, kind) = (std::mem::replace(&mut given.worker, worker), given.kind);
        let queue = queue(&mut self.queue, &mut self.lent, &item.task.ticket);
        queue.remove(&item.task, number);
        if let Some(old) = self.workers.get_mut(&old) {
            old.lay_down(delivery, kind);
        }
        if let Some(new) = self.workers.get_mut(&worker) {
            new.take(delivery, kind);
        }
        self.release(old);
        true
    }
}
