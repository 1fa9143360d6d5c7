//! Runs an instance that has ended once more: with the same input, under the same id or a new one.

use taskhub_core::{Answer, ExecutionId, InstanceId, Refusal, Reuse, Started, Verb};
use taskhub_wire::proto::{RestartInstanceRequest, RestartInstanceResponse};
use tonic::Status;
use uuid::Uuid;

use super::{
    instances::{started, unexpected},
    refusal::refused,
    service::{Call, instance_id},
};

/// Starts an ended instance again.
pub(super) async fn restart(
    call: &Call<'_>,
    request: RestartInstanceRequest,
) -> Result<RestartInstanceResponse, Status> {
    let old = instance_id(&request.instance_id)?;
    let record = match call.hub.ask(old.clone(), Verb::Status).await {
        Answer::Status(record) => record,
        other => return Err(unexpected(other)),
    };
    if !record.status.is_terminal() {
        let message = format!("instance {old} is {:?}: only ended ones restart", record.status);
        return Err(Status::failed_precondition(message));
    }
    let first = started(call, &old).await?;
    let first = first.ok_or_else(|| refused(Refusal::NotFound(old.clone())))?;
    let fresh = Uuid::now_v7();
    let (id, reuse) = if request.restart_with_new_instance_id {
        (InstanceId::trusted(fresh.simple().to_string()), Reuse::Fresh)
    } else {
        (old, Reuse::ended())
    };
    let execution = ExecutionId(fresh.as_u128());
    let started = Started {
        version: first.version,
        tags: first.tags,
        ..Started::new(first.name, first.input, execution)
    };
    match call.hub.ask(id.clone(), Verb::Start { started: Box::new(started), reuse }).await {
        Answer::Started(_) => Ok(RestartInstanceResponse { instance_id: id.to_string() }),
        other => Err(unexpected(other)),
    }
}
