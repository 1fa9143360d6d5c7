//! What is done to one instance that runs: raise an event, pause it, let it go on, end it.

use axum::{body::Body, http::StatusCode, response::Response};
use taskhub_core::{InstanceId, RuntimeStatus, Text, Verb};

use crate::traces::caller;

use super::{
    answer,
    call::{Answered, Call, absent, checked, orchestration},
    start::NAME_BYTES_MAX,
};

impl Call {
    /// `POST instances/{id}/raiseEvent/{eventName}`
    pub(super) async fn raise(self, body: Body, id: &str, event: &str) -> Answered<Response> {
        let id = orchestration(id)?;
        // Whether it is there and runs comes before whether the event makes sense.
        let keep = self.query.seconds("keepFor");
        match self.record(&id).await? {
            Some(record) if record.status.is_terminal() => {
                return Ok(answer::empty(StatusCode::GONE));
            }
            None if keep.is_none() => return Err(absent()),
            _ => {}
        }
        if !self.sends_json() {
            let message = "Only application/json request content is supported";
            return Ok(answer::wrong(StatusCode::BAD_REQUEST, message));
        }
        if event.len() > NAME_BYTES_MAX {
            let why = format!("the name of an event has at most {NAME_BYTES_MAX} bytes");
            return Ok(answer::bad_argument(&why));
        }
        let input = checked(&self.bytes(body).await?)?;
        if let Some(traces) = &self.traces {
            traces.raise(event, &id, caller(&self.parts.headers).as_ref());
        }
        let (name, input) = (event.into(), Some(input));
        let verb = match keep {
            None => Verb::Raise { name, input },
            Some(keep) => Verb::RaiseEarly { name, input, until: self.hub.now().plus(keep) },
        };
        self.tell(&id, verb).await
    }

    /// `POST instances/{id}/terminate`
    pub(super) async fn terminate(self, id: &str) -> Answered<Response> {
        let recursive = self.query.flag("recursive").unwrap_or(false);
        let verb = Verb::Terminate { reason: self.reason()?, recursive };
        self.tell(&orchestration(id)?, verb).await
    }

    /// `POST instances/{id}/suspend`
    pub(super) async fn suspend(self, id: &str) -> Answered<Response> {
        self.tell(&orchestration(id)?, Verb::Suspend { reason: self.reason()? }).await
    }

    /// `POST instances/{id}/resume`
    pub(super) async fn resume(self, id: &str) -> Answered<Response> {
        self.tell(&orchestration(id)?, Verb::Resume { reason: self.reason()? }).await
    }

    /// `POST instances/{id}/rewind`
    pub(super) async fn rewind(self, id: &str) -> Answered<Response> {
        let unknown = || {
            // The dollar is the original's.
            let message = format!("No orchestration with instance ID \"${id}\" found.");
            answer::json(StatusCode::NOT_FOUND, &message)
        };
        let id = InstanceId::parse(id).map_err(|_| unknown())?;
        let status = self.record(&id).await?.ok_or_else(unknown)?.status;
        if status != RuntimeStatus::Failed {
            let message = format!(
                "This orchestration has status {status:?}, but only orchestrations in the \
                 \"Failed\" state can be rewound."
            );
            return Ok(answer::json(StatusCode::PRECONDITION_FAILED, &message));
        }
        let reason: Option<Text> = self.reason()?;
        match self.hub.ask(id, Verb::Rewind { reason }).await {
            taskhub_core::Answer::Done => Ok(answer::empty(StatusCode::ACCEPTED)),
            other => Ok(answer::refused(&other)),
        }
    }

    async fn tell(&self, id: &InstanceId, verb: Verb) -> Answered<Response> {
        self.ask(id, verb).await?;
        Ok(answer::empty(StatusCode::ACCEPTED))
    }
}
