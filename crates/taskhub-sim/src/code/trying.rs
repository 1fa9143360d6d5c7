//! The step that tries an activity again, as the library does it.

use std::pin::pin;

use futures::future::{Either, select};
use taskhub_core::{
    Failure, Outcome, Text,
    turn::{Command, Scope},
};

use super::timer;
use crate::program::{Notes, Policy, TIMEOUT, attempt, shown};

/// All attempts, in the time that they have.
pub(super) async fn retry(scope: &Scope, policy: &Policy, notes: &mut Notes) {
    let all = pin!(attempts(scope, policy, notes.entries.len()));
    let outcome = match policy.limit {
        None => all.await,
        Some(limit) => match select(all, timer(scope, limit.into())).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => too_long(),
        },
    };
    notes.note(shown(&outcome));
}

async fn attempts(scope: &Scope, policy: &Policy, input: usize) -> Outcome {
    let (began, backoff) = (scope.now(), policy.backoff());
    let (mut failed, mut progress) = (0, None);
    loop {
        let outcome = one(scope, policy, input, progress.as_ref()).await;
        let Err(mut failure) = outcome else { return outcome };
        failed += 1;
        progress = failure.details.take().or(progress);
        let elapsed = scope.now().since(began);
        let is_wanted = || policy.wants(&failure.kind);
        let pause = backoff.pause_after(failed, elapsed, failure.non_retriable, is_wanted);
        let Some(pause) = pause else { return Err(failure) };
        let _ = scope.call(Command::Timer { fire_at: scope.now().plus(pause) }).await;
    }
}

async fn one(scope: &Scope, policy: &Policy, input: usize, progress: Option<&Text>) -> Outcome {
    let call = scope.call(Command::Activity(attempt(input, progress)));
    let Some(limit) = policy.attempt else { return call.await };
    match select(call, timer(scope, limit.into())).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => too_long(),
    }
}

fn too_long() -> Outcome {
    Err(Failure::new(TIMEOUT, "it took too long"))
}
