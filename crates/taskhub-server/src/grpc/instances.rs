//! One instance, as clients see it.

use taskhub_core::{Answer, InstanceId, Record, Refusal, Started, Verb};
use taskhub_wire::{
    Detail,
    proto::{GetInstanceRequest, GetInstanceResponse, OrchestrationState},
    state_out,
};
use tonic::Status;

use super::{
    call::{Call, instance_id},
    refusal::{unexpected, unreadable},
};

/// Where an instance stands; one that is not there does not exist, which is no error.
pub(super) async fn get(
    call: &Call<'_>,
    request: GetInstanceRequest,
) -> Result<GetInstanceResponse, Status> {
    let id = instance_id(&request.instance_id)?;
    match call.ask(id.clone(), Verb::Status).await {
        Answer::Status(record) => there(call, &id, &record, wanted(&request)).await,
        Answer::Refused(Refusal::NotFound(_)) => Ok(absent()),
        other => Err(unexpected(other)),
    }
}

/// The answer for an instance that is there.
pub(super) async fn there(
    call: &Call<'_>,
    id: &InstanceId,
    record: &Record,
    wanted: Wanted,
) -> Result<GetInstanceResponse, Status> {
    let state = state(call, id, record, wanted).await?;
    Ok(GetInstanceResponse { exists: true, orchestration_state: Some(state) })
}

/// The answer for an instance that is not there.
pub(super) fn absent() -> GetInstanceResponse {
    GetInstanceResponse { exists: false, orchestration_state: None }
}

/// Which payloads a client wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    None,
    All,
    /// All but the input.
    Output,
}

impl Wanted {
    pub(super) fn of(payloads: bool, without_input: bool) -> Self {
        match (payloads, without_input) {
            (false, _) => Self::None,
            (true, false) => Self::All,
            (true, true) => Self::Output,
        }
    }
}

/// Which payloads a request asks for.
pub(super) fn wanted(request: &GetInstanceRequest) -> Wanted {
    Wanted::of(request.get_inputs_and_outputs, request.without_input)
}

/// What a client sees of an instance; the input stands in its history.
pub(super) async fn state(
    call: &Call<'_>,
    id: &InstanceId,
    record: &Record,
    wanted: Wanted,
) -> Result<OrchestrationState, Status> {
    let started = started(call, vec![id.clone()], wanted).await?.pop().flatten();
    Ok(shown(id, record, wanted, started.as_ref()))
}

/// The same, when it is known how it began.
pub(super) fn shown(
    id: &InstanceId,
    record: &Record,
    wanted: Wanted,
    started: Option<&Started>,
) -> OrchestrationState {
    let detail = if wanted == Wanted::None { Detail::Brief } else { Detail::Full(started) };
    state_out(id, record, detail)
}

/// How the current execution of each instance began, as far as that is wanted.
pub(super) async fn started(
    call: &Call<'_>,
    ids: Vec<InstanceId>,
    wanted: Wanted,
) -> Result<Vec<Option<Started>>, Status> {
    if wanted != Wanted::All {
        return Ok(vec![None; ids.len()]);
    }
    let _turn = call.read().await?;
    call.hub.all_started(ids).await.map_err(unreadable)
}
