//! Where an instance stands, as a client sees it.

use taskhub_core::{InstanceId, Record, Started};

use crate::{failure_out, proto::OrchestrationState, status_out, tags_out, timestamp_out};

/// How much a client wants to know.
#[derive(Debug, Clone, Copy)]
pub enum Detail<'a> {
    /// No payloads.
    Brief,
    /// The output too, and what is known only from the start: the input and the scheduled time.
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
    }
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
}
