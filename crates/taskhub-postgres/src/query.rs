//! Lists of instances: pages in the order of creation or of the end, each with bounded work.

use taskhub_core::{
    RuntimeStatus, Timestamp,
    store::{Filter, Order, PAGE_BYTES_MAX, Page, StoreError, Which},
};
use tokio_postgres::types::{ToSql, Type};

use crate::{
    PostgresStore,
    error::Trouble,
    link::Link,
    row::{self, columns, get, tags_out},
    text::{behind, pack},
};

/// Rows that are looked at for one page; a page for which more would be needed comes out short.
const SCANNED_COUNT_MAX: i64 = 20_000;

/// Instances with one prefix that are sorted by the server; more are found by scanning.
const SORTED_COUNT_MAX: i64 = 1_000;

/// How many bytes of a page an instance takes, which the server knows without reading them.
const SIZE: &str =
    "coalesce(octet_length(i.output), 0) + coalesce(octet_length(i.custom_status), 0)";

/// A statement as it grows.
#[derive(Default)]
struct Question {
    params: Vec<(Box<dyn ToSql + Sync>, Type)>,
    /// Conditions that an index answers: what is scanned.
    spans: Vec<String>,
    /// Conditions on each row that is scanned.
    fits: Vec<String>,
}

impl Question {
    /// Adds a parameter; returns its name.
    fn param(&mut self, value: impl ToSql + Sync + 'static, kind: Type) -> String {
        self.params.push((Box::new(value), kind));
        format!("${}", self.params.len())
    }

    fn params(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.params.iter().map(|(value, kind)| (&**value, kind.clone())).collect()
    }

    fn time(&mut self, value: Timestamp) -> String {
        self.param(value.0, Type::INT8)
    }

    fn text(&mut self, value: &str) -> String {
        self.param(pack(value).into_owned(), Type::TEXT)
    }
}

impl PostgresStore {
    /// See [`taskhub_core::store::Store::query`].
    pub(crate) fn list(&self, filter: &Filter) -> Result<Page, StoreError> {
        if filter.limit == 0 {
            return Ok(Page::default());
        }
        Ok(self.database.read(async |link: &mut Link| {
            let few = match filter.prefix.as_deref() {
                Some(prefix) => self.are_few(link, prefix).await?,
                None => false,
            };
            let (sql, question) = self.question(filter, few);
            page(&link.once(&sql, &question.params()).await?, filter)
        })?)
    }

    /// Whether so few instances begin with `prefix` that they can be sorted.
    async fn are_few(&self, link: &mut Link, prefix: &str) -> Result<bool, Trouble> {
        let mut question = Question::default();
        let hub = question.param(self.hub, Type::INT4);
        question.prefixed(prefix);
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM taskhub.instance AS i \
             WHERE i.hub = {hub} AND {} LIMIT {SORTED_COUNT_MAX} + 1) AS few",
            question.spans.join(" AND ")
        );
        let rows = link.once(&sql, &question.params()).await?;
        let count: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
        Ok(count <= SORTED_COUNT_MAX)
    }

    /// The statement for a page. Each row has whether it fits; the last one that could be looked
    /// at comes too, since the list goes on behind it. What would be too much for a page is not
    /// even sent; the last row that is says so.
    fn question(&self, filter: &Filter, few: bool) -> (String, Question) {
        let mut question = Question::default();
        let hub = question.param(self.hub, Type::INT4);
        let at = match filter.order {
            Order::Created => "i.created_at",
            Order::Completed => "i.completed_at",
        };
        question.spans.push(format!("i.hub = {hub}"));
        question.span(filter, at);
        if let Some(prefix) = filter.prefix.as_deref() {
            question.prefixed(prefix);
            if !few && let Some(condition) = question.spans.pop() {
                question.fits.push(condition);
            }
        }
        question.narrow(filter);
        question.fit(filter);
        let (spans, fits) = (question.spans.join(" AND "), question.fits.join(" AND "));
        // One more than wanted tells whether anything follows.
        let most = i64::try_from(filter.limit).unwrap_or(i64::MAX).saturating_add(1);
        let most = question.param(most, Type::INT8);
        let sql = format!(
            "SELECT {columns}, i.id, i.fits, \
                i.place = {SCANNED_COUNT_MAX} OR i.bytes > {PAGE_BYTES_MAX} \
             FROM (\
                SELECT i.*, row_number() OVER so_far AS place, \
                    coalesce(sum(i.size) OVER so_far, 0) AS bytes \
                FROM (SELECT i.*, {at} AS at, ({fits}) AS fits, CASE WHEN {fits} THEN {SIZE} END \
                    AS size FROM taskhub.instance AS i WHERE {spans} \
                    ORDER BY {at}, i.id LIMIT {SCANNED_COUNT_MAX}) AS i \
                WINDOW so_far AS (ORDER BY i.at, i.id ROWS UNBOUNDED PRECEDING)\
             ) AS i WHERE (i.fits OR i.place = {SCANNED_COUNT_MAX}) \
                AND i.bytes - coalesce(i.size, 0) <= {PAGE_BYTES_MAX} \
             ORDER BY i.at, i.id LIMIT {most}",
            columns = columns!(),
        );
        (sql, question)
    }
}

