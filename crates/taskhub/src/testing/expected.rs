//! A call that a test expects, and answers.

use std::{fmt, marker::PhantomData};

use taskhub_core::{CallId, InstanceId, Kind, Outcome, Work};

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
    is_activity: bool,
    types: PhantomData<fn(I) -> O>,
}

impl<'a, I: Data, O: Data> Expected<'a, I, O> {
    #[track_caller]
    pub(super) fn find<K: handle::Kind>(life: &'a mut Life, name: &str) -> Self {
        let found = calls(life, K::IS_ACTIVITY).find(|(_, work)| same(&work.name, name));
        let Some(call) = found.map(|(call, _)| call) else {
            panic!("`{}` does not wait for `{name}`: {}", life.name(), life.waits_for());
        };
        Self { life, call, is_activity: K::IS_ACTIVITY, types: PhantomData }
    }

    /// Of several such calls, the first one with this input.
    ///
    /// # Panics
    ///
    /// If there is none. The message says what the run waits for.
    #[track_caller]
    pub fn given(mut self, input: I) -> Self {
        let wanted = encode(input).unwrap_or_else(|failure| panic!("{failure}"));
        let name = self.work().name.clone();
        let found = calls(self.life, self.is_activity)
            .find(|(_, work)| same(&work.name, &name) && work.input == wanted);
        let Some(call) = found.map(|(call, _)| call) else {
            let waits = self.life.waits_for();
            let input = wanted.as_deref().unwrap_or("null");
            panic!("`{}` does not wait for `{name}` of {input}: {waits}", self.life.name());
        };
        self.call = call;
        self
    }

    fn work(&self) -> &Work {
        match &self.life.open[&self.call] {
            Open::Activity(work) | Open::Child(_, work) => work,
            Open::Timer(_) => unreachable!("an expected call is no timer"),
        }
    }

    /// What it was called with.
    ///
    /// # Panics
    ///
    /// If the input cannot be read as an `I`.
    #[must_use]
    #[track_caller]
    pub fn input(&self) -> I {
        let input = self.work().input.as_deref();
        decode(input, "the input").unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Under which instance id a child was called; `None` for an activity.
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
        self.life.arrive(if self.is_activity {
            Kind::ActivityFinished { call, outcome }
        } else {
            Kind::ChildFinished { call, outcome }
        });
    }
}

fn calls(life: &Life, activities: bool) -> impl Iterator<Item = (CallId, &Work)> {
    life.open.iter().filter_map(move |(call, open)| match open {
        Open::Activity(work) if activities => Some((*call, work)),
        Open::Child(_, work) if !activities => Some((*call, work)),
        _ => None,
    })
}

fn same(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

impl<I, O> fmt::Debug for Expected<'_, I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expected({} of {})", self.call, self.life.name())
    }
}
