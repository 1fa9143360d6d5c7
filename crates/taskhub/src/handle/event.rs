//! Events, as those who wait for them and those who raise them refer to them.

use std::{fmt, marker::PhantomData};

/// An event that instances wait for and others raise: its name and the type of its payload.
///
/// Names are compared without regard to case.
///
/// ```
/// use taskhub::Event;
///
/// /// Whether the manager agrees.
/// const APPROVED: Event<bool> = Event::new("approved");
/// ```
pub struct Event<T> {
    name: &'static str,
    payload: PhantomData<fn() -> T>,
}

impl<T> Event<T> {
    /// The event of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, payload: PhantomData }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Event<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Event<T> {}

impl<T> fmt::Debug for Event<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({})", self.name)
    }
}
