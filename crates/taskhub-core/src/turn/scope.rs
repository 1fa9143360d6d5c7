//! What the code of an orchestration can ask of the engine.

use std::{cell::RefCell, fmt, ops::Range, panic::Location, ptr, rc::Rc};

use super::{Command, ContinueAsNew, Pending, Place, state::State};
use crate::{ExecutionId, InstanceId, Text, Timestamp};

/// The engine as seen from within one execution. Clones are the same scope.
#[derive(Clone)]
pub struct Scope {
    pub(super) state: Rc<RefCell<State>>,
}

impl Scope {
    /// Takes a place for a call that is made here.
    #[must_use]
    #[track_caller]
    pub fn place(&self) -> Place {
        Place { seq: self.state.borrow_mut().created(), location: Location::caller() }
    }

    /// Takes another place for the same line of code, such as for a second attempt.
    #[must_use]
    pub fn place_like(&self, other: Place) -> Place {
        Place { seq: self.state.borrow_mut().created(), ..other }
    }

    /// Begins something; nothing happens before the returned future is first polled.
    #[track_caller]
    pub fn call(&self, command: Command) -> Pending {
        self.call_at(self.place(), command)
    }

    /// Begins something at a place that was taken before; each place serves one call.
    pub fn call_at(&self, place: Place, command: Command) -> Pending {
        Pending::new(self.state.clone(), place, command)
    }

    /// Says where the variables of the code lie, when the future of [`Orchestration::begin`] only
    /// wraps that of the code. Calls that look alike are told apart by their place in it.
    ///
    /// [`Orchestration::begin`]: super::Orchestration::begin
    pub fn lives_in<T: ?Sized>(&self, code: &T) {
        self.state.borrow_mut().home = extent(code);
    }

    /// Sends an event to another instance.
    #[track_caller]
    pub fn send(&self, to: InstanceId, name: Text, input: Option<Text>) {
        self.tell_at(self.place(), Command::Send { to, name, input });
    }

    /// Asks for something that nobody waits for, such as a signal, at a place that was taken
    /// before; each place serves one. What takes time is a [`call`](Self::call).
    pub fn tell_at(&self, place: Place, command: Command) {
        debug_assert!(command.is_sent(), "somebody has to wait for {command:?}");
        self.state.borrow_mut().ask(place, command, usize::MAX, None);
    }

    /// The time of the event that was released last: the same at every replay.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state.borrow().now
    }

    /// The instance that runs.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.state.borrow().instance.clone()
    }

    /// The execution that runs; of one that was rewound, what it was at first.
    #[must_use]
    pub fn execution(&self) -> ExecutionId {
        self.state.borrow().execution
    }

    /// Whether the code is being brought back to where it was: what it does now it did before.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.state.borrow().is_replaying()
    }

    /// 128 bits that no other call of this execution gets, the same at every replay.
    #[must_use]
    pub fn unique(&self) -> u128 {
        let mut state = self.state.borrow_mut();
        state.uniques += 1;
        state.execution.derive(u64::MAX - state.uniques).0
    }

    /// What is noted under a name. The first time that an execution asks, `value` is noted in its
    /// history and given, unless the code is being replayed: then it did without when it was here,
    /// and there is nothing, for as long as the execution lasts.
    #[must_use]
    #[track_caller]
    pub fn note(&self, name: Text, value: Text) -> Option<Text> {
        let (noted, is_new) = self.state.borrow_mut().note(&name, &value);
        if is_new {
            self.tell_at(self.place(), Command::Note { name, value });
        }
        noted
    }

    /// Parks the instance until somebody changes the code: nothing of this turn happens.
    pub fn park(&self, why: impl Into<Text>) {
        self.state.borrow_mut().park(why.into());
    }

    /// Shows something to the outside; the last one set in a turn stays.
    pub fn set_custom_status(&self, status: Text) {
        self.state.borrow_mut().custom_status = Some(status);
    }

    /// Ends this execution, as soon as its future returns, with a new one instead of an outcome.
    pub fn continue_as_new(&self, how: ContinueAsNew) {
        self.state.borrow_mut().continue_as_new = Some(how);
    }
}

/// The addresses that a value occupies.
pub(super) fn extent<T: ?Sized>(value: &T) -> Range<usize> {
    let start = ptr::from_ref(value).addr();
    start..start + size_of_val(value)
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:?})", self.instance())
    }
}
