//! Calls that wait: for the start of an instance, and for its end.

use std::time::Duration;

use taskhub_core::{Answer, Refusal, Verb};
use taskhub_wire::proto::{GetInstanceRequest, GetInstanceResponse};
use tonic::Status;

use super::{
    call::{Call, instance_id},
    instances::{absent, there, wanted},
    refusal::unexpected,
};

/// How long to wait for an instance that is not there; the deadline of the call may be earlier.
const ABSENT_TIME_MAX: Duration = Duration::from_secs(30);

/// Answers when the first turn of an instance has run, as soon as the hub says so.
pub(super) async fn for_start(
    call: &Call<'_>,
    request: GetInstanceRequest,
) -> Result<GetInstanceResponse, Status> {
    wait(call, request, Verb::WaitStart, Verb::ExpectStart).await
}

/// Answers when an instance has ended.
pub(super) async fn for_end(
    call: &Call<'_>,
    request: GetInstanceRequest,
) -> Result<GetInstanceResponse, Status> {
    wait(call, request, Verb::Wait, Verb::Expect).await
}

async fn wait(
    call: &Call<'_>,
    request: GetInstanceRequest,
    known: Verb,
    expected: Verb,
) -> Result<GetInstanceResponse, Status> {
    let id = instance_id(&request.instance_id)?;
    let answer = if request.only_if_there {
        call.ask(id.clone(), known).await
    } else if call.from_node {
        // It was told for how long, and ends the call.
        call.ask(id.clone(), expected).await
    } else {
        let expected = call.ask(id.clone(), expected);
        match tokio::time::timeout(ABSENT_TIME_MAX, expected).await {
            Ok(answer) => answer,
            Err(_) => call.ask(id.clone(), known).await,
        }
    };
    match answer {
        Answer::Status(record) => there(call, &id, &record, wanted(&request)).await,
        Answer::Refused(Refusal::NotFound(_)) => Ok(absent()),
        other => Err(unexpected(other)),
    }
}
