//! The one connection that writes: it turns folded batches into rows, and syncs.

use std::{num::NonZeroUsize, time::Duration};

use foldhash::fast::FixedState;
use lru::LruCache;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use taskhub_core::{
    Batch, Envelope, InstanceId, MessageId, PartitionId, Record, Timestamp, codec,
    store::{
        CommitError, Effect, Folded, Node, Ownership, StoreError, broken_history, fold,
        repeated_message,
    },
};

use super::{error::failed, row};
use crate::store::leases::Leases;

/// Instances whose keys are remembered. One takes some 150 bytes.
const KEYS_COUNT_MAX: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// The last message, looked up by partition since only so the order of the table helps.
const LAST_PLACE: &str = "SELECT coalesce(max(last), 0) FROM \
     (SELECT (SELECT max(place) FROM message WHERE partition = id) AS last FROM partition)";

/// What is to be known of a stored instance.
const FIND: &str = "SELECT key, events, iif(completed_at IS NULL, created_at, NULL), \
     EXISTS (SELECT 1 FROM apart WHERE instance = key) \
     FROM instance WHERE id = ?1";

/// All that is needed to write. Its owner keeps it behind a mutex.
pub(super) struct Writer {
    db: Connection,
    leases: Leases,
    keys: LruCache<InstanceId, Known, FixedState>,
    next_key: i64,
    next_place: i64,
}

/// What is remembered of a stored instance.
#[derive(Debug, Clone, Copy)]
struct Known {
    key: i64,
    events: u64,
    /// Where it stands in the list of those that have not ended.
    lives_since: Option<Timestamp>,
    /// Whether some of it stands apart.
    apart: bool,
}

impl Writer {
    /// Takes over a connection to a hub whose schema is in place.
    pub(super) fn new(db: Connection, leases: Leases) -> Result<Self, StoreError> {
        let last = |sql| db.query_row(sql, (), |row| row.get::<_, i64>(0)).map_err(failed);
        let next_key = last("SELECT coalesce(max(key), 0) FROM instance")? + 1;
        let next_place = last(LAST_PLACE)? + 1;
        let keys = LruCache::with_hasher(KEYS_COUNT_MAX, FixedState::default());
        Ok(Self { db, leases, keys, next_key, next_place })
    }

    /// Gives free partitions to `node`. The new epochs are durable before anybody knows them;
    /// leases are not: they end with the process.
    pub(super) fn claim(
        &mut self,
        node: &Node,
        limit: usize,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Vec<Ownership>, StoreError> {
        let granted = self.leases.claimable(limit, now);
        if granted.is_empty() {
            return Ok(granted);
        }
        let write = |db: &Connection| -> rusqlite::Result<()> {
            let mut update = db.prepare_cached(
                "UPDATE partition SET epoch = ?2, owner = ?3, address = ?4 WHERE id = ?1",
            )?;
            for held in &granted {
                let epoch = i64::try_from(held.epoch.0).unwrap_or(i64::MAX);
                update.execute(params![held.partition.0, epoch, &*node.id, &*node.address])?;
            }
            Ok(())
        };
        self.atomically(|writer| write(&writer.db).map_err(failed))?;
        self.leases.grant(&granted, node, now.plus(ttl));
        Ok(granted)
    }

    /// See [`taskhub_core::store::Store::renew`].
    pub(super) fn renew(
        &mut self,
        held: &[Ownership],
        now: Timestamp,
        ttl: Duration,
    ) -> Vec<PartitionId> {
        self.leases.renew(held, now, ttl)
    }

    /// See [`taskhub_core::store::Store::release`].
    pub(super) fn release(&mut self, held: &[Ownership]) {
        self.leases.release(held);
    }

    /// Writes all of `batch` or nothing; it is on the disk when this returns.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.leases.check(batch)?;
        let folded = fold(batch)?;
        Ok(self.atomically(|writer| writer.write(&folded))?)
    }

