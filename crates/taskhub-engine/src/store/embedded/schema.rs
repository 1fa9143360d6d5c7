//! The tables of a hub's file, and the steps from every older version to this one.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Marks the file as a hub: the letters `TskH`.
const APPLICATION: i32 = 0x5473_6B48;

/// The version that this program knows.
pub(super) const VERSION: u32 = 3;

/// Step `n` leads from version `n` to version `n + 1`. What was released is never changed.
const STEPS: [&str; VERSION as usize] = [
    include_str!("migrations/0001_hub.sql"),
    include_str!("migrations/0002_live.sql"),
    include_str!("migrations/0003_apart.sql"),
];

/// What the file holds, by its own account.
pub(super) enum Found {
    /// A hub of this version or an older one, or nothing yet.
    Usable,
    /// A hub of a later version.
    Newer(u32),
    /// Something else.
    Foreign,
}

/// Looks at the file without changing it.
pub(super) fn look(db: &Connection) -> rusqlite::Result<Found> {
    let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    let version = u32::try_from(number("user_version")?).unwrap_or(u32::MAX);
    Ok(match number("application_id")? {
        APPLICATION if version > VERSION => Found::Newer(version),
        APPLICATION => Found::Usable,
        0 if tables == 0 => Found::Usable,
        _ => Found::Foreign,
    })
}

/// Brings the file to this version, whole or not at all; a new hub gets so many partitions.
pub(super) fn migrate(db: &mut Connection, partitions: u16) -> rusqlite::Result<()> {
    let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == VERSION {
        return Ok(());
    }
    for sql in STEPS.iter().skip(version as usize) {
        step.execute_batch(sql)?;
    }
    if version == 0 {
        add_partitions(&step, partitions)?;
    }
    step.pragma_update(None, "application_id", APPLICATION)?;
    step.pragma_update(None, "user_version", VERSION)?;
    step.commit()
}

fn add_partitions(step: &Transaction<'_>, count: u16) -> rusqlite::Result<()> {
    let mut add = step.prepare("INSERT INTO partition (id) VALUES (?1)")?;
    (0..count).try_for_each(|id| add.execute([id]).map(drop))
}
