//! What an orchestration can do: call, wait, send, and ask for time and chance.

mod detached;
mod sleep;

use std::{fmt, ops::RangeInclusive, panic::Location, time::Duration};

use serde::Serialize;
use taskhub_core::{
    InstanceId, Text, Work,
    turn::{Command, ContinueAsNew, Scope},
};
use uuid::Uuid;

pub use detached::Detached;
pub use sleep::Sleep;

use crate::{
    Call, Data, Entity, Event, Failure, Result, Timestamp, Untyped, Update, Wait, WaitUpdate,
    data::{encode, write},
    entity::{self, EntityProxy, Lock, Lockable, Sections},
    handle::{Callable, Kind as _, Orchestration, Startable},
    http::{HttpCall, HttpRequest},
};

/// The hub as seen from within an orchestration. Clones are the same context.
///
/// Everything that an orchestration awaits comes from here. The futures can be combined with
/// every standard combinator; they do nothing until they are first polled, and dropping one gives
/// up what it stands for.
#[derive(Clone)]
pub struct Context {
    scope: Scope,
    sections: Sections,
    name: &'static str,
}

impl Context {
    pub(crate) fn new(scope: Scope, name: &'static str) -> Self {
        Self { scope, sections: Sections::default(), name }
    }

    /// Calls an activity, another orchestration, or a function in another program.
    ///
    /// The call has options: [`retry`](Call::retry), [`timeout`](Call::timeout),
    /// [`attempt_timeout`](Call::attempt_timeout), [`version`](Call::version); for an activity also
    /// [`heartbeat_timeout`](Call::heartbeat_timeout) and [`key`](Call::key), for an orchestration
    /// [`id`](Call::id).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use taskhub::prelude::*;
    /// #[activity(retry = Retry::exponential(3))]
    /// async fn charge(amount: u64) -> Result<String> {
    ///     # Ok(amount.to_string())
    ///     // .. any I/O ..
    /// }
    ///
    /// #[orchestration]
    /// async fn order(ctx: Context, amount: u64) -> Result<String> {
    ///     ctx.call(charge, amount).timeout(Duration::from_secs(60)).await
    /// }
    ///
    /// let mut run = Run::of(order).input(5);
    /// run.expect(charge).fails(Failure::new("Busy", "come back later"));
    /// run.advance(Duration::from_secs(1));
    /// run.expect(charge).returns("receipt 1".to_owned());
    /// assert_eq!(run.output(), Ok("receipt 1".to_owned()));
    /// ```
    #[track_caller]
    pub fn call<M, C: Callable<M>>(&self, target: C, input: C::Input) -> Call<C::Output> {
        let (scope, sections) = (self.scope.clone(), self.sections.clone());
        Call::new(scope, sections, target.target(), C::Kind::IS_ACTIVITY, input)
    }

    /// Sends an HTTP request from an activity; what is answered with 202 is asked for until it is
    /// done. See [`http`](crate::http).
    #[track_caller]
    pub fn call_http(&self, request: HttpRequest) -> HttpCall {
        HttpCall::new(self.clone(), self.scope.clone(), self.scope.place(), request)
    }

    /// The entity with this key, to be called, signaled or locked.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use taskhub::prelude::*;
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Stock { pieces: u64 }
    /// #[entity]
    /// impl Stock {
    ///     async fn take(&mut self, pieces: u64) -> Result<bool> {
    ///         # let _ = (&self.pieces, pieces); Ok(true)
    ///         // ..
    ///     }
    /// }
    ///
    /// #[orchestration]
    /// async fn order(ctx: Context, article: String) -> Result<bool> {
    ///     ctx.entity::<Stock>(article).call(Stock::take, 1).await
    /// }
    /// ```
    ///
    /// An id that cannot be one is reported by what is done with the entity.
    #[must_use]
    pub fn entity<E: Entity>(&self, key: impl AsRef<str>) -> EntityProxy<E> {
        EntityProxy::new(&self.scope, &self.sections, entity::id::<E>(key.as_ref()))
    }

    /// An entity in another program. What it can do is an
    /// [`External::operation`](crate::External::operation).
    #[must_use]
    pub fn entity_by_name(
        &self,
        name: impl AsRef<str>,
        key: impl AsRef<str>,
    ) -> EntityProxy<Untyped> {
        let id = InstanceId::entity(name.as_ref(), key.as_ref());
        EntityProxy::new(&self.scope, &self.sections, id)
    }

    /// Waits until all of these entities are free, and has them for itself until the
    /// [`CriticalSection`](crate::CriticalSection) is dropped: nobody else is served by them
    /// meanwhile.
    ///
    /// Whoever locks several gets them one after another in the order of their ids, so that no two
    /// can wait for each other. For the same reason there is one section at a time, and within it
    /// only the locked entities are called, and no orchestrations; a call that breaks this fails
    /// with the kind [`Failure::CRITICAL_SECTION`]. Entities locked here are called, not signaled.
    #[track_caller]
    pub fn lock(&self, entities: impl Lockable) -> Lock {
        Lock::new(&self.scope, &self.sections, &entities)
    }

