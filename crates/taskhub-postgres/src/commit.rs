//! Commits: what remains of a batch becomes one statement, and so one transaction and one trip.
//!
//! Most batches need nothing else: the keys of the instances in them are remembered, and those of
//! new ones are taken from a stock. When the statement finds that something is not as it is
//! remembered, all of it is undone; then the keys are looked up and it is tried once more.

mod rows;

use std::{thread, time::Duration};

use taskhub_core::{
    Batch, PartitionId,
    store::{CommitError, Effect, Folded, StoreError, broken_history, fold},
};
use tokio_postgres::{error::SqlState, types::ToSql};

use crate::{
    PostgresStore,
    error::{Trouble, told},
    keys::{Keys, Known},
    link::Link,
    row::{count, get, small},
    text::pack,
};

use rows::Rows;

const COMMIT: &str = include_str!("commit.sql");

const STALE: &str = "SELECT o.id \
    FROM unnest($2::int2[], $3::int8[]) WITH ORDINALITY AS o (id, epoch, place) \
    LEFT JOIN taskhub.partition AS p ON p.hub = $1 AND p.id = o.id \
    WHERE p.epoch IS DISTINCT FROM o.epoch \
    ORDER BY o.place LIMIT 1";

const FIND: &str = "SELECT w.place - 1, i.key, i.events \
    FROM unnest($2::text[]) WITH ORDINALITY AS w (id, place) \
    JOIN taskhub.instance AS i ON i.hub = $1 AND i.id = w.id";

const TAKE_KEYS: &str =
    "SELECT nextval('taskhub.instance_key') FROM generate_series(1, $1::int4) ORDER BY 1";

/// How often a commit is tried that the server rolled back because of others, and how often one
/// that does not fit what is there: between a look and the next try another node may have claimed.
const TRIES_COUNT_MAX: u32 = 6;
const LOOKS_COUNT_MAX: u32 = 3;

/// No server takes a message of 1 GiB: it closes the connection without a word, which looks as if
/// it was away. What frames the rows in it takes a little more than they do.
const BYTES_MAX: usize = 1_000_000_000;

/// A server that has no memory for less than this lacks it for everybody, and may get it again.
const BYTES_LARGE: usize = 128 << 20;

/// See [`taskhub_core::store::Store::commit`].
pub(crate) fn commit(store: &PostgresStore, batch: &Batch) -> Result<(), CommitError> {
    check(store, batch)?;
    let folded = fold(batch)?;
    let mut writing = Writing::new(store, batch, &folded);
    if folded.effects.iter().any(|effect| writing.must_look_up(effect)) {
        writing.look_up()?;
    }
    let (mut looks, mut tries) = (0, 0);
    loop {
        match writing.write() {
            Ok(()) => return Ok(()),
            Err(trouble) if trouble.is_collision() && tries < TRIES_COUNT_MAX => {
                thread::sleep(Duration::from_millis(1 << tries));
                tries += 1;
            }
            Err(trouble) if is_otherwise(&trouble) && looks < LOOKS_COUNT_MAX => {
                writing.look_up()?;
                looks += 1;
            }
            Err(trouble) => return Err(failure(trouble).into()),
        }
    }
}

/// Whether the batch does not fit what is there.
fn is_otherwise(trouble: &Trouble) -> bool {
    trouble.is(&SqlState::DIVISION_BY_ZERO) || trouble.repeats("instance_id")
}

fn failure(trouble: Trouble) -> StoreError {
    match trouble {
        Trouble::Refused(error) if error.code() == &SqlState::UNIQUE_VIOLATION => {
            let why = told(&error);
            StoreError::Damaged(format!("two rows are the same, nothing was written: {why}"))
        }
        other => other.into(),
    }
}

/// What can be seen without the database: every owner can be one, and every turn has one.
fn check(store: &PostgresStore, batch: &Batch) -> Result<(), CommitError> {
    let mut named = vec![false; usize::from(store.partitions)];
    for (partition, epoch) in &batch.owners {
        match named.get_mut(usize::from(partition.0)) {
            Some(named) if epoch.0 > 0 => *named = true,
            _ => return Err(CommitError::Fenced(*partition)),
        }
    }
    let unowned =
        |partition: PartitionId| !named.get(usize::from(partition.0)).is_some_and(|named| *named);
    match batch.turns.iter().find(|turn| unowned(turn.partition)) {
        Some(turn) => Err(CommitError::Fenced(turn.partition)),
        None => Ok(()),
    }
}

/// A batch on its way into the database.
struct Writing<'a> {
    store: &'a PostgresStore,
    owners: (Vec<i16>, Vec<i64>),
    folded: &'a Folded<'a>,
    known: Known<'a>,
}

