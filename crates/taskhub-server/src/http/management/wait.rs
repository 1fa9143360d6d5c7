//! A request that is held until an instance has ended, or its time is up.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use taskhub_core::{Answer, InstanceId, Record, RuntimeStatus, Verb};
use taskhub_engine::Hub;

use super::{
    answer,
    call::{Answered, Call, absent, orchestration},
    links::{Links, create_check_status_response},
    status::{output, status},
};
use crate::Request;

/// How long to wait when the client does not say.
const TIMEOUT: Duration = Duration::from_secs(10);

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

/// What comes of a request: an answer, or one that has to be waited for.
pub(super) enum Reply {
    Now(Response),
    Later(Box<Held>),
}

/// A request that is held: what is needed to answer it.
pub(super) struct Held {
    pub hub: Hub,
    pub links: Links,
    pub id: InstanceId,
    pub timeout: Duration,
    /// Its span, which ends with it.
    pub _span: Option<Request>,
}

impl Held {
    pub(super) async fn answer(self: Box<Self>) -> Answered<Response> {
        answered(&self.hub, &self.links, &self.id, self.timeout).await
    }
}

impl Call {
    /// `GET instances/{id}/output`: an addition to the original.
    pub(super) async fn output(self: Box<Self>, id: &str) -> Answered<Reply> {
        let id = orchestration(id)?;
        let timeout = match self.query.text("timeout") {
            None => TIMEOUT,
            Some(text) => self.query.seconds("timeout").ok_or_else(|| {
                answer::bad_argument(&format!("{text:?} is no timeout; it is a number of seconds"))
            })?,
        };
        self.record(&id).await?.ok_or_else(absent)?;
        let (hub, links) = (self.hub, self.links);
        Ok(Reply::Later(Box::new(Held { hub, links, id, timeout, _span: None })))
    }
}

/// The same, for an instance whose id is known to be one.
async fn answered(
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
    Box::pin(status(hub, links, id, &record)).await
}

/// How an instance ended; one that is not there may yet come.
async fn ended(hub: &Hub, id: &InstanceId) -> Answered<Box<Record>> {
    match hub.ask(id.clone(), Verb::Expect).await {
        Answer::Status(record) => Ok(record),
        other => Err(answer::refused(&other).into()),
    }
}
