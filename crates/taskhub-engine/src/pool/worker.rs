//! One worker, as the pool sees it.

use std::{collections::BTreeSet, sync::Arc};

use taskhub_core::{
    Piece, Task,
    mutation::{Mutation, mutated},
};

use super::{DeliveryId, WorkerOptions, lent::is_lent};

#[derive(Debug)]
pub(super) struct Worker {
    pub options: Arc<WorkerOptions>,
    pub used: [usize; Piece::KINDS],
    /// What it has in hand.
    pub hand: BTreeSet<DeliveryId>,
    /// It takes no more, though it may finish what it has.
    pub leaves: bool,
    /// What it was given last of each kind: among equally busy ones, whoever waits longest is next.
    pub latest: [DeliveryId; Piece::KINDS],
}

impl Worker {
    pub(super) fn new(options: WorkerOptions) -> Self {
        let options = Arc::new(options);
        let (used, hand) = ([0; Piece::KINDS], BTreeSet::new());
        Self { options, used, hand, leaves: false, latest: [0; Piece::KINDS] }
    }

    /// It has one more thing to do.
    pub(super) fn take(&mut self, delivery: DeliveryId, kind: usize) {
        self.used[kind] += 1;
        self.hand.insert(delivery);
    }

    /// It has one less.
    pub(super) fn lay_down(&mut self, delivery: DeliveryId, kind: usize) {
        if self.hand.remove(&delivery) {
            self.used[kind] -= 1;
        }
    }

    pub(super) fn room(&self, kind: usize) -> usize {
        let WorkerOptions { activities, turns, entities, .. } = &*self.options;
        [*activities, *turns, *entities][kind]
    }

    pub(super) fn takes(&self, task: &Task) -> bool {
        let is_fit = !self.options.is_node || !is_lent(&task.ticket);
        let is_there = !self.leaves || mutated(Mutation::GiveLeaving);
        is_there && is_fit && self.options.serves.takes(task)
    }

    pub(super) fn free(&self, kind: usize) -> bool {
        let has_room = self.used[kind] < self.room(kind) || mutated(Mutation::OverCredit);
        (!self.leaves || mutated(Mutation::GiveLeaving)) && has_room
    }
}
