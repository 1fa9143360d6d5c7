//! A call that is under way: its attempts, the pauses between them, and how long all may take.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context as Task, Poll},
    time::Duration,
};

use futures::future::FusedFuture;
use serde::Serialize;
use taskhub_core::{
    InstanceId, Outcome, Timestamp, Work,
    turn::{Command, Pending, Place, Scope},
};

use crate::{
    Data, Failure, Result, Retry,
    data::{decode, encode},
    handle::Target,
};

/// A call, made by [`Context::call`](crate::Context::call). Nothing happens before it is polled;
/// dropping it gives the call up: what still runs is told to stop, and its result does not count.
#[must_use = "nothing is called until it is awaited"]
pub struct Call<O> {
    scope: Scope,
    place: Place,
    work: Work,
    callee: Callee,
    retry: Option<Box<Retry>>,
    limit: Option<Box<Limit>>,
    failed: u32,
    began: Timestamp,
    stage: Stage,
    output: PhantomData<fn() -> O>,
}

enum Callee {
    Activity,
    /// Under this instance id, or one that is made.
    Child(Option<InstanceId>),
}

/// How long a call may take.
struct Limit {
    time: Duration,
    place: Place,
    timer: Option<Pending>,
}

enum Stage {
    Broken(Failure),
    Made,
    Trying(Pending),
    Pausing(Pending),
    Over,
}

impl<O: Data> Call<O> {
    #[track_caller]
    pub(crate) fn new<I: Serialize>(
        scope: Scope,
        target: Target,
        is_activity: bool,
        input: I,
    ) -> Self {
        let place = scope.place();
        let (input, stage) = match encode(input) {
            Ok(input) => (input, Stage::Made),
            Err(failure) => (None, Stage::Broken(failure)),
        };
        let version = target.version.map(Into::into);
        let work = Work { version, ..Work::new(target.name, input) };
        Self {
            began: scope.now(),
            place,
            scope,
            work,
            callee: if is_activity { Callee::Activity } else { Callee::Child(None) },
            retry: target.retry.map(Box::new),
            limit: None,
            failed: 0,
            stage,
            output: PhantomData,
        }
    }

    /// How often to try, and when; instead of what the activity says of itself.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(Box::new(retry));
        self
    }

    /// How long the whole call may take from when it is first awaited, retries and pauses
    /// included. Then it fails with the kind [`Failure::TIMEOUT`].
    pub fn timeout(mut self, time: Duration) -> Self {
        let place = self.scope.place_like(self.place);
        self.limit = Some(Box::new(Limit { time, place, timer: None }));
        self
    }

    /// The instance id of a child orchestration; without it one is made. Activities have none, and
    /// ignore it.
    ///
    /// An id that cannot be one fails the call.
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        if let Callee::Child(child) = &mut self.callee {
            match InstanceId::parse(id.as_ref()) {
                Ok(id) => *child = Some(id),
                Err(invalid) => self.stage = Stage::Broken(Failure::from(invalid).no_retry()),
            }
        }
        self
    }

    /// The version to call, instead of the one that this program knows.
    pub fn version(mut self, version: impl AsRef<str>) -> Self {
        self.work.version = Some(version.as_ref().into());
        self
    }

    fn attempt(&self, place: Place) -> Pending {
        let work = self.work.clone();
        let command = match &self.callee {
            Callee::Child(instance) => Command::Child { instance: instance.clone(), work },
            Callee::Activity => Command::Activity(work),
        };
        self.scope.call_at(place, command)
    }

    fn begin(&mut self) {
        self.began = self.scope.now();
        self.stage = Stage::Trying(self.attempt(self.place));
        if let Some(limit) = &mut self.limit {
            let fire_at = self.began.plus(limit.time);
            limit.timer = Some(self.scope.call_at(limit.place, Command::Timer { fire_at }));
        }
    }

    /// What an attempt that ended comes to; nothing yet when there will be another.
    fn ended(&mut self, outcome: Outcome) -> Option<Result<O>> {
        let failure = match outcome {
            Ok(output) => {
                let what = format!("the output of `{}`", self.work.name);
                return Some(decode(output.as_deref(), &what));
            }
            Err(failure) => Failure::of(failure),
        };
        self.failed += 1;
        let now = self.scope.now();
        let elapsed = now.since(self.began);
        let pause = self.retry.as_ref().and_then(|it| it.pause(self.failed, elapsed, &failure));
        let Some(pause) = pause else { return Some(Err(failure)) };
        let place = self.scope.place_like(self.place);
        let timer = Command::Timer { fire_at: now.plus(pause) };
        self.stage = Stage::Pausing(self.scope.call_at(place, timer));
        None
    }

    fn advance(&mut self, task: &mut Task<'_>) -> Poll<Result<O>> {
        loop {
            match &mut self.stage {
                Stage::Broken(failure) => return Poll::Ready(Err(failure.clone())),
                Stage::Made => self.begin(),
                Stage::Trying(attempt) => match Pin::new(attempt).poll(task) {
                    Poll::Ready(outcome) => {
                        if let Some(result) = self.ended(outcome) {
                            return Poll::Ready(result);
                        }
                    }
                    Poll::Pending => break,
                },
                Stage::Pausing(timer) => match Pin::new(timer).poll(task) {
                    Poll::Ready(_) => {
                        let place = self.scope.place_like(self.place);
                        self.stage = Stage::Trying(self.attempt(place));
                    }
                    Poll::Pending => break,
                },
                Stage::Over => panic!("polled again after it was ready"),
            }
        }
        let Some(limit) = &mut self.limit else { return Poll::Pending };
        let Some(timer) = &mut limit.timer else { return Poll::Pending };
        Pin::new(timer).poll(task).map(|_| {
            let message = format!("`{}` did not end within {:?}", self.work.name, limit.time);
            Err(Failure::new(Failure::TIMEOUT, message))
        })
    }
}

impl<O: Data> Future for Call<O> {
    type Output = Result<O>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Result<O>> {
        let polled = self.advance(task);
        if polled.is_ready() {
            self.stage = Stage::Over;
            self.limit = None;
        }
        polled
    }
}

impl<O: Data> FusedFuture for Call<O> {
    fn is_terminated(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}

impl<O> fmt::Debug for Call<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.work.name)
    }
}
