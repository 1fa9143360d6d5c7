//! Copying a hub from one store into another: into a database, or back into a folder.

use std::time::Duration;

use taskhub_core::{
    Batch, Change, CommitSeq, Envelope, Epoch, HistoryChange, InstanceId, MessageId, PartitionId,
    Record, TurnRecord, codec,
    store::{CommitError, Filter, Node, Ownership, Store, StoreError, Stored, Which},
};

/// How long others are kept out of both hubs when the copy dies. It is renewed with each batch.
const LEASE: Duration = Duration::from_mins(1);

/// Bytes in one commit, and instances looked at together.
const BATCH_BYTES_MAX: usize = 4 << 20;
const PAGE_COUNT: usize = 200;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Orchestrations and entities.
    pub instances: u64,
    /// Messages that were on their way.
    pub messages: u64,
}

/// Why a hub was not copied, or not whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// Somebody runs it.
    #[error("a node has the hub to copy {0}; stop it, or wait until its lease has run out")]
    InUse(&'static str),
    /// Somebody else has claimed it meanwhile. What was copied is of no use: delete it.
    #[error("a node has taken the hub to copy {0}, as the copy was silent for too long; try again")]
    Lost(&'static str),
    /// It was told to stop. What was copied until then is of no use: delete it.
    #[error("the copy was interrupted; delete what was made of it, and try again")]
    Interrupted,
    /// There is something in it already.
    #[error("the hub to copy to is not empty; delete it, or choose another name")]
    NotEmpty,
    /// A store failed. What was copied until then is of no use: delete it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A commit failed. What was copied until then is of no use: delete it.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Copies all that `from` holds into `to`, which must be empty. Nobody may run either of them
/// meanwhile. The numbers of their partitions may differ. It ends at the next batch when
/// `is_stopped` says so.
pub fn copy(
    from: &dyn Store,
    to: &dyn Store,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Copied, CopyError> {
    let source = Claimed::all(from, "from")?;
    let target = Claimed::all(to, "to")?;
    let any = Filter { kind: Which::All, limit: 1, ..Filter::default() };
    if !to.query(&any)?.instances.is_empty() {
        return Err(CopyError::NotEmpty);
    }
    let claims = Claims { source: &source, target: &target, is_stopped };
    let mut writer = Writer { claims, turns: Vec::new(), bytes: 0 };
    let mut copied = Copied::default();
    let mut filter = Filter { kind: Which::All, limit: PAGE_COUNT, ..Filter::default() };
    loop {
        writer.claims.keep()?;
        let page = from.query(&filter)?;
        for (id, _) in page.instances {
            let Some(stored) = from.load_whole(&id)? else { continue };
            writer.instance(&id, stored)?;
            copied.instances += 1;
        }
        match page.next {
            Some(next) => filter.after = Some(next),
            None => break,
        }
    }
    for held in &source.held {
        writer.claims.keep()?;
        for envelope in from.inbox(held.partition, &[], usize::MAX)? {
            copied.messages += 1;
            writer.message(&envelope, copied.messages)?;
        }
    }
    writer.flush()?;
    Ok(copied)
}

/// A hub that nobody else can run for now.
struct Claimed<'a> {
    store: &'a dyn Store,
    side: &'static str,
    held: Vec<Ownership>,
}

impl<'a> Claimed<'a> {
    fn all(store: &'a dyn Store, side: &'static str) -> Result<Self, CopyError> {
        let node =
            Node { id: format!("copy {side}").into(), address: "".into(), circle: "".into() };
        let held = store.claim(&node, usize::MAX, LEASE)?;
        let claimed = Self { store, side, held };
        if claimed.held.len() < usize::from(store.partitions()) {
            return Err(CopyError::InUse(side));
        }
        Ok(claimed)
    }

    fn keep(&self) -> Result<(), CopyError> {
        let lost = self.store.renew(&self.held, LEASE)?;
        if lost.is_empty() { Ok(()) } else { Err(CopyError::Lost(self.side)) }
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.store.release(&self.held) {
            tracing::warn!(%error, "a hub that was copied could not be given back");
        }
    }
}

/// Both hubs, and whether they are still needed.
struct Claims<'a> {
    source: &'a Claimed<'a>,
    target: &'a Claimed<'a>,
    is_stopped: &'a dyn Fn() -> bool,
}

impl Claims<'_> {
    fn keep(&self) -> Result<(), CopyError> {
        if (self.is_stopped)() {
            return Err(CopyError::Interrupted);
        }
        self.source.keep()?;
        self.target.keep()
    }
}

/// Gathers what is to be written into batches.
struct Writer<'a> {
    claims: Claims<'a>,
    turns: Vec<TurnRecord>,
    bytes: usize,
}

impl Writer<'_> {
    /// Writes an instance: a turn for each piece of its history.
    fn instance(&mut self, id: &InstanceId, stored: Stored) -> Result<(), CopyError> {
        let Stored { record, history } = stored;
        let (mut at, mut shows) = (0, true);
        for events in history {
            let damaged = |why: codec::DecodeError| StoreError::Damaged(why.to_string());
            let count = codec::decode_events(&events).map_err(damaged)?.len() as u64;
            let written = Record { events: at + count, ..record.clone() };
            self.write(id, written, shows, HistoryChange::Append { at, events })?;
            (at, shows) = (at + count, false);
        }
        self.write(id, record, shows, HistoryChange::Keep)
    }

    /// Sends a message again. Its id is one that no owner gives: owners begin with epoch 1.
    fn message(&mut self, envelope: &Envelope, number: u64) -> Result<(), CopyError> {
        let partition = PartitionId::of(&envelope.to, self.claims.target.store.partitions());
        let id = MessageId { from: PartitionId(0), epoch: Epoch(0), number };
        let turn = TurnRecord {
            sent: vec![Envelope { id, partition, ..envelope.clone() }],
            ..self.turn(&envelope.to, Change::Nothing)
        };
        self.push(turn)
    }

    fn write(
        &mut self,
        id: &InstanceId,
        record: Record,
        shows: bool,
        history: HistoryChange,
    ) -> Result<(), CopyError> {
        let turn = self.turn(id, Change::Write { record: Box::new(record), shows, history });
        self.push(turn)
    }

    fn turn(&self, id: &InstanceId, change: Change) -> TurnRecord {
        TurnRecord {
            partition: PartitionId::of(id, self.claims.target.store.partitions()),
            seq: CommitSeq(0),
            instance: id.clone(),
            change,
            sent: Vec::new(),
            taken: Vec::new(),
        }
    }

    fn push(&mut self, turn: TurnRecord) -> Result<(), CopyError> {
        self.bytes += turn.bytes();
        self.turns.push(turn);
        if self.bytes < BATCH_BYTES_MAX { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), CopyError> {
        self.claims.keep()?;
        let owners =
            self.claims.target.held.iter().map(|held| (held.partition, held.epoch)).collect();
        let turns = std::mem::take(&mut self.turns);
        self.bytes = 0;
        Ok(self.claims.target.store.commit(&Batch { owners, turns })?)
    }
}
