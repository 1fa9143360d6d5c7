//! Between records and the columns of table `instance`.

use std::borrow::Cow;

use taskhub_core::{
    ExecutionId, InstanceId, Outcome, Record, RuntimeStatus, Tags, Text, Timestamp, codec,
    store::{Effect, StoreError},
};
use tokio_postgres::{
    Row,
    types::{FromSql, Json, ToSql},
};
use uuid::Uuid;

use crate::{
    error::Trouble,
    text::{pack, unpack},
};

/// The columns that [`record`] reads, from the table or an alias of it named `i`.
macro_rules! columns {
    () => {
        "i.key, i.status, i.events, i.due, i.busy, i.created_at, i.updated_at, i.completed_at, \
         i.execution, i.name, i.version, i.stuck, i.parent, i.tags, i.custom_status, i.output, \
         i.outcome"
    };
}
pub(crate) use columns;

type Packed<'a> = Cow<'a, str>;

/// Records as columns: one array for each.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    keys: Vec<i64>,
    is_new: Vec<bool>,
    shows: Vec<bool>,
    follows: Vec<Option<i64>>,
    ids: Vec<Packed<'a>>,
    partitions: Vec<i16>,
    statuses: Vec<i16>,
    events: Vec<i64>,
    due: Vec<Option<i64>>,
    busy: Vec<bool>,
    created_at: Vec<i64>,
    updated_at: Vec<i64>,
    completed_at: Vec<Option<i64>>,
    executions: Vec<Uuid>,
    names: Vec<Packed<'a>>,
    versions: Vec<Option<Packed<'a>>>,
    stuck: Vec<Option<Packed<'a>>>,
    parents: Vec<Option<Vec<u8>>>,
    tags: Vec<Option<String>>,
    custom_statuses: Vec<Option<Packed<'a>>>,
    outputs: Vec<Option<Packed<'a>>>,
    outcomes: Vec<Option<Vec<u8>>>,
}

impl<'a> Columns<'a> {
    /// Adds what becomes of an instance.
    pub(crate) fn push(
        &mut self,
        (key, is_new): (i64, bool),
        effect: &Effect<'a>,
        record: &'a Record,
    ) -> Result<(), StoreError> {
        let packed = |text: &'a Option<Text>| text.as_deref().map(pack);
        let at = |time: Option<Timestamp>| time.map(|time| time.0);
        self.keys.push(key);
        self.is_new.push(is_new);
        // What is not shown anew is not even sent.
        let shows = effect.shows || is_new;
        self.shows.push(shows);
        self.follows.push(effect.follows.map(number).transpose()?);
        self.ids.push(pack(effect.instance.as_str()));
        self.partitions.push(small(effect.partition.0));
        self.statuses.push(record.status.number().into());
        self.events.push(number(record.events)?);
        self.due.push(at(record.due));
        self.busy.push(record.busy);
        self.created_at.push(record.created_at.0);
        self.updated_at.push(record.updated_at.0);
        self.completed_at.push(at(record.completed_at));
        self.executions.push(Uuid::from_u128(record.execution.0));
        self.names.push(pack(&record.name));
        self.versions.push(packed(&record.version));
        self.stuck.push(packed(&record.stuck));
        let parent = record.parent.as_ref();
        self.parents.push(parent.map(|parent| codec::encode_parent(parent).to_vec()));
        self.tags.push(tags_out(&record.tags));
        self.custom_statuses.push(packed(&record.custom_status).filter(|_| shows));
        let (output, outcome) = match record.outcome.as_ref().filter(|_| shows) {
            None => (None, None),
            Some(Ok(Some(output))) => (Some(pack(output)), None),
            Some(other) => (None, Some(codec::encode_outcome(other).to_vec())),
        };
        self.outputs.push(output);
        self.outcomes.push(outcome);
        Ok(())
    }

    /// How many bytes those texts have that may be long.
    pub(crate) fn bytes(&self) -> usize {
        let texts = self.custom_statuses.iter().chain(&self.outputs).flatten();
        let outcomes = self.outcomes.iter().flatten().map(Vec::len);
        texts.map(|text| text.len()).chain(outcomes).sum()
    }

