//! Requests that a test makes of a run.

use std::{fmt, marker::PhantomData};

use taskhub_core::{InstanceId, Kind};

use super::Run;
use crate::{
    Data, Result, Update,
    data::{decode, encode, of_value, value},
    handle::OrchestrationCode,
    update::{ANSWER, Question, Reply},
};

/// A request that a test made, by [`Run::update`]; [`Run::answer`] gives what came of it.
#[must_use = "look at `run.answer(..)`"]
pub struct TestUpdate<O> {
    name: &'static str,
    asker: InstanceId,
    answer: PhantomData<fn() -> O>,
}

impl<S: OrchestrationCode> Run<S> {
    /// Asks the run for something, as a client would.
    ///
    /// # Panics
    ///
    /// If the input cannot be written as JSON, or the code cannot be replayed.
    #[track_caller]
    pub fn update<I: Data, O: Data>(&mut self, update: Update<I, O>, input: I) -> TestUpdate<O> {
        self.updates += 1;
        let asker = InstanceId::trusted(format!("test-update-{}", self.updates));
        let question =
            value(input).and_then(|input| encode(Question { answer_to: asker.to_string(), input }));
        let input = question.unwrap_or_else(|failure| panic!("{failure}"));
        self.life.arrive(Kind::EventRaised { name: update.name().into(), input });
        TestUpdate { name: update.name(), asker, answer: PhantomData }
    }

    /// What the run answered, or why it refused; `None` as long as it has done neither.
    ///
    /// # Panics
    ///
    /// If the answer cannot be read as an `O`.
    #[must_use]
    #[track_caller]
    pub fn answer<O: Data>(&self, update: &TestUpdate<O>) -> Option<Result<O>> {
        let told = self
            .life
            .sent
            .iter()
            .find(|sent| *sent.name == *ANSWER.name() && sent.to == update.asker)?;
        let reply = decode::<Reply>(told.input.as_deref(), "the answer");
        let answer = reply.and_then(Reply::into_result).map(|value| {
            let what = format!("the answer of `{}`", update.name);
            of_value(value, &what).unwrap_or_else(|failure| panic!("{failure}"))
        });
        Some(answer)
    }
}

impl<O> fmt::Debug for TestUpdate<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestUpdate({})", self.name)
    }
}