    /// Runs `work` in a transaction. When anything fails, all is as before.
    fn atomically(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let run = |writer: &Self, sql: &str| {
            let mut statement = writer.db.prepare_cached(sql).map_err(failed)?;
            statement.execute(()).map(drop).map_err(failed)
        };
        if !self.db.is_autocommit() {
            // Left behind by a failed rollback, or by a panic.
            self.keys.clear();
            run(self, "ROLLBACK")?;
        }
        run(self, "BEGIN IMMEDIATE")?;
        let done = work(self).and_then(|()| run(self, "COMMIT"));
        if done.is_err() {
            // What is remembered may be of rows that are not there now.
            self.keys.clear();
            if !self.db.is_autocommit()
                && let Err(error) = run(self, "ROLLBACK")
            {
                tracing::warn!(%error, "a failed commit could not be rolled back yet");
            }
        }
        done
    }

    fn write(&mut self, folded: &Folded<'_>) -> Result<(), StoreError> {
        let Self { db, keys, next_key, next_place, .. } = self;
        take_messages(db, &folded.taken)?;
        let mut rows = Rows::new(db, keys, next_key)?;
        for effect in &folded.effects {
            rows.write(effect)?;
        }
        drop(rows);
        send_messages(db, next_place, &folded.sent)
    }
}

/// The statements on instances and histories, prepared.
struct Rows<'a> {
    keys: &'a mut LruCache<InstanceId, Known, FixedState>,
    next_key: &'a mut i64,
    find: CachedStatement<'a>,
    insert: CachedStatement<'a>,
    update: CachedStatement<'a>,
    update_in_place: CachedStatement<'a>,
    remove: CachedStatement<'a>,
    append: CachedStatement<'a>,
    forget: CachedStatement<'a>,
    set_apart: CachedStatement<'a>,
    join: CachedStatement<'a>,
}

impl<'a> Rows<'a> {
    fn new(
        db: &'a Connection,
        keys: &'a mut LruCache<InstanceId, Known, FixedState>,
        next_key: &'a mut i64,
    ) -> Result<Self, StoreError> {
        let prepare = |sql| db.prepare_cached(sql).map_err(failed);
        Ok(Self {
            keys,
            next_key,
            find: prepare(FIND)?,
            insert: prepare(row::INSERT)?,
            update: prepare(row::UPDATE)?,
            update_in_place: prepare(row::UPDATE_IN_PLACE)?,
            remove: prepare("DELETE FROM instance WHERE key = ?1")?,
            append: prepare("INSERT INTO history VALUES (?1, ?2, ?3)")?,
            forget: prepare("DELETE FROM history WHERE instance = ?1")?,
            set_apart: prepare("INSERT OR REPLACE INTO apart VALUES (?1, ?2, ?3)")?,
            join: prepare("DELETE FROM apart WHERE instance = ?1")?,
        })
    }

    fn write(&mut self, effect: &Effect<'_>) -> Result<(), StoreError> {
        let Some(record) = effect.record else { return self.remove(effect) };
        let known = match self.keys.get(effect.instance) {
            Some(known) => Some(*known),
            None if effect.follows.is_none_or(|events| events == 0) => {
                // Most likely new: the insert itself tells, without a look before it.
                if self.insert(effect, record)? {
                    return Ok(());
                }
                self.find(effect.instance)?
            }
            None => self.find(effect.instance)?,
        };
        let count = known.map_or(0, |known| known.events);
        if let Some(at) = effect.follows.filter(|at| *at != count) {
            return Err(broken_history(effect.instance, at, count));
        }
        let Some(known) = known else {
            return self.insert(effect, record).map(drop);
        };
        let stays = known.lives_since.is_some() && known.lives_since == lives_since(record);
        let update = if stays { &mut self.update_in_place } else { &mut self.update };
        row::write(update, known.key, effect.instance, effect.partition, record)?;
        self.keep_apart(known.key, record, known.apart, effect.shows)?;
        if effect.forgets {
            self.forget.execute([known.key]).map_err(failed)?;
        }
        self.append(known.key, effect)?;
        self.remember(known.key, effect.instance, record);
        Ok(())
    }

    /// Adds an instance; false when it is there already.
    fn insert(&mut self, effect: &Effect<'_>, record: &Record) -> Result<bool, StoreError> {
        let key = *self.next_key;
        if row::write(&mut self.insert, key, effect.instance, effect.partition, record)? == 0 {
            return Ok(false);
        }
        *self.next_key += 1;
        self.keep_apart(key, record, false, true)?;
        self.append(key, effect)?;
        self.remember(key, effect.instance, record);
        Ok(true)
    }

