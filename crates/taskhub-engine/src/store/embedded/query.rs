//! Lists of instances: pages in the order of creation or of the end, each with bounded work.

use rusqlite::{Connection, params};
use taskhub_core::{
    RuntimeStatus, Timestamp,
    store::{Cursor, Filter, Growing, Order, Page, StoreError, Which},
};

use super::{error::failed, row};

/// Rows that are looked at for one page; a page for which more would be needed comes out short.
const SCANNED_COUNT_MAX: usize = 20_000;

/// Instances with one prefix that are sorted in memory; more are found by scanning.
const SORTED_COUNT_MAX: usize = 1_000;

/// A question for [`Place`]s; the first parameter is the name that is asked for. Only small
/// columns: rows of the same time are sorted before the first of them comes out.
macro_rules! places {
    ($rest:literal) => {
        concat!(
            "SELECT key, id, created_at, status, completed_at, updated_at, ",
            "?1 IS NULL OR name = ?1 FROM instance ",
            $rest
        )
    };
    // Those within a span of an index.
    ($index:literal, $time:literal) => {
        concat!(
            places!("INDEXED BY "),
            $index,
            " AND ",
            $time,
            " >= ?2 AND ",
            $time,
            " <= ?3 AND (",
            $time,
            " > ?2 OR id > ?4) ORDER BY ",
            $time,
            ", id"
        )
    };
}

/// See [`taskhub_core::store::Store::query`].
pub(super) fn query(db: &Connection, filter: &Filter) -> Result<Page, StoreError> {
    let Some(span) = Span::of(filter).filter(|_| filter.limit > 0) else {
        return Ok(Page::default());
    };
    if let Some(prefix) = filter.prefix.as_deref()
        && let Some(few) = with_prefix(db, filter, prefix)?
    {
        return page_of_few(db, filter, few);
    }
    scan(db, filter, &span)
}

/// Between which places of its order the answer lies.
struct Span<'a> {
    from: Timestamp,
    to: Timestamp,
    /// At `from`, only those with a greater id.
    behind: &'a str,
}

impl<'a> Span<'a> {
    /// `None` when nothing can lie there.
    fn of(filter: &'a Filter) -> Option<Self> {
        let (from, to) = match filter.order {
            Order::Created => (filter.created_from, filter.created_to),
            Order::Completed => (filter.completed_from, filter.completed_to),
        };
        let from = from.unwrap_or(Timestamp::START);
        let to = match to {
            Some(to) => Timestamp(to.0.checked_sub(1)?),
            None => Timestamp(i64::MAX),
        };
        Some(match &filter.after {
            Some(after) if after.at >= from => {
                Self { from: after.at, to, behind: after.instance.as_str() }
            }
            _ => Self { from, to, behind: "" },
        })
    }
}

fn scan(db: &Connection, filter: &Filter, span: &Span<'_>) -> Result<Page, StoreError> {
    let sql = if filter.order == Order::Completed {
        places!("instance_completed WHERE completed_at IS NOT NULL", "completed_at")
    } else if filter.stuck {
        places!("instance_stuck WHERE stuck IS NOT NULL", "created_at")
    } else if filter.statuses == [RuntimeStatus::Failed] {
        places!("instance_failed WHERE status = 3", "created_at")
    } else if filter.kind == Which::Entities {
        places!("instance_entity WHERE id >= '@' AND id < 'A'", "created_at")
    } else if filter.wants_live() && filter.kind == Which::Orchestrations {
        places!(
            "instance_live WHERE completed_at IS NULL AND NOT (id >= '@' AND id < 'A')",
            "created_at"
        )
    } else {
        places!("instance_created WHERE TRUE", "created_at")
    };
    let mut read = db.prepare_cached(sql).map_err(failed)?;
    let params = params![filter.name.as_deref(), span.from.0, span.to.0, span.behind];
    let mut rows = read.query(params).map_err(failed)?;
    let mut page = Growing::default();
    let mut last = None;
    for _ in 0..SCANNED_COUNT_MAX {
        let Some(row) = rows.next().map_err(failed)? else { return Ok(page.ends(None)) };
        // A full page needs to know only whether anything may follow.
        if page.is_full(filter) {
            break;
        }
        let found = Place::read(row, filter.order)?;
        if found.may_match(filter) {
            add(db, filter, &found, &mut page)?;
        }
        last = Some(found.cursor);
    }
    Ok(page.ends(last))
}

