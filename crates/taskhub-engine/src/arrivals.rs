//! Keeps the messages to a partition in order, though they come on two ways.
//!
//! Every message stands in the inbox of its receiver. From a partition of the same lane it also
//! comes at once, and from one of another lane of this node as soon as it is durable. What one
//! partition sends another must not overtake itself: a message that comes by itself is taken only
//! behind the one before it. And only if it was sent since the receiver was claimed, as otherwise
//! an earlier owner may have taken it. All others are left to the inbox, which is read in order.

use foldhash::{HashMap, HashMapExt as _};
use taskhub_core::{
    Epoch, MessageId, PartitionId,
    mutation::{Mutation, mutated},
};

/// Orders what happens on one node: when a partition was claimed, when its inbox was read.
pub type Tick = u64;

/// What has come to one partition since it was opened.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// When the partition was claimed.
    claimed: Tick,
    /// From when on everything is known that stood in the inbox then.
    looked: Tick,
    /// The latest message of each sender, with the epoch it was sent under.
    last: HashMap<PartitionId, (Epoch, u64)>,
}

impl Arrivals {
    /// Nothing has come since the partition was claimed, and nobody has looked.
    pub(crate) fn new(claimed: Tick) -> Self {
        Self { claimed, looked: 0, last: HashMap::new() }
    }

    /// The inbox showed this message.
    pub(crate) fn found(&mut self, id: MessageId) {
        let last = self.last.entry(id.from).or_default();
        *last = (*last).max((id.epoch, id.number));
    }

    /// All that stood in the inbox at that time has been found.
    pub(crate) fn looked(&mut self, at: Tick) {
        self.looked = self.looked.max(at);
    }

    /// A message comes by itself, from an owner that claimed its partition at `opened`; it was not
    /// durable at `sent`. Whether it is its turn.
    pub(crate) fn comes(&mut self, id: MessageId, opened: Tick, sent: Tick) -> bool {
        let follows = match self.last.get(&id.from) {
            Some((epoch, number)) if *epoch == id.epoch => id.number <= number + 1,
            Some((epoch, _)) if *epoch > id.epoch => false,
            // All that earlier owners of the sender sent stood in the inbox when it was claimed.
            _ => id.is_first() && opened < self.looked,
        };
        if follows && sent > self.claimed || mutated(Mutation::PassBy) {
            self.found(id);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(epoch: u64, count: u64) -> MessageId {
        MessageId { from: PartitionId(3), epoch: Epoch(epoch), number: 7 << 40 | count }
    }

    #[test]
    fn a_message_comes_behind_the_one_before_it() {
        let mut arrivals = Arrivals::new(0);
        arrivals.looked(2);
        assert!(!arrivals.comes(id(1, 2), 1, 9), "the first one is missing");
        assert!(arrivals.comes(id(1, 1), 1, 9));
        assert!(arrivals.comes(id(1, 2), 1, 9));
        assert!(!arrivals.comes(id(1, 4), 1, 9));
        assert!(arrivals.comes(id(1, 2), 1, 9), "who has it already recognizes it");
    }

    #[test]
    fn what_the_inbox_showed_counts_as_come() {
        let mut arrivals = Arrivals::new(0);
        arrivals.found(id(1, 5));
        assert!(arrivals.comes(id(1, 6), 9, 9));
    }

    #[test]
    fn a_new_owner_is_heard_only_after_all_that_the_former_one_sent() {
        let mut arrivals = Arrivals::new(0);
        arrivals.looked(2);
        assert!(arrivals.comes(id(1, 1), 1, 9));
        assert!(!arrivals.comes(id(2, 1), 3, 9), "nobody looked since it was claimed");
        arrivals.looked(4);
        assert!(arrivals.comes(id(2, 1), 3, 9));
        assert!(!arrivals.comes(id(1, 2), 1, 9), "the former one comes too late");
    }

    #[test]
    fn what_was_sent_before_the_partition_was_claimed_may_have_been_taken() {
        let mut arrivals = Arrivals::new(5);
        arrivals.looked(6);
        arrivals.found(id(1, 2));
        assert!(!arrivals.comes(id(1, 3), 1, 4));
        assert!(arrivals.comes(id(1, 3), 1, 7));
    }
}
