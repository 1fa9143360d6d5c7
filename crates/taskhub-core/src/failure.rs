//! Why something failed, as histories and clients keep it.

use std::{any::Any, fmt};

use crate::Text;

/// A failure of an activity or an orchestration, with what caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The type of the error, such as `ActivityTaskNotFound` or a Rust type name.
    pub kind: Text,
    /// What happened, for a person.
    pub message: Text,
    /// Where it happened, if the worker said so.
    pub stack: Option<Text>,
    /// The failure that led to this one.
    pub cause: Option<Box<Failure>>,
    /// Whether trying again is known to be pointless.
    pub non_retriable: bool,
    /// What else the worker said of it: a JSON object.
    pub details: Option<Text>,
}

impl Failure {
    /// A failure of the given kind that may be retried.
    pub fn new(kind: impl Into<Text>, message: impl Into<Text>) -> Self {
        Self {
            kind: kind.into(),
            message: message.into(),
            stack: None,
            cause: None,
            non_retriable: false,
            details: None,
        }
    }

    /// What `who` panicked with, as caught by [`std::panic::catch_unwind`].
    #[must_use]
    pub fn panic(who: &str, panic: &(dyn Any + Send)) -> Self {
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("with something that is no text");
        Self::new("Panic", format!("{who} panicked: {message}"))
    }

    /// The same failure, marked as pointless to retry.
    #[must_use]
    pub fn non_retriable(mut self) -> Self {
        self.non_retriable = true;
        self
    }

    /// The same failure with `cause` at the end of its chain.
    #[must_use]
    pub fn caused_by(mut self, cause: Failure) -> Self {
        self.cause = Some(Box::new(match self.cause {
            Some(earlier) => earlier.caused_by(cause),
            None => cause,
        }));
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}
