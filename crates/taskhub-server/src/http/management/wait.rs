//! A request that is held until an instance has ended, or its time is up.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use taskhub_core::{Answer, InstanceId, Record, Refusal, RuntimeStatus, Verb};
use taskhub_engine::Hub;

use super::{
    answer,
    call::{Answered, Call, absent, orchestration},
    links::{Links, create_check_status_response},
    status::{output, status},
};

/// How long to wait when the client does not say.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before looking again for an instance that is not there: the hub tells only of
/// those that are. First, and at most; each time twice as long.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(500);

/// Holds a request until an instance has ended, and answers with its output: 200 with nothing but
/// that. An instance that failed or was terminated is answered with its status, and when the time
/// is over, the answer is that of [`create_check_status_response`].
///
/// Nothing is polled: the hub tells at once. Dropping the future, as a server does when the client
/// goes away, withdraws the wait; the instance goes on.
pub async fn wait_for_completion_or_create_check_status_response(
    hub: &Hub,
    links: &Links,
    instance: &str,
    timeout: Duration,
) -> Response {
    let Ok(id) = InstanceId::parse(instance) else {
        return create_check_status_response(links, instance);
    };
    answered(hub, links, &id, timeout).await.into_response()
}

impl Call {
    /// `GET instances/{id}/output`: an addition to the original.
    pub(super) async fn output(self, id: &str) -> Answered<Response> {
        let id = orchestration(id)?;
        self.record(&id).await?.ok_or_else(absent)?;
        let timeout = self.links.query.seconds("timeout").unwrap_or(TIMEOUT);
        answered(&self.hub, &self.links, &id, timeout).await
    }
}

/// The same, for an instance whose id is known to be one.
pub(super) async fn answered(
    hub: &Hub,
    links: &Links,
    id: &InstanceId,
    timeout: Duration,
) -> Answered<Response> {
    let Ok(ended) = tokio::time::timeout(timeout, ended(hub, id)).await else {
        return Ok(create_check_status_response(links, id.as_str()));
    };
    let record = ended?;
    if record.status == RuntimeStatus::Completed {
        return Ok(answer::raw(StatusCode::OK, output(&record).get().to_owned()));
    }
    status(hub, links, id, &record).await
}

/// How an instance ended; one that is not there may yet come.
pub(super) async fn ended(hub: &Hub, id: &InstanceId) -> Answered<Box<Record>> {
    let mut pause = LOOK_AGAIN;
    loop {
        match hub.ask(id.clone(), Verb::Wait).await {
            Answer::Status(record) => return Ok(record),
            Answer::Refused(Refusal::NotFound(_)) => {}
            other => return Err(answer::refused(&other).into()),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN_MAX);
    }
}