    /// Waits for an event, which somebody raises by [`Client`](crate::Client), by
    /// [`raise`](Self::raise), or over HTTP.
    ///
    /// Events are kept until somebody waits for them. Each goes to one waiter; both are served in
    /// the order in which they came.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use taskhub::prelude::*;
    /// const APPROVED: Event<bool> = Event::new("approved");
    ///
    /// #[orchestration]
    /// async fn ask(ctx: Context) -> Result<String> {
    ///     tokio::select! {
    ///         answer = ctx.event(APPROVED) => Ok(format!("answered: {}", answer?)),
    ///         () = ctx.sleep(Duration::from_secs(3600)) => Ok("nobody answered".to_owned()),
    ///     }
    /// }
    ///
    /// let mut run = Run::of(ask).input(());
    /// run.raise(APPROVED, true);
    /// assert_eq!(run.output(), Ok("answered: true".to_owned()));
    ///
    /// let mut run = Run::of(ask).input(());
    /// run.advance(Duration::from_secs(3600));
    /// assert_eq!(run.output(), Ok("nobody answered".to_owned()));
    /// ```
    #[track_caller]
    pub fn event<T: Data>(&self, event: Event<T>) -> Wait<T> {
        Wait::new(self.scope.clone(), event)
    }

    /// Waits for a request that wants an answer; see [`Update`]. They come in order, each once.
    #[track_caller]
    pub fn update<I: Data, O: Data>(&self, update: Update<I, O>) -> WaitUpdate<I, O> {
        WaitUpdate::new(self.scope.clone(), update)
    }

    pub(crate) fn send(&self, to: InstanceId, name: Text, input: Option<Text>) {
        self.scope.send(to, name, input);
    }

    /// Sleeps; the timer is kept in the hub, so it may well be for a year. It never wakes early.
    #[track_caller]
    pub fn sleep(&self, time: Duration) -> Sleep {
        self.sleep_until(self.now() + time)
    }

    /// Sleeps until a point in time; one in the past wakes it at once.
    #[track_caller]
    pub fn sleep_until(&self, at: Timestamp) -> Sleep {
        Sleep { pending: self.scope.call(Command::Timer { fire_at: at.core() }), over: false }
    }