    /// The arrays, in the order of the parameters of `commit.sql`.
    pub(crate) fn params(&self) -> [&(dyn ToSql + Sync); 22] {
        [
            &self.keys,
            &self.is_new,
            &self.follows,
            &self.ids,
            &self.partitions,
            &self.statuses,
            &self.events,
            &self.due,
            &self.busy,
            &self.created_at,
            &self.updated_at,
            &self.completed_at,
            &self.executions,
            &self.names,
            &self.versions,
            &self.stuck,
            &self.parents,
            &self.tags,
            &self.custom_statuses,
            &self.outputs,
            &self.outcomes,
            &self.shows,
        ]
    }
}

/// Reads an instance's id.
pub(crate) fn id(row: &Row, column: usize) -> Result<InstanceId, Trouble> {
    Ok(InstanceId::trusted(unpack(get(row, column)?)))
}

/// Reads the record of a row that begins with [`columns`].
pub(crate) fn record(row: &Row) -> Result<Record, Trouble> {
    let time = |column| -> Result<Option<Timestamp>, Trouble> {
        Ok(get::<Option<i64>>(row, column)?.map(Timestamp))
    };
    let text = |column| -> Result<Option<Text>, Trouble> {
        Ok(get::<Option<&str>>(row, column)?.map(unpack))
    };
    let tags: Option<Json<Vec<(String, String)>>> = get(row, 13)?;
    let parent: Option<&[u8]> = get(row, 12)?;
    let outcome: Option<&[u8]> = get(row, 16)?;
    let outcome: Option<Outcome> = match text(15)? {
        Some(output) => Some(Ok(Some(output))),
        None => outcome.map(codec::decode_outcome).transpose()?,
    };
    Ok(Record {
        status: status(row, 1)?,
        events: count(row, 2)?,
        due: time(3)?,
        busy: get(row, 4)?,
        created_at: Timestamp(get(row, 5)?),
        updated_at: Timestamp(get(row, 6)?),
        completed_at: time(7)?,
        execution: ExecutionId(get::<Uuid>(row, 8)?.as_u128()),
        name: unpack(get(row, 9)?),
        version: text(10)?,
        stuck: text(11)?,
        parent: parent.map(codec::decode_parent).transpose()?,
        tags: tags.map(|Json(tags)| tags_in(&tags)).unwrap_or_default(),
        custom_status: text(14)?,
        outcome,
    })
}

fn status(row: &Row, column: usize) -> Result<RuntimeStatus, Trouble> {
    let number: i16 = get(row, column)?;
    let known = u8::try_from(number).ok().and_then(RuntimeStatus::from_number);
    known.ok_or_else(|| Trouble::Damaged(format!("an instance has the unknown status {number}")))
}

/// Reads a number that is not negative.
pub(crate) fn count(row: &Row, column: usize) -> Result<u64, Trouble> {
    let number: i64 = get(row, column)?;
    u64::try_from(number).map_err(|_| Trouble::Damaged(format!("{number} is less than nothing")))
}

/// Reads a column.
pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Trouble> {
    row.try_get(column).map_err(|error| Trouble::Damaged(crate::error::chain(&error)))
}

/// A count of ours as the database keeps it.
pub(crate) fn number(count: u64) -> Result<i64, StoreError> {
    let beyond = |_| StoreError::Damaged("a row has a number beyond 63 bits".to_owned());
    i64::try_from(count).map_err(beyond)
}

/// The number of a partition as the database keeps it; there are 4096 at most.
pub(crate) fn small(partition: u16) -> i16 {
    i16::try_from(partition).unwrap_or(i16::MAX)
}

/// Tags as JSON: a list of pairs, so that none is lost and their order stays.
pub(crate) fn tags_out(tags: &[(Text, Text)]) -> Option<String> {
    let pairs: Vec<_> = tags.iter().map(|(key, value)| (pack(key), pack(value))).collect();
    (!pairs.is_empty()).then(|| serde_json::json!(pairs).to_string())
}

fn tags_in(tags: &[(String, String)]) -> Tags {
    tags.iter().map(|(key, value)| (unpack(key), unpack(value))).collect()
}
