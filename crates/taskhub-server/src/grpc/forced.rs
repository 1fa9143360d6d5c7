//! Ends instances without asking their code. The engine always ends them so: a worker that is not
//! there could not be asked.

use taskhub_core::{Answer, Refusal, Verb};
use taskhub_wire::proto::{
    SkipGracefulOrchestrationTerminationsRequest, SkipGracefulOrchestrationTerminationsResponse,
};
use tonic::Status;

use super::{
    call::{Call, instance_id},
    refusal::unexpected,
};

/// How many instances one call may end.
const COUNT_MAX: usize = 500;

/// Ends instances; says which could not be ended, as they are not there.
pub(super) async fn end(
    call: &Call<'_>,
    request: SkipGracefulOrchestrationTerminationsRequest,
) -> Result<SkipGracefulOrchestrationTerminationsResponse, Status> {
    let ids = request.instance_batch.unwrap_or_default().instance_ids;
    if ids.len() > COUNT_MAX {
        let message = format!("instanceBatch: {} ids, {COUNT_MAX} are allowed at once", ids.len());
        return Err(Status::invalid_argument(message));
    }
    let mut response = SkipGracefulOrchestrationTerminationsResponse::default();
    let ids: Result<Vec<_>, _> = ids.iter().map(|text| instance_id(text)).collect();
    for id in ids? {
        let reason = request.reason.as_deref().map(Into::into);
        let verb = Verb::Terminate { reason, recursive: false };
        match call.ask(id.clone(), verb).await {
            Answer::Done | Answer::Refused(Refusal::Ended(..)) => {}
            Answer::Refused(Refusal::NotFound(_)) => {
                response.unterminated_instance_ids.push(id.to_string());
            }
            other => return Err(unexpected(other)),
        }
    }
    Ok(response)
}
