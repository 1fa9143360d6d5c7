//! A hub under test: a store, owned whole, and short words for what is committed to it.

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use taskhub_core::{
    Batch, Change, CommitSeq, Envelope, Epoch, Event, ExecutionId, HistoryChange, InstanceId, Kind,
    Message, MessageId, PartitionId, Record, RuntimeStatus, Tags, Timestamp, TurnRecord, codec,
    store::{CommitError, Filter, Node, Ownership, Store},
};

use taskhub_engine::store::MemoryStore;

use super::Fixture;

/// How long the leases of a [`Hub`] last.
pub const TTL: Duration = Duration::from_secs(15);

/// A store whose partitions are all owned by the test.
pub struct Hub {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Every partition.
    pub owned: Vec<Ownership>,
}

/// The node under which tests claim.
#[must_use]
pub fn node(id: &str) -> Node {
    Node { id: id.into(), address: format!("{id}:7071").into(), circle: "".into() }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("owned", &self.owned).finish_non_exhaustive()
    }
}

impl Hub {
    /// Opens the store, when necessary after the former owner's leases have run out.
    pub fn open(fixture: &mut impl Fixture) -> Self {
        let store = fixture.open();
        fixture.clock().advance(TTL);
        let owned = store.claim(&node("test"), usize::MAX, TTL).expect("claiming works");
        assert_eq!(owned.len(), usize::from(store.partitions()), "all partitions are free");
        Self { store, owned }
    }

    /// Closes the store and opens it again.
    pub fn reopen(&mut self, fixture: &mut impl Fixture) {
        // A folder can be opened only after it was closed.
        self.store = Arc::new(MemoryStore::new(1));
        *self = Self::open(fixture);
    }

    /// Turns, made out as one batch of all owners.
    #[must_use]
    pub fn batch(&self, turns: impl IntoIterator<Item = TurnRecord>) -> Batch {
        let owners = self.owned.iter().map(|held| (held.partition, held.epoch)).collect();
        Batch { owners, turns: turns.into_iter().collect() }
    }

    /// Commits turns as one batch.
    pub fn try_commit(
        &self,
        turns: impl IntoIterator<Item = TurnRecord>,
    ) -> Result<(), CommitError> {
        self.store.commit(&self.batch(turns))
    }

    /// Commits turns as one batch, which must succeed.
    pub fn commit(&self, turns: impl IntoIterator<Item = TurnRecord>) {
        self.try_commit(turns).expect("the batch is valid");
    }

    /// The record of an instance.
    #[must_use]
    pub fn record(&self, id: &str) -> Option<Record> {
        self.store.load(&instance(id)).expect("loading works").map(|stored| stored.record)
    }

    /// The numbers of the events that `load` gives.
    #[must_use]
    pub fn loaded(&self, id: &str) -> Vec<u32> {
        let stored = self.store.load(&instance(id)).expect("loading works");
        stored.map(|stored| numbers(&stored.history)).unwrap_or_default()
    }

    /// The numbers of the events in pieces that touch `range`.
    #[must_use]
    pub fn history(&self, id: &str, range: Range<u64>) -> Vec<u32> {
        numbers(&self.store.history(&instance(id), range).expect("reading works"))
    }

    /// All messages that wait in a partition.
    #[must_use]
    pub fn inbox(&self, partition: u16) -> Vec<Envelope> {
        self.store.inbox(PartitionId(partition), &[], usize::MAX).expect("reading works")
    }

    /// The ids that match `filter`, over all pages of its limit.
    #[must_use]
    pub fn listed(&self, filter: &Filter) -> Vec<String> {
        let mut filter = filter.clone();
        let mut found = Vec::new();
        loop {
            let page = self.store.query(&filter).expect("listing works");
            assert!(page.instances.len() <= filter.limit, "a page keeps the limit");
            found.extend(page.instances.into_iter().map(|(id, _)| id.to_string()));
            match page.next {
                Some(next) => {
                    assert!(filter.after.is_none_or(|after| next > after), "pages go forward");
                    filter.after = Some(next);
                }
                None => return found,
            }
        }
    }
}

