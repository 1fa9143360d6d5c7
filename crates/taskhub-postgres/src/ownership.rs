//! Who owns which partition: leases by the clock of the server, and the epochs that fence.

use std::{collections::HashSet, time::Duration};

use taskhub_core::{
    Epoch, PartitionId,
    store::{Node, Ownership, StoreError},
};

use crate::{
    PostgresStore,
    error::Trouble,
    link::Link,
    row::{count, get, small},
    text::pack,
};

/// Microseconds since 1970: what a test says, or the clock of the server.
macro_rules! now {
    ($test:literal) => {
        concat!(
            "coalesce($",
            $test,
            "::int8, (extract(epoch FROM statement_timestamp()) * 1000000)::int8)"
        )
    };
}

pub(crate) use now;

/// Nodes that claim at the same time pass over each other's partitions. The new epochs wait for
/// the commits that are under way, in the order in which commits lock.
const CLAIM: &str = concat!(
    "WITH free AS MATERIALIZED ( \
        SELECT partition FROM taskhub.lease \
        WHERE hub = $1 AND (until IS NULL OR until <= ",
    now!("6"),
    ") ORDER BY partition LIMIT $2 FOR UPDATE SKIP LOCKED \
    ), locked AS MATERIALIZED ( \
        SELECT id FROM taskhub.partition \
        WHERE hub = $1 AND id IN (SELECT partition FROM free) ORDER BY id FOR UPDATE \
    ), fenced AS ( \
        UPDATE taskhub.partition AS p SET epoch = p.epoch + 1 \
        FROM locked WHERE p.hub = $1 AND p.id = locked.id \
        RETURNING p.id, p.epoch \
    ) \
    UPDATE taskhub.lease AS l \
    SET epoch = fenced.epoch, node = $3, address = $4, until = $5 + ",
    now!("6"),
    " FROM fenced WHERE l.hub = $1 AND l.partition = fenced.id \
    RETURNING l.partition, l.epoch",
);

const RENEW: &str = concat!(
    "UPDATE taskhub.lease AS l SET until = $4 + ",
    now!("5"),
    " FROM unnest($2::int2[], $3::int8[]) AS o (partition, epoch) \
    WHERE l.hub = $1 AND l.partition = o.partition AND l.epoch = o.epoch AND l.until IS NOT NULL \
    RETURNING l.partition",
);

const RELEASE: &str = "UPDATE taskhub.lease AS l SET until = NULL, node = NULL, address = NULL \
    FROM unnest($2::int2[], $3::int8[]) AS o (partition, epoch) \
    WHERE l.hub = $1 AND l.partition = o.partition AND l.epoch = o.epoch";

impl PostgresStore {
    /// See [`taskhub_core::store::Store::claim`].
    pub(crate) fn claim_some(
        &self,
        node: &Node,
        limit: usize,
        ttl: Duration,
    ) -> Result<Vec<Ownership>, StoreError> {
        let (now, ttl) = (self.now(), micros(ttl));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (id, address) = (pack(&node.id), pack(&node.address));
        self.change(async |link: &mut Link| {
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                [&self.hub, &limit, &id, &address, &ttl, &now];
            let rows = link.query(CLAIM, &params).await?;
            rows.iter()
                .map(|row| {
                    let partition = PartitionId(get::<i16>(row, 0)?.unsigned_abs());
                    Ok(Ownership { partition, epoch: Epoch(count(row, 1)?) })
                })
                .collect()
        })
    }

    /// See [`taskhub_core::store::Store::renew`].
    pub(crate) fn renew_all(
        &self,
        held: &[Ownership],
        ttl: Duration,
    ) -> Result<Vec<PartitionId>, StoreError> {
        let (now, ttl, (ids, epochs)) = (self.now(), micros(ttl), columns(held));
        let kept: HashSet<i16> = self.change(async |link: &mut Link| {
            let rows = link.query(RENEW, &[&self.hub, &ids, &epochs, &ttl, &now]).await?;
            rows.iter().map(|row| get(row, 0)).collect()
        })?;
        let lost = held.iter().map(|held| held.partition);
        Ok(lost.filter(|partition| !kept.contains(&small(partition.0))).collect())
    }

    /// See [`taskhub_core::store::Store::release`].
    pub(crate) fn release_all(&self, held: &[Ownership]) -> Result<(), StoreError> {
        let (ids, epochs) = columns(held);
        self.change(async |link: &mut Link| {
            link.query(RELEASE, &[&self.hub, &ids, &epochs]).await.map(drop)
        })
    }

    /// Does `work` on leases, again when it was rolled back because of others.
    pub(crate) fn change<T>(
        &self,
        mut work: impl AsyncFnMut(&mut Link) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let mut tries = 0;
        loop {
            match self.database.run(&self.database.leases, &mut work) {
                Err(trouble) if trouble.is_collision() && tries < 5 => tries += 1,
                done => return Ok(done?),
            }
        }
    }

    /// What time a test says it is.
    pub(crate) fn now(&self) -> Option<i64> {
        self.clock.as_ref().map(|clock| clock().0)
    }
}

/// A time in microseconds; 140,000 years at most, so that one can be added to a date.
pub(crate) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

fn columns(held: &[Ownership]) -> (Vec<i16>, Vec<i64>) {
    held.iter().map(|held| (small(held.partition.0), held.epoch.0.cast_signed())).unzip()
}
