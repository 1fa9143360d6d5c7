//! A call that is under way: its attempts, the pauses between them, and how long all may take.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context as Task, Poll},
    time::Duration,
};

use futures::future::FusedFuture;
use taskhub_core::{
    InstanceId, InvalidInstanceId, Operation, Outcome, Timestamp, Work,
    turn::{Command, Pending, Place, Scope},
};

use crate::{
    Data, Failure, Result, Retry,
    attempt::take_progress,
    data::{decode, encode},
    entity::Sections,
    handle::Target,
    labels,
};

/// A call, made by [`Context::call`](crate::Context::call). Nothing happens before it is polled;
/// dropping it gives the call up: an activity that still runs is told to stop, a child
/// orchestration runs on, and the result does not count.
#[must_use = "nothing is called until it is awaited"]
pub struct Call<O> {
    scope: Scope,
    sections: Sections,
    place: Place,
    work: Work,
    callee: Callee,
    retry: Option<Box<Retry>>,
    limit: Option<Box<Limit>>,
    attempt_limit: Option<Box<Limit>>,
    failed: u32,
    began: Timestamp,
    stage: Stage,
    output: PhantomData<fn() -> O>,
}

enum Callee {
    Activity,
    /// Under this instance id, or one that is made.
    Child(Option<InstanceId>),
    /// An operation of this entity.
    Operation(InstanceId),
}

/// How long a call, or each attempt of it, may take.
struct Limit {
    time: Duration,
    place: Place,
    timer: Option<Pending>,
}

