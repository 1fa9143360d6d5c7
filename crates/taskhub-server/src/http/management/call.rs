//! One request to the API: which hub it is for, what came with it, and how the hub is asked.

use std::{fmt::Display, sync::Arc};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::{Buf as _, BytesMut};
use futures::StreamExt as _;
use serde::de::Error as _;
use serde_json::value::RawValue;
use taskhub_core::{Answer, InstanceId, InvalidInstanceId, Record, Refusal, Text, Verb};
use taskhub_engine::Hub;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{BODY_TIME_MAX, answer, links::Links, query::Query};
use crate::{Traces, serve::is_too_slow};

/// What some programs on Windows write before a text in UTF-8; it is no part of it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An answer that comes early: what was asked cannot be done.
pub(super) struct Refused(Box<Response>);

pub(super) type Answered<T> = Result<T, Refused>;

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl Refused {
    /// What it says, for an answer that has begun already.
    pub(super) async fn body(self) -> Vec<u8> {
        let body = to_bytes(self.0.into_body(), usize::MAX).await;
        body.map(|bytes| bytes.to_vec()).unwrap_or_default()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// A request to the API.
pub(super) struct Call {
    pub hub: Hub,
    pub links: Links,
    pub parts: Parts,
    pub query: Query,
    pub bytes_max: usize,
    pub reads: Arc<Semaphore>,
    /// The way for traces, if they are sent anywhere.
    pub traces: Option<Traces>,
}

impl Call {
    /// Asks the owner of an instance.
    pub(super) async fn ask(&self, id: &InstanceId, verb: Verb) -> Answered<Answer> {
        match self.hub.ask(id.clone(), verb).await {
            refused @ Answer::Refused(_) => Err(answer::refused(&refused).into()),
            answer => Ok(answer),
        }
    }

    /// Where an instance stands; `None` when there is none.
    pub(super) async fn record(&self, id: &InstanceId) -> Answered<Option<Box<Record>>> {
        match self.hub.ask(id.clone(), Verb::Status).await {
            Answer::Status(record) => Ok(Some(record)),
            Answer::Refused(Refusal::NotFound(_)) => Ok(None),
            other => Err(answer::refused(&other).into()),
        }
    }

    /// Waits for the turn to read something long; hold what this returns meanwhile.
    pub(super) async fn read(&self) -> Answered<SemaphorePermit<'_>> {
        let permit = self.reads.acquire().await;
        permit.map_err(|_| answer::try_again(&"this server is shutting down").into())
    }

    /// The body, which must come whole, in time, and not be too long.
    pub(super) async fn bytes(&self, body: Body) -> Answered<Bytes> {
        let whole = tokio::time::timeout(BODY_TIME_MAX, self.whole(body)).await;
        whole.unwrap_or_else(|_| Err(late(&"the body took too long to come")))
    }

    async fn whole(&self, body: Body) -> Answered<Bytes> {
        let (mut whole, mut pieces) = (BytesMut::new(), body.into_data_stream());
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| broken(&error))?;
            if whole.len() + piece.len() > self.bytes_max {
                let message = format!(
                    "the body is longer than {} bytes; raise `limits.payload_bytes`",
                    self.bytes_max
                );
                return Err(answer::wrong(StatusCode::PAYLOAD_TOO_LARGE, &message).into());
            }
            whole.extend_from_slice(&piece);
        }
        if whole.starts_with(BYTE_ORDER_MARK) {
            whole.advance(BYTE_ORDER_MARK.len());
        }
        Ok(whole.freeze())
    }

    /// Whether the client says that it sends JSON.
    pub(super) fn sends_json(&self) -> bool {
        let kind = self.parts.headers.get(CONTENT_TYPE).map(HeaderValue::to_str);
        let media = kind.and_then(Result::ok).and_then(|kind| kind.split(';').next());
        media.is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
    }

    /// Why the client does what it does.
    pub(super) fn reason(&self) -> Answered<Option<Text>> {
        let reason = self.query.text("reason");
        if reason.as_ref().is_some_and(|reason| reason.len() > self.bytes_max) {
            return Err(answer::bad_argument(&"the reason is too long").into());
        }
        Ok(reason.map(Text::from))
    }
}

/// A body that must be JSON, as it stands.
pub(super) fn checked(body: &[u8]) -> Answered<Text> {
    Ok(json(body).map_err(|error| answer::no_json(&error))?)
}

/// The same, for who tells of what is no JSON in words of his own.
pub(super) fn json(body: &[u8]) -> serde_json::Result<Text> {
    let json = serde_json::from_slice::<&RawValue>(body)?.get();
    if answer::is_too_deep(json) {
        return Err(serde_json::Error::custom("arrays and objects are nested too deeply"));
    }
    Ok(json.into())
}

/// The instance that a path names, entities included; `None` when nothing can have that id.
pub(super) fn named(id: &str) -> Option<InstanceId> {
    let parse = if id.starts_with('@') { InstanceId::parse_entity } else { InstanceId::parse };
    parse(id).ok()
}

/// The orchestration that a path names; what can name none is not there.
pub(super) fn orchestration(id: &str) -> Answered<InstanceId> {
    InstanceId::parse(id).map_err(|_: InvalidInstanceId| absent())
}

/// Nothing is there.
pub(super) fn absent() -> Refused {
    answer::empty(StatusCode::NOT_FOUND).into()
}

/// A body came to no good end.
fn broken(why: &(dyn std::error::Error + 'static)) -> Refused {
    let mut causes = std::iter::successors(Some(why), |cause| cause.source());
    if causes.clone().any(is_too_slow) {
        return late(&why);
    }
    match causes.find_map(|cause| cause.downcast_ref::<tonic::Status>()) {
        Some(full) => answer::try_again(&full.message()).into(),
        None => answer::bad_argument(&format!("the body broke off: {why}")).into(),
    }
}

/// A body did not come in time.
fn late(why: &dyn Display) -> Refused {
    answer::wrong(StatusCode::REQUEST_TIMEOUT, &why.to_string()).into()
}
