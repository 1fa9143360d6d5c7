//! A store that forgets everything with its process: simple and obviously right, for tests.

mod shared;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    ops::{Bound, Range},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use taskhub_core::{
    Batch, Change, Envelope, Epoch, HistoryChange, InstanceId, MessageId, PartitionId, Record,
    TurnRecord,
    store::{
        self, CommitError, Cursor, Filter, Growing, Node, Ownership, Page, Shared, Store,
        StoreError, Stored, Wake,
    },
};

use super::{Clock, leases::Leases, system_clock};
use shared::{Listeners, Nodes};

/// A store in memory. Clones share what is stored, so several nodes can use one.
#[derive(Clone)]
pub struct MemoryStore {
    partitions: u16,
    clock: Clock,
    state: Arc<Mutex<State>>,
    listeners: Listeners,
}

/// All that a [`MemoryStore`] held at one moment.
#[derive(Debug, Clone)]
pub struct MemorySnapshot(State);

#[derive(Debug, Clone)]
struct State {
    leases: Leases,
    nodes: Nodes,
    instances: BTreeMap<InstanceId, Arc<Instance>>,
    /// The messages of all partitions in the order in which they were sent.
    inbox: BTreeMap<u64, Arc<Envelope>>,
    /// Where a message stands in `inbox`.
    places: HashMap<(PartitionId, MessageId), u64>,
    next_place: u64,
}

#[derive(Debug, Clone)]
struct Instance {
    partition: PartitionId,
    record: Record,
    /// Pieces of its history, each with the number of its first event.
    history: Vec<(u64, Bytes)>,
}

impl MemoryStore {
    /// An empty hub of so many partitions, by the clock of this machine.
    #[must_use]
    pub fn new(partitions: u16) -> Self {
        Self::with_clock(partitions, system_clock())
    }

    /// An empty hub of so many partitions; leases run out by `clock`.
    #[must_use]
    pub fn with_clock(partitions: u16, clock: Clock) -> Self {
        let state = State {
            leases: Leases::free((0..partitions).map(|_| Epoch(0))),
            nodes: Nodes::default(),
            instances: BTreeMap::new(),
            inbox: BTreeMap::new(),
            places: HashMap::new(),
            next_place: 0,
        };
        let listeners = Listeners::default();
        Self { partitions, clock, state: Arc::new(Mutex::new(state)), listeners }
    }

    /// All that is stored now; later commits do not change it.
    #[must_use]
    pub fn snapshot(&self) -> MemorySnapshot {
        MemorySnapshot(self.state().clone())
    }

    /// Goes back to what was stored at the time of `snapshot`, epochs and leases included.
    pub fn restore(&self, snapshot: &MemorySnapshot) {
        *self.state() = snapshot.0.clone();
    }

    /// The state is changed only after every check, so a panic cannot leave half a change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }

    fn claim(
        &self,
        node: &Node,
        limit: usize,
        ttl: Duration,
    ) -> Result<Vec<Ownership>, StoreError> {
        let now = (self.clock)();
        let mut state = self.state();
        let granted = state.leases.claimable(limit, now);
        state.leases.grant(&granted, node, now.plus(ttl));
        Ok(granted)
    }

    fn renew(&self, held: &[Ownership], ttl: Duration) -> Result<Vec<PartitionId>, StoreError> {
        let now = (self.clock)();
        Ok(self.state().leases.renew(held, now, ttl))
    }

    fn release(&self, held: &[Ownership]) -> Result<(), StoreError> {
        self.state().leases.release(held);
        Ok(())
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let mut state = self.state();
        state.leases.check(batch)?;
        state.check_histories(batch)?;
        state.check_messages(batch)?;
        for turn in &batch.turns {
            state.apply(turn);
        }
        Ok(())
    }

    fn inbox(
        &self,
        partition: PartitionId,
        taken: &[MessageId],
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let taken: HashSet<_> = taken.iter().collect();
        let state = self.state();
        let waiting = state.inbox.values().filter(|e| e.partition == partition);
        let untaken = waiting.filter(|envelope| !taken.contains(&envelope.id));
        Ok(untaken.take(limit).map(|envelope| Envelope::clone(envelope)).collect())
    }

    fn wakes(
        &self,
        partition: PartitionId,
        after: Option<&Wake>,
        limit: usize,
    ) -> Result<Vec<Wake>, StoreError> {
        let state = self.state();
        let mut wakes: Vec<Wake> = state
            .instances
            .iter()
            .filter(|(_, kept)| kept.partition == partition)
            .filter_map(|(id, kept)| kept.record.due.map(|at| Wake { at, instance: id.clone() }))
            .filter(|wake| after.is_none_or(|after| wake > after))
            .collect();
        wakes.sort();
        wakes.truncate(limit);
        Ok(wakes)
    }

