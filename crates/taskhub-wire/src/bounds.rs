//! How much of what somebody else says is taken: names and labels without end are refused.

use std::collections::BTreeMap;

use crate::{
    InvalidMessage,
    proto::{TraceContext, history_event::EventType},
};

/// The longest name of a function or an event, the longest version and trace, in bytes.
const NAME_BYTES_MAX: usize = 1_024;

/// Entities that are locked together: each hands all their names to the next one.
const LOCKS_COUNT_MAX: usize = 1_000;

/// All labels of an instance or a call together, in bytes.
const TAGS_BYTES_MAX: usize = 64 << 10;

/// A name, which nothing goes without.
pub fn named(field: &'static str, text: &str) -> Result<(), InvalidMessage> {
    if text.is_empty() {
        return Err(InvalidMessage::Missing { field });
    }
    short(field, text)
}

/// A name, a version or the like, which may be empty.
pub fn short(field: &'static str, text: &str) -> Result<(), InvalidMessage> {
    within(field, text.len(), NAME_BYTES_MAX)
}

/// Labels.
pub fn short_tags(
    field: &'static str,
    tags: &BTreeMap<String, String>,
) -> Result<(), InvalidMessage> {
    let bytes = tags.iter().map(|(key, value)| key.len() + value.len()).sum();
    within(field, bytes, TAGS_BYTES_MAX)
}

/// Something of so many bytes.
pub fn within(field: &'static str, bytes: usize, bytes_max: usize) -> Result<(), InvalidMessage> {
    if bytes > bytes_max {
        return Err(InvalidMessage::TooLong { field, bytes, bytes_max });
    }
    Ok(())
}

/// A list of so many.
pub fn few(field: &'static str, count: usize, count_max: usize) -> Result<(), InvalidMessage> {
    if count > count_max {
        return Err(InvalidMessage::TooMany { field, count, count_max });
    }
    Ok(())
}

/// What code asks for.
pub(crate) fn asked(event: &EventType) -> Result<(), InvalidMessage> {
    match event {
        EventType::TaskScheduled(it) => called(&it.name, it.version.as_deref(), &it.tags)
            .and_then(|()| traced(it.parent_trace_context.as_ref())),
        EventType::SubOrchestrationInstanceCreated(it) => {
            called(&it.name, it.version.as_deref(), &it.tags)
                .and_then(|()| traced(it.parent_trace_context.as_ref()))
        }
        EventType::EventSent(it) => short("action.name", &it.name),
        EventType::EntityOperationCalled(it) => operation(&it.operation, &it.request_id)
            .and_then(|()| traced(it.trace_context.as_ref())),
        EventType::EntityOperationSignaled(it) => operation(&it.operation, &it.request_id)
            .and_then(|()| traced(it.trace_context.as_ref())),
        EventType::EntityLockRequested(it) => {
            few("lockSet", it.lock_set.len(), LOCKS_COUNT_MAX)?;
            section(&it.critical_section_id)
        }
        EventType::EntityUnlockSent(it) => section(&it.critical_section_id),
        _ => Ok(()),
    }
}

fn called(
    name: &str,
    version: Option<&str>,
    tags: &BTreeMap<String, String>,
) -> Result<(), InvalidMessage> {
    named("action.name", name)?;
    short("action.version", version.unwrap_or_default())?;
    short_tags("action.tags", tags)
}

/// The trace of a call. Its span is in the parent, too; the field of its own is not kept.
pub(crate) fn traced(trace: Option<&TraceContext>) -> Result<(), InvalidMessage> {
    let Some(trace) = trace else { return Ok(()) };
    short("action.parentTraceContext.traceParent", &trace.trace_parent)?;
    let state = trace.trace_state.as_deref().unwrap_or_default();
    short("action.parentTraceContext.traceState", state)
}

fn operation(name: &str, request: &str) -> Result<(), InvalidMessage> {
    named("action.operation", name)?;
    short("action.requestId", request)
}

fn section(id: &str) -> Result<(), InvalidMessage> {
    short("action.criticalSectionId", id)
}
