//! Instances, started: by a name and an input, or as others were.

use std::time::Duration;

use axum::{body::Body, http::StatusCode, response::Response};
use taskhub_core::{Answer, ExecutionId, InstanceId, Kind, Refusal, Reuse, Started, Text, Verb};
use uuid::Uuid;

use crate::{Request, http::keyed, traces::caller};

use super::{
    answer,
    call::{Answered, Call, Refused, checked},
    links::create_check_status_response,
    list::tags,
    query::Query,
    wait::{Held, Reply},
};

/// The longest name of a function or an event, the longest version and trace, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 1_024;

/// What the original throws when there is an instance of that id.
const EXISTS: &str = "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException";

impl Call {
    /// `POST orchestrators/{functionName}[/{instanceId}]`
    pub(super) async fn start(
        self: Box<Self>,
        body: Body,
        name: &str,
        id: Option<&str>,
    ) -> Answered<Reply> {
        let patience = patience(&self.query)?;
        let body = self.bytes(body).await?;
        let input = if body.is_empty() { None } else { Some(checked(&body)?) };
        let keyed = keyed(name, &self.parts.headers);
        let keyed = keyed.map_err(|error| senseless(&error))?;
        let id = id.map(InstanceId::parse).transpose();
        let id = id.map_err(|error| senseless(&error))?;
        let (id, execution, reuse) = match (id, keyed) {
            // Asked for once more, it may have ended: it is that one which was meant.
            (Some(id), Some(_)) | (None, Some(id)) => (id, execution(), Reuse::Join),
            (Some(id), None) => (id, execution(), Reuse::ended()),
            (None, None) => fresh(),
        };
        let version = self.query.text("version").filter(|version| !version.is_empty());
        for text in [name, version.as_deref().unwrap_or_default()] {
            if text.len() > NAME_BYTES_MAX {
                let why = format!("a name or version has at most {NAME_BYTES_MAX} bytes");
                return Err(senseless(&why));
            }
        }
        let started = Started {
            version: version.map(Text::from),
            tags: tags(&self.query)?.into(),
            trace: caller(&self.parts.headers),
            ..Started::new(name, input, execution)
        };
        self.begin(id, Box::new(started), reuse, patience, |exists| {
            answer::wrong(StatusCode::CONFLICT, &exists.to_string())
        })
        .await
    }

    /// `POST instances/{id}/restart`
    pub(super) async fn restart(self: Box<Self>, id: &str) -> Answered<Reply> {
        let patience = patience(&self.query)?;
        let unknown = || {
            let message = "InstanceId does not match a valid orchestration instance.";
            let why = format!("An orchestration with the instanceId {id} was not found.");
            let exception = "System.ArgumentException";
            answer::thrown(StatusCode::BAD_REQUEST, message, exception, &why)
        };
        let old = InstanceId::parse(id).map_err(|_| unknown())?;
        let part = self.hub.history_from(old.clone(), 0, 1).await.map_err(answer::unreadable)?;
        let started = part.events.into_iter().find_map(|event| match event.kind {
            Kind::Started(started) => Some(started),
            _ => None,
        });
        let was = started.ok_or_else(unknown)?;
        let with_new_id = self.query.flag("restartWithNewInstanceId").unwrap_or(true);
        let (id, execution, reuse) =
            if with_new_id { fresh() } else { (old, execution(), Reuse::ended()) };
        let started = Started {
            version: was.version,
            tags: was.tags,
            trace: caller(&self.parts.headers),
            ..Started::new(was.name, was.input, execution)
        };
        self.begin(id, Box::new(started), reuse, patience, |exists| {
            let message = "A non-terminal instance with this instance ID already exists.";
            answer::thrown(StatusCode::CONFLICT, message, EXISTS, exists)
        })
        .await
    }

    /// `taken` is the answer when there is an instance of that id.
    async fn begin(
        self: Box<Self>,
        id: InstanceId,
        mut started: Box<Started>,
        reuse: Reuse,
        patience: Option<Duration>,
        taken: impl FnOnce(&Refusal) -> Response,
    ) -> Answered<Reply> {
        let traces = self.traces.as_ref();
        // Its span ends when this is answered.
        let mut span = traces.map(|it| it.start(&started.name, &id, started.trace.as_ref()));
        started.trace = span.as_ref().map(Request::trace).or(started.trace);
        let verb = Verb::Start { started, reuse };
        let begun = self.hub.ask(id.clone(), verb).await;
        if let (Answer::Refused(refusal), Some(span)) = (&begun, &mut span) {
            span.fail(&refusal.to_string());
        }
        match begun {
            Answer::Started(_) => {}
            Answer::Refused(refusal @ Refusal::Exists(..)) => {
                return Err(taken(&refusal).into());
            }
            other => return Err(answer::refused(&other).into()),
        }
        let Some(timeout) = patience else {
            return Ok(Reply::Now(create_check_status_response(&self.links, id.as_str())));
        };
        let (hub, links) = (self.hub, self.links);
        Ok(Reply::Later(Box::new(Held { hub, links, id, timeout, _span: span })))
    }
}

/// What was asked for makes no sense; a start tells of it without naming an exception.
fn senseless(why: &dyn std::fmt::Display) -> Refused {
    answer::wrong(StatusCode::BAD_REQUEST, &why.to_string()).into()
}

/// An id that sorts by time, and the execution that it is of.
fn fresh() -> (InstanceId, ExecutionId, Reuse) {
    let execution = execution();
    (InstanceId::fresh(execution), execution, Reuse::Fresh)
}

fn execution() -> ExecutionId {
    ExecutionId(Uuid::now_v7().as_u128())
}

/// How long the client wants to wait. How often it would have us look does not matter, since the
/// hub tells; but it may not be longer.
fn patience(query: &Query) -> Answered<Option<Duration>> {
    let timeout = query.seconds("timeout");
    if let (Some(timeout), Some(interval)) = (timeout, query.seconds("pollingInterval"))
        && interval > timeout
    {
        let message = format!(
            "Total timeout {} should be bigger than retry timeout {}",
            timeout.as_secs_f64(),
            interval.as_secs_f64()
        );
        return Err(senseless(&message));
    }
    Ok(timeout)
}
