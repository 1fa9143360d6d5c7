//! Lists that the store cannot read just now: nobody asks for them without end.

use std::sync::Arc;

use taskhub_core::{
    Epoch, InstanceId, Limits, PartitionId, Timestamp,
    partition::{Decisions, Input, Partition, Read},
    store::{Ownership, StoreError, Wake},
    turn::{Functions, Orchestration},
};

const NOW: Timestamp = Timestamp(1_000_000);

struct Nothing;

impl Functions for Nothing {
    fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        None
    }
}

/// How often a partition asks for lists that cannot be read, until it comes to rest at this time.
fn asks_in_vain(partition: &mut Partition, now: Timestamp) -> usize {
    let (mut inputs, mut asked) = (Vec::new(), 0);
    loop {
        let mut decided = Decisions::default();
        partition.handle(std::mem::take(&mut inputs), now, &mut decided);
        inputs.extend(decided.turns.iter().map(|turn| Input::Durable(turn.seq)));
        let why = || StoreError::Unavailable("this is a test".into());
        for read in decided.reads {
            asked += usize::from(matches!(read, Read::Wakes { .. } | Read::Busy { .. }));
            inputs.push(match read {
                Read::Instance(id) | Read::Whole(id) => Input::Loaded(id, Ok(None)),
                Read::Wakes { .. } => Input::Wakes(Err(why())),
                Read::Busy { .. } => Input::Busy(Err(why())),
            });
        }
        let is_at_rest = inputs.is_empty() && partition.next_wake().is_none_or(|at| at > now);
        if is_at_rest || asked > 100 {
            return asked;
        }
    }
}

#[test]
fn a_list_that_cannot_be_read_is_asked_for_again_twice_a_second() {
    let limits = Limits { wakes_count_max: 2, ..Limits::default() };
    let id = |name: &str| InstanceId::trusted(name);
    let wakes = [(1, "a"), (i64::MAX / 2, "b")];
    let wakes = wakes.map(|(at, name)| Wake { at: Timestamp(at), instance: id(name) }).to_vec();
    for (wakes, busy) in [(wakes, Vec::new()), (Vec::new(), vec![id("a"), id("b")])] {
        let owned = Ownership { partition: PartitionId(0), epoch: Epoch(1) };
        let mut partition = Partition::open(owned, 1, wakes, busy, Arc::new(Nothing), &limits);
        assert_eq!(asks_in_vain(&mut partition, NOW), 1);
        let again = Timestamp(NOW.0 + 500_000);
        assert_eq!(partition.next_wake(), Some(again));
        assert_eq!(asks_in_vain(&mut partition, again), 1);
    }
}
