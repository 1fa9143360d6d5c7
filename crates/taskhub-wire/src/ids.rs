//! The names of instances, executions and calls.

use std::sync::Arc;

use taskhub_core::{CallId, ExecutionId, InstanceId, InvalidInstanceId};

use crate::{InvalidMessage, proto::OrchestrationInstance};

/// The id of an orchestration.
pub(crate) fn instance_in(field: &'static str, wire: &str) -> Result<InstanceId, InvalidMessage> {
    InstanceId::parse(wire).map_err(|why| InvalidMessage::Instance { field, why })
}

/// The id of whoever may receive something. Nobody may have such an id: then it is lost, which
/// concerns the receiver only.
pub(crate) fn receiver_in(field: &'static str, wire: &str) -> Result<InstanceId, InvalidMessage> {
    match InstanceId::parse(wire) {
        Err(InvalidInstanceId::Entity) => match InstanceId::parse_entity(wire) {
            Err(why @ InvalidInstanceId::TooLong(_)) => Err(why),
            id => Ok(id.unwrap_or_else(|_| InstanceId::trusted(wire))),
        },
        Err(InvalidInstanceId::Character(_)) => Ok(InstanceId::trusted(wire)),
        id => id,
    }
    .map_err(|why| InvalidMessage::Instance { field, why })
}

/// The id of an entity.
pub(crate) fn entity_in(field: &'static str, wire: &str) -> Result<InstanceId, InvalidMessage> {
    InstanceId::parse_entity(wire).map_err(|why| InvalidMessage::Instance { field, why })
}

/// The ids of entities, sorted, each once.
pub(crate) fn entities_in(
    field: &'static str,
    wire: &[String],
) -> Result<Arc<[InstanceId]>, InvalidMessage> {
    let ids: Result<Vec<_>, _> = wire.iter().map(|id| entity_in(field, id)).collect();
    let mut ids = ids?;
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() { Err(InvalidMessage::Missing { field }) } else { Ok(ids.into()) }
}

/// The id of an execution: 32 hex digits, also in the groups of a GUID.
pub fn execution_in(field: &'static str, wire: &str) -> Result<ExecutionId, InvalidMessage> {
    let wrong = || InvalidMessage::Execution { field, text: wire.chars().take(50).collect() };
    let digits: String = wire.chars().filter(|c| *c != '-').take(33).collect();
    if digits.len() != 32 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    u128::from_str_radix(&digits, 16).map(ExecutionId).map_err(|_| wrong())
}

/// The same, if it is told; an empty text tells none.
pub(crate) fn maybe_execution_in(
    wire: Option<&str>,
) -> Result<Option<ExecutionId>, InvalidMessage> {
    let wire = wire.filter(|wire| !wire.is_empty());
    wire.map(|wire| execution_in("executionId", wire)).transpose()
}

/// The id of a call.
pub(crate) fn call_in(field: &'static str, wire: i32) -> Result<CallId, InvalidMessage> {
    let number = u32::try_from(wire);
    number.map(CallId).map_err(|_| InvalidMessage::Call { field, number: wire })
}

/// The id of a call; no execution has so many that it does not fit.
pub(crate) fn call_out(call: CallId) -> i32 {
    i32::try_from(call.0).unwrap_or(i32::MAX)
}

/// An instance and one of its executions.
pub(crate) fn execution_out(
    instance: &InstanceId,
    execution: Option<ExecutionId>,
) -> OrchestrationInstance {
    OrchestrationInstance {
        instance_id: instance.to_string(),
        execution_id: execution.map(|execution| execution.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_execution_id_survives_the_way_out_and_back(number: u128) {
            let id = ExecutionId(number);
            prop_assert_eq!(execution_in("e", &id.to_string()), Ok(id));
        }

        #[test]
        fn no_text_brings_the_readers_of_ids_down(text in ".*", number: i32) {
            let _ = (instance_in("i", &text), receiver_in("r", &text), entity_in("n", &text));
            let _ = (execution_in("e", &text), call_in("c", number));
        }
    }

    #[test]
    fn a_guid_is_an_execution_id() {
        let guid = "00000000-0000-0000-0000-00000000000a";
        assert_eq!(execution_in("e", guid), Ok(ExecutionId(10)));
        assert!(execution_in("e", "+0000000000000000000000000000001").is_err());
    }

    #[test]
    fn who_cannot_exist_may_be_sent_something_all_the_same() {
        assert!(receiver_in("r", "a/b").is_ok());
        assert!(receiver_in("r", "").is_err());
    }
}
