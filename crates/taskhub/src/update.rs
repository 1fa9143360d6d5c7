//! Requests into a running instance that get an answer.
//!
//! An [`Update`] is asked by [`InstanceRef::update`](crate::InstanceRef::update) and heard by
//! [`Context::update`](crate::Context::update). Who asks is an instance of its own: it raises an
//! event that says where the answer goes, and waits for it. So the question, what comes of it and
//! the answer are as durable as everything else, and who lost his connection can ask again.
//!
//! ```
//! use std::time::Duration;
//! use taskhub::{prelude::*, testing::TestHub};
//!
//! /// Puts so many pieces more into the cart; says how many there are.
//! const ADD: Update<u32, u32> = Update::new("add");
//!
//! #[orchestration]
//! async fn cart(ctx: Context, room: u32) -> Result<u32> {
//!     let mut pieces = 0;
//!     while pieces < room {
//!         let asked = ctx.update(ADD).await?;
//!         if pieces + asked.input > room {
//!             asked.refuse(Failure::new("Full", "there is no room"));
//!             continue;
//!         }
//!         pieces += asked.input;
//!         asked.answer(pieces);
//!     }
//!     Ok(pieces)
//! }
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let host = TestHub::new().open(Host::builder().orchestration(cart))?;
//!     let run = host.client().start(cart, 3).await?;
//!     assert_eq!(run.update(ADD, 2).await?, 2);
//!     assert!(run.update(ADD, 2).await.unwrap_err().to_string().contains("no room"));
//!     assert_eq!(run.update(ADD, 1).await?, 3);
//!     Ok(())
//! }
//! ```

use std::{
    fmt, iter,
    marker::PhantomData,
    pin::Pin,
    task::{Context as Task, Poll},
    time::Duration,
};

use futures::future::FusedFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taskhub_core::{
    InstanceId, Text,
    turn::{Command, Place, Scope},
};

use crate::{
    Context, Data, Event, Failure, Result, Wait,
    data::{encode, of_value, value, write},
    orchestration,
};

/// What whoever asked waits for.
pub(crate) const ANSWER: Event<Reply> = Event::new("taskhub.answer");

/// A request into a running instance: its name, what is asked and what is answered.
pub struct Update<I, O> {
    name: &'static str,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Update<I, O> {
    /// The request of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<I, O> Clone for Update<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for Update<I, O> {}

impl<I, O> fmt::Debug for Update<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Update({})", self.name)
    }
}

/// What the instance that is asked gets as an event.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    pub answer_to: String,
    pub input: Value,
}

/// What the instance that asks gets as an event.
#[derive(Serialize, Deserialize)]
pub(crate) enum Reply {
    Answer(Value),
    /// A kind, a message, and those of the causes.
    Refusal(
        String,
        String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")] Vec<(String, String)>,
    ),
}

impl Reply {
    fn refusal(why: &Failure) -> Self {
        let told = |it: &Failure| (it.kind().to_owned(), it.message().to_owned());
        let causes = iter::successors(why.cause(), Failure::cause).map(|it| told(&it)).collect();
        let (kind, message) = told(why);
        Self::Refusal(kind, message, causes)
    }

    /// What whoever asked hears.
    pub(crate) fn into_result(self) -> Result<Value> {
        match self {
            Self::Answer(value) => Ok(value),
            Self::Refusal(kind, message, causes) => {
                let causes = causes.into_iter().map(|(kind, message)| Failure::new(kind, message));
                Err(causes.fold(Failure::new(kind, message), Failure::caused_by).no_retry())
            }
        }
    }
}

/// What the instance that asks is started with.
#[derive(Serialize, Deserialize)]
pub(crate) struct Errand {
    pub instance: String,
    pub update: String,
    pub input: Value,
}

/// Asks an instance, and waits for the answer.
#[orchestration(name = "taskhub.update")]
pub(crate) async fn ask(ctx: Context, errand: Errand) -> Result<Value> {
    let Errand { instance, update, input } = errand;
    let to = InstanceId::parse(&instance)?;
    let question = Question { answer_to: ctx.instance_id().to_string(), input };
    ctx.send(to, update.into(), encode(question)?);
    ctx.event(ANSWER).await?.into_result()
}

/// A wait for a request, made by [`Context::update`].
#[derive(Debug)]
#[must_use = "nobody waits until it is awaited"]
pub struct WaitUpdate<I, O> {
    scope: Scope,
    place: Place,
    wait: Wait<Question>,
    types: PhantomData<fn() -> (I, O)>,
}

impl<I: Data, O> WaitUpdate<I, O> {
    #[track_caller]
    pub(crate) fn new(scope: Scope, update: Update<I, O>) -> Self {
        let wait = Wait::new(scope.clone(), Event::new(update.name));
        Self { place: scope.place(), scope, wait, types: PhantomData }
    }

    /// How long to wait; then it fails with the kind [`Failure::TIMEOUT`].
    pub fn timeout(mut self, time: Duration) -> Self {
        self.wait = self.wait.timeout(time);
        self
    }
}

impl<I: Data, O: Data> Future for WaitUpdate<I, O> {
    type Output = Result<Asked<I, O>>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let asked = std::task::ready!(Pin::new(&mut self.wait).poll(task));
        Poll::Ready(asked.and_then(|Question { answer_to, input }| {
            let to = InstanceId::parse(&answer_to)?;
            let input = of_value(input, "the input of an update")?;
            let slip = Slip { scope: self.scope.clone(), place: self.place, to: Some(to) };
            Ok(Asked { input, slip, answer: PhantomData })
        }))
    }
}

impl<I: Data, O: Data> FusedFuture for WaitUpdate<I, O> {
    fn is_terminated(&self) -> bool {
        self.wait.is_terminated()
    }
}

/// A request that came, and wants an answer. It is sent with the turn; whoever drops this without
/// one refuses.
#[derive(Debug)]
#[must_use = "somebody waits for the answer"]
pub struct Asked<I, O> {
    /// What is asked.
    pub input: I,
    slip: Slip,
    answer: PhantomData<fn(O)>,
}

impl<I, O: Data> Asked<I, O> {
    /// Answers.
    pub fn answer(mut self, answer: O) {
        let unwritten = |failure: Failure| Reply::refusal(&failure);
        self.slip.send(&value(answer).map_or_else(unwritten, Reply::Answer));
    }

    /// Answers that it cannot be; whoever asked hears of a failure of this kind.
    pub fn refuse(mut self, failure: impl Into<Failure>) {
        self.slip.send(&Reply::refusal(&failure.into()));
    }
}

/// Where an answer goes, until it is given.
#[derive(Debug)]
struct Slip {
    scope: Scope,
    place: Place,
    to: Option<InstanceId>,
}

impl Slip {
    fn send(&mut self, reply: &Reply) {
        let Some(to) = self.to.take() else { return };
        let (name, input) = (Text::from(ANSWER.name()), write(reply).unwrap_or_default());
        self.scope.tell_at(self.place, Command::Send { to, name, input });
    }
}

impl Drop for Slip {
    fn drop(&mut self) {
        let why = Failure::new("NotAnswered", "the instance did not answer");
        self.send(&Reply::refusal(&why));
    }
}
