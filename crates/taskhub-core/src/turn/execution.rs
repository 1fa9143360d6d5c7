//! Drives the future of one execution: absorb events, release them one at a time, collect calls.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{
    ContinueAsNew, Orchestration, Position, Run, Scope,
    mailbag::{Mailbag, Raised},
    panics,
    scope::extent,
    state::{Completion, State},
};
use crate::{CallId, Event, InstanceId, Kind, Outcome, Started, Text, Timestamp};

/// Polls that one turn may take without releasing anything, before it counts as spinning.
const IDLE_POLLS_MAX: u32 = 100_000;

/// A running orchestration: its suspended future and what the engine knows about it.
pub struct Execution {
    state: Rc<RefCell<State>>,
    run: Option<Run>,
    /// Whether it was woken by itself since it was last polled; true before the first poll.
    woken: Arc<Woken>,
    /// Whether it was polled.
    polled: bool,
}

/// What one turn of an execution came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where the code stands.
    pub progress: Progress,
    /// Calls and cancellations to write behind the turn's arrivals.
    pub actions: Vec<Kind>,
    /// What the code shows to the outside, when it set something.
    pub custom_status: Option<Text>,
}

/// Where the code of an execution stands after a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It waits for something durable.
    Waiting,
    /// It returned.
    Finished(Outcome),
    /// It wants to be terminated, for this reason; code in this process never does.
    Terminated(Option<Text>),
    /// It wants to go on as a new execution, with these events that nobody took.
    ContinuedAsNew(ContinueAsNew, Vec<Kind>),
    /// It cannot go on until somebody changes the code; says why. The execution has come to its end
    /// with that: another one begins from its history.
    Stuck(Text),
}

impl Execution {
    /// Makes the future of an execution that was started at `at`; nothing runs yet.
    #[must_use]
    pub fn begin(
        code: &dyn Orchestration,
        instance: InstanceId,
        started: &Started,
        at: Timestamp,
    ) -> Self {
        let state = Rc::new(RefCell::new(State::new(instance, started, at)));
        let scope = Scope { state: state.clone() };
        let input = started.input.clone();
        panics::note_places();
        let run = panics::caught(|| code.begin(scope, input)).unwrap_or_else(|why| {
            state.borrow_mut().park(why);
            Box::pin(std::future::pending())
        });
        let mut known = state.borrow_mut();
        if known.home.is_empty() {
            known.home = extent(&*run);
        }
        drop(known);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Self { state, run: Some(run), woken, polled: false }
    }

    /// Events before `position` were seen by the code in an earlier life: it replays them.
    pub fn replay_until(&mut self, position: Position) {
        self.state.borrow_mut().replay_until = position;
    }

    /// Nothing but what history has may happen: a call beyond it is a mismatch too.
    pub fn seal(&mut self) {
        self.state.borrow_mut().plan.sealed = true;
    }

    /// Takes note of one event of the history, in order.
    pub fn absorb(&mut self, position: Position, event: &Event) {
        let mut state = self.state.borrow_mut();
        let at = event.at;
        match &event.kind {
            Kind::ActivityFinished { call, outcome }
            | Kind::ChildFinished { call, outcome }
            | Kind::OperationFinished { call, outcome } => {
                state.complete(*call, Completion { position, at, outcome: outcome.clone() });
            }
            Kind::TimerFired { call } => {
                state.complete(*call, Completion { position, at, outcome: Ok(None) });
            }
            Kind::LocksGranted { call, section } => {
                let outcome = Ok(Some(section.clone()));
                state.complete(*call, Completion { position, at, outcome });
            }
            Kind::EventRaised { name, input } => {
                state.raise(Raised { position, at, name: name.clone(), input: input.clone() });
            }
            Kind::Suspended { .. } => {
                state.gate.get_or_insert(position);
            }
            Kind::Resumed { .. } => state.gate = None,
            Kind::CallCancelled { call } => state.expect_given_up(*call),
            Kind::Noted { call, name, value } => state.recall(*call, name.clone(), value.clone()),
            kind => {
                if let (true, Some(call)) = (kind.is_action(), kind.call()) {
                    state.plan.expect(call, kind.clone());
                }
            }
        }
    }

    /// Runs the code as far as the events it absorbed allow.
    pub fn step(&mut self) -> Step {
        let progress = self.drive();
        let mut state = self.state.borrow_mut();
        Step {
            progress,
            actions: std::mem::take(&mut state.actions),
            custom_status: state.custom_status.take(),
        }
    }

