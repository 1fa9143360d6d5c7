//! Where an instance stands, as a client sees it.

use taskhub_core::{CallId, ExecutionId, InstanceId, Outcome, Parent, Record, Started};

use crate::{
    InvalidMessage, failure_in, failure_out,
    ids::{instance_in, maybe_execution_in, receiver_in},
    proto::OrchestrationState,
    status_in, status_out, tags_in, tags_out,
    text::{text_in, text_out},
    timestamp_in, timestamp_out,
};

/// How much a client wants to know.
#[derive(Debug, Clone, Copy)]
pub enum Detail<'a> {
    /// No payloads.
    Brief,
    /// The output too, and what is known only from the start: the input and the scheduled time, if
    /// somebody looked for it.
    Full(Option<&'a Started>),
}

/// The state of `instance` for the outside.
#[must_use]
pub fn state_out(instance: &InstanceId, record: &Record, detail: Detail<'_>) -> OrchestrationState {
    let (output, failure) = match &record.outcome {
        Some(Ok(output)) => (output.as_ref(), None),
        Some(Err(failure)) => (None, Some(failure_out(failure))),
        None => (None, None),
    };
    let (output, started) = match detail {
        Detail::Brief => (None, None),
        Detail::Full(started) => (output, started),
    };
    let start_at = started.and_then(|started| started.start_at);
    OrchestrationState {
        instance_id: instance.to_string(),
        name: record.name.to_string(),
        version: record.version.as_ref().map(ToString::to_string),
        orchestration_status: status_out(record.status).into(),
        scheduled_start_timestamp: start_at.map(timestamp_out),
        created_timestamp: Some(timestamp_out(record.created_at)),
        last_updated_timestamp: Some(timestamp_out(record.updated_at)),
        input: started.and_then(|started| started.input.as_ref()).map(ToString::to_string),
        output: output.map(ToString::to_string),
        custom_status: record.custom_status.as_ref().map(ToString::to_string),
        failure_details: failure,
        execution_id: Some(record.execution.to_string()),
        completed_timestamp: record.completed_at.map(timestamp_out),
        parent_instance_id: record.parent.as_ref().map(|parent| parent.instance.to_string()),
        tags: tags_out(&record.tags),
        events: i64::try_from(record.events).unwrap_or(i64::MAX),
        stuck: text_out(record.stuck.as_ref()),
    }
}

/// Where an instance stands, as a client reads it who asked for everything.
///
/// When it is due and whether it is busy is not told, and of a parent only the id is.
pub fn state_in(wire: OrchestrationState) -> Result<(InstanceId, Record), InvalidMessage> {
    let id = receiver_in("instanceId", &wire.instance_id)?;
    let status = status_in("orchestrationStatus", wire.orchestration_status)?;
    let time = |field, at: Option<_>| {
        at.map(|at| timestamp_in(field, &at)).transpose().map(Option::unwrap_or_default)
    };
    let parent = wire.parent_instance_id.filter(|parent| !parent.is_empty()).map(|parent| {
        let instance = instance_in("parentInstanceId", &parent)?;
        let (execution, name, call) = (ExecutionId(0), "".into(), CallId(0));
        Ok(Parent { instance, execution, name, call })
    });
    let outcome: Outcome = match wire.failure_details {
        Some(details) => Err(failure_in(details)),
        None => Ok(text_in(wire.output)),
    };
    let completed_at = wire.completed_timestamp.as_ref();
    let record = Record {
        execution: maybe_execution_in(wire.execution_id.as_deref())?.unwrap_or(ExecutionId(0)),
        name: wire.name.into(),
        version: text_in(wire.version.filter(|version| !version.is_empty())),
        status,
        created_at: time("createdTimestamp", wire.created_timestamp)?,
        updated_at: time("lastUpdatedTimestamp", wire.last_updated_timestamp)?,
        completed_at: completed_at.map(|at| timestamp_in("completedTimestamp", at)).transpose()?,
        due: None,
        busy: false,
        custom_status: text_in(wire.custom_status),
        tags: tags_in(wire.tags),
        parent: parent.transpose()?,
        stuck: text_in(wire.stuck),
        outcome: status.is_terminal().then_some(outcome),
        events: u64::try_from(wire.events).unwrap_or_default(),
    };
    Ok((id, record))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use taskhub_core::{ExecutionId, Failure, Outcome, RuntimeStatus, Timestamp};

    use super::*;

    fn ended(outcome: Outcome) -> Record {
        Record {
            execution: ExecutionId(10),
            name: "charge".into(),
            version: Some("2".into()),
            status: RuntimeStatus::Completed,
            created_at: Timestamp(1_000_000),
            updated_at: Timestamp(2_500_000),
            completed_at: Some(Timestamp(2_500_000)),
            due: None,
            busy: false,
            custom_status: None,
            tags: Arc::new([("team".into(), "blue".into())]),
            parent: None,
            stuck: None,
            outcome: Some(outcome),
            events: 3,
        }
    }

    #[test]
    fn payloads_are_left_out_unless_asked_for() {
        let id = InstanceId::trusted("order-17");
        let record = ended(Ok(Some("42".into())));
        let started = Started::new("charge", Some("7".into()), ExecutionId(10));
        let brief = state_out(&id, &record, Detail::Brief);
        assert_eq!((brief.input, brief.output), (None, None));
        let full = state_out(&id, &record, Detail::Full(Some(&started)));
        assert_eq!((full.input.as_deref(), full.output.as_deref()), (Some("7"), Some("42")));
    }

    #[test]
    fn a_failure_is_always_told() {
        let record = ended(Err(Failure::new("Declined", "no money")));
        let state = state_out(&InstanceId::trusted("a"), &record, Detail::Brief);
        assert_eq!(
            state.failure_details.map(|details| details.error_type),
            Some("Declined".into())
        );
    }

    #[test]
    fn execution_ids_are_32_hex_digits() {
        let state = state_out(&InstanceId::trusted("a"), &ended(Ok(None)), Detail::Brief);
        assert_eq!(state.execution_id.as_deref(), Some("0000000000000000000000000000000a"));
    }

    #[test]
    fn what_a_client_reads_is_what_the_hub_knows() {
        let id = InstanceId::trusted("order-17");
        for outcome in [Ok(Some("42".into())), Ok(None), Err(Failure::new("Declined", "no money"))]
        {
            let mut record = ended(outcome);
            record.stuck = Some("the code asked for a timer".into());
            let read = state_in(state_out(&id, &record, Detail::Full(None)));
            assert_eq!(read, Ok((id.clone(), record)));
        }
    }

    #[test]
    fn a_state_of_another_server_is_read_or_refused() {
        let wire = OrchestrationState { instance_id: "a".into(), ..Default::default() };
        let read = state_in(wire.clone()).map(|(_, record)| (record.status, record.outcome));
        assert_eq!(read, Ok((RuntimeStatus::Running, None)));
        assert!(state_in(OrchestrationState { orchestration_status: 99, ..wire }).is_err());
        assert!(state_in(OrchestrationState::default()).is_err());
    }
}