    fn busy(
        &self,
        partition: PartitionId,
        after: Option<&InstanceId>,
        limit: usize,
    ) -> Result<Vec<InstanceId>, StoreError> {
        let state = self.state();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = state.instances.range((start, Bound::Unbounded));
        let busy = behind.filter(|(_, kept)| kept.partition == partition && kept.record.busy);
        Ok(busy.take(limit).map(|(id, _)| id.clone()).collect())
    }

    fn load(&self, instance: &InstanceId) -> Result<Option<Stored>, StoreError> {
        Ok(self.state().instances.get(instance).map(|kept| Stored {
            record: kept.record.clone(),
            history: if kept.record.status.is_terminal() {
                Vec::new()
            } else {
                kept.history.iter().map(|(_, events)| events.clone()).collect()
            },
        }))
    }

    fn history(&self, instance: &InstanceId, events: Range<u64>) -> Result<Vec<Bytes>, StoreError> {
        let state = self.state();
        let Some(kept) = state.instances.get(instance) else { return Ok(Vec::new()) };
        let ends = kept.history.iter().skip(1).map(|(at, _)| *at).chain([kept.record.events]);
        let overlaps = |at: u64, end: u64| at < events.end && events.start < end;
        Ok(kept
            .history
            .iter()
            .zip(ends)
            .filter(|((at, _), end)| !events.is_empty() && overlaps(*at, *end))
            .map(|((_, piece), _)| piece.clone())
            .collect())
    }

    fn query(&self, filter: &Filter) -> Result<Page, StoreError> {
        let state = self.state();
        let mut found: Vec<(Cursor, &Record)> = state
            .instances
            .iter()
            .filter(|(id, kept)| filter.matches(id, &kept.record))
            .filter_map(|(id, kept)| Some((filter.place(id, &kept.record)?, &kept.record)))
            .filter(|(place, _)| filter.after.as_ref().is_none_or(|after| place > after))
            .collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let (mut page, mut last) = (Growing::default(), None);
        for (place, record) in found {
            if page.is_full(filter) {
                return Ok(page.ends(last));
            }
            page.add(place.instance.clone(), record.clone());
            last = Some(place);
        }
        Ok(page.ends(None))
    }
}

impl State {
    /// Every append must continue the history that stands, so that none is ever rewritten.
    fn check_histories(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut counts: HashMap<&InstanceId, u64> = HashMap::new();
        for turn in &batch.turns {
            let id = &turn.instance;
            let stored = || self.instances.get(id).map_or(0, |kept| kept.record.events);
            match &turn.change {
                Change::Write { record, history, .. } => {
                    let count = counts.get(id).copied().unwrap_or_else(stored);
                    match history {
                        HistoryChange::Append { at, .. } if *at != count => {
                            return Err(store::broken_history(id, *at, count));
                        }
                        _ => counts.insert(id, record.events),
                    };
                }
                Change::Purge => {
                    counts.insert(id, 0);
                }
                Change::Nothing => {}
            }
        }
        Ok(())
    }

    /// No two messages in an inbox may share an id: one of them would be lost.
    fn check_messages(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut taken = HashSet::new();
        let mut sent = HashSet::new();
        for turn in &batch.turns {
            for id in &turn.taken {
                sent.remove(&(turn.partition, *id));
                taken.insert((turn.partition, *id));
            }
            for envelope in &turn.sent {
                let key = (envelope.partition, envelope.id);
                let there = self.places.contains_key(&key) && !taken.contains(&key);
                if there || !sent.insert(key) {
                    return Err(store::repeated_message(envelope));
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, turn: &TurnRecord) {
        for id in &turn.taken {
            if let Some(place) = self.places.remove(&(turn.partition, *id)) {
                self.inbox.remove(&place);
            }
        }
        match &turn.change {
            Change::Write { record, history, .. } => self.write(turn, record, history),
            Change::Purge => {
                self.instances.remove(&turn.instance);
            }
            Change::Nothing => {}
        }
        for envelope in &turn.sent {
            self.places.insert((envelope.partition, envelope.id), self.next_place);
            self.inbox.insert(self.next_place, Arc::new(envelope.clone()));
            self.next_place += 1;
        }
    }

    fn write(&mut self, turn: &TurnRecord, record: &Record, change: &HistoryChange) {
        let kept = self.instances.entry(turn.instance.clone()).or_insert_with(|| {
            let (partition, history) = (turn.partition, Vec::new());
            Arc::new(Instance { partition, record: record.clone(), history })
        });
        let kept = Arc::make_mut(kept);
        kept.record = record.clone();
        match change {
            HistoryChange::Keep => {}
            HistoryChange::Append { at, events } => {
                if !events.is_empty() {
                    kept.history.push((*at, events.clone()));
                }
            }
            HistoryChange::Replace { events } => {
                kept.history.clear();
                if !events.is_empty() {
                    kept.history.push((0, events.clone()));
                }
            }
        }
    }
}
