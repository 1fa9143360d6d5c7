//! What a store holds, as naively as it can be said.

use std::collections::BTreeMap;

use taskhub_core::{
    Batch, Change, Envelope, HistoryChange, InstanceId, PartitionId, Record,
    store::{Cursor, Filter, Wake},
};

use super::hub::{Hub, numbers, partition};

/// The whole state of a store, leases aside.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// Every instance with the numbers of its events.
    pub instances: BTreeMap<InstanceId, (Record, Vec<u32>)>,
    /// Every message that waits, oldest first.
    pub waiting: Vec<Envelope>,
}

impl Model {
    /// Does what `batch` says, one thing after another.
    pub fn apply(&mut self, batch: &Batch) {
        for turn in &batch.turns {
            let taken = |e: &Envelope| e.partition == turn.partition && turn.taken.contains(&e.id);
            self.waiting.retain(|envelope| !taken(envelope));
            match &turn.change {
                Change::Nothing => {}
                Change::Purge => {
                    self.instances.remove(&turn.instance);
                }
                Change::Write { record, history, .. } => {
                    let fresh = || (Record::clone(record), Vec::new());
                    let kept = self.instances.entry(turn.instance.clone()).or_insert_with(fresh);
                    kept.0 = Record::clone(record);
                    match history {
                        HistoryChange::Keep => {}
                        HistoryChange::Append { events, .. } => {
                            kept.1.extend(numbers(std::slice::from_ref(events)));
                        }
                        HistoryChange::Replace { events } => {
                            kept.1 = numbers(std::slice::from_ref(events));
                        }
                    }
                }
            }
            self.waiting.extend(turn.sent.iter().cloned());
        }
    }

    /// Compares everything that a store can be asked with what it should answer.
    pub fn compare(&self, hub: &Hub, ids: &[&str], filters: &[Filter]) {
        for id in ids {
            self.compare_instance(hub, id);
        }
        for number in 0..super::PARTITIONS {
            self.compare_partition(hub, PartitionId(number));
        }
        for filter in filters {
            let mut expected: Vec<(Cursor, &Record)> = self
                .instances
                .iter()
                .filter(|(id, (record, _))| filter.matches(id, record))
                .filter_map(|(id, (record, _))| Some((filter.place(id, record)?, record)))
                .collect();
            expected.sort_by(|(a, _), (b, _)| a.cmp(b));
            let expected: Vec<String> =
                expected.into_iter().map(|(place, _)| place.instance.to_string()).collect();
            assert_eq!(hub.listed(filter), expected, "{filter:?}");
        }
    }

    fn compare_instance(&self, hub: &Hub, id: &str) {
        let kept = self.instances.get(&InstanceId::trusted(id));
        assert_eq!(hub.record(id).as_ref(), kept.map(|(record, _)| record), "{id}");
        let (record, events) = match kept {
            Some((record, events)) => (Some(record), events.as_slice()),
            None => (None, &[][..]),
        };
        if record.is_none_or(|record| !record.status.is_terminal()) {
            assert_eq!(hub.loaded(id), events, "{id}");
        } else {
            assert_eq!(hub.loaded(id), [0; 0], "{id} has ended");
        }
        assert_eq!(hub.history(id, 0..u64::MAX), events, "{id}");
        let (from, to) = (events.len() / 3, events.len() * 2 / 3);
        let part = hub.history(id, from as u64..to as u64);
        let expected = &events[from..to];
        assert!(
            expected.is_empty() || part.windows(expected.len()).any(|window| window == expected),
            "{id}: events {from}..{to} are {expected:?}, not {part:?}"
        );
    }

    fn compare_partition(&self, hub: &Hub, own: PartitionId) {
        let waiting: Vec<Envelope> =
            self.waiting.iter().filter(|envelope| envelope.partition == own).cloned().collect();
        assert_eq!(hub.inbox(own.0), waiting);
        let mut wakes: Vec<Wake> = self
            .instances
            .iter()
            .filter(|(id, _)| partition(id.as_str()) == own)
            .filter_map(|(id, (record, _))| record.due.map(|at| Wake { at, instance: id.clone() }))
            .collect();
        wakes.sort();
        assert_eq!(hub.store.wakes(own, None, usize::MAX).expect("reading works"), wakes);
        let here = self.instances.iter().filter(|(id, _)| partition(id.as_str()) == own);
        let busy: Vec<_> =
            here.filter(|(_, (record, _))| record.busy).map(|(id, _)| id.clone()).collect();
        assert_eq!(hub.store.busy(own, None, usize::MAX).expect("reading works"), busy);
    }
}
