//! A store of the simplest kind: what one partition wrote, as it stands now.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use taskhub_core::{
    Change, Epoch, HistoryChange, InstanceId, Limits, PartitionId, TurnRecord,
    partition::{Input, Partition, Read},
    store::{Ownership, Stored, Wake},
    turn::Functions,
};

/// The instances of a partition. A test may damage them.
#[derive(Default)]
pub(crate) struct Kept(BTreeMap<InstanceId, Stored>);

impl Deref for Kept {
    type Target = BTreeMap<InstanceId, Stored>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Kept {
    /// Opens the partition that owns all of it, under this epoch.
    pub(crate) fn open(
        &self,
        epoch: Epoch,
        functions: Arc<dyn Functions>,
        limits: &Limits,
    ) -> Partition {
        let owned = Ownership { partition: PartitionId(0), epoch };
        Partition::open(owned, 1, self.wakes(), self.busy(), functions, limits)
    }

    /// Writes what a turn changed.
    pub(crate) fn write(&mut self, turn: &TurnRecord) {
        let (record, history) = match &turn.change {
            Change::Write { record, history, .. } => (record, history),
            Change::Purge => return drop(self.remove(&turn.instance)),
            Change::Nothing => return,
        };
        let before = self.remove(&turn.instance);
        let mut pieces = before.map_or(Vec::new(), |it| it.history);
        match history {
            HistoryChange::Keep => {}
            HistoryChange::Append { events, .. } => pieces.push(events.clone()),
            HistoryChange::Replace { events } => pieces = vec![events.clone()],
        }
        let stored = Stored { record: (**record).clone(), history: pieces };
        self.insert(turn.instance.clone(), stored);
    }

    /// What the partition asks for.
    pub(crate) fn read(&self, read: Read) -> Input {
        match read {
            Read::Instance(id) => {
                let mut stored = self.get(&id).cloned().map(Box::new);
                if let Some(stored) = stored.as_mut().filter(|it| it.record.status.is_terminal()) {
                    stored.history.clear();
                }
                Input::Loaded(id, Ok(stored))
            }
            Read::Whole(id) => {
                let stored = self.get(&id).cloned().map(Box::new);
                Input::Loaded(id, Ok(stored))
            }
            Read::Wakes { after, limit } => {
                let behind = self.wakes().into_iter().filter(|it| Some(it) > after.as_ref());
                Input::Wakes(Ok(behind.take(limit).collect()))
            }
            Read::Busy { after, limit } => {
                let behind = self.busy().into_iter().filter(|it| Some(it) > after.as_ref());
                Input::Busy(Ok(behind.take(limit).collect()))
            }
        }
    }

    fn wakes(&self) -> Vec<Wake> {
        let due = self.iter().filter_map(|(id, stored)| Some((stored.record.due?, id)));
        let mut wakes: Vec<_> = due.map(|(at, id)| Wake { at, instance: id.clone() }).collect();
        wakes.sort();
        wakes
    }

    fn busy(&self) -> Vec<InstanceId> {
        let busy = self.iter().filter(|(_, stored)| stored.record.busy);
        busy.map(|(id, _)| id.clone()).collect()
    }
}
