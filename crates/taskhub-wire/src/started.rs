//! The first event of an execution.

use taskhub_core::{InstanceId, Parent, Started};

use crate::{
    InvalidMessage,
    ids::{call_in, call_out, execution_in, execution_out, instance_in},
    proto::{ExecutionStartedEvent, OrchestrationInstance, ParentInstanceInfo},
    tags_out,
    text::text_out,
    timestamp_in, timestamp_out, trace_out,
    work::work_in,
};

pub(crate) fn started_out(instance: &InstanceId, started: &Started) -> ExecutionStartedEvent {
    ExecutionStartedEvent {
        name: started.name.to_string(),
        version: text_out(started.version.as_ref()),
        input: text_out(started.input.as_ref()),
        orchestration_instance: Some(execution_out(instance, Some(started.execution))),
        parent_instance: started.parent.as_ref().map(parent_out),
        scheduled_start_timestamp: started.start_at.map(timestamp_out),
        parent_trace_context: started.trace.as_ref().map(trace_out),
        orchestration_span_id: None,
        tags: tags_out(&started.tags),
    }
}

fn parent_out(parent: &Parent) -> ParentInstanceInfo {
    ParentInstanceInfo {
        task_scheduled_id: call_out(parent.call),
        name: Some(parent.name.to_string()),
        version: None,
        orchestration_instance: Some(execution_out(&parent.instance, Some(parent.execution))),
    }
}

/// The protocol does not carry the deadline.
pub(crate) fn started_in(wire: ExecutionStartedEvent) -> Result<Started, InvalidMessage> {
    let start_at = wire.scheduled_start_timestamp;
    let start_at = start_at.map(|at| timestamp_in("scheduledStartTimestamp", &at)).transpose()?;
    let own = wire.orchestration_instance.and_then(|instance| instance.execution_id);
    let execution = execution_in("executionId", &own.unwrap_or_default())?;
    let work = work_in(wire.name, wire.version, wire.input, wire.tags, wire.parent_trace_context);
    Ok(Started {
        version: work.version,
        parent: wire.parent_instance.map(parent_in).transpose()?,
        start_at,
        tags: work.tags,
        trace: work.trace,
        ..Started::new(work.name, work.input, execution)
    })
}

fn parent_in(wire: ParentInstanceInfo) -> Result<Parent, InvalidMessage> {
    let OrchestrationInstance { instance_id, execution_id } =
        wire.orchestration_instance.unwrap_or_default();
    let execution = execution_id.unwrap_or_default();
    Ok(Parent {
        instance: instance_in("parentInstance.instanceId", &instance_id)?,
        execution: execution_in("parentInstance.executionId", &execution)?,
        name: wire.name.unwrap_or_default().into(),
        call: call_in("parentInstance.taskScheduledId", wire.task_scheduled_id)?,
    })
}
