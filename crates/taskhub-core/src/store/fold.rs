//! A batch, reduced to what remains of it: one write per instance, no message that came and went.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::FixedState;

use super::StoreError;
use crate::{
    Batch, Change, Envelope, HistoryChange, InstanceId, MessageId, PartitionId, Record, codec,
};

/// How many bytes a piece of history has that has more than one event.
const PIECE_BYTES_MAX: usize = 16 << 20;

/// What remains of a batch.
#[derive(Debug)]
pub struct Folded<'a> {
    /// One per instance, in the order in which the batch first names them.
    pub effects: Vec<Effect<'a>>,
    /// Messages to delete, if they are there.
    pub taken: Vec<(PartitionId, MessageId)>,
    /// Messages to insert, after the deletions.
    pub sent: Vec<&'a Envelope>,
}

/// What a batch does to one instance.
#[derive(Debug)]
pub struct Effect<'a> {
    /// Which.
    pub instance: &'a InstanceId,
    /// Its partition.
    pub partition: PartitionId,
    /// Its record in the end; `None` when it is gone.
    pub record: Option<&'a Record>,
    /// Whether its custom status or its outcome may be others than what is stored.
    pub shows: bool,
    /// How many events must be stored before; `None` when that does not matter.
    pub follows: Option<u64>,
    /// Whether the stored history goes.
    pub forgets: bool,
    /// New pieces of history, each with the number of its first event. What a turn adds is cut
    /// into several where it is large: a row has its bounds in every database.
    pub pieces: Vec<(u64, &'a [u8])>,
    /// How many events it has now; `None` while the store has to tell.
    count: Option<u64>,
}

/// Reduces `batch`; an error when its turns contradict each other.
pub fn fold(batch: &Batch) -> Result<Folded<'_>, StoreError> {
    let mut effects: Vec<Effect<'_>> = Vec::with_capacity(batch.turns.len());
    let mut places: HashMap<&InstanceId, usize, FixedState> =
        HashMap::with_capacity_and_hasher(batch.turns.len(), FixedState::default());
    let mut mail = Mail::default();
    for turn in &batch.turns {
        mail.take(turn.partition, &turn.taken);
        mail.send(&turn.sent)?;
        if turn.change == Change::Nothing {
            continue;
        }
        let place = *places.entry(&turn.instance).or_insert_with(|| {
            effects.push(Effect::new(&turn.instance, turn.partition));
            effects.len() - 1
        });
        effects[place].apply(&turn.change)?;
    }
    Ok(Folded { effects, taken: mail.taken, sent: mail.sent.into_iter().flatten().collect() })
}

impl<'a> Effect<'a> {
    fn new(instance: &'a InstanceId, partition: PartitionId) -> Self {
        let (record, shows, follows, forgets, count) = (None, false, None, false, None);
        Self { instance, partition, record, shows, follows, forgets, pieces: Vec::new(), count }
    }

    fn apply(&mut self, change: &'a Change) -> Result<(), StoreError> {
        match change {
            Change::Nothing => {}
            Change::Purge => {
                self.forget();
                self.record = None;
                self.shows = true;
                self.count = Some(0);
            }
            Change::Write { record, shows, history } => {
                self.shows |= *shows;
                match history {
                    HistoryChange::Keep => {}
                    HistoryChange::Append { at, events } => self.append(*at, events)?,
                    HistoryChange::Replace { events } => {
                        self.forget();
                        self.push(0, events);
                    }
                }
                self.record = Some(record);
                self.count = Some(record.events);
            }
        }
        Ok(())
    }

    fn append(&mut self, at: u64, events: &'a Bytes) -> Result<(), StoreError> {
        match self.count {
            Some(count) if count != at => {
                return Err(broken_history(self.instance, at, count));
            }
            Some(_) => {}
            None => self.follows = Some(at),
        }
        self.push(at, events);
        Ok(())
    }

    fn forget(&mut self) {
        self.pieces.clear();
        self.forgets = true;
    }

    fn push(&mut self, at: u64, events: &'a Bytes) {
        if !events.is_empty() {
            let pieces = codec::cut(events, PIECE_BYTES_MAX);
            self.pieces.extend(pieces.into_iter().map(|(number, piece)| (at + number, piece)));
        }
    }
}

/// An append that does not continue the history that stands.
#[must_use]
pub fn broken_history(instance: &InstanceId, at: u64, count: u64) -> StoreError {
    StoreError::Damaged(format!(
        "instance {instance} has {count} events, and more were to follow behind the first {at}; \
         nothing was written"
    ))
}

/// A message whose id another one has.
#[must_use]
pub fn repeated_message(envelope: &Envelope) -> StoreError {
    StoreError::Damaged(format!(
        "two messages to {} have the same id {:?}; nothing was written",
        envelope.to, envelope.id
    ))
}

/// Messages that the batch sends and takes, so far.
#[derive(Default)]
struct Mail<'a> {
    taken: Vec<(PartitionId, MessageId)>,
    sent: Vec<Option<&'a Envelope>>,
    places: HashMap<(PartitionId, MessageId), usize, FixedState>,
}

impl<'a> Mail<'a> {
    fn take(&mut self, partition: PartitionId, taken: &[MessageId]) {
        for id in taken {
            match self.places.remove(&(partition, *id)) {
                Some(place) => self.sent[place] = None,
                None => self.taken.push((partition, *id)),
            }
        }
    }

    fn send(&mut self, sent: &'a [Envelope]) -> Result<(), StoreError> {
        for envelope in sent {
            let key = (envelope.partition, envelope.id);
            if self.places.insert(key, self.sent.len()).is_some() {
                return Err(repeated_message(envelope));
            }
            self.sent.push(Some(envelope));
        }
        Ok(())
    }
}
