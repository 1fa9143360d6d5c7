//! A store that keeps everything in plain maps, as naively as the contract allows.
//!
//! The shared kind is like a database that many nodes reach: what took effect is durable. The
//! embedded kind is like a file: what took effect waits for a sync, and a power cut loses the rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use taskhub_core::{
    Batch, Change, Envelope, Epoch, HistoryChange, InstanceId, MessageId, PartitionId, Record,
    TurnRecord, codec,
    store::{CommitError, Filter, Node, Ownership, Page, Store, StoreError, Stored, Wake},
};

use taskhub_core::mutation::{Mutation, mutated};

/// What a history begins with that nobody can read.
const UNREADABLE: &[u8] = &[0xff; 4];

/// The simulated store.
#[derive(Debug)]
pub struct SimStore {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    now: i64,
    embedded: bool,
    leases: Vec<Lease>,
    seen: Tables,
    synced: Tables,
    tail: Vec<Batch>,
}

#[derive(Debug, Clone, Default)]
struct Lease {
    owner: Option<String>,
    until: i64,
    epoch: Epoch,
}

#[derive(Debug, Clone, Default)]
struct Tables {
    instances: BTreeMap<InstanceId, (Record, Vec<Bytes>)>,
    inbox: BTreeMap<(PartitionId, u64), Envelope>,
    places: BTreeMap<MessageId, (PartitionId, u64)>,
    arrivals: u64,
}

impl SimStore {
    /// An empty store with so many partitions.
    #[must_use]
    pub fn new(partitions: u16, embedded: bool) -> Self {
        let leases = vec![Lease::default(); usize::from(partitions)];
        let (seen, synced) = (Tables::default(), Tables::default());
        let inner = Inner { now: 0, embedded, leases, seen, synced, tail: Vec::new() };
        Self { inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the store's clock, in microseconds.
    pub fn tell_time(&self, now: i64) {
        self.inner().now = now;
    }

    /// Lets a batch take effect; with the embedded kind it is not durable before [`Self::sync`].
    pub fn write(&self, batch: &Batch) -> Result<(), CommitError> {
        let mut inner = self.inner();
        for (partition, epoch) in &batch.owners {
            let latest = inner.leases[usize::from(partition.0)].epoch;
            if latest != *epoch && !mutated(Mutation::DropFence) {
                return Err(CommitError::Fenced(*partition));
            }
        }
        for turn in &batch.turns {
            inner.seen.apply(turn);
        }
        inner.tail.push(batch.clone());
        Ok(())
    }

    /// Makes durable what took effect, and hands it out in order.
    pub fn sync(&self) -> Vec<Batch> {
        let mut inner = self.inner();
        let tail = std::mem::take(&mut inner.tail);
        if inner.embedded {
            for turn in tail.iter().flat_map(|batch| &batch.turns) {
                inner.synced.apply(turn);
            }
        }
        tail
    }

    /// How many batches took effect and are not synced.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.inner().tail.len()
    }

    /// A power cut: of what was not synced only so many batches reached the disk whole.
    pub fn cut_power(&self, kept: usize) {
        let mut inner = self.inner();
        inner.tail.truncate(kept);
        let mut seen = inner.synced.clone();
        for turn in inner.tail.iter().flat_map(|batch| &batch.turns) {
            seen.apply(turn);
        }
        inner.seen = seen;
    }

    /// Makes the beginning of a history unreadable, or readable again.
    pub fn damage(&self, instance: &InstanceId, is_whole: bool) {
        let inner = &mut *self.inner();
        for tables in [&mut inner.seen, &mut inner.synced] {
            let first = tables.instances.get_mut(instance).and_then(|(_, all)| all.first_mut());
            let Some(first) = first else { continue };
            match first.strip_prefix(UNREADABLE) {
                Some(rest) if is_whole => *first = Bytes::copy_from_slice(rest),
                None if !is_whole => *first = [UNREADABLE, first].concat().into(),
                _ => {}
            }
        }
    }

    /// Whether the beginning of a history is unreadable.
    #[must_use]
    pub fn is_damaged(&self, instance: &InstanceId) -> bool {
        let inner = self.inner();
        let pieces = inner.seen.instances.get(instance).map(|(_, pieces)| pieces);
        pieces.and_then(|all| all.first()).is_some_and(|first| first.starts_with(UNREADABLE))
    }

    /// Lets the lease of a partition run out at once. A shortened run may not have that one.
    pub fn expire(&self, partition: PartitionId) {
        if let Some(lease) = self.inner().leases.get_mut(usize::from(partition.0)) {
            lease.until = 0;
        }
    }

    /// Who holds a partition's lease, and under which epoch, if it has not run out.
    #[must_use]
    pub fn holder(&self, partition: PartitionId) -> Option<(String, Epoch)> {
        let inner = self.inner();
        let lease = &inner.leases[usize::from(partition.0)];
        let owner = lease.owner.clone().filter(|_| lease.until > inner.now)?;
        Some((owner, lease.epoch))
    }

    /// The latest epoch of a partition.
    #[must_use]
    pub fn epoch(&self, partition: PartitionId) -> Epoch {
        self.inner().leases[usize::from(partition.0)].epoch
    }

    /// How many messages stand in the inboxes.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.inner().seen.inbox.len()
    }
}

