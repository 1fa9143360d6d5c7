//! What a worker says that the code of an orchestration did in a turn.

use taskhub_wire::proto::{
    CompleteOrchestrationAction, OrchestrationStatus, OrchestratorAction, ScheduleTaskAction,
    orchestrator_action::OrchestratorActionType as Do,
};

/// It called an activity of this name.
pub(crate) fn scheduled(id: i32, name: &str) -> OrchestratorAction {
    let call = ScheduleTaskAction { name: name.to_owned(), ..ScheduleTaskAction::default() };
    OrchestratorAction { id, orchestrator_action_type: Some(Do::ScheduleTask(call)) }
}

/// It came to its end.
pub(crate) fn finished(id: i32, status: OrchestrationStatus) -> OrchestratorAction {
    let end = CompleteOrchestrationAction {
        orchestration_status: status.into(),
        ..CompleteOrchestrationAction::default()
    };
    OrchestratorAction { id, orchestrator_action_type: Some(Do::CompleteOrchestration(end)) }
}
