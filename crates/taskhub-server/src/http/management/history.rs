//! Histories as clients of the original know them: trimmed, with calls and their ends put together.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::value::RawValue;
use taskhub_core::{
    CallId, Event, Failure, InstanceId, Kind, Outcome, Record, Text, Timestamp, Work,
};

use super::{
    answer::{quoted, shown},
    query::{Query, exact},
};

/// What a client wants to see of a history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub inputs: bool,
    pub results: bool,
}

impl Shown {
    pub(super) fn asked(query: &Query) -> Self {
        Self {
            inputs: query.flag("showInput").unwrap_or(true),
            results: query.flag("showHistoryOutput").unwrap_or(false),
        }
    }
}

/// One entry, in the words of the original. Most fields are absent from most entries.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry<'a> {
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_scheduled_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fire_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestration_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_details: Option<FailureDetails<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
}

/// A failure, in the words of the original.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailureDetails<'a> {
    error_type: &'a str,
    error_message: &'a str,
    stack_trace: Option<&'a str>,
    inner_failure: Option<Box<FailureDetails<'a>>>,
    is_non_retriable: bool,
}

/// What is remembered of a call until its end is found.
struct Called<'a> {
    at: Timestamp,
    name: Option<&'a str>,
    input: Option<&'a Text>,
    fire_at: Option<Timestamp>,
}

/// A whole history. A call whose end is there appears only as its end, which says what it was.
pub(super) fn entries<'a>(
    history: &'a [Event],
    record: &'a Record,
    shown: Shown,
) -> Vec<Entry<'a>> {
    let calls: HashMap<CallId, Called<'_>> = history.iter().filter_map(called).collect();
    let ended: HashSet<CallId> = history.iter().filter_map(|event| end(&event.kind)).collect();
    let is_shown = |event: &&Event| match &event.kind {
        Kind::ActivityScheduled { call, .. } | Kind::ChildScheduled { call, .. } => {
            !ended.contains(call)
        }
        Kind::TurnStarted { .. } => false,
        _ => true,
    };
    let events = history.iter().filter(is_shown);
    events
        .map(|event| {
            let entry = entry(event, record, shown);
            match end(&event.kind).and_then(|call| calls.get(&call)) {
                Some(called) => joined(entry, called, shown),
                None => entry,
            }
        })
        .collect()
}

/// One event by itself.
pub(super) fn entry<'a>(event: &'a Event, record: &'a Record, shown: Shown) -> Entry<'a> {
    let entry = by_others(&event.kind, record, shown).or_else(|| by_code(&event.kind, shown));
    Entry { timestamp: exact(event.at), ..entry.unwrap_or_else(|| generic(&event.kind)) }
}

/// What came from outside the code, and the ends of what it called.
fn by_others<'a>(kind: &'a Kind, record: &'a Record, shown: Shown) -> Option<Entry<'a>> {
    Some(match kind {
        Kind::Started(started) => Entry {
            scheduled_start_time: started.start_at.map(exact),
            function_name: Some(&started.name),
            input: input(started.input.as_ref(), shown),
            ..Entry::of("ExecutionStarted")
        },
        Kind::ActivityFinished { outcome, .. } => {
            ended(["TaskCompleted", "TaskFailed"], outcome, shown)
        }
        Kind::ChildFinished { outcome, .. } => ended(
            ["SubOrchestrationInstanceCompleted", "SubOrchestrationInstanceFailed"],
            outcome,
            shown,
        ),
        Kind::OperationFinished { outcome, .. } => {
            ended(["EntityOperationCompleted", "EntityOperationFailed"], outcome, shown)
        }
        Kind::TimerFired { .. } => Entry::of("TimerFired"),
        Kind::TurnStarted { .. } => Entry::of("OrchestratorStarted"),
        Kind::EventRaised { name, input: sent } => Entry {
            name: Some(name),
            input: input(sent.as_ref(), shown),
            ..Entry::of("EventRaised")
        },
        Kind::Suspended { reason } => because("ExecutionSuspended", reason.as_ref()),
        Kind::Resumed { reason } => because("ExecutionResumed", reason.as_ref()),
        Kind::Rewound { reason } => because("ExecutionRewound", reason.as_ref()),
        Kind::Terminated { reason } => {
            Entry { input: input(reason.as_ref(), shown), ..Entry::of("ExecutionTerminated") }
        }
        Kind::Completed { status } => {
            let outcome = record.outcome.as_ref().filter(|_| record.status == *status);
            let entry = outcome.map(|outcome| completed(outcome, shown)).unwrap_or_default();
            Entry {
                event_type: "ExecutionCompleted",
                orchestration_status: Some(format!("{status:?}")),
                ..entry
            }
        }
        _ => return None,
    })
}

