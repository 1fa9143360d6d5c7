//! The steps that fail with what they call, those that ask until they are answered, and one that
//! does not listen.

use std::{
    mem::ManuallyDrop,
    pin::Pin,
    task::{Context, Waker},
};

use futures::future::{join_all, try_join};
use taskhub_core::{
    Failure,
    turn::{Command, Pending, Scope},
};

use super::{Code, activity, event, note_event, timer, work};
use crate::program::{ANSWER, Notes, Step, answer, broad, is_accepted, question, shown};

impl Code {
    /// The steps that fail with what they call.
    pub(super) async fn demand(
        &self,
        scope: &Scope,
        step: &Step,
        notes: &mut Notes,
    ) -> Result<(), Failure> {
        let at = notes.entries.len();
        match step {
            Step::MustChild(program) => {
                notes.note(shown(&Ok(self.child(scope, *program, None).await?)));
            }
            Step::MustBoth => {
                let (left, right) = (activity("left", at), activity("right", at));
                let (left, right) = try_join(scope.call(left), scope.call(right)).await?;
                notes.note(shown(&Ok(left)));
                notes.note(shown(&Ok(right)));
            }
            _ => notes.note(shown(&Ok(scope.call(activity("must", at)).await?))),
        }
        Ok(())
    }
}

/// The steps that ask somebody.
pub(super) async fn ask(scope: &Scope, step: &Step, notes: &mut Notes) {
    match step {
        Step::Leave => {
            leave(scope.call(activity("aside", notes.entries.len())));
            notes.note("left");
        }
        Step::Poll(pause) => loop {
            let told = shown(&scope.call(activity("http", notes.entries.len())).await);
            if !is_accepted(&told) {
                return notes.note(told);
            }
            let _ = timer(scope, *pause).await;
        },
        Step::Question(to, name) => {
            let asked = question(scope.execution(), notes.entries.len(), &scope.instance());
            notes.note("asked");
            scope.send(to.clone(), (*name).into(), Some(asked));
            note_event(notes, ANSWER, &event(scope, ANSWER).await);
        }
        Step::Answer(name) => {
            let outcome = event(scope, name).await;
            note_event(notes, name, &outcome);
            if let Ok(Some(payload)) = outcome
                && let Some((to, told)) = answer(&payload)
            {
                scope.send(to, ANSWER.into(), Some(told));
            }
        }
        _ => {}
    }
}

/// Asks three at once, each at length.
pub(super) async fn ask_at_length(scope: &Scope, notes: &mut Notes) {
    let call = |_| scope.call(Command::Activity(work("broad", Some(broad()))));
    for outcome in join_all((0..3).map(call)).await {
        notes.note(shown(&outcome));
    }
}

/// Makes a call that is never given up either, as SDKs do that do not know when one is dropped.
fn leave(call: Pending) {
    let mut call = ManuallyDrop::new(call);
    let _ = Pin::new(&mut *call).poll(&mut Context::from_waker(Waker::noop()));
}