    /// Writes what is long of a record, unless it `stands` there and nothing new is shown.
    fn keep_apart(
        &mut self,
        key: i64,
        record: &Record,
        stands: bool,
        shows: bool,
    ) -> Result<(), StoreError> {
        match row::apart(record) {
            Some([status, output]) if shows || !stands => {
                self.set_apart.execute((key, status, output)).map(drop).map_err(failed)
            }
            None if stands => self.join.execute([key]).map(drop).map_err(failed),
            _ => Ok(()),
        }
    }

    fn append(&mut self, key: i64, effect: &Effect<'_>) -> Result<(), StoreError> {
        for (at, events) in &effect.pieces {
            let piece = params![key, row::number(*at)?, events];
            self.append.execute(piece).map_err(failed)?;
        }
        Ok(())
    }

    fn remove(&mut self, effect: &Effect<'_>) -> Result<(), StoreError> {
        let known = match self.keys.pop(effect.instance) {
            Some(known) => Some(known),
            None => self.find(effect.instance)?,
        };
        let count = known.map_or(0, |known| known.events);
        if let Some(at) = effect.follows.filter(|at| *at != count) {
            return Err(broken_history(effect.instance, at, count));
        }
        if let Some(known) = known {
            self.forget.execute([known.key]).map_err(failed)?;
            if known.apart {
                self.join.execute([known.key]).map_err(failed)?;
            }
            self.remove.execute([known.key]).map_err(failed)?;
        }
        Ok(())
    }

    fn find(&mut self, instance: &InstanceId) -> Result<Option<Known>, StoreError> {
        let found = self.find.query_row([instance.as_str()], |row| {
            Ok(Known {
                key: row.get(0)?,
                events: row.get::<_, i64>(1)?.unsigned_abs(),
                lives_since: row.get::<_, Option<i64>>(2)?.map(Timestamp),
                apart: row.get(3)?,
            })
        });
        found.optional().map_err(failed)
    }

    /// An instance that has ended is not written again soon.
    fn remember(&mut self, key: i64, instance: &InstanceId, record: &Record) {
        if record.status.is_terminal() {
            self.keys.pop(instance);
        } else {
            let (events, lives_since) = (record.events, lives_since(record));
            let apart = row::apart(record).is_some();
            self.keys.put(instance.clone(), Known { key, events, lives_since, apart });
        }
    }
}

/// Since when an instance is there that has not ended.
fn lives_since(record: &Record) -> Option<Timestamp> {
    record.completed_at.is_none().then_some(record.created_at)
}

fn take_messages(db: &Connection, taken: &[(PartitionId, MessageId)]) -> Result<(), StoreError> {
    if taken.is_empty() {
        return Ok(());
    }
    let mut delete = db
        .prepare_cached(
            "DELETE FROM message \
             WHERE partition = ?1 AND sender = ?2 AND epoch = ?3 AND number = ?4",
        )
        .map_err(failed)?;
    for (partition, id) in taken {
        let (epoch, number) = (row::number(id.epoch.0)?, row::number(id.number)?);
        delete.execute((partition.0, id.from.0, epoch, number)).map_err(failed)?;
    }
    Ok(())
}

fn send_messages(db: &Connection, next: &mut i64, sent: &[&Envelope]) -> Result<(), StoreError> {
    if sent.is_empty() {
        return Ok(());
    }
    let mut insert = db
        .prepare_cached(
            "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
             ON CONFLICT (partition, sender, epoch, number) DO NOTHING",
        )
        .map_err(failed)?;
    for envelope in sent {
        let id = envelope.id;
        let (epoch, number) = (row::number(id.epoch.0)?, row::number(id.number)?);
        let message = codec::encode_message(&envelope.message);
        let inserted = insert
            .execute(params![
                envelope.partition.0,
                *next,
                id.from.0,
                epoch,
                number,
                envelope.to.as_str(),
                &message[..],
            ])
            .map_err(failed)?;
        if inserted == 0 {
            return Err(repeated_message(envelope));
        }
        *next += 1;
    }
    Ok(())
}
