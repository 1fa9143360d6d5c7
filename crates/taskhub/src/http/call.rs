//! A durable HTTP call that is under way: its requests, its attempts, and the pauses in between.

use std::{
    fmt,
    pin::Pin,
    task::{Context as Task, Poll, ready},
    time::Duration,
};

use futures::future::FusedFuture;
use taskhub_core::turn::{Command, Pending, Place, Scope};

use super::{HttpRequest, HttpResponse, activity, follow};
use crate::{Call, Context, Failure, Result, Retry};

/// How long to wait before asking again, if nobody says.
const POLL_EVERY: Duration = Duration::from_secs(30);

/// A call made by [`Context::call_http`]. Nothing is sent before it is polled; dropping it gives it
/// up, and the request that is under way.
#[must_use = "nothing is sent until it is awaited"]
pub struct HttpCall {
    context: Context,
    scope: Scope,
    place: Place,
    request: HttpRequest,
    retry: Option<Box<Retry>>,
    retried: Vec<u16>,
    poll_every: Duration,
    failed: u32,
    began: crate::Timestamp,
    stage: Stage,
}

enum Stage {
    Made,
    Asking(Box<Call<HttpResponse>>),
    Waiting(Pending),
    Over,
}

impl HttpCall {
    pub(crate) fn new(context: Context, scope: Scope, place: Place, request: HttpRequest) -> Self {
        Self {
            began: context.now(),
            context,
            scope,
            place,
            request,
            retry: None,
            retried: Vec::new(),
            poll_every: POLL_EVERY,
            failed: 0,
            stage: Stage::Made,
        }
    }

    /// How often to try each request that fails: that gets no answer, or one with a status other
    /// than 2xx. Without this any answer is a result, and no answer a failure. When the attempts
    /// are over the call fails, for a status with the kind [`Failure::HTTP_STATUS`].
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(Box::new(retry));
        self
    }

    /// Which statuses are a reason to try again; any other answer is a result.
    pub fn retry_on(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.retried.extend(statuses);
        self
    }

    /// How long to wait before asking again after an answer with 202 that does not say so by
    /// `Retry-After`; 30 seconds otherwise.
    pub fn poll_every(mut self, time: Duration) -> Self {
        self.poll_every = time;
        self
    }

    fn ask(&mut self, place: Place) {
        let call = self.context.call(activity::send, self.request.clone()).placed(place);
        self.stage = Stage::Asking(Box::new(call));
    }

    fn wait(&mut self, time: Duration) {
        let fire_at = self.scope.now().plus(time);
        let place = self.scope.place_like(self.place);
        self.stage = Stage::Waiting(self.scope.call_at(place, Command::Timer { fire_at }));
    }

    /// What an attempt comes to: the result, or nothing yet.
    fn ended(&mut self, answer: Result<HttpResponse>) -> Option<Result<HttpResponse>> {
        let now = self.context.now();
        let failure = match self.judge(answer) {
            Ok(response) => {
                let Some(next) = follow::next(&self.request, &response) else {
                    return Some(Ok(response));
                };
                let pause = follow::pause(&response, now).unwrap_or(self.poll_every);
                self.request = next;
                self.failed = 0;
                self.wait(pause);
                self.began = now + pause;
                return None;
            }
            Err(failure) => failure,
        };
        self.failed += 1;
        let elapsed = now - self.began;
        let pause = self.retry.as_ref().and_then(|it| it.pause(self.failed, elapsed, &failure));
        let Some(pause) = pause else { return Some(Err(failure)) };
        self.wait(pause);
        None
    }

    /// Whether an answer is one to try again for.
    fn judge(&self, answer: Result<HttpResponse>) -> Result<HttpResponse> {
        let response = answer?;
        let is_retried = if self.retried.is_empty() {
            !response.is_success()
        } else {
            self.retried.contains(&response.status_code)
        };
        if self.retry.is_none() || !is_retried {
            return Ok(response);
        }
        let (method, uri) = (&self.request.method, &self.request.uri);
        let message = format!("{method} {uri} was answered with {}", response.status_code);
        Err(Failure::new(Failure::HTTP_STATUS, message))
    }

    fn advance(&mut self, task: &mut Task<'_>) -> Poll<Result<HttpResponse>> {
        loop {
            match &mut self.stage {
                Stage::Made => {
                    self.began = self.context.now();
                    self.ask(self.place);
                }
                Stage::Asking(call) => {
                    let answer = ready!(Pin::new(&mut **call).poll(task));
                    if let Some(result) = self.ended(answer) {
                        return Poll::Ready(result);
                    }
                }
                Stage::Waiting(timer) => {
                    let _ = ready!(Pin::new(timer).poll(task));
                    let place = self.scope.place_like(self.place);
                    self.ask(place);
                }
                Stage::Over => panic!("polled again after it was ready"),
            }
        }
    }
}

impl Future for HttpCall {
    type Output = Result<HttpResponse>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let result = ready!(self.advance(task));
        self.stage = Stage::Over;
        Poll::Ready(result)
    }
}

impl FusedFuture for HttpCall {
    fn is_terminated(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}

impl fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpCall({} {})", self.request.method, self.request.uri)
    }
}
