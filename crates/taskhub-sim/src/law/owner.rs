//! Promise 1: "One owner per partition and epoch; a stale owner can write nothing (fencing is
//! checked in the commit itself)."

use taskhub_core::{Batch, PartitionId};

use super::{Violation, ensure};
use crate::store::SimStore;

/// A batch takes effect: each of its owners must be the latest of its partition.
pub(crate) fn on_write(store: &SimStore, batch: &Batch, partitions: u16) -> Result<(), Violation> {
    for (partition, epoch) in &batch.owners {
        let latest = store.epoch(*partition);
        ensure(latest == *epoch, || {
            let expected = format!("only epoch {} of partition {} writes", latest.0, partition.0);
            Violation::new(1, expected, format!("epoch {} wrote", epoch.0))
        })?;
    }
    for turn in &batch.turns {
        let owned = batch.owners.iter().any(|(partition, _)| *partition == turn.partition);
        let own = PartitionId::of(&turn.instance, partitions) == turn.partition;
        ensure(owned && own, || {
            let happened = format!("partition {} wrote {}", turn.partition.0, turn.instance);
            Violation::new(1, "a partition writes its own instances", happened)
        })?;
    }
    Ok(())
}
