//! What a worker says is bounded, down to the last name.

use taskhub_core::{Performed, Piece, Taken};
use taskhub_wire::{
    InvalidMessage, performed_in,
    proto::{
        CompleteOrchestrationAction, EntityBatchResult, EntityLockRequestedEvent, EventRaisedEvent,
        HistoryEvent, OperationAction, OrchestratorAction, OrchestratorResponse,
        SendEntityMessageAction, SendSignalAction, StartNewOrchestrationAction, TraceContext,
        history_event::EventType, operation_action::OperationActionType as Act,
        orchestrator_action::OrchestratorActionType as Asked,
        send_entity_message_action::EntityMessageType,
    },
    taken_in,
};

use crate::{entity, instance, ticket};

fn long() -> String {
    "n".repeat(1_025)
}

fn acts(act: Act) -> Result<Performed, InvalidMessage> {
    let actions = vec![OperationAction { id: 1, operation_action_type: Some(act) }];
    let result = EntityBatchResult { actions, ..Default::default() };
    performed_in(&ticket(entity(), Piece::Operations(1)), result)
}

fn asks(asked: Asked) -> Result<Taken, InvalidMessage> {
    let actions = vec![OrchestratorAction { id: 1, orchestrator_action_type: Some(asked) }];
    let response = OrchestratorResponse { actions, ..Default::default() };
    taken_in(&ticket(instance(), Piece::Turn(1)), response)
}

fn is_missing<T>(result: &Result<T, InvalidMessage>) -> bool {
    matches!(result, Err(InvalidMessage::Missing { .. }))
}

fn is_too_long<T>(result: &Result<T, InvalidMessage>) -> bool {
    matches!(result, Err(InvalidMessage::TooLong { .. }))
}

#[test]
fn what_an_entity_signals_and_starts_has_a_name_that_is_not_too_long() {
    let signal = |name: String| {
        let instance_id = "@counter@a".to_owned();
        acts(Act::SendSignal(SendSignalAction { instance_id, name, ..Default::default() }))
    };
    let start = |name: String| {
        let start = StartNewOrchestrationAction { name, ..Default::default() };
        acts(Act::StartNewOrchestration(start))
    };
    for act in [&signal as &dyn Fn(String) -> _, &start] {
        assert!(act("add".to_owned()).is_ok());
        assert!(is_missing(&act(String::new())));
        assert!(is_too_long(&act(long())));
    }
}

#[test]
fn the_trace_of_what_an_entity_starts_is_bounded() {
    let start = |trace: TraceContext| {
        let name = "pay".to_owned();
        let parent_trace_context = Some(trace);
        acts(Act::StartNewOrchestration(StartNewOrchestrationAction {
            name,
            parent_trace_context,
            ..Default::default()
        }))
    };
    assert!(start(TraceContext::default()).is_ok());
    assert!(is_too_long(&start(TraceContext { trace_parent: long(), ..Default::default() })));
    let trace_state = Some(long());
    assert!(is_too_long(&start(TraceContext { trace_state, ..Default::default() })));
}

#[test]
fn only_so_many_entities_are_locked_together() {
    let lock = |count: usize| {
        let lock_set = (0..count).map(|number| format!("@counter@{number}")).collect();
        let request = EntityLockRequestedEvent { lock_set, ..Default::default() };
        let message = Some(EntityMessageType::EntityLockRequested(request));
        asks(Asked::SendEntityMessage(SendEntityMessageAction { entity_message_type: message }))
    };
    assert!(lock(1_000).is_ok());
    assert!(matches!(lock(1_001), Err(InvalidMessage::TooMany { count: 1_001, .. })));
}

#[test]
fn the_names_of_events_that_are_carried_over_are_bounded() {
    let carry = |name: String| {
        let event = EventType::EventRaised(EventRaisedEvent { name, input: None });
        let event = HistoryEvent { event_type: Some(event), ..Default::default() };
        asks(Asked::CompleteOrchestration(CompleteOrchestrationAction {
            orchestration_status: 2,
            carryover_events: vec![event],
            ..Default::default()
        }))
    };
    assert!(carry("go".to_owned()).is_ok());
    assert!(is_too_long(&carry(long())));
}