/// What the code did.
fn by_code(kind: &Kind, shown: Shown) -> Option<Entry<'_>> {
    Some(match kind {
        Kind::ActivityScheduled { work, .. } => scheduled("TaskScheduled", work, shown),
        Kind::ChildScheduled { instance, work, .. }
        | Kind::InstanceStarted { instance, work, .. } => Entry {
            instance_id: Some(instance.to_string()),
            ..scheduled("SubOrchestrationInstanceCreated", work, shown)
        },
        Kind::TimerCreated { fire_at, .. } => {
            Entry { fire_at: Some(exact(*fire_at)), ..Entry::of("TimerCreated") }
        }
        Kind::EventSent { to, name, input: sent, .. } => Entry {
            instance_id: Some(to.to_string()),
            name: Some(name),
            input: input(sent.as_ref(), shown),
            ..Entry::of("EventSent")
        },
        Kind::OperationCalled { entity, operation, .. }
        | Kind::OperationSignaled { entity, operation, .. } => {
            let called = matches!(kind, Kind::OperationCalled { .. });
            Entry {
                instance_id: Some(entity.to_string()),
                name: Some(&operation.name),
                input: input(operation.input.as_ref(), shown),
                ..Entry::of(if called {
                    "EntityOperationCalled"
                } else {
                    "EntityOperationSignaled"
                })
            }
        }
        Kind::LocksRequested { entities, .. } => {
            let entities: Vec<_> = entities.iter().map(InstanceId::as_str).collect();
            Entry { data: Some(entities.join(", ")), ..Entry::of("EntityLockRequested") }
        }
        Kind::LocksGranted { .. } => Entry::of("EntityLockGranted"),
        Kind::Unlocked { entity, .. } => {
            Entry { instance_id: Some(entity.to_string()), ..Entry::of("EntityUnlockSent") }
        }
        _ => return None,
    })
}

/// What the original has no word for.
fn generic(kind: &Kind) -> Entry<'_> {
    let data = match kind {
        Kind::TerminateSent { to, .. } => format!("terminated {to}"),
        Kind::CallCancelled { call } => format!("gave up call {call}"),
        Kind::Noted { name, value, .. } => format!("noted {name}: {value}"),
        other => format!("{other:?}"),
    };
    Entry { data: Some(data), ..Entry::of("GenericEvent") }
}

impl Entry<'_> {
    fn of(event_type: &'static str) -> Self {
        Self { event_type, ..Self::default() }
    }

    /// The same with the number of its call, by which a call and its end are put together.
    pub(super) fn numbered(self, event: &Event) -> Self {
        let end = end(&event.kind).map(|call| call.0);
        let call = called(event).map(|(call, _)| call.0);
        Self { event_id: call, task_scheduled_id: end, ..self }
    }
}

fn scheduled<'a>(event_type: &'static str, work: &'a Work, shown: Shown) -> Entry<'a> {
    let name = Some(&*work.name);
    Entry { name, input: input(work.input.as_ref(), shown), ..Entry::of(event_type) }
}

fn because(event_type: &'static str, reason: Option<&Text>) -> Entry<'static> {
    Entry { reason: Some(quoted(reason.map(|text| &**text))), ..Entry::of(event_type) }
}

/// The end of a call, good or bad.
fn ended<'a>([good, bad]: [&'static str; 2], outcome: &'a Outcome, shown: Shown) -> Entry<'a> {
    match outcome {
        Ok(output) => Entry { result: result(output.as_ref(), shown), ..Entry::of(good) },
        Err(failure) => Entry {
            reason: Some(quoted(Some(&failure.message))),
            details: failure.stack.as_deref(),
            failure_details: Some(FailureDetails::of(failure)),
            ..Entry::of(bad)
        },
    }
}

fn completed(outcome: &Outcome, shown: Shown) -> Entry<'_> {
    match outcome {
        Ok(output) => Entry { result: result(output.as_ref(), shown), ..Entry::default() },
        Err(failure) => Entry {
            result: result(Some(&Text::from(failure.to_string())), shown),
            failure_details: Some(FailureDetails::of(failure)),
            ..Entry::default()
        },
    }
}

/// An end that says what it is the end of.
fn joined<'a>(entry: Entry<'a>, called: &Called<'a>, shown: Shown) -> Entry<'a> {
    if let Some(fire_at) = called.fire_at {
        return Entry { fire_at: Some(exact(fire_at)), ..entry };
    }
    Entry {
        scheduled_time: Some(exact(called.at)),
        function_name: called.name,
        input: input(called.input, shown),
        ..entry
    }
}

/// Inputs are shown as the texts that they are stored as, results as what these texts mean.
fn input(text: Option<&Text>, shown: Shown) -> Option<Box<RawValue>> {
    shown.inputs.then(|| quoted(text.map(|text| &**text)))
}

fn result(text: Option<&Text>, shown: Shown) -> Option<Box<RawValue>> {
    shown.results.then(|| self::shown(text.map(|text| &**text)))
}

/// The call that an event tells the end of.
fn end(kind: &Kind) -> Option<CallId> {
    match kind {
        Kind::ActivityFinished { call, .. }
        | Kind::ChildFinished { call, .. }
        | Kind::OperationFinished { call, .. }
        | Kind::TimerFired { call } => Some(*call),
        _ => None,
    }
}

fn called(event: &Event) -> Option<(CallId, Called<'_>)> {
    let (call, name, input, fire_at) = match &event.kind {
        Kind::ActivityScheduled { call, work } | Kind::ChildScheduled { call, work, .. } => {
            (call, Some(&*work.name), work.input.as_ref(), None)
        }
        Kind::OperationCalled { call, operation, .. } => {
            (call, Some(&*operation.name), operation.input.as_ref(), None)
        }
        Kind::TimerCreated { call, fire_at } => (call, None, None, Some(*fire_at)),
        _ => return None,
    };
    Some((*call, Called { at: event.at, name, input, fire_at }))
}

impl<'a> FailureDetails<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self {
            error_type: &failure.kind,
            error_message: &failure.message,
            stack_trace: failure.stack.as_deref(),
            inner_failure: failure.cause.as_deref().map(|cause| Box::new(Self::of(cause))),
            is_non_retriable: failure.non_retriable,
        }
    }
}
