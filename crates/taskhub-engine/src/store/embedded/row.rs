//! Between records and the columns of table `instance`.

use rusqlite::{
    Row, Statement, ToSql, params,
    types::{ToSqlOutput, Value, ValueRef},
};
use taskhub_core::{
    ExecutionId, InstanceId, Outcome, PartitionId, Record, RuntimeStatus, Tags, Text, Timestamp,
    codec, store::StoreError,
};

use super::error::{failed, undecodable};

/// A question for the key of instances and for the columns that [`record`] reads.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT key, status, events, due, busy, created_at, updated_at, completed_at, ",
            "execution, name, version, stuck, parent, tags, coalesce(custom_status, ",
            "(SELECT custom_status FROM apart WHERE instance = key)), coalesce(outcome, ",
            "(SELECT output FROM apart WHERE instance = key)) FROM instance ",
            $rest
        )
    };
}
pub(super) use select;

/// Adds an instance unless its id is there.
pub(super) const INSERT: &str = "INSERT INTO instance (key, id, partition, status, events, \
     due, busy, created_at, updated_at, completed_at, execution, name, version, stuck, parent, \
     tags, custom_status, outcome) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) \
     ON CONFLICT (id) DO NOTHING";

/// Rewrites what a turn can change of the instance with a key, and more.
macro_rules! update {
    ($more:literal) => {
        concat!(
            "UPDATE instance SET status = ?4, events = ?5, due = ?6, busy = ?7, updated_at = ?9, ",
            "execution = ?11, name = ?12, version = ?13, stuck = ?14, parent = ?15, tags = ?16, ",
            "custom_status = ?17, outcome = ?18",
            $more,
            " WHERE key = ?1"
        )
    };
}

/// Rewrites all that can change of the instance with a key.
pub(super) const UPDATE: &str = update!(", created_at = ?8, completed_at = ?10");

/// The same for one that stays where it stands in the lists by creation: `SQLite` would move it
/// there and back for being told the same time again.
pub(super) const UPDATE_IN_PLACE: &str = update!("");

/// Binds a record to the parameters of [`INSERT`] or [`UPDATE`] and runs it; returns how many
/// rows it changed.
pub(super) fn write(
    statement: &mut Statement<'_>,
    key: i64,
    instance: &InstanceId,
    partition: PartitionId,
    record: &Record,
) -> Result<usize, StoreError> {
    let at = |time: Option<Timestamp>| time.map(|time| time.0);
    let parent = record.parent.as_ref().map(|parent| codec::encode_parent(parent).to_vec());
    let tags = (!record.tags.is_empty()).then(|| codec::encode_tags(&record.tags).to_vec());
    statement
        .execute(params![
            key,
            instance.as_str(),
            partition.0,
            record.status.number(),
            number(record.events)?,
            at(record.due),
            record.busy,
            record.created_at.0,
            record.updated_at.0,
            at(record.completed_at),
            record.execution.0.to_be_bytes(),
            &*record.name,
            record.version.as_deref(),
            record.stuck.as_deref(),
            parent,
            tags,
            status_here(record),
            OutcomeColumn(record.outcome.as_ref()),
        ])
        .map_err(failed)
}

/// Texts from so many bytes on stand apart from what each turn rewrites: half a page.
const LONG_BYTES_MIN: usize = 2 << 10;

fn is_long(text: &str) -> bool {
    text.len() >= LONG_BYTES_MIN
}

fn status_here(record: &Record) -> Option<&str> {
    record.custom_status.as_deref().filter(|status| !is_long(status))
}

/// The custom status and the output of a record, as far as they stand apart.
pub(super) fn apart(record: &Record) -> Option<[Option<&str>; 2]> {
    let status = record.custom_status.as_deref().filter(|status| is_long(status));
    let output = record.outcome.as_ref().and_then(|outcome| outcome.as_ref().ok()?.as_deref());
    let output = output.filter(|output| is_long(output));
    (status.is_some() || output.is_some()).then_some([status, output])
}

/// An output is stored as the text that it is, everything else encoded.
struct OutcomeColumn<'a>(Option<&'a Outcome>);

impl ToSql for OutcomeColumn<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            None => ToSqlOutput::Borrowed(ValueRef::Null),
            Some(Ok(Some(output))) if is_long(output) => ToSqlOutput::Borrowed(ValueRef::Null),
            Some(Ok(Some(output))) => ToSqlOutput::Borrowed(ValueRef::Text(output.as_bytes())),
            Some(outcome) => {
                ToSqlOutput::Owned(Value::Blob(codec::encode_outcome(outcome).to_vec()))
            }
        })
    }
}

/// Reads an instance's id.
pub(super) fn id(row: &Row<'_>, column: usize) -> Result<InstanceId, StoreError> {
    Ok(InstanceId::trusted(text_of(row.get_ref(column).map_err(failed)?)?))
}

/// Reads the record of a row of [`select`].
pub(super) fn record(row: &Row<'_>) -> Result<Record, StoreError> {
    let time = |column| -> Result<Option<Timestamp>, StoreError> {
        Ok(row.get::<_, Option<i64>>(column).map_err(failed)?.map(Timestamp))
    };
    Ok(Record {
        status: status(row, 1)?,
        events: integer(row, 2)?.try_into().map_err(|_| odd("a negative number of events"))?,
        due: time(3)?,
        busy: row.get(4).map_err(failed)?,
        created_at: Timestamp(integer(row, 5)?),
        updated_at: Timestamp(integer(row, 6)?),
        completed_at: time(7)?,
        execution: ExecutionId(u128::from_be_bytes(row.get(8).map_err(failed)?)),
        name: text_of(row.get_ref(9).map_err(failed)?)?,
        version: text(row, 10)?,
        stuck: text(row, 11)?,
        parent: match row.get_ref(12).map_err(failed)? {
            ValueRef::Blob(bytes) => Some(codec::decode_parent(bytes).map_err(undecodable)?),
            _ => None,
        },
        tags: match row.get_ref(13).map_err(failed)? {
            ValueRef::Blob(bytes) => codec::decode_tags(bytes).map_err(undecodable)?,
            _ => Tags::default(),
        },
        custom_status: text(row, 14)?,
        outcome: match row.get_ref(15).map_err(failed)? {
            ValueRef::Null => None,
            ValueRef::Blob(bytes) => Some(codec::decode_outcome(bytes).map_err(undecodable)?),
            output => Some(Ok(Some(text_of(output)?))),
        },
    })
}

/// Reads a status.
pub(super) fn status(row: &Row<'_>, column: usize) -> Result<RuntimeStatus, StoreError> {
    let number: u8 = row.get(column).map_err(failed)?;
    RuntimeStatus::from_number(number).ok_or_else(|| odd("an unknown status"))
}

/// A count of ours as SQLite keeps it.
pub(super) fn number(count: u64) -> Result<i64, StoreError> {
    i64::try_from(count).map_err(|_| odd("a number beyond 63 bits"))
}

fn integer(row: &Row<'_>, column: usize) -> Result<i64, StoreError> {
    row.get(column).map_err(failed)
}

fn text(row: &Row<'_>, column: usize) -> Result<Option<Text>, StoreError> {
    match row.get_ref(column).map_err(failed)? {
        ValueRef::Null => Ok(None),
        value => Ok(Some(text_of(value)?)),
    }
}

fn text_of(value: ValueRef<'_>) -> Result<Text, StoreError> {
    value.as_str().map(Text::from).map_err(|_| odd("something that is no text"))
}

fn odd(what: &str) -> StoreError {
    StoreError::Damaged(format!("a row of an instance has {what}"))
}