/// What a scan learns of an instance without reading its record.
struct Place {
    key: i64,
    cursor: Cursor,
    status: RuntimeStatus,
    completed_at: Option<Timestamp>,
    updated_at: Timestamp,
    is_named_so: bool,
}

impl Place {
    fn read(row: &rusqlite::Row<'_>, order: Order) -> Result<Self, StoreError> {
        let created_at = Timestamp(row.get(2).map_err(failed)?);
        let completed_at = row.get::<_, Option<i64>>(4).map_err(failed)?.map(Timestamp);
        let at = match order {
            Order::Created => created_at,
            Order::Completed => completed_at.unwrap_or_default(), // If not, it does not match.
        };
        Ok(Self {
            key: row.get(0).map_err(failed)?,
            cursor: Cursor { at, instance: row::id(row, 1)? },
            status: row::status(row, 3)?,
            completed_at,
            updated_at: Timestamp(row.get(5).map_err(failed)?),
            is_named_so: row.get(6).map_err(failed)?,
        })
    }

    /// Cheaply leaves out what cannot match.
    fn may_match(&self, filter: &Filter) -> bool {
        let asked = filter.completed_from.is_some()
            || filter.completed_to.is_some()
            || filter.order == Order::Completed;
        self.is_named_so
            && filter.kind.includes(&self.cursor.instance)
            && filter.updated_from.is_none_or(|from| self.updated_at >= from)
            && filter.updated_to.is_none_or(|to| self.updated_at < to)
            && (filter.statuses.is_empty() || filter.statuses.contains(&self.status))
            && (!asked || self.completed_at.is_some())
            && filter
                .prefix
                .as_ref()
                .is_none_or(|p| self.cursor.instance.as_str().starts_with(&**p))
    }
}

/// Adds the instance at a place, if it matches after all.
fn add(
    db: &Connection,
    filter: &Filter,
    place: &Place,
    page: &mut Growing,
) -> Result<(), StoreError> {
    let mut read = db.prepare_cached(row::select!("WHERE key = ?1")).map_err(failed)?;
    let mut rows = read.query([place.key]).map_err(failed)?;
    let Some(row) = rows.next().map_err(failed)? else { return Ok(()) };
    let (id, record) = (&place.cursor.instance, row::record(row)?);
    if filter.matches(id, &record) {
        page.add(id.clone(), record);
    }
    Ok(())
}

/// The places of all instances with a prefix, or `None` when there are too many to sort.
fn with_prefix(
    db: &Connection,
    filter: &Filter,
    prefix: &str,
) -> Result<Option<Vec<Place>>, StoreError> {
    let mut read = db.prepare_cached(places!("WHERE id >= ?2 ORDER BY id")).map_err(failed)?;
    let mut rows = read.query(params![filter.name.as_deref(), prefix]).map_err(failed)?;
    let mut few = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let place = Place::read(row, filter.order)?;
        if !place.cursor.instance.as_str().starts_with(prefix) {
            break;
        }
        if few.len() == SORTED_COUNT_MAX {
            return Ok(None);
        }
        few.push(place);
    }
    Ok(Some(few))
}

fn page_of_few(db: &Connection, filter: &Filter, few: Vec<Place>) -> Result<Page, StoreError> {
    let behind = |place: &Place| filter.after.as_ref().is_none_or(|after| place.cursor > *after);
    let mut few: Vec<Place> =
        few.into_iter().filter(|place| behind(place) && place.may_match(filter)).collect();
    few.sort_by(|a, b| a.cursor.cmp(&b.cursor));
    let mut page = Growing::default();
    let mut last = None;
    for place in few {
        if page.is_full(filter) {
            return Ok(page.ends(last));
        }
        add(db, filter, &place, &mut page)?;
        last = Some(place.cursor);
    }
    Ok(page.ends(None))
}
