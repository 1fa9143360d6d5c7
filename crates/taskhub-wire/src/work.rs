//! What a function is called with.

use std::collections::BTreeMap;

use taskhub_core::{CallId, InstanceId, Kind, Timestamp, Work};

use crate::{
    InvalidMessage,
    ids::instance_in,
    proto::{SubOrchestrationInstanceCreatedEvent, TaskScheduledEvent, TraceContext},
    tags_in, tags_out,
    text::{text_in, text_out},
    trace_in, trace_out,
};

/// The label by which an orchestration says that it does not wait for the one it starts.
const FIRE_AND_FORGET: &str = "FireAndForget";

pub(crate) fn activity_in(wire: TaskScheduledEvent) -> Work {
    work_in(wire.name, wire.version, wire.input, wire.tags, wire.parent_trace_context)
}

pub(crate) fn activity_out(work: &Work) -> TaskScheduledEvent {
    TaskScheduledEvent {
        name: work.name.to_string(),
        version: text_out(work.version.as_ref()),
        input: text_out(work.input.as_ref()),
        tags: tags_out(&work.tags),
        parent_trace_context: work.trace.as_ref().map(trace_out),
    }
}

/// An orchestration that another one starts.
pub(crate) fn start_in(
    call: CallId,
    mut wire: SubOrchestrationInstanceCreatedEvent,
) -> Result<Kind, InvalidMessage> {
    let instance = instance_in("subOrchestration.instanceId", &wire.instance_id)?;
    let forget = wire.tags.remove(FIRE_AND_FORGET);
    let work = work_in(wire.name, wire.version, wire.input, wire.tags, wire.parent_trace_context);
    Ok(match forget {
        None => Kind::ChildScheduled { call, instance, work },
        Some(micros) => {
            let at = micros.parse().ok().map(Timestamp);
            Kind::InstanceStarted { call, instance, work, at }
        }
    })
}

/// A child.
pub(crate) fn child_out(
    instance: &InstanceId,
    work: &Work,
) -> SubOrchestrationInstanceCreatedEvent {
    let TaskScheduledEvent { name, version, input, tags, parent_trace_context } =
        activity_out(work);
    let instance_id = instance.to_string();
    SubOrchestrationInstanceCreatedEvent {
        instance_id,
        name,
        version,
        input,
        tags,
        parent_trace_context,
    }
}

/// One that nobody waits for. Other SDKs look at the key of the label only, so that its value can
/// say when it starts.
pub(crate) fn started_out(
    instance: &InstanceId,
    work: &Work,
    at: Option<Timestamp>,
) -> SubOrchestrationInstanceCreatedEvent {
    let mut wire = child_out(instance, work);
    let at = at.map(|at| at.0.to_string()).unwrap_or_default();
    wire.tags.insert(FIRE_AND_FORGET.into(), at);
    wire
}

/// A version that is empty is none.
pub(crate) fn work_in(
    name: String,
    version: Option<String>,
    input: Option<String>,
    tags: BTreeMap<String, String>,
    trace: Option<TraceContext>,
) -> Work {
    Work {
        version: text_in(version.filter(|version| !version.is_empty())),
        tags: tags_in(tags),
        trace: trace.and_then(trace_in),
        ..Work::new(name, text_in(input))
    }
}
