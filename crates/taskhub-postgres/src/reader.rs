//! What is read of instances, histories and inboxes.

use std::{collections::HashSet, ops::Range};

use bytes::Bytes;
use taskhub_core::{
    Envelope, Epoch, InstanceId, MessageId, PartitionId, Timestamp, codec,
    store::{StoreError, Stored, Wake},
};

use crate::{
    PostgresStore,
    error::Trouble,
    link::Link,
    row::{self, columns, count, get, small},
    text::{pack, unpack},
};

/// The record first, then the pieces of the history, all of one moment.
const LOAD: &str = concat!(
    "WITH i AS MATERIALIZED (SELECT * FROM taskhub.instance WHERE hub = $1 AND id = $2) SELECT ",
    columns!(),
    ", NULL::int8 AS first_event, NULL::bytea FROM i \
    UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
        NULL, NULL, NULL, NULL, NULL, h.first_event, h.events \
    FROM i JOIN taskhub.history AS h ON h.instance = i.key \
    WHERE i.status NOT IN (1, 3, 4, 5) \
    ORDER BY first_event NULLS FIRST",
);

/// Where the piece begins in which the first wanted event stands.
const HISTORY: &str = "SELECT h.events FROM taskhub.instance AS i \
    JOIN taskhub.history AS h ON h.instance = i.key \
    WHERE i.hub = $1 AND i.id = $2 AND $3 < i.events AND h.first_event < $4 \
        AND h.first_event >= coalesce((SELECT max(first_event) FROM taskhub.history \
            WHERE instance = i.key AND first_event <= $3), 0) \
    ORDER BY h.first_event";

/// The limit keeps it one look-up after another.
const BEGINNINGS: &str = "SELECT first.events \
    FROM unnest($2::text[]) WITH ORDINALITY AS asked (id, place) LEFT JOIN LATERAL ( \
        SELECT h.events FROM taskhub.instance AS i \
        JOIN taskhub.history AS h ON h.instance = i.key AND h.first_event = 0 \
        WHERE i.hub = $1 AND i.id = asked.id LIMIT 1 \
    ) AS first ON true \
    ORDER BY asked.place";

const WAKES: &str = "SELECT due, id FROM taskhub.instance \
    WHERE hub = $1 AND partition = $2 AND due IS NOT NULL AND (due, id) > ($3, $4) \
    ORDER BY due, id LIMIT $5";

const BUSY: &str = "SELECT id FROM taskhub.instance \
    WHERE hub = $1 AND partition = $2 AND busy AND id > $3 ORDER BY id LIMIT $4";

const INBOX: &str = "SELECT sender, epoch, number, receiver, message FROM taskhub.message \
    WHERE hub = $1 AND partition::integer = $2 ORDER BY place LIMIT $3";

impl PostgresStore {
    /// See [`taskhub_core::store::Store::load`].
    pub(crate) fn load_one(&self, instance: &InstanceId) -> Result<Option<Stored>, StoreError> {
        let id = pack(instance.as_str());
        let found = self.database.read(async |link: &mut Link| {
            let rows = link.query(LOAD, &[&self.hub, &id]).await?;
            let Some((first, pieces)) = rows.split_first() else { return Ok(None) };
            let record = row::record(first)?;
            let pieces = pieces.iter().map(|row| Ok(Bytes::copy_from_slice(get(row, 18)?)));
            let history = pieces.collect::<Result<_, Trouble>>()?;
            Ok(Some((get(first, 0)?, Stored { record, history })))
        })?;
        Ok(found.map(|(key, stored)| {
            self.keys.remember(instance, key, &stored.record);
            stored
        }))
    }

    /// See [`taskhub_core::store::Store::history`].
    pub(crate) fn pieces(
        &self,
        instance: &InstanceId,
        events: &Range<u64>,
    ) -> Result<Vec<Bytes>, StoreError> {
        let id = pack(instance.as_str());
        let start = i64::try_from(events.start).unwrap_or(i64::MAX);
        let end = i64::try_from(events.end).unwrap_or(i64::MAX);
        if start >= end {
            return Ok(Vec::new());
        }
        Ok(self.database.read(async |link: &mut Link| {
            let rows = link.query(HISTORY, &[&self.hub, &id, &start, &end]).await?;
            rows.iter().map(|row| Ok(Bytes::copy_from_slice(get(row, 0)?))).collect()
        })?)
    }

    /// See [`taskhub_core::store::Store::beginnings`].
    pub(crate) fn first_pieces(
        &self,
        instances: &[InstanceId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let ids: Vec<_> = instances.iter().map(|id| pack(id.as_str())).collect();
        Ok(self.database.read(async |link: &mut Link| {
            let rows = link.query(BEGINNINGS, &[&self.hub, &ids]).await?;
            let first = |row| Ok(get::<Option<&[u8]>>(row, 0)?.map(Bytes::copy_from_slice));
            rows.iter().map(first).collect()
        })?)
    }

    /// See [`taskhub_core::store::Store::wakes`].
    pub(crate) fn wakes_of(
        &self,
        partition: PartitionId,
        after: Option<&Wake>,
        limit: usize,
    ) -> Result<Vec<Wake>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (at, id) = match after {
            Some(wake) => (wake.at.0, pack(wake.instance.as_str())),
            // Before every other place: no instance has an empty id.
            None => (i64::MIN, "".into()),
        };
        Ok(self.database.read(async |link: &mut Link| {
            let partition = small(partition.0);
            let rows = link.query(WAKES, &[&self.hub, &partition, &at, &id, &limit]).await?;
            let wake = |row| Ok(Wake { at: Timestamp(get(row, 0)?), instance: row::id(row, 1)? });
            rows.iter().map(wake).collect()
        })?)
    }

    /// See [`taskhub_core::store::Store::busy`].
    pub(crate) fn busy_of(
        &self,
        partition: PartitionId,
        after: Option<&InstanceId>,
        limit: usize,
    ) -> Result<Vec<InstanceId>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let after = pack(after.map_or("", InstanceId::as_str));
        Ok(self.database.read(async |link: &mut Link| {
            let partition = small(partition.0);
            let rows = link.query(BUSY, &[&self.hub, &partition, &after, &limit]).await?;
            rows.iter().map(|row| row::id(row, 0)).collect()
        })?)
    }

    /// See [`taskhub_core::store::Store::inbox`]. Always from the beginning: a place that is lower
    /// than others may appear after them.
    pub(crate) fn inbox_of(
        &self,
        partition: PartitionId,
        taken: &[MessageId],
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let gone: HashSet<_> = taken.iter().collect();
        let most = i64::try_from(limit.saturating_add(taken.len())).unwrap_or(i64::MAX);
        let mut found: Vec<Envelope> = self.database.read(async |link: &mut Link| {
            let rows = link.query(INBOX, &[&self.hub, &i32::from(partition.0), &most]).await?;
            rows.iter()
                .map(|row| {
                    let from = PartitionId(get::<i16>(row, 0)?.unsigned_abs());
                    let id =
                        MessageId { from, epoch: Epoch(count(row, 1)?), number: count(row, 2)? };
                    let to = InstanceId::trusted(unpack(get(row, 3)?));
                    let message = codec::decode_message(get(row, 4)?)?;
                    Ok(Envelope { id, to, partition, message })
                })
                .collect()
        })?;
        found.retain(|envelope| !gone.contains(&envelope.id));
        found.truncate(limit);
        Ok(found)
    }
}
