//! Calls that wait: for the start of an instance, and for its end.

use std::time::Duration;

use taskhub_core::{Answer, Refusal, Verb};
use taskhub_wire::proto::{GetInstanceRequest, GetInstanceResponse};
use tokio::time::Instant;
use tonic::Status;

use super::{
    instances::{absent, there, unexpected, wanted},
    service::{Call, instance_id},
};

/// How long to wait for an instance that is not there; the deadline of the call may be earlier.
const ABSENT_TIME_MAX: Duration = Duration::from_secs(30);

/// How long to wait before looking again for an instance that is not there, or has not started:
/// the hub tells only of ends. First, and at most; each time twice as long.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(500);

/// Answers when the first turn of an instance has run, as soon as the hub says so.
pub(super) async fn for_start(
    call: &Call<'_>,
    request: GetInstanceRequest,
) -> Result<GetInstanceResponse, Status> {
    wait(call, request, || Verb::WaitStart).await
}

/// Answers when an instance has ended.
pub(super) async fn for_end(
    call: &Call<'_>,
    request: GetInstanceRequest,
) -> Result<GetInstanceResponse, Status> {
    wait(call, request, || Verb::Wait).await
}

async fn wait(
    call: &Call<'_>,
    request: GetInstanceRequest,
    ask: impl Fn() -> Verb,
) -> Result<GetInstanceResponse, Status> {
    let id = instance_id(&request.instance_id)?;
    let mut pause = LOOK_AGAIN;
    let give_up = Instant::now() + ABSENT_TIME_MAX;
    let may_come = !request.only_if_there;
    loop {
        match call.ask(id.clone(), ask()).await {
            Answer::Status(record) => return there(call, &id, &record, wanted(&request)).await,
            Answer::Refused(Refusal::NotFound(_)) if may_come && Instant::now() < give_up => {}
            Answer::Refused(Refusal::NotFound(_)) => return Ok(absent()),
            other => return Err(unexpected(other)),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN_MAX);
    }
}
