//! The tables, and the steps from every older version to this one.

use crate::{
    OpenError,
    database::Database,
    error::Trouble,
    link::Link,
    row::{get, small},
    text::pack,
};

/// The version that this program knows.
pub(crate) const VERSION: i32 = 3;

/// Step `n` leads from version `n` to version `n + 1`. What was released is never changed.
const STEPS: [&str; VERSION as usize] = [
    include_str!("migrations/0001_hub.sql"),
    include_str!("migrations/0002_live.sql"),
    include_str!("migrations/0003_circle.sql"),
];

/// Nodes that start at the same time go through this one after another. The number is `TskH`.
const ALONE: &str = "BEGIN; SELECT pg_advisory_xact_lock(1416850248)";

/// The first thing that is made, and the only one that must be there to ask for the rest.
const BEGINNING: &str = "CREATE SCHEMA IF NOT EXISTS taskhub; \
    CREATE TABLE IF NOT EXISTS taskhub.schema_version (version integer NOT NULL)";

const HUB: &str = "\
    SELECT h.key, h.partitions, \
        (SELECT count(*) FROM taskhub.partition AS p WHERE p.hub = h.key) = h.partitions \
    FROM taskhub.hub AS h WHERE h.name = $1";

const ADD_HUB: &str = "\
    WITH added AS ( \
        INSERT INTO taskhub.hub (name, partitions) VALUES ($1, $2) \
        ON CONFLICT (name) DO NOTHING RETURNING key \
    ), fence AS ( \
        INSERT INTO taskhub.partition (hub, id) \
        SELECT key, generate_series(0, $2::int2 - 1) FROM added \
    ) \
    INSERT INTO taskhub.lease (hub, partition) \
    SELECT key, generate_series(0, $2::int2 - 1) FROM added";

/// Brings the database to this version, whole or not at all. It asks for no right to do so when
/// nothing is to be done.
pub(crate) fn migrate(database: &Database) -> Result<(), OpenError> {
    let look = async |link: &mut Link| {
        let rows = link.once("SHOW server_encoding", &[]).await?;
        let encoding: String = get(rows.first().ok_or_else(empty)?, 0)?;
        Ok((encoding, version(link).await?))
    };
    let (encoding, found) = database.alone(look)?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding(encoding));
    }
    if database.is_shared_out()? {
        return Err(OpenError::Pooled);
    }
    let found = if found < VERSION { database.alone(climb)? } else { found };
    if found > VERSION {
        return Err(OpenError::Newer { found, known: VERSION });
    }
    Ok(())
}

/// The schema's number; 0 when there is none.
async fn version(link: &mut Link) -> Result<i32, Trouble> {
    let rows = link.once("SELECT to_regclass('taskhub.schema_version') IS NOT NULL", &[]).await?;
    if !get(rows.first().ok_or_else(empty)?, 0)? {
        return Ok(0);
    }
    let rows = link.once("SELECT coalesce(max(version), 0) FROM taskhub.schema_version", &[]);
    get(rows.await?.first().ok_or_else(empty)?, 0)
}

/// Takes the steps that are missing, in one transaction; it ends with the connection if it fails.
async fn climb(link: &mut Link) -> Result<i32, Trouble> {
    link.script(ALONE).await?;
    let found = version(link).await?;
    if found >= VERSION {
        return Ok(found);
    }
    link.script(BEGINNING).await?;
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        link.script(step).await?;
    }
    let done = format!(
        "DELETE FROM taskhub.schema_version; \
         INSERT INTO taskhub.schema_version VALUES ({VERSION}); COMMIT"
    );
    link.script(&done).await?;
    tracing::info!(from = found, to = VERSION, "the tables of the hubs were brought up to date");
    Ok(VERSION)
}

/// The key of the hub with this name and how many partitions it has; made if it is not there.
pub(crate) fn hub(
    database: &Database,
    name: &str,
    partitions: u16,
) -> Result<(i32, u16), OpenError> {
    let (hub, name) = (name, pack(name));
    let found = database.alone(async |link: &mut Link| {
        let mut rows = link.query(HUB, &[&name]).await?;
        if rows.is_empty() {
            link.query(ADD_HUB, &[&name, &small(partitions)]).await?;
            rows = link.query(HUB, &[&name]).await?;
        }
        let row = rows.first().ok_or_else(empty)?;
        Ok((get::<i32>(row, 0)?, get::<i16>(row, 1)?, get::<bool>(row, 2)?))
    });
    let (key, partitions, is_whole) = found?;
    if !is_whole {
        return Err(OpenError::HalfDeleted(hub.to_owned()));
    }
    Ok((key, partitions.unsigned_abs()))
}

fn empty() -> Trouble {
    Trouble::Damaged("an answer that must have a row has none".to_owned())
}
