//! Sync over async: an HTTP request that is held open until an orchestration has ended.
//!
//! The gateway starts the orchestration with the request as its input, waits, and answers with its
//! output. How long it may take is part of the start: the owner of the instance decides in one
//! step whether the result or the deadline came first, whether or not this process still lives.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRef, FromRequest as _, Request},
    handler::Handler,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use taskhub_core::{
    Answer, ExecutionId, InstanceId, Record, Refusal, Reuse, RuntimeStatus, Started, Text,
    Timestamp, Trace, Verb,
};
use taskhub_server::{Request as Span, http::keyed};
use tokio::time::Instant;

use crate::{
    Client, HubError,
    client::Refused,
    data::decode,
    handle::{Startable, Target},
};

/// How long a result may be late, beyond its deadline, before the gateway gives up on its owner.
const GRACE: Duration = Duration::from_secs(5);

/// How long a client may take to send a body, where no server has a shorter time for that.
const BODY_TIME_MAX: Duration = Duration::from_mins(10);

/// The longest part of a trace, in bytes.
const TRACE_BYTES_MAX: usize = 1_024;

/// What a gateway answers when the orchestration takes longer than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnTimeout {
    /// The instance is terminated; the answer is 500.
    Terminate,
    /// The instance goes on; the answer is 202 with its id.
    Accepted,
}

/// An axum handler that holds a request until an orchestration has ended; see [`sync_over_async`].
#[derive(Clone)]
pub struct Gateway {
    name: &'static str,
    version: Option<&'static str>,
    within: Duration,
    on_timeout: OnTimeout,
    check: fn(Option<&str>) -> Result<(), String>,
    /// What a request without a body and without fields asks for.
    empty: Option<Text>,
}

/// A gateway to an orchestration: an ordinary axum handler. It may take 60 s, then it is
/// terminated, unless the methods of [`Gateway`] say otherwise.
///
/// The orchestration's input is the request's JSON body, or else the fields of its query. A text
/// is answered as `text/plain`, anything else as JSON, nothing with 204; a failure or a timeout
/// with 500, and 503 with `Retry-After` when the hub is busy or stops. A request with an
/// `Idempotency-Key` joins the instance that an earlier one with that key started, so whoever lost
/// the connection asks again and gets the same answer.
///
/// ```
/// # use taskhub::prelude::*;
/// # use std::time::Duration;
/// #[orchestration]
/// async fn greet(ctx: Context, name: String) -> Result<String> {
///     Ok(format!("Hello, {name}"))
/// }
///
/// # fn app() -> HostBuilder {
/// let gateway = sync_over_async(greet).within(Duration::from_secs(5));
/// Host::builder().orchestration(greet).route("/greet", get(gateway))
/// # }
/// ```
pub fn sync_over_async<M, C: Startable<M>>(target: C) -> Gateway {
    let Target { name, version, .. } = target.target();
    Gateway {
        name,
        version,
        within: Duration::from_mins(1),
        on_timeout: OnTimeout::Terminate,
        // Where nothing will do it is nothing, else fields of which there are none.
        empty: decode::<C::Input>(None, "it").is_err().then(|| "{}".into()),
        check: |input| match decode::<C::Input>(input, "it") {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.to_string()),
        },
    }
}

impl Gateway {
    /// How long the orchestration may take.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// What happens when it takes longer.
    #[must_use]
    pub fn on_timeout(mut self, on_timeout: OnTimeout) -> Self {
        self.on_timeout = on_timeout;
        self
    }

    /// Starts what a request asks for, or says why not.
    async fn begin(self, request: Request, hub: Client) -> Result<Held, Box<Response>> {
        let asked = self.clone().read(request, &hub).await?;
        let Asked { instance, execution, reuse, input, trace } = asked;
        let until = Instant::now().checked_add(self.within);
        let span = hub.traces().map(|it| it.start(self.name, &instance, trace.as_ref()));
        let trace = span.as_ref().map(Span::trace).or(trace);
        let started = Started { trace, ..self.started(execution, hub.now().core(), input) };
        let start = Verb::Start { started: Box::new(started), reuse };
        if let Err(why) = hub.ask_of(instance.clone(), start).await {
            return Err(Box::new(spanned(span, refused(&why))));
        }
        tracing::debug!(%instance, orchestration = self.name, "a request is held");
        let (on_timeout, span) = (self.on_timeout, span.map(Box::new));
        Ok(Held { hub, instance, until, on_timeout, span })
    }