/// An id.
#[must_use]
pub fn instance(id: &str) -> InstanceId {
    InstanceId::trusted(id)
}

/// The partition of an id.
#[must_use]
pub fn partition(id: &str) -> PartitionId {
    PartitionId::of(&instance(id), super::PARTITIONS)
}

/// A record of a running instance with so many events.
#[must_use]
pub fn running(events: u64) -> Record {
    Record {
        execution: ExecutionId(1),
        name: "weather".into(),
        version: None,
        status: RuntimeStatus::Running,
        created_at: Timestamp(1_000),
        updated_at: Timestamp(2_000),
        completed_at: None,
        due: None,
        busy: false,
        custom_status: None,
        tags: Tags::default(),
        parent: None,
        stuck: None,
        outcome: None,
        events,
    }
}

/// A record of an instance that has ended.
#[must_use]
pub fn ended(events: u64) -> Record {
    Record {
        status: RuntimeStatus::Completed,
        completed_at: Some(Timestamp(3_000)),
        outcome: Some(Ok(Some("rain".into()))),
        ..running(events)
    }
}

/// A turn that does nothing.
#[must_use]
pub fn turn(id: &str) -> TurnRecord {
    TurnRecord {
        partition: partition(id),
        seq: CommitSeq(1),
        instance: instance(id),
        change: Change::Nothing,
        sent: Vec::new(),
        taken: Vec::new(),
    }
}

/// A turn that writes a record and leaves the history alone.
#[must_use]
pub fn keep(id: &str, record: Record) -> TurnRecord {
    write(id, record, HistoryChange::Keep)
}

/// A turn that appends the events with these numbers.
#[must_use]
pub fn append(id: &str, numbers: Range<u32>) -> TurnRecord {
    let history = HistoryChange::Append { at: numbers.start.into(), events: events(&numbers) };
    write(id, running(numbers.end.into()), history)
}

/// A turn that writes a record and its history.
#[must_use]
pub fn write(id: &str, record: Record, history: HistoryChange) -> TurnRecord {
    TurnRecord {
        change: Change::Write { record: Box::new(record), shows: true, history },
        ..turn(id)
    }
}

/// The same turn, which shows nothing new: neither a custom status nor an outcome.
#[must_use]
pub fn hidden(mut turn: TurnRecord) -> TurnRecord {
    if let Change::Write { shows, .. } = &mut turn.change {
        *shows = false;
    }
    turn
}

/// A turn that purges.
#[must_use]
pub fn purge(id: &str) -> TurnRecord {
    TurnRecord { change: Change::Purge, ..turn(id) }
}

/// Encoded events that carry these numbers.
#[must_use]
pub fn events(numbers: &Range<u32>) -> Bytes {
    let event = |takes| Event { at: Timestamp(0), kind: Kind::TurnStarted { takes, clock: None } };
    codec::encode_events(&numbers.clone().map(event).collect::<Vec<_>>())
}

/// The numbers that encoded events carry.
#[must_use]
pub fn numbers(pieces: &[Bytes]) -> Vec<u32> {
    let events = codec::decode_history(pieces).expect("histories come back as they were");
    let number = |event: Event| match event.kind {
        Kind::TurnStarted { takes, .. } => takes,
        other => panic!("nobody wrote {other:?}"),
    };
    events.into_iter().map(number).collect()
}

/// The number `number` of a message from partition `from`.
#[must_use]
pub fn message_id(from: u16, number: u64) -> MessageId {
    MessageId { from: PartitionId(from), epoch: Epoch(1), number }
}

/// A message to an instance, which carries its own number.
#[must_use]
pub fn envelope(from: u16, number: u64, to: &str) -> Envelope {
    let message = Message::Raise { name: format!("event {number}").into(), input: None };
    Envelope { id: message_id(from, number), to: instance(to), partition: partition(to), message }
}
