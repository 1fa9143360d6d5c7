//! A few connections that only read, and what is read through them.

use std::{
    collections::HashSet,
    ops::Range,
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use taskhub_core::{
    Envelope, Epoch, InstanceId, MessageId, PartitionId, Text, Timestamp, codec,
    store::{StoreError, Stored, Wake},
};

use super::{
    error::{failed, undecodable},
    row,
};

/// Reads that go on at the same time; one more waits for one of them.
const READERS_COUNT_MAX: usize = 8;

const WAKES: &str = "SELECT due, id FROM instance \
     WHERE partition = ?1 AND due IS NOT NULL AND (due, id) > (?2, ?3) \
     ORDER BY due, id LIMIT ?4";

const BUSY: &str = "SELECT id FROM instance \
     WHERE partition = ?1 AND busy = 1 AND id > ?2 ORDER BY id LIMIT ?3";

/// The connections. Each is opened when it is first needed.
pub(super) struct Readers {
    file: PathBuf,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    open: usize,
    /// Whether everybody waits.
    paused: bool,
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// Runs `work` on a state of the hub that does not change meanwhile.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let db = self.take()?;
        let mut lent = Lent { readers: self, db: None };
        run(&db, "BEGIN")?;
        let found = work(&db)?;
        run(&db, "COMMIT")?;
        lent.db = Some(db);
        Ok(found)
    }

    /// Runs `work` while nobody reads. Reads under way have so long to end, and new ones wait;
    /// whoever takes longer goes on beside it.
    pub(super) fn pause<T>(&self, patience: Duration, work: impl FnOnce() -> T) -> T {
        let mut pool = self.pool();
        pool.paused = true;
        let read = |pool: &mut Pool| pool.open > pool.idle.len();
        let waited = self.returned.wait_timeout_while(pool, patience, read);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        let done = work();
        self.pool().paused = false;
        self.returned.notify_all();
        done
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let mut pool = self.pool();
        loop {
            if pool.paused {
                pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if let Some(db) = pool.idle.pop() {
                return Ok(db);
            }
            if pool.open < READERS_COUNT_MAX {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let db = Connection::open_with_flags(&self.file, flags).map_err(failed)?;
                pool.open += 1;
                return Ok(db);
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Runs a statement that stays prepared: to prepare it each time takes as long as a short read.
fn run(db: &Connection, sql: &str) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    statement.execute(()).map(drop).map_err(failed)
}

/// A connection on loan: comes back to the pool, or is closed when the work on it failed.
struct Lent<'a> {
    readers: &'a Readers,
    db: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool();
        match self.db.take() {
            Some(db) => pool.idle.push(db),
            None => pool.open -= 1,
        }
        self.readers.returned.notify_all();
    }
}

/// See [`taskhub_core::store::Store::load`].
pub(super) fn load(db: &Connection, instance: &InstanceId) -> Result<Option<Stored>, StoreError> {
    let mut find = db.prepare_cached(row::select!("WHERE id = ?1")).map_err(failed)?;
    let mut rows = find.query([instance.as_str()]).map_err(failed)?;
    let Some(found) = rows.next().map_err(failed)? else { return Ok(None) };
    let key: i64 = found.get(0).map_err(failed)?;
    let record = row::record(found)?;
    let history = if record.status.is_terminal() {
        Vec::new()
    } else {
        let sql = "SELECT events FROM history WHERE instance = ?1 ORDER BY first_event";
        pieces(db, sql, params![key])?
    };
    Ok(Some(Stored { record, history }))
}

/// See [`taskhub_core::store::Store::history`].
pub(super) fn history(
    db: &Connection,
    instance: &InstanceId,
    events: &Range<u64>,
) -> Result<Vec<Bytes>, StoreError> {
    let mut find =
        db.prepare_cached("SELECT key, events FROM instance WHERE id = ?1").map_err(failed)?;
    let found = find
        .query_row([instance.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    let Some((key, count)) = found.optional().map_err(failed)? else { return Ok(Vec::new()) };
    // Event numbers are signed in the file; the end may be "all of them".
    let start = i64::try_from(events.start).unwrap_or(i64::MAX);
    let end = i64::try_from(events.end).unwrap_or(i64::MAX).min(count);
    if start >= end {
        return Ok(Vec::new());
    }
    let sql = "SELECT events FROM history WHERE instance = ?1 AND first_event < ?3 \
         AND first_event >= coalesce((SELECT max(first_event) FROM history \
             WHERE instance = ?1 AND first_event <= ?2), 0) \
         ORDER BY first_event";
    pieces(db, sql, params![key, start, end])
}

/// See [`taskhub_core::store::Store::beginnings`].
pub(super) fn beginnings(
    db: &Connection,
    instances: &[InstanceId],
) -> Result<Vec<Option<Bytes>>, StoreError> {
    let mut find = db
        .prepare_cached(
            "SELECT events FROM history \
             WHERE instance = (SELECT key FROM instance WHERE id = ?1) AND first_event = 0",
        )
        .map_err(failed)?;
    let mut first = |instance: &InstanceId| {
        let first = find.query_row([instance.as_str()], |row| {
            Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?))
        });
        first.optional().map_err(failed)
    };
    instances.iter().map(&mut first).collect()
}

fn pieces(
    db: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Bytes>, StoreError> {
    let mut read = db.prepare_cached(sql).map_err(failed)?;
    let pieces =
        read.query_map(params, |row| Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?)));
    pieces.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

/// See [`taskhub_core::store::Store::wakes`].
pub(super) fn wakes(
    db: &Connection,
    partition: PartitionId,
    after: Option<&Wake>,
    limit: usize,
) -> Result<Vec<Wake>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (at, id) = match after {
        Some(wake) => (wake.at.0, wake.instance.as_str()),
        // Before every other place: no instance has an empty id.
        None => (i64::MIN, ""),
    };
    let mut read = db.prepare_cached(WAKES).map_err(failed)?;
    let wakes = read.query_map(params![partition.0, at, id, limit], |row| {
        let id = Text::from(row.get_ref(1)?.as_str()?);
        Ok(Wake { at: Timestamp(row.get(0)?), instance: InstanceId::trusted(id) })
    });
    wakes.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

/// See [`taskhub_core::store::Store::busy`].
pub(super) fn busy(
    db: &Connection,
    partition: PartitionId,
    after: Option<&InstanceId>,
    limit: usize,
) -> Result<Vec<InstanceId>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = after.map_or("", InstanceId::as_str);
    let mut read = db.prepare_cached(BUSY).map_err(failed)?;
    let ids = read.query_map(params![partition.0, after, limit], |row| {
        Ok(InstanceId::trusted(row.get_ref(0)?.as_str()?))
    });
    ids.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

/// See [`taskhub_core::store::Store::inbox`].
pub(super) fn inbox(
    db: &Connection,
    partition: PartitionId,
    taken: &[MessageId],
    limit: usize,
) -> Result<Vec<Envelope>, StoreError> {
    let taken: HashSet<_> = taken.iter().collect();
    let mut read = db
        .prepare_cached(
            "SELECT sender, epoch, number, receiver, message FROM message \
             WHERE partition = ?1 ORDER BY place",
        )
        .map_err(failed)?;
    let mut rows = read.query([partition.0]).map_err(failed)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next().map_err(failed)?
    {
        let id = message_id(row).map_err(failed)?;
        if taken.contains(&id) {
            continue;
        }
        let to = row.get_ref(3).map_err(failed)?;
        let to = to.as_str().map_err(|_| StoreError::Damaged("a receiver is no text".into()))?;
        let message: Vec<u8> = row.get(4).map_err(failed)?;
        let message = codec::decode_message(&message).map_err(undecodable)?;
        found.push(Envelope { id, to: InstanceId::trusted(to), partition, message });
    }
    Ok(found)
}

fn message_id(row: &rusqlite::Row<'_>) -> rusqlite::Result<MessageId> {
    Ok(MessageId {
        from: PartitionId(row.get(0)?),
        epoch: Epoch(row.get::<_, i64>(1)?.unsigned_abs()),
        number: row.get::<_, i64>(2)?.unsigned_abs(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each list is read off its index alone, in the index's order.
    #[test]
    fn the_lists_of_a_partition_are_read_from_their_indexes() {
        let db = Connection::open_in_memory().expect("memory is there");
        db.execute_batch(include_str!("migrations/0001_hub.sql")).expect("the schema is valid");
        for (sql, plan) in [
            (WAKES, "COVERING INDEX instance_due (partition=? AND (due,id)>(?,?))"),
            (BUSY, "COVERING INDEX instance_busy (partition=? AND id>?)"),
        ] {
            let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("it is SQL");
            let steps = explain.raw_query().mapped(|row| row.get::<_, String>(3));
            let steps: Vec<_> = steps.map(|step| step.expect("it is text")).collect();
            assert_eq!(steps, [format!("SEARCH instance USING {plan}")]);
        }
    }
}