    /// What a request asks for, or why that makes no sense.
    async fn read(self, request: Request, hub: &Client) -> Result<Asked, Box<Response>> {
        let (parts, body) = request.into_parts();
        let input = input(&parts, Request::from_parts(parts.clone(), body)).await?;
        let wrong = |why: String| Box::new((StatusCode::BAD_REQUEST, why).into_response());
        let input = input.or_else(|| self.empty.clone());
        (self.check)(input.as_deref())
            .map_err(|why| wrong(format!("the request does not fit `{}`: {why}\n", self.name)))?;
        let named = keyed(self.name, &parts.headers).map_err(|why| wrong(format!("{why}\n")))?;
        // It is waited for here, so a fresh one lives here as well.
        let execution = hub.fresh_here();
        let fresh = || (InstanceId::fresh(execution), Reuse::Fresh);
        let (instance, reuse) = named.map_or_else(fresh, |id| (id, Reuse::Join));
        Ok(Asked { instance, execution, reuse, input, trace: traced(&parts.headers) })
    }

    fn started(&self, execution: ExecutionId, now: Timestamp, input: Option<Text>) -> Started {
        let deadline = (self.on_timeout == OnTimeout::Terminate).then(|| now.plus(self.within));
        Started {
            version: self.version.map(Text::from),
            deadline,
            ..Started::new(self.name, input, execution)
        }
    }
}

/// What a request asks for.
struct Asked {
    instance: InstanceId,
    execution: ExecutionId,
    reuse: Reuse,
    input: Option<Text>,
    trace: Option<Trace>,
}

/// A request whose orchestration runs.
struct Held {
    hub: Client,
    instance: InstanceId,
    /// Until when its end is waited for; `None` is for ever.
    until: Option<Instant>,
    on_timeout: OnTimeout,
    /// Its span, which ends when it is answered.
    span: Option<Box<Span>>,
}

impl Held {
    async fn answer(self) -> Response {
        let grace = match self.on_timeout {
            OnTimeout::Terminate => GRACE,
            OnTimeout::Accepted => Duration::ZERO,
        };
        let late = self.until.and_then(|until| until.checked_add(grace));
        let wait = self.hub.ask_of(self.instance.clone(), Verb::Wait);
        let answer = match late {
            Some(late) => tokio::time::timeout_at(late, wait).await.ok(),
            None => Some(wait.await),
        };
        let response = match answer {
            Some(Ok(Answer::Status(record))) => ended(&self.instance, &record),
            Some(Err(why)) => refused(&why),
            Some(Ok(_)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            None => self.late(),
        };
        spanned(self.span.map(|span| *span), response)
    }

    fn late(&self) -> Response {
        if self.on_timeout == OnTimeout::Accepted {
            return accepted(&self.instance);
        }
        // Servers that are not ours know no deadlines.
        end_elsewhere(&self.hub, self.instance.clone());
        let why = "its owner did not answer in time".to_owned();
        refused(&Refused::Hub(HubError::Unavailable(self.instance.clone(), why)))
    }
}

/// Ends the span of a request with its answer.
fn spanned(span: Option<Span>, answer: Response) -> Response {
    if let Some(mut span) = span
        && answer.status().is_server_error()
    {
        span.fail(answer.status().as_str());
    }
    answer
}

/// The trace that the caller is in.
fn traced(headers: &HeaderMap) -> Option<Trace> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.into());
    let parent: Text = text("traceparent").filter(|text: &Text| text.len() <= TRACE_BYTES_MAX)?;
    Some(Trace { parent, state: text("tracestate").filter(|text| text.len() <= TRACE_BYTES_MAX) })
}

/// Ends an instance that is late, if its hub is in another process.
fn end_elsewhere(hub: &Client, id: InstanceId) {
    if hub.hub().is_none() {
        let hub = hub.clone();
        tokio::spawn(async move {
            let reason = Some("the time of the request was over".into());
            let _ = hub.ask_of(id, Verb::Terminate { reason, recursive: true }).await;
        });
    }
}

