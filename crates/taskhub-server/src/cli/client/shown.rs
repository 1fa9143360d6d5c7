//! How instances look: a table for people, an object per line for programs.

use std::{
    collections::BTreeMap,
    io::{self, Write as _, stdout},
};

use comfy_table::{Table, presets};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use taskhub_wire::proto::{OrchestrationState, TaskFailureDetails};

/// An instance as one JSON object. Absent is what it does not have.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance<'a> {
    #[serde(rename = "instanceId")]
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    runtime_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_start_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_instance_id: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_status: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failed<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed<'a> {
    error_type: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_trace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Box<Failed<'a>>>,
}

impl<'a> Instance<'a> {
    pub(super) fn of(state: &'a OrchestrationState) -> Self {
        Self {
            id: &state.instance_id,
            name: &state.name,
            version: state.version.as_deref(),
            runtime_status: status(state),
            created_time: at(state.created_timestamp.as_ref()),
            scheduled_start_time: at(state.scheduled_start_timestamp.as_ref()),
            last_updated_time: at(state.last_updated_timestamp.as_ref()),
            completed_time: at(state.completed_timestamp.as_ref()),
            parent_instance_id: state.parent_instance_id.as_deref(),
            tags: &state.tags,
            stuck: state.stuck.as_deref(),
            input: state.input.as_deref().and_then(json),
            custom_status: state.custom_status.as_deref().and_then(json),
            output: state.output.as_deref().and_then(json),
            failure: state.failure_details.as_ref().map(Failed::of),
        }
    }
}

impl<'a> Failed<'a> {
    fn of(failure: &'a TaskFailureDetails) -> Self {
        Self {
            error_type: &failure.error_type,
            message: &failure.error_message,
            stack_trace: failure.stack_trace.as_deref(),
            cause: failure.inner_failure.as_deref().map(|cause| Box::new(Self::of(cause))),
        }
    }
}

/// Its status by name.
pub(super) fn status(state: &OrchestrationState) -> String {
    format!("{:?}", state.orchestration_status())
}

/// A payload as the JSON that it is, on one line; as a text if it is none.
fn json(payload: &str) -> Option<Box<RawValue>> {
    // In JSON a line ends only between tokens.
    let line = payload.replace(['\n', '\r'], " ");
    serde_json::from_str(&line).ok().or_else(|| to_raw_value(payload).ok())
}

fn at(at: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())
}

/// A point in time for people, in UTC.
pub(super) fn time(at: Option<&prost_types::Timestamp>) -> String {
    self::at(at).map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default()
}

/// Prints an object on a line of its own.
pub(in crate::cli) fn line(value: &impl Serialize) -> io::Result<()> {
    let mut out = stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)
}

/// Prints a text.
pub(in crate::cli) fn text(text: impl std::fmt::Display) -> io::Result<()> {
    writeln!(stdout().lock(), "{text}")
}

/// Prints rows, below their headings if there are any.
pub(in crate::cli) fn table<const N: usize>(
    headings: Option<[&str; N]>,
    rows: impl IntoIterator<Item = [String; N]>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(headings) = headings {
        table.set_header(headings);
    }
    for row in rows {
        table.add_row(row.map(|cell| harmless(&cell)));
    }
    text(table.trim_fmt())
}

/// A text of somebody else's: what could move the cursor is shown as it would be written.
pub(super) fn harmless(text: &str) -> String {
    let shown = |char: char| {
        if char.is_control() { char.escape_default().collect() } else { char.to_string() }
    };
    text.chars().map(shown).collect()
}

/// The beginning of a text that may be long.
pub(super) fn short(text: &str, count_max: usize) -> String {
    if text.chars().count() <= count_max {
        return text.to_owned();
    }
    text.chars().take(count_max).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_one_line_of_json() {
        let shown = |payload| json(payload).map(|json| json.get().to_owned());
        assert_eq!(shown("{\n\"a\": 1.0}").as_deref(), Some("{ \"a\": 1.0}"));
        assert_eq!(shown("no json").as_deref(), Some("\"no json\""));
    }

    #[test]
    fn nothing_that_is_shown_moves_the_cursor() {
        assert_eq!(harmless("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}
