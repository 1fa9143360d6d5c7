//! Promise 10, for events that come before their instance is started: they are kept for so many
//! instances and for no more, and as long as was said.

use std::collections::BTreeMap;

use taskhub_core::{
    Change, CommitSeq, Epoch, InstanceId, Kind, PartitionId, Timestamp, TurnRecord,
    store::Ownership,
};

use super::{Violation, ensure};
use crate::{
    chronicle::Applied,
    scenario::{Act, Operation},
};

/// The instances that have events and are not started.
#[derive(Debug, Default)]
pub(crate) struct Early {
    kept: BTreeMap<InstanceId, Kept>,
    /// What the clocks showed when owners decided that an instance is gone.
    gone: BTreeMap<(PartitionId, Epoch, CommitSeq), Timestamp>,
}

#[derive(Debug)]
struct Kept {
    partition: PartitionId,
    /// Under which owner it came.
    epoch: Epoch,
    until: Timestamp,
}

impl Early {
    /// An owner decided on turns while its own clock showed `now`. What clients purge may go.
    pub(crate) fn on_decision(
        &mut self,
        owner: Ownership,
        turns: &[TurnRecord],
        now: Timestamp,
        wanted: &[Operation],
    ) {
        let asked =
            |id: &InstanceId| wanted.iter().any(|it| it.act == Act::Purge && it.instance == *id);
        let gone = turns.iter().filter(|turn| turn.change == Change::Purge);
        for turn in gone.filter(|turn| !asked(&turn.instance)) {
            self.gone.insert((owner.partition, owner.epoch, turn.seq), now);
        }
    }

    /// A turn became durable, of a partition that keeps them for at most `share` instances. A new
    /// owner needs time to find those of the one before, so each has to keep to it with its own.
    /// How many checks that were.
    pub(crate) fn on_turn(
        &mut self,
        applied: &Applied<'_>,
        share: usize,
    ) -> Result<u64, Violation> {
        let (id, partition, epoch) =
            (&applied.turn.instance, applied.turn.partition, applied.epoch);
        let decided = self.gone.remove(&(partition, epoch, applied.turn.seq));
        match &applied.turn.change {
            Change::Nothing => Ok(0),
            Change::Write { record, .. } if record.is_awaited(id) => {
                let told = applied.fresh.iter().filter_map(|event| match event.kind {
                    Kind::Awaited { until } => Some(until),
                    _ => None,
                });
                let until = told.max().unwrap_or_default();
                let fresh = Kept { partition, epoch, until };
                let kept = self.kept.entry(id.clone()).or_insert(fresh);
                kept.until = kept.until.max(until);
                let own = |it: &&Kept| it.partition == partition && it.epoch == epoch;
                let count = self.kept.values().filter(own).count();
                ensure(count <= share, || {
                    let happened = format!("{count} of {partition:?} under {epoch:?}, with {id}");
                    let expected = format!("events wait for at most {share} instances");
                    Violation::new(10, expected, happened)
                })?;
                Ok(1)
            }
            Change::Write { .. } => {
                self.kept.remove(id);
                Ok(0)
            }
            Change::Purge => {
                let Some(Kept { until, .. }) = self.kept.remove(id) else { return Ok(0) };
                ensure(decided.is_none_or(|clock| until <= clock), || {
                    let happened = format!("{id} is gone at {decided:?}");
                    Violation::new(10, format!("an early event is kept until {until:?}"), happened)
                })?;
                Ok(1)
            }
        }
    }
}