impl Question {
    /// Between which places of its order the answer lies.
    fn span(&mut self, filter: &Filter, at: &str) {
        let (from, to) = match filter.order {
            Order::Created => (filter.created_from, filter.created_to),
            Order::Completed => (filter.completed_from, filter.completed_to),
        };
        if filter.order == Order::Completed {
            self.spans.push("i.completed_at IS NOT NULL".to_owned());
        }
        if let Some(from) = from {
            let from = self.time(from);
            self.spans.push(format!("{at} >= {from}"));
        }
        if let Some(to) = to {
            let to = self.time(to);
            self.spans.push(format!("{at} < {to}"));
        }
        if let Some(after) = &filter.after {
            let (time, id) = (self.time(after.at), self.text(after.instance.as_str()));
            self.spans.push(format!("({at}, i.id) > ({time}, {id})"));
        }
    }

    /// Adds the condition that an id begins so.
    fn prefixed(&mut self, prefix: &str) {
        let from = self.text(prefix);
        let mut condition = format!("i.id >= {from}");
        if let Some(to) = behind(&pack(prefix)) {
            let to = self.param(to, Type::TEXT);
            condition = format!("{condition} AND i.id < {to}");
        }
        self.spans.push(condition);
    }

    /// Adds the condition for which there is a small index.
    fn narrow(&mut self, filter: &Filter) {
        if filter.stuck {
            self.spans.push("i.stuck IS NOT NULL".to_owned());
        }
        if filter.statuses == [RuntimeStatus::Failed] {
            self.spans.push("i.status = 3".to_owned());
        }
        let orchestrations = || "(i.id < '@' OR i.id >= 'A')".to_owned();
        match filter.kind {
            Which::Entities => self.spans.push("i.id >= '@' AND i.id < 'A'".to_owned()),
            Which::Orchestrations if filter.wants_live() && filter.order == Order::Created => {
                self.spans.push("i.completed_at IS NULL".to_owned());
                self.spans.push(orchestrations());
            }
            Which::Orchestrations => self.fits.push(orchestrations()),
            Which::All => {}
        }
    }

    /// Adds what is looked at in each row.
    fn fit(&mut self, filter: &Filter) {
        self.fits.push("true".to_owned());
        if !filter.statuses.is_empty() {
            let numbers: Vec<i16> = filter.statuses.iter().map(|it| it.number().into()).collect();
            let numbers = self.param(numbers, Type::INT2_ARRAY);
            self.fits.push(format!("i.status = ANY ({numbers})"));
        }
        if let Some(name) = &filter.name {
            let name = self.text(name);
            self.fits.push(format!("i.name = {name}"));
        }
        for (at, from, to) in [
            ("i.created_at", filter.created_from, filter.created_to),
            ("i.completed_at", filter.completed_from, filter.completed_to),
            ("i.updated_at", filter.updated_from, filter.updated_to),
        ] {
            for (time, sign) in [(from, ">="), (to, "<")] {
                if let Some(time) = time {
                    let time = self.time(time);
                    self.fits.push(format!("coalesce({at} {sign} {time}, false)"));
                }
            }
        }
        if let Some(tags) = tags_out(&filter.tags) {
            // Finds a little too much: whether it is the same pair is looked at after.
            let tags = self.param(tags, Type::TEXT);
            self.fits.push(format!("coalesce(i.tags @> {tags}::jsonb, false)"));
        }
    }
}

fn page(rows: &[tokio_postgres::Row], filter: &Filter) -> Result<Page, Trouble> {
    let mut page = Page::default();
    let mut last = None;
    for row in rows {
        if page.instances.len() == filter.limit {
            page.next = last;
            return Ok(page);
        }
        let (id, record) = (row::id(row, 17)?, row::record(row)?);
        let fits: bool = get(row, 18)?;
        last = filter.place(&id, &record);
        if fits && filter.matches(&id, &record) {
            page.instances.push((id, record));
        }
    }
    // Fewer rows than asked for: the list ends, unless the scan did, or the page is full.
    let is_full = rows.len() > filter.limit;
    if is_full || rows.last().map_or(Ok(false), |row| get(row, 19))? {
        page.next = last;
    }
    Ok(page)
}