impl<'a> Writing<'a> {
    fn new(store: &'a PostgresStore, batch: &Batch, folded: &'a Folded<'a>) -> Self {
        let owners = batch.owners.iter();
        let owners = owners.map(|(id, epoch)| (small(id.0), epoch.0.cast_signed())).unzip();
        let known = store.keys.of(folded.effects.iter().map(|effect| effect.instance));
        Self { store, owners, folded, known }
    }

    /// Whether the statement could not tell what it has to know about an instance.
    fn must_look_up(&self, effect: &Effect<'_>) -> bool {
        match effect.record {
            Some(_) => {
                !self.known.contains_key(effect.instance)
                    && effect.follows.is_some_and(|events| events > 0)
            }
            None => effect.follows.is_some(),
        }
    }

    /// Looks at the owners and the instances as they are, and refuses what does not fit them.
    fn look_up(&mut self) -> Result<(), CommitError> {
        let (hub, folded) = (self.store.hub, self.folded);
        let ids: Vec<_> = folded.effects.iter().map(|it| pack(it.instance.as_str())).collect();
        let found = self.run(async |link: &mut Link| {
            let stale = link.query(STALE, &[&hub, &self.owners.0, &self.owners.1]).await?;
            let stale = stale.first().map(|row| get::<i16>(row, 0)).transpose()?;
            let mut counts = vec![None; ids.len()];
            for row in link.query(FIND, &[&hub, &ids]).await? {
                let place = usize::try_from(get::<i64>(&row, 0)?).unwrap_or(usize::MAX);
                if let Some(known) = counts.get_mut(place) {
                    *known = Some((get::<i64>(&row, 1)?, count(&row, 2)?));
                }
            }
            Ok((stale, counts))
        });
        let (stale, counts) = found.map_err(StoreError::from)?;
        if let Some(partition) = stale {
            return Err(CommitError::Fenced(PartitionId(partition.unsigned_abs())));
        }
        self.known.clear();
        for (effect, found) in folded.effects.iter().zip(counts) {
            let events = found.map_or(0, |(_, events)| events);
            if let Some(at) = effect.follows.filter(|at| *at != events) {
                return Err(broken_history(effect.instance, at, events).into());
            }
            self.known.extend(found.map(|(key, _)| (effect.instance, key)));
        }
        Ok(())
    }

    fn write(&self) -> Result<(), Trouble> {
        let rows = self.rows()?;
        let (hub, bytes) = (self.store.hub, rows.bytes());
        if bytes > BYTES_MAX {
            let why = format!("one commit has {bytes} bytes, no server takes 1 GiB");
            return Err(Trouble::TooLarge(why));
        }
        let written = self.run(async |link: &mut Link| {
            let mut params: Vec<&(dyn ToSql + Sync)> = vec![&hub, &self.owners.0, &self.owners.1];
            params.extend(rows.params());
            link.query(COMMIT, &params).await.map(drop)
        });
        written.map_err(|trouble| match trouble {
            Trouble::Refused(error)
                if *error.code() == SqlState::OUT_OF_MEMORY && bytes > BYTES_LARGE =>
            {
                Trouble::TooLarge(told(&error))
            }
            other => other,
        })?;
        for (effect, key) in self.folded.effects.iter().zip(&rows.keys) {
            match (effect.record, key) {
                (Some(record), Some(key)) => {
                    self.store.keys.remember(effect.instance, *key, record);
                }
                _ => self.store.keys.forget(effect.instance),
            }
        }
        Ok(())
    }

    /// The rows to write; new instances get keys.
    fn rows(&self) -> Result<Rows<'a>, Trouble> {
        let is_new = |effect: &&Effect<'_>| {
            effect.record.is_some() && !self.known.contains_key(effect.instance)
        };
        let fresh = self.free_keys(self.folded.effects.iter().filter(is_new).count())?;
        let mut fresh = fresh.into_iter();
        let mut rows = Rows::default();
        for effect in &self.folded.effects {
            let known = self.known.get(effect.instance).copied();
            let key = known.or_else(|| effect.record.and_then(|_| fresh.next()));
            rows.push(effect, key, known.is_none()).map_err(damaged)?;
        }
        rows.mail(self.folded).map_err(damaged)?;
        Ok(rows)
    }

    fn free_keys(&self, wanted: usize) -> Result<Vec<i64>, Trouble> {
        let keys = &self.store.keys;
        loop {
            if let Some(taken) = keys.take(wanted) {
                return Ok(taken);
            }
            let blocks = Keys::blocks(wanted);
            let firsts = self.run(async |link: &mut Link| {
                let rows = link.query(TAKE_KEYS, &[&blocks]).await?;
                rows.iter().map(|row| get::<i64>(row, 0)).collect::<Result<Vec<_>, _>>()
            })?;
            keys.add(firsts.into_iter());
        }
    }

    fn run<T>(
        &self,
        mut work: impl AsyncFnMut(&mut Link) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let database = &self.store.database;
        database.run(&database.writers, &mut work)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
fn damaged(error: StoreError) -> Trouble {
    Trouble::Damaged(error.to_string())
}
