//! What nodes know of each other: who lives, who owns what, and hints.
//!
//! A hint is a `NOTIFY` in a transaction of its own, after the commit that it is about: within it,
//! the server would let commits through one after another. Those that come while one is sent go
//! together in the next. As some may be lost, nodes ask once a second which partitions have mail.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use taskhub_core::{
    Epoch, PartitionId,
    store::{Hints, Lease, Node, Ownership, Shared, StoreError},
};
use tokio_postgres::{Row, types::ToSql};

use crate::{
    PostgresStore,
    error::Trouble,
    link::Link,
    ownership::{micros, now},
    row::{count, get},
    text::{pack, unpack},
};

/// Partitions in one notice: its text has a limit of 8000 bytes.
const PARTITIONS_PER_NOTICE: usize = 1_000;

/// Whoever was silent for an hour is forgotten. A hub without its fence is being deleted: nobody
/// lives there, the one who asks neither.
const HEARTBEAT: &str = concat!(
    "WITH clock AS MATERIALIZED (SELECT ",
    now!("5"),
    " AS now), beat AS ( \
        INSERT INTO taskhub.node (hub, id, address, until, circle) \
        SELECT $1, $2, $3, now + $4, $6 FROM clock \
        WHERE EXISTS (SELECT FROM taskhub.partition WHERE hub = $1) \
        ON CONFLICT (hub, id) DO UPDATE SET \
            address = excluded.address, until = excluded.until, circle = excluded.circle \
        RETURNING id, address, circle \
    ), gone AS ( \
        DELETE FROM taskhub.node AS n USING clock \
        WHERE n.hub = $1 AND n.until < now - 3600000000 AND n.id <> $2 \
    ) \
    SELECT id, address, circle FROM beat UNION ALL \
    SELECT n.id, n.address, n.circle FROM taskhub.node AS n, clock \
    WHERE n.hub = $1 AND n.until > now AND n.id <> $2",
);

const DEPART: &str = "DELETE FROM taskhub.node WHERE hub = $1 AND id = $2";

const NODES: &str =
    concat!("SELECT id, address, circle FROM taskhub.node WHERE hub = $1 AND until > ", now!("2"));

const OWNERS: &str = concat!(
    "SELECT partition, epoch, node, address, greatest(until - ",
    now!("2"),
    ", 0) FROM taskhub.lease WHERE hub = $1 AND until IS NOT NULL ORDER BY partition",
);

/// Nothing is lost with the hint itself: it need not reach the disk.
const HINT: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";

const MAIL: &str = "SELECT p.id FROM taskhub.partition AS p WHERE p.hub = $1 \
    AND EXISTS (SELECT FROM taskhub.message AS m WHERE m.hub = $1 AND m.partition = p.id) \
    ORDER BY p.id";

/// Hints that are about to be sent.
#[derive(Default)]
pub(crate) struct Herald {
    waiting: Mutex<BTreeSet<u16>>,
    sending: Mutex<()>,
}

impl Shared for PostgresStore {
    fn heartbeat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>, StoreError> {
        let (id, address, circle) = (pack(&node.id), pack(&node.address), pack(&node.circle));
        let (ttl, now) = (micros(ttl), self.now());
        let nodes = self.change(async |link: &mut Link| {
            let params: [&(dyn ToSql + Sync); 6] = [&self.hub, &id, &address, &ttl, &now, &circle];
            by_id(&link.query(HEARTBEAT, &params).await?)
        })?;
        if nodes.iter().any(|living| living.id == node.id) {
            Ok(nodes)
        } else {
            Err(StoreError::Deleted)
        }
    }

    fn depart(&self, node: &Node) -> Result<(), StoreError> {
        self.change(async |link: &mut Link| {
            link.query(DEPART, &[&self.hub, &pack(&node.id)]).await.map(drop)
        })
    }

    fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        let (now, database) = (self.now(), &self.database);
        Ok(database.read_on(&database.leases, async |link: &mut Link| {
            by_id(&link.query(NODES, &[&self.hub, &now]).await?)
        })?)
    }

    fn owners(&self) -> Result<Vec<Lease>, StoreError> {
        let (now, database) = (self.now(), &self.database);
        Ok(database.read_on(&database.leases, async |link: &mut Link| {
            let rows = link.query(OWNERS, &[&self.hub, &now]).await?;
            rows.iter().map(lease).collect()
        })?)
    }

    fn mail(&self) -> Result<Vec<PartitionId>, StoreError> {
        let database = &self.database;
        Ok(database.read_on(&database.leases, async |link: &mut Link| {
            let rows = link.query(MAIL, &[&self.hub]).await?;
            rows.iter().map(|row| Ok(PartitionId(get::<i16>(row, 0)?.unsigned_abs()))).collect()
        })?)
    }

    fn hint(&self, partitions: &[PartitionId]) -> Result<(), StoreError> {
        let herald = &self.herald;
        lock(&herald.waiting).extend(partitions.iter().map(|partition| partition.0));
        let _sending = lock(&herald.sending);
        // Whoever sent last may have taken ours with them.
        let all: Vec<u16> = mem::take(&mut *lock(&herald.waiting)).into_iter().collect();
        for some in all.chunks(PARTITIONS_PER_NOTICE) {
            let (channel, notice) = (self.channel(), written(some));
            let sent = self.change(async |link: &mut Link| {
                link.query(HINT, &[&channel, &notice]).await.map(drop)
            });
            if let Err(error) = sent {
                lock(&herald.waiting).extend(some);
                return Err(error);
            }
        }
        Ok(())
    }

    fn listen(&self) -> Result<Box<dyn Hints>, StoreError> {
        let (tell, told) = mpsc::channel();
        let hear = tell.clone();
        let listening = format!("LISTEN {}", self.channel());
        let opened =
            self.database.listen(tell, async |link: &mut Link| link.once(&listening, &[]).await);
        let (link, deaf) = match opened {
            Ok(link) => (Some(link), None),
            Err(Trouble::Refused(error)) => {
                let why = error.message();
                tracing::warn!(why, "this server passes no hints on: they come late, by a look");
                (None, Some(hear))
            }
            Err(trouble) => return Err(trouble.into()),
        };
        Ok(Box::new(Ear { told, _link: link, _deaf: deaf }))
    }
}

impl PostgresStore {
    /// The name under which the notices of this hub go.
    fn channel(&self) -> String {
        format!("taskhub_{}", self.hub)
    }
}

/// One listener.
struct Ear {
    told: mpsc::Receiver<String>,
    /// The connection that listens.
    _link: Option<Link>,
    /// Keeps the ear open where no connection does.
    _deaf: Option<mpsc::Sender<String>>,
}

impl Hints for Ear {
    fn next(&mut self, wait: Duration) -> Result<Vec<PartitionId>, StoreError> {
        match self.told.recv_timeout(wait) {
            Ok(notice) => {
                let more = self.told.try_iter();
                let heard = [notice].into_iter().chain(more).flat_map(|it| read(&it));
                let heard: BTreeSet<PartitionId> = heard.collect();
                Ok(heard.into_iter().collect())
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let why = "the connection that listens for hints was lost".to_owned();
                Err(StoreError::Unavailable(why))
            }
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(Vec::new()),
        }
    }
}

fn by_id(rows: &[Row]) -> Result<Vec<Node>, Trouble> {
    let text = |row, column| get(row, column).map(unpack);
    let node = |row| Ok(Node { id: text(row, 0)?, address: text(row, 1)?, circle: text(row, 2)? });
    let mut nodes = rows.iter().map(node).collect::<Result<Vec<_>, Trouble>>()?;
    nodes.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(nodes)
}

fn lease(row: &Row) -> Result<Lease, Trouble> {
    let partition = PartitionId(get::<i16>(row, 0)?.unsigned_abs());
    let text =
        |column| Ok::<_, Trouble>(get::<Option<&str>>(row, column)?.map_or("".into(), unpack));
    Ok(Lease {
        owned: Ownership { partition, epoch: Epoch(count(row, 1)?) },
        node: Node { id: text(2)?, address: text(3)?, circle: "".into() },
        lasts: Duration::from_micros(count(row, 4)?),
    })
}

/// Partitions as the text of a notice.
fn written(partitions: &[u16]) -> String {
    partitions.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
}

/// The partitions that a notice names. What is no number was sent by somebody else.
fn read(notice: &str) -> Vec<PartitionId> {
    notice.split(' ').filter_map(|number| number.parse().ok().map(PartitionId)).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
