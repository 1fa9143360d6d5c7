//! Runs an instance once more: with the same input, under a new id, or its own if it has ended.

use taskhub_core::{Answer, ExecutionId, InstanceId, Reuse};
use taskhub_wire::proto::{RestartInstanceRequest, RestartInstanceResponse};
use tonic::Status;
use uuid::Uuid;

use super::{
    call::{Call, instance_id},
    refusal::unexpected,
};

/// Starts an instance again.
pub(super) async fn restart(
    call: &Call<'_>,
    request: RestartInstanceRequest,
) -> Result<RestartInstanceResponse, Status> {
    let old = instance_id(&request.instance_id)?;
    let execution = ExecutionId(Uuid::now_v7().as_u128());
    let (id, reuse) = if request.restart_with_new_instance_id {
        (InstanceId::fresh(execution), Reuse::Fresh)
    } else {
        (old.clone(), Reuse::ended())
    };
    match call.hub.restart(old, id.clone(), reuse, execution).await {
        Answer::Started(_) => Ok(RestartInstanceResponse { instance_id: id.to_string() }),
        other => Err(unexpected(other)),
    }
}
