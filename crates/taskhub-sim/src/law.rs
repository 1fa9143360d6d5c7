//! The promises, each with a file of its own; what breaks one is a [`Violation`].

pub(crate) mod anew;
pub(crate) mod answers;
pub(crate) mod children;
pub(crate) mod circles;
pub(crate) mod crew;
pub(crate) mod durable;
pub(crate) mod early;
pub(crate) mod elsewhere;
pub(crate) mod entities;
pub(crate) mod exactly_once;
pub(crate) mod giants;
pub(crate) mod history;
pub(crate) mod limits;
pub(crate) mod locks;
pub(crate) mod owner;
pub(crate) mod progress;
pub(crate) mod purges;
pub(crate) mod replay;
pub(crate) mod results;
pub(crate) mod timers;
pub(crate) mod triggers;
pub(crate) mod turns;
pub(crate) mod waiters;

use std::fmt;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The number of the promise.
    pub law: u8,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub happened: String,
}

impl Violation {
    pub(crate) fn new(law: u8, expected: impl Into<String>, happened: impl Into<String>) -> Self {
        Self { law, expected: expected.into(), happened: happened.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { law, expected, happened } = self;
        write!(f, "promise {law} is broken\n  expected: {expected}\n  happened: {happened}")
    }
}

/// Fails with this violation unless it holds.
pub(crate) fn ensure(holds: bool, violation: impl FnOnce() -> Violation) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(violation()) }
}