/// The input of the orchestration: the body where there is a JSON one, else the query's fields.
async fn input(parts: &Parts, request: Request) -> Result<Option<Text>, Box<Response>> {
    let refuse = |status: StatusCode, why: String| Box::new((status, why).into_response());
    let body = tokio::time::timeout(BODY_TIME_MAX, Bytes::from_request(request, &())).await;
    let why = "the body did not arrive in time\n".to_owned();
    let body = body.map_err(|_| refuse(StatusCode::REQUEST_TIMEOUT, why))?;
    let body = body.map_err(|rejection| Box::new(rejection.into_response()))?;
    if !body.is_empty() {
        let text = std::str::from_utf8(&body).map(|text| Some(Text::from(text.trim())));
        let why = "the body is not text in UTF-8\n".to_owned();
        return text.map_err(|_| refuse(StatusCode::BAD_REQUEST, why));
    }
    let query = parts.uri.query().unwrap_or_default();
    if !is_well_encoded(query) {
        let why = "bad query: a `%` needs two hex digits, and together they must be UTF-8\n";
        return Err(refuse(StatusCode::BAD_REQUEST, why.to_owned()));
    }
    let fields: serde_json::Map<_, _> = serde_urlencoded::from_str::<Vec<(String, String)>>(query)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("bad query: {error}\n")))?
        .into_iter()
        .map(|(name, value)| (name, serde_json::Value::String(value)))
        .collect();
    if fields.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::Value::Object(fields).to_string().into()))
}

/// Whether a query says what it means. The decoder lets a stray `%` stand, and puts marks in place
/// of what is no UTF-8; then the orchestration would run for something that nobody asked.
fn is_well_encoded(query: &str) -> bool {
    let mut parts = query.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let Some((digits, rest)) = part.split_at_checked(2) else { return false };
        // The standard parser takes a sign too.
        let Some(byte) = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
        else {
            return false;
        };
        decoded.push(byte);
        decoded.extend_from_slice(rest.as_bytes());
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// The answer once the instance has ended.
fn ended(instance: &InstanceId, record: &Record) -> Response {
    match (&record.outcome, record.status) {
        (Some(Ok(output)), RuntimeStatus::Completed) => completed(output.as_deref()),
        (Some(Ok(reason)), status) => {
            let why = reason.as_deref().unwrap_or("no reason was given");
            tracing::info!(%instance, ?status, why, "a held request was not answered");
            let text = format!("no answer: {why}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
        (Some(Err(failure)), _) => {
            tracing::warn!(%instance, %failure, "the orchestration of a held request failed");
            let text = format!("the request failed: {failure}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
        (None, _) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A string is answered as plain text, everything else as JSON, nothing as 204.
fn completed(output: Option<&str>) -> Response {
    let Some(output) = output else {
        return StatusCode::NO_CONTENT.into_response();
    };
    if output.starts_with('"')
        && let Ok(text) = serde_json::from_str::<String>(output)
    {
        return text.into_response();
    }
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    ([(header::CONTENT_TYPE, json)], output.to_owned()).into_response()
}

fn accepted(instance: &InstanceId) -> Response {
    let retry = (header::RETRY_AFTER, HeaderValue::from_static("10"));
    let body = serde_json::json!({ "id": instance.as_str() });
    (StatusCode::ACCEPTED, [retry], axum::Json(body)).into_response()
}

/// Whatever the reason, trying again a little later is right; with an `Idempotency-Key` it is safe.
fn refused(why: &Refused) -> Response {
    if let Refused::Instance(Refusal::TooLarge(..)) = why {
        return (StatusCode::PAYLOAD_TOO_LARGE, format!("{why}\n")).into_response();
    }
    let retry = (header::RETRY_AFTER, HeaderValue::from_static("1"));
    (StatusCode::SERVICE_UNAVAILABLE, [retry], format!("{why}\n")).into_response()
}

impl<S> Handler<((),), S> for Gateway
where
    Client: FromRef<S>,
    S: Send + Sync + 'static,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: S) -> Self::Future {
        // Many are held for long: what is over before that is kept apart, so that the rest is
        // small.
        let begun = Box::pin(self.begin(request, Client::from_ref(&state)));
        Box::pin(async move {
            match begun.await {
                Ok(held) => held.answer().await,
                Err(response) => *response,
            }
        })
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gateway({} within {:?})", self.name, self.within)
    }
}