    fn drive(&mut self) -> Progress {
        // Whatever is durable wakes it here. At rest only something else can have.
        let polled = std::mem::replace(&mut self.polled, true) && self.run.is_some();
        if polled && self.woken.0.load(Ordering::Relaxed) {
            return Progress::Stuck(WOKEN_AT_REST.into());
        }
        let mut idle = 0;
        loop {
            // Without a reason there is no poll: how often the code is polled must not depend on
            // how events were cut into turns, for `join!` takes turns among its branches by it.
            if self.woken.0.swap(false, Ordering::Relaxed) {
                idle += 1;
                if idle > IDLE_POLLS_MAX {
                    return Progress::Stuck(SPINS.into());
                }
            } else if self.state.borrow_mut().release_next() {
                idle = 0;
                self.woken.0.store(false, Ordering::Relaxed);
            } else {
                return self.rest();
            }
            let polled = self.poll();
            if let Err(stuck) = self.state.borrow_mut().settle() {
                return Progress::Stuck(stuck);
            }
            if let Poll::Ready(outcome) = polled {
                return self.finish(outcome);
            }
        }
    }

    fn poll(&mut self) -> Poll<Outcome> {
        let Some(run) = &mut self.run else { return Poll::Pending };
        let waker = Waker::from(self.woken.clone());
        let mut task = Context::from_waker(&waker);
        let polled = panics::caught(|| run.as_mut().poll(&mut task)).unwrap_or_else(|why| {
            self.state.borrow_mut().park(why);
            Poll::Pending
        });
        if polled.is_ready() {
            // Its destructors run now, so that what it gives up is part of this turn.
            self.end();
        }
        polled
    }

    /// Drops the code; a panic in a destructor of it must not end the thread of all instances.
    fn end(&mut self) {
        let run = self.run.take();
        let _ = panics::caught(|| drop(run));
    }

    fn finish(&mut self, outcome: Outcome) -> Progress {
        let mut state = self.state.borrow_mut();
        if let Some(missing) = state.plan.missing() {
            return Progress::Stuck(missing);
        }
        let failed = |outcome: &Outcome| {
            outcome.as_ref().is_err_and(|failure| &*failure.kind != ContinueAsNew::FAILURE)
        };
        match state.continue_as_new.take() {
            Some(how) if !failed(&outcome) => {
                let mail = std::mem::replace(&mut state.mail, Mailbag::new());
                let kept = if how.keep_events { mail.into_raised() } else { Vec::new() };
                let kept = kept
                    .into_iter()
                    .map(|raised| Kind::EventRaised { name: raised.name, input: raised.input });
                Progress::ContinuedAsNew(how, kept.collect())
            }
            _ => Progress::Finished(outcome),
        }
    }

    fn rest(&self) -> Progress {
        let state = self.state.borrow();
        if let Some(missing) = state.plan.missing() {
            return Progress::Stuck(missing);
        }
        if let Some(why) = state.waits_in_vain() {
            return Progress::Stuck(why);
        }
        if !state.is_waiting() && self.run.is_some() {
            return Progress::Stuck(WAITS_ON_NOTHING.into());
        }
        Progress::Waiting
    }

    /// The calls that history says were given up, and the code has not given up.
    #[must_use]
    pub fn still_wanted(&self) -> BTreeSet<CallId> {
        self.state.borrow().given_up().collect()
    }

    /// The first call that was replayed with another input than history has: it still matches, by
    /// kind and name, but shows that the code changed or is not deterministic.
    #[must_use]
    pub fn drift(&self) -> Option<Text> {
        self.state.borrow().plan.drift.clone()
    }

    /// About how many bytes it keeps in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let future = self.run.as_ref().map_or(0, |run| std::mem::size_of_val(&**run));
        let state = self.state.borrow();
        future.max(state.home.len()) + state.bytes()
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.end();
    }
}

const SPINS: &str = "the code wakes itself again and again without waiting for anything durable; \
    remove the busy loop, then resume the instance";

const WOKEN_AT_REST: &str = "the code awaits, beside what is durable, something that is not (a \
    channel, a timer or I/O of another library), and was woken by it: at replay that would come at \
    another time. Put it into an activity, or use ctx.call, ctx.event or ctx.sleep; then resume \
    the instance";

const WAITS_ON_NOTHING: &str = "the code awaits something that is not durable (a channel, a \
    timer or I/O of another library): it would be lost in a restart. Put it into an activity, or \
    await ctx.call, ctx.event or ctx.sleep; then resume the instance";

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Execution({:?})", self.state.borrow().instance)
    }
}