impl Tables {
    fn apply(&mut self, turn: &TurnRecord) {
        match &turn.change {
            Change::Nothing => {}
            Change::Purge => {
                self.instances.remove(&turn.instance);
            }
            Change::Write { record, history, .. } => {
                let pieces = self.instances.remove(&turn.instance).map(|(_, pieces)| pieces);
                let mut pieces = pieces.unwrap_or_default();
                match history {
                    HistoryChange::Keep => {}
                    HistoryChange::Append { events, .. } => pieces.push(events.clone()),
                    HistoryChange::Replace { events } => pieces = vec![events.clone()],
                }
                self.instances.insert(turn.instance.clone(), ((**record).clone(), pieces));
            }
        }
        for envelope in &turn.sent {
            self.arrivals += 1;
            let place = (envelope.partition, self.arrivals);
            self.inbox.insert(place, envelope.clone());
            self.places.insert(envelope.id, place);
        }
        for id in &turn.taken {
            if let Some(place) = self.places.remove(id) {
                self.inbox.remove(&place);
            }
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

impl Store for SimStore {
    fn partitions(&self) -> u16 {
        u16::try_from(self.inner().leases.len()).unwrap_or(u16::MAX)
    }

    fn claim(
        &self,
        node: &Node,
        limit: usize,
        ttl: Duration,
    ) -> Result<Vec<Ownership>, StoreError> {
        let mut inner = self.inner();
        let now = inner.now;
        let free = |lease: &Lease| lease.owner.is_none() || lease.until <= now;
        let mut order: Vec<_> = (0..inner.leases.len()).collect();
        order.retain(|at| free(&inner.leases[*at]));
        let mut claimed = Vec::new();
        for at in order.into_iter().take(limit) {
            let lease = &mut inner.leases[at];
            lease.epoch.0 += 1;
            lease.owner = Some(node.id.to_string());
            lease.until = now.saturating_add(micros(ttl));
            let partition = PartitionId(u16::try_from(at).unwrap_or(u16::MAX));
            claimed.push(Ownership { partition, epoch: lease.epoch });
        }
        Ok(claimed)
    }

    fn renew(&self, held: &[Ownership], ttl: Duration) -> Result<Vec<PartitionId>, StoreError> {
        let mut inner = self.inner();
        let until = inner.now.saturating_add(micros(ttl));
        let mut lost = Vec::new();
        for owned in held {
            let lease = &mut inner.leases[usize::from(owned.partition.0)];
            if lease.epoch == owned.epoch && lease.owner.is_some() {
                lease.until = until;
            } else {
                lost.push(owned.partition);
            }
        }
        Ok(lost)
    }

    fn release(&self, held: &[Ownership]) -> Result<(), StoreError> {
        let mut inner = self.inner();
        for owned in held {
            let lease = &mut inner.leases[usize::from(owned.partition.0)];
            if lease.epoch == owned.epoch {
                lease.owner = None;
            }
        }
        Ok(())
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        self.write(batch)?;
        self.sync();
        Ok(())
    }

    fn inbox(
        &self,
        partition: PartitionId,
        taken: &[MessageId],
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let taken: BTreeSet<_> = taken.iter().collect();
        let inner = self.inner();
        let range = (partition, 0)..=(partition, u64::MAX);
        let waiting = inner.seen.inbox.range(range).map(|(_, envelope)| envelope);
        Ok(waiting.filter(|it| !taken.contains(&it.id)).take(limit).cloned().collect())
    }

    fn wakes(
        &self,
        partition: PartitionId,
        after: Option<&Wake>,
        limit: usize,
    ) -> Result<Vec<Wake>, StoreError> {
        let inner = self.inner();
        let count = u16::try_from(inner.leases.len()).unwrap_or(u16::MAX);
        let wake = |(id, (record, _)): (&InstanceId, &(Record, Vec<Bytes>))| {
            let instance = id.clone();
            record.due.map(|at| Wake { at, instance })
        };
        let mut wakes: Vec<_> = inner.seen.instances.iter().filter_map(wake).collect();
        wakes.retain(|wake| PartitionId::of(&wake.instance, count) == partition);
        wakes.retain(|wake| after.is_none_or(|after| wake > after));
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
        let inner = self.inner();
        let count = u16::try_from(inner.leases.len()).unwrap_or(u16::MAX);
        let busy = inner.seen.instances.iter().filter(|(_, (record, _))| record.busy);
        let ids = busy.map(|(id, _)| id).filter(|id| PartitionId::of(id, count) == partition);
        let ids = ids.filter(|id| after.is_none_or(|after| *id > after));
        Ok(ids.take(limit).cloned().collect())
    }

    fn load(&self, instance: &InstanceId) -> Result<Option<Stored>, StoreError> {
        let inner = self.inner();
        let Some((record, pieces)) = inner.seen.instances.get(instance) else { return Ok(None) };
        let history = if record.status.is_terminal() { Vec::new() } else { pieces.clone() };
        Ok(Some(Stored { record: record.clone(), history }))
    }

    fn history(&self, instance: &InstanceId, events: Range<u64>) -> Result<Vec<Bytes>, StoreError> {
        let inner = self.inner();
        let Some((_, pieces)) = inner.seen.instances.get(instance) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut first = 0;
        for piece in pieces {
            let decoded = codec::decode_events(piece);
            let count = decoded.map_err(|why| StoreError::Damaged(why.to_string()))?.len() as u64;
            if first < events.end && first + count > events.start {
                found.push(piece.clone());
            }
            first += count;
        }
        Ok(found)
    }

    fn query(&self, filter: &Filter) -> Result<Page, StoreError> {
        let inner = self.inner();
        let mut found: Vec<_> = inner
            .seen
            .instances
            .iter()
            .filter(|(id, (record, _))| filter.matches(id, record))
            .filter_map(|(id, (record, _))| Some((filter.place(id, record)?, record.clone())))
            .filter(|(at, _)| filter.after.as_ref().is_none_or(|after| at > after))
            .collect();
        found.sort_by(|(one, _), (two, _)| one.cmp(two));
        let more = found.len() > filter.limit;
        found.truncate(filter.limit);
        let next = found.last().filter(|_| more).map(|(at, _)| at.clone());
        let instances = found.into_iter().map(|(at, record)| (at.instance, record)).collect();
        Ok(Page { instances, next })
    }
}
