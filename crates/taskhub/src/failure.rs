//! Why a durable function did not give a result, in a form that can be stored.

use std::{any::type_name, error::Error, fmt};

/// What activities and orchestrations return: a value, or a [`Failure`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why an activity or an orchestration failed: a kind, a message, and what caused it.
///
/// `?` turns every [`std::error::Error`] into one and keeps its chain of sources, since a history
/// outlives the process and the types in it. For the same reason a `Failure` is not an `Error`
/// itself; [`into_error`](Self::into_error) makes one.
///
/// ```
/// use taskhub::{Failure, Result};
///
/// fn parse(text: &str) -> Result<u16> {
///     let port: u16 = text.parse()?;
///     if port < 1024 {
///         return Err(Failure::terminal(format!("port {port} is reserved")));
///     }
///     Ok(port)
/// }
///
/// let failure = parse("eighty").unwrap_err();
/// assert_eq!(failure.kind(), "core::num::error::ParseIntError");
/// assert_eq!(failure.message(), "invalid digit found in string");
/// assert!(parse("80").unwrap_err().is_terminal());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(taskhub_core::Failure);

impl Failure {
    /// The kind of a failure of something that took too long.
    pub const TIMEOUT: &'static str = "Timeout";
    /// The kind of a failure to write a value as JSON, or to read one.
    pub const DATA: &'static str = "Data";
    /// The kind of a failure to keep the rules of critical sections.
    pub const CRITICAL_SECTION: &'static str = "CriticalSection";
    /// The kind of the failure of an orchestration whose version nobody has.
    pub const VERSION_MISMATCH: &'static str = "VersionMismatch";
    /// The kind of the failure of an HTTP call whose attempts were all answered with an error.
    pub const HTTP_STATUS: &'static str = "HttpStatus";
    /// The kind of a failure of an activity, or of an operation of an entity, that panicked. (An
    /// orchestration that panics is parked.)
    pub const PANIC: &'static str = "Panic";

    /// A failure of a kind that callers can tell apart, with a message for people.
    pub fn new(kind: impl AsRef<str>, message: impl fmt::Display) -> Self {
        Self(taskhub_core::Failure::new(kind.as_ref(), message.to_string()))
    }

    /// A failure that another attempt would not mend: it is not retried.
    pub fn terminal(message: impl fmt::Display) -> Self {
        Self::new("Terminal", message).no_retry()
    }

    /// The same failure, not to be retried.
    #[must_use]
    pub fn no_retry(self) -> Self {
        Self(self.0.non_retriable())
    }

    /// The same failure, with `cause` at the end of its chain.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<Failure>) -> Self {
        Self(self.0.caused_by(cause.into().0))
    }

    /// What kind of failure it is: the name of a Rust type for those made by `?`, otherwise what
    /// [`new`](Self::new) was given, or the name of a type in the language of another worker.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// What happened, without the causes. [`Display`](fmt::Display) shows the whole chain.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The failure that led to this one.
    #[must_use]
    pub fn cause(&self) -> Option<Failure> {
        self.0.cause.as_deref().cloned().map(Self)
    }

    /// Where it happened, if the worker that ran the code said so.
    #[must_use]
    pub fn stack(&self) -> Option<&str> {
        self.0.stack.as_deref()
    }

    /// Whether another attempt is known to be pointless.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.0.non_retriable
    }

    /// Whether something took too long.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == Self::TIMEOUT
    }

    /// The same as a [`std::error::Error`], for code outside of durable functions.
    #[must_use]
    pub fn into_error(self) -> Box<dyn Error + Send + Sync> {
        Box::new(Thrown(self))
    }

    pub(crate) fn of(failure: taskhub_core::Failure) -> Self {
        Self(failure)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut failure = Self::new(type_name::<E>(), &error);
        let mut source = error.source();
        while let Some(error) = source {
            failure.0 = failure.0.caused_by(taskhub_core::Failure::new("Error", error.to_string()));
            source = error.source();
        }
        failure
    }
}

impl From<Failure> for taskhub_core::Failure {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({}: {})", self.0.kind, self.0)
    }
}

#[derive(Debug)]
struct Thrown(Failure);

impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Thrown {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the shop is closed")]
    struct Closed(#[source] std::num::ParseIntError);

    #[test]
    fn an_error_keeps_its_chain_of_sources() {
        let fail = || -> Result<()> { Err(Closed("x".parse::<u8>().unwrap_err()))? };
        let failure = fail().unwrap_err();
        assert!(failure.kind().ends_with("Closed"), "{}", failure.kind());
        assert_eq!(failure.to_string(), "the shop is closed: invalid digit found in string");
        assert_eq!(failure.cause().unwrap().message(), "invalid digit found in string");
        assert_eq!(failure.into_error().to_string().split(": ").count(), 2);
    }

    #[test]
    fn a_cause_goes_to_the_end_of_the_chain() {
        let failure = Failure::new("A", "a")
            .caused_by(Failure::new("B", "b"))
            .caused_by(Failure::new("C", "c"));
        assert_eq!(failure.to_string(), "a: b: c");
        assert!(!failure.is_terminal() && failure.no_retry().is_terminal());
    }
}
