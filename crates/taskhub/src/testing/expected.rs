//! A call that a test expects, and answers.

use std::{fmt, marker::PhantomData};

use taskhub_core::{CallId, InstanceId, Kind, Outcome, Text};

use super::life::{Life, Open};
use crate::{
    Data, Failure,
    data::{decode, encode},
    handle,
};

/// A call that the run waits for, made by [`Run::expect`](super::Run::expect).
#[must_use = "answer the call with `.returns(..)` or `.fails(..)`"]
pub struct Expected<'a, I, O> {
    life: &'a mut Life,
    call: CallId,
    callee: Callee,
    types: PhantomData<fn(I) -> O>,
}

/// What kind of call it is.
#[derive(Clone)]
pub(super) enum Callee {
    Activity,
    Child,
    Operation(InstanceId),
}

impl Callee {
    pub(super) fn of<K: handle::Kind>() -> Self {
        if K::IS_ACTIVITY { Self::Activity } else { Self::Child }
    }

    /// What was called, if the call is of this kind: its name and its input.
    fn called<'a>(&self, open: &'a Open) -> Option<(&'a Text, &'a Option<Text>)> {
        match (self, open) {
            (Self::Activity, Open::Activity(work)) | (Self::Child, Open::Child(_, work)) => {
                Some((&work.name, &work.input))
            }
            (Self::Operation(entity), Open::Operation(of, operation)) if of == entity => {
                Some((&operation.name, &operation.input))
            }
            _ => None,
        }
    }
}

impl<'a, I: Data, O: Data> Expected<'a, I, O> {
    #[track_caller]
    pub(super) fn find(life: &'a mut Life, callee: Callee, name: &str) -> Self {
        let Some(call) = calls(life, &callee, name).next().map(|(call, _)| call) else {
            panic!("`{}` does not wait for `{name}`: {}", life.name(), life.waits_for());
        };
        Self { life, call, callee, types: PhantomData }
    }

    /// Of several such calls, the first one with this input.
    ///
    /// # Panics
    ///
    /// If there is none. The message says what the run waits for.
    #[track_caller]
    pub fn given(mut self, input: I) -> Self {
        let wanted = encode(input).unwrap_or_else(|failure| panic!("{failure}"));
        let (name, _) = self.called();
        let found = calls(self.life, &self.callee, name).find(|(_, input)| **input == wanted);
        let Some(call) = found.map(|(call, _)| call) else {
            let waits = self.life.waits_for();
            let input = wanted.as_deref().unwrap_or("null");
            panic!("`{}` does not wait for `{name}` of {input}: {waits}", self.life.name());
        };
        self.call = call;
        self
    }

    fn called(&self) -> (&Text, &Option<Text>) {
        let open = &self.life.open[&self.call];
        self.callee.called(open).expect("it was found by its kind")
    }

    /// What it was called with.
    ///
    /// # Panics
    ///
    /// If the input cannot be read as an `I`.
    #[must_use]
    #[track_caller]
    pub fn input(&self) -> I {
        let (_, input) = self.called();
        decode(input.as_deref(), "the input").unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Under which instance id a child was called; `None` for others.
    #[must_use]
    pub fn instance_id(&self) -> Option<InstanceId> {
        match &self.life.open[&self.call] {
            Open::Child(instance, _) => Some(instance.clone()),
            _ => None,
        }
    }

    /// The call succeeds, and the run goes on.
    ///
    /// # Panics
    ///
    /// If the output cannot be written as JSON, or the code cannot be replayed.
    #[track_caller]
    pub fn returns(self, output: O) {
        let output = encode(output).unwrap_or_else(|failure| panic!("{failure}"));
        self.ends(Ok(output));
    }

    /// The call fails, and the run goes on; perhaps with another attempt after a pause.
    ///
    /// # Panics
    ///
    /// If the code cannot be replayed.
    #[track_caller]
    pub fn fails(self, failure: Failure) {
        self.ends(Err(failure.into()));
    }

    #[track_caller]
    fn ends(self, outcome: Outcome) {
        let call = self.call;
        self.life.arrive(match self.callee {
            Callee::Activity => Kind::ActivityFinished { call, outcome },
            Callee::Child => Kind::ChildFinished { call, outcome },
            Callee::Operation(_) => Kind::OperationFinished { call, outcome },
        });
    }
}

fn calls<'a>(
    life: &'a Life,
    callee: &'a Callee,
    name: &'a str,
) -> impl Iterator<Item = (CallId, &'a Option<Text>)> {
    life.open.iter().filter_map(move |(call, open)| {
        let (known, input) = callee.called(open)?;
        same(known, name).then_some((*call, input))
    })
}

pub(super) fn same(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

impl<I, O> fmt::Debug for Expected<'_, I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expected({} of {})", self.call, self.life.name())
    }
}