impl Limit {
    fn boxed(time: Duration, place: Place) -> Box<Self> {
        Box::new(Self { time, place, timer: None })
    }
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
    pub(crate) fn new<I: Data>(
        scope: Scope,
        sections: Sections,
        target: Target,
        is_activity: bool,
        input: I,
    ) -> Self {
        let callee = if is_activity { Callee::Activity } else { Callee::Child(None) };
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
            sections,
            work,
            callee,
            retry: target.retry.map(Box::new),
            limit: None,
            attempt_limit: target.attempt_timeout.map(|time| Limit::boxed(time, place)),
            failed: 0,
            stage,
            output: PhantomData,
        }
    }

    /// The same call, as if it stood at that place.
    pub(crate) fn placed(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    #[track_caller]
    pub(crate) fn of_operation<I: Data>(
        scope: Scope,
        sections: Sections,
        entity: Result<InstanceId, InvalidInstanceId>,
        name: &'static str,
        input: I,
    ) -> Self {
        let mut call = Self::new(scope, sections, Target::named(name), false, input);
        match entity {
            Ok(entity) => call.callee = Callee::Operation(entity),
            Err(invalid) => call.stage = Stage::Broken(Failure::from(invalid).no_retry()),
        }
        call
    }

    /// How often to try, and when; instead of what the activity says of itself.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(Box::new(retry));
        self
    }

    /// How long the whole call may take from when it is first awaited, retries and pauses
    /// included. Then it fails with the kind [`Failure::TIMEOUT`].
    pub fn timeout(mut self, time: Duration) -> Self {
        self.limit = Some(Limit::boxed(time, self.scope.place_like(self.place)));
        self
    }

    /// How long each attempt may take from when it is called, the wait for a free slot included.
    /// Then it is given up, and counts as failed with the kind [`Failure::TIMEOUT`]: there may be
    /// another attempt. Instead of what the activity says of itself.
    ///
    /// An activity is told to stop. A child orchestration runs on, beside that of the next attempt;
    /// with an [`id`](Self::id) the next attempt fails, since that is in use. So a child is better
    /// limited by the timeouts of what it calls itself.
    pub fn attempt_timeout(mut self, time: Duration) -> Self {
        self.attempt_limit = Some(Limit::boxed(time, self.place));
        self
    }

    /// How long an activity may go without a [`heartbeat`](crate::ActivityContext::heartbeat)
    /// before its attempt fails with the kind [`Failure::TIMEOUT`]; instead of what the activity
    /// says of itself. Orchestrations have none, and ignore it.
    pub fn heartbeat_timeout(mut self, silence: Duration) -> Self {
        if let Callee::Activity = self.callee {
            let micros = silence.as_micros().to_string();
            labels::put(&mut self.work.tags, labels::HEARTBEAT, micros);
        }
        self
    }

    /// What the call is about, for an activity that has a limit per key. Orchestrations have none,
    /// and ignore it.
    pub fn key(mut self, key: impl AsRef<str>) -> Self {
        if let Callee::Activity = self.callee {
            labels::put(&mut self.work.tags, labels::KEY, key.as_ref());
        }
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

    /// A label: of the instance, if it is a child, by which it can be listed; of the call, if it is
    /// an activity, which [sees](crate::ActivityContext::tag) it. What begins with `taskhub.` is
    /// the library's own.
    pub fn tag(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        labels::put(&mut self.work.tags, key.as_ref(), value.as_ref());
        self
    }

    /// The version to call, instead of the one that this program knows.
    pub fn version(mut self, version: impl AsRef<str>) -> Self {
        self.work.version = Some(version.as_ref().into());
        self
    }

    fn attempt(&mut self, place: Place) {
        if let Some(limit) = &mut self.attempt_limit {
            let fire_at = self.scope.now().plus(limit.time);
            let place = self.scope.place_like(limit.place);
            limit.timer = Some(self.scope.call_at(place, Command::Timer { fire_at }));
        }
        let work = self.work.clone();
        let command = match &self.callee {
            Callee::Child(instance) => Command::Child { instance: instance.clone(), work },
            Callee::Activity => Command::Activity(work),
            Callee::Operation(entity) => {
                let Work { name, input, .. } = work;
                Command::Operation {
                    entity: entity.clone(),
                    operation: Operation::new("", name, input),
                }
            }
        };
        self.stage = Stage::Trying(self.scope.call_at(place, command));
    }

    fn begin(&mut self) {
        let allowed = match &self.callee {
            Callee::Activity => Ok(()),
            Callee::Child(_) => self.sections.check_child(&self.work.name),
            Callee::Operation(entity) => self.sections.check_call(entity),
        };
        if let Err(failure) = allowed {
            self.stage = Stage::Broken(failure);
            return;
        }
        self.began = self.scope.now();
        self.attempt(self.place);
        if let Some(limit) = &mut self.limit {
            let fire_at = self.began.plus(limit.time);
            limit.timer = Some(self.scope.call_at(limit.place, Command::Timer { fire_at }));
        }
    }

    /// What becomes of an attempt that takes too long.
    fn attempt_expires(&mut self, task: &mut Task<'_>) -> Option<taskhub_core::Failure> {
        let limit = self.attempt_limit.as_mut()?;
        if Pin::new(limit.timer.as_mut()?).poll(task).is_pending() {
            return None;
        }
        let message =
            format!("an attempt of `{}` took longer than {:?}", self.work.name, limit.time);
        Some(taskhub_core::Failure::new(Failure::TIMEOUT, message))
    }

    /// What an attempt that ended comes to; nothing yet when there will be another.
    fn ended(&mut self, outcome: Outcome) -> Option<Result<O>> {
        let failure = match outcome {
            Ok(output) => {
                let what = format!("the output of `{}`", self.work.name);
                return Some(decode(output.as_deref(), &what));
            }
            Err(failure) => {
                let (failure, progress) = take_progress(failure);
                if let Some(progress) = progress {
                    labels::put(&mut self.work.tags, labels::PROGRESS, progress);
                }
                Failure::of(failure)
            }
        };
        self.failed += 1;
        if let Some(limit) = &mut self.attempt_limit {
            limit.timer = None;
        }
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
                Stage::Trying(attempt) => {
                    let outcome = match Pin::new(attempt).poll(task) {
                        Poll::Ready(outcome) => outcome,
                        Poll::Pending => match self.attempt_expires(task) {
                            Some(failure) => Err(failure),
                            None => break,
                        },
                    };
                    if let Some(result) = self.ended(outcome) {
                        return Poll::Ready(result);
                    }
                }
                Stage::Pausing(timer) => match Pin::new(timer).poll(task) {
                    Poll::Ready(_) => {
                        let place = self.scope.place_like(self.place);
                        self.attempt(place);
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
            self.attempt_limit = None;
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
