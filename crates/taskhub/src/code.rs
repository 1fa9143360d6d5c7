//! Typed functions as the engine sees them: text in, text out.

use std::{
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll},
    time::Duration,
};

use taskhub_core::{
    Outcome, Text,
    turn::{Orchestration, Run, Scope},
};
use tracing::{Dispatch, dispatcher};

use crate::{
    ActivityContext, Context, Data, Result,
    activity::Needed,
    data::{decode, encode},
    gate::Gate,
    handle::{ActivityCode, Body, OrchestrationCode},
    turn::Inside,
};

/// An orchestration without its types.
pub(crate) struct Replayed<S>(PhantomData<fn() -> S>);

impl<S: OrchestrationCode> Replayed<S> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<S: OrchestrationCode> Orchestration for Replayed<S> {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        Box::pin(async move {
            let what = format!("the input of `{}`", S::NAME);
            let input = decode::<S::Input>(input.as_deref(), &what)?;
            let body = S::begin(Context::new(scope.clone(), S::NAME), input);
            scope.lives_in(body.code());
            outcome(Muted { scope, body }.await)
        })
    }
}

/// Says nothing to `tracing` while it replays.
///
/// The engine releases one completion per poll, so a poll as a whole either replays or is new: one
/// comparison per poll decides, and spans and events of the code need no wrapping of their own.
struct Muted<S: OrchestrationCode> {
    scope: Scope,
    body: Body<S>,
}

impl<S: OrchestrationCode> Future for Muted<S> {
    type Output = Result<S::Output>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let replays = self.scope.is_replaying();
        let body = Pin::new(&mut self.body);
        let _inside = Inside::enter(S::NAME);
        if replays {
            dispatcher::with_default(&Dispatch::none(), || body.poll(task))
        } else {
            body.poll(task)
        }
    }
}

/// An activity that runs.
pub(crate) type Attempt = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// An activity without its types.
pub(crate) trait Activity: Send + Sync {
    /// Runs it. Reading the input and finding the arguments belong to the run.
    fn run(&self, context: ActivityContext, input: Option<Text>) -> Attempt;

    /// How long it may be silent, unless the call says so.
    fn heartbeat(&self) -> Option<Duration>;

    /// What limits how many run at the same time.
    fn gate(&self) -> &Gate;

    /// The states that it asks for.
    fn needs(&self) -> Vec<Needed>;
}

pub(crate) struct Performed<S> {
    gate: Gate,
    signature: PhantomData<fn() -> S>,
}

impl<S: ActivityCode> Performed<S> {
    pub(crate) fn boxed() -> Arc<dyn Activity> {
        let gate = Gate::new(S::limit(), S::limit_per_key());
        Arc::new(Self { gate, signature: PhantomData })
    }
}

impl<S: ActivityCode> Activity for Performed<S> {
    fn run(&self, context: ActivityContext, input: Option<Text>) -> Attempt {
        Box::pin(async move {
            let what = format!("the input of `{}`", S::NAME);
            let begun = decode::<S::Input>(input.as_deref(), &what)
                .and_then(|input| S::begin(&context, input));
            outcome(begun?.await)
        })
    }

    fn heartbeat(&self) -> Option<Duration> {
        S::heartbeat()
    }

    fn gate(&self) -> &Gate {
        &self.gate
    }

    fn needs(&self) -> Vec<Needed> {
        S::needs()
    }
}

fn outcome<T: Data>(result: Result<T>) -> Outcome {
    Ok(encode(result?)?)
}