    /// The time at which the last thing that it waited for came to pass: the same at every replay.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::of(self.scope.now())
    }

    /// A new id, the same at every replay. Make it before a call, and the call can be repeated
    /// safely: the receiver recognises the id.
    ///
    /// Like [`random`](Self::random) it is drawn from one sequence, so draw it outside of branches
    /// that a `select!` of another function polls in random order.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.scope.unique().to_be_bytes()).into_uuid()
    }

    /// A random number, the same at every replay.
    #[must_use]
    pub fn random(&self) -> u64 {
        let [low @ .., _, _, _, _, _, _, _, _] = self.scope.unique().to_le_bytes();
        u64::from_le_bytes(low)
    }

    /// Which version of a change this execution has: the newest of those `known` to the code if it
    /// comes here for the first time, and ever after the one that it had then. An execution that
    /// came here before there was a change has version 0.
    ///
    /// So the code can be changed while instances of it run: those that are past the change go on
    /// as they began.
    ///
    /// ```
    /// # use taskhub::prelude::*;
    /// # #[activity]
    /// # async fn charge(amount: u64) -> Result<()> { let _ = amount; Ok(()) }
    /// # #[activity]
    /// # async fn reserve(amount: u64) -> Result<()> { let _ = amount; Ok(()) }
    /// #[orchestration]
    /// async fn order(ctx: Context, amount: u64) -> Result<()> {
    ///     if ctx.version("reserve first", 0..=1) >= 1 {
    ///         ctx.call(reserve, amount).await?;
    ///     }
    ///     ctx.call(charge, amount).await
    /// }
    ///
    /// let mut run = Run::of(order).input(5);
    /// run.expect(reserve).returns(());
    /// run.expect(charge).returns(());
    /// ```
    ///
    /// Each change has a name of its own; where it changes again, the range grows (`0..=2`). When
    /// no instance of an old version is left the range begins later (`1..=2`), and at last the
    /// question can go. An instance of a version outside of the range is parked until there is code
    /// for it.
    #[track_caller]
    pub fn version(&self, change: impl AsRef<str>, known: RangeInclusive<u32>) -> u32 {
        let (change, newest) = (change.as_ref(), *known.end());
        let noted = self.scope.note(change.into(), newest.to_string().into());
        let version = noted.map_or(Ok(0), |noted| noted.parse()).unwrap_or(u32::MAX);
        if !known.contains(&version) {
            let at = Location::caller();
            self.scope.park(format!(
                "history has version {version} of the change `{change}`, the code knows \
                 {known:?} at {at}"
            ));
        }
        version.clamp(*known.start(), newest)
    }

    /// Shows something to the outside, until the next call of this; written with the turn.
    ///
    /// # Panics
    ///
    /// If `status` cannot be written as JSON, which parks the orchestration.
    pub fn set_custom_status<T: Serialize + ?Sized>(&self, status: &T) {
        match write(status) {
            Ok(text) => self.scope.set_custom_status(text.unwrap_or_else(|| "null".into())),
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Raises an event for another instance. It is sent with this turn, and is lost if there is no
    /// such instance or it has ended.
    #[track_caller]
    pub fn raise<T: Data>(
        &self,
        instance: impl AsRef<str>,
        event: Event<T>,
        payload: T,
    ) -> Result<()> {
        let to = InstanceId::parse(instance.as_ref())?;
        self.scope.send(to, event.name().into(), encode(payload)?);
        Ok(())
    }

    /// Starts an orchestration that nobody waits for: it goes on whatever becomes of this one. It
    /// is started with this turn; awaiting that takes no time, and gives its id.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use taskhub::prelude::*;
    /// # #[orchestration]
    /// # async fn remind(ctx: Context, who: String) -> Result<()> { let _ = (ctx, who); Ok(()) }
    /// #[orchestration]
    /// async fn register(ctx: Context, who: String) -> Result<()> {
    ///     let in_a_week = ctx.now() + Duration::from_secs(7 * 24 * 3600);
    ///     ctx.start(remind, who.clone()).id(format!("remind-{who}")).at(in_a_week).await?;
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn start<M, C: Startable<M>>(&self, target: C, input: C::Input) -> Detached {
        let target = target.target();
        let version = target.version.map(Into::into);
        let work = encode(input).map(|input| Work { version, ..Work::new(target.name, input) });
        Detached::new(self.scope.clone(), self.scope.place(), work)
    }

    /// Ends another instance with this turn, unless it has ended.
    #[track_caller]
    pub fn terminate(&self, instance: impl AsRef<str>, reason: impl AsRef<str>) -> Result<()> {
        self.end(instance.as_ref(), reason.as_ref(), false)
    }

    /// Ends another instance with this turn, and its children, and theirs.
    #[track_caller]
    pub fn terminate_all(&self, instance: impl AsRef<str>, reason: impl AsRef<str>) -> Result<()> {
        self.end(instance.as_ref(), reason.as_ref(), true)
    }

    #[track_caller]
    fn end(&self, instance: &str, reason: &str, recursive: bool) -> Result<()> {
        let to = InstanceId::parse(instance)?;
        let reason = Some(reason).filter(|reason| !reason.is_empty()).map(Into::into);
        self.scope.tell_at(self.scope.place(), Command::Terminate { to, reason, recursive });
        Ok(())
    }

    /// Ends this execution and begins a new one of the same instance with another input and an
    /// empty history. Events that nobody took go over to it. Return what this returns, at once.
    ///
    /// Use it in loops that run for long, before the history grows large.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use taskhub::prelude::*;
    /// #[orchestration]
    /// async fn heartbeat(ctx: Context, beats: u32) -> Result<()> {
    ///     ctx.set_custom_status(&beats);
    ///     ctx.sleep(Duration::from_secs(60)).await;
    ///     ctx.continue_as_new(heartbeat, beats + 1)
    /// }
    ///
    /// let mut run = Run::of(heartbeat).input(0);
    /// run.advance(Duration::from_secs(600));
    /// assert_eq!(run.custom_status(), Some(10));
    /// ```
    pub fn continue_as_new<M, C>(&self, this: C, input: C::Input) -> Result<C::Output>
    where
        C: Callable<M, Kind = Orchestration>,
    {
        let target = this.target();
        if target.name != self.name {
            let message = format!(
                "`{}` can only continue as itself, not as `{}`: call that one instead",
                self.name, target.name
            );
            return Err(Failure::terminal(message));
        }
        let version = target.version.map(Into::into);
        let how = ContinueAsNew { input: encode(input)?, version, keep_events: true, tags: None };
        self.scope.continue_as_new(how);
        Err(Failure::new(ContinueAsNew::FAILURE, "this execution goes on as a new one").no_retry())
    }

    /// The id of the instance that runs.
    #[must_use]
    pub fn instance_id(&self) -> InstanceId {
        self.scope.instance()
    }

    /// Whether the code is being brought back to where it was before: what it does now was done
    /// already. `tracing` is silent meanwhile.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.scope.is_replaying()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({} {:?})", self.name, self.instance_id())
    }
}
