//! Why something failed, as histories and clients keep it.

use std::{any::Any, fmt};

use crate::{Limits, Text};

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

    /// The same failure, as much of it as may be kept; what is left out is counted.
    #[must_use]
    pub fn within(mut self, limits: &Limits) -> Self {
        let mut details_max = limits.payload_bytes_max;
        let mut room = limits.failure_causes_max.max(2);
        let mut link = Some(&mut self);
        while let Some(failure) = link {
            failure.shorten(limits.failure_text_bytes_max, &mut details_max);
            room -= 1;
            let more = failure.causes();
            if room == 1 && more > 1 {
                let message = format!("{more} causes left out");
                failure.cause = Some(Box::new(Self::new("CausesLeftOut", message)));
            }
            link = failure.cause.as_deref_mut();
        }
        self
    }

    fn shorten(&mut self, bytes_max: usize, details_max: &mut usize) {
        let bytes = self.details.as_ref().map_or(0, |details| details.len());
        let mut note = String::new();
        if bytes <= *details_max {
            *details_max -= bytes;
        } else {
            self.details = None;
            note = format!(" (details of {bytes} bytes left out)");
        }
        self.message = shortened(&self.message, bytes_max.saturating_sub(note.len()));
        if !note.is_empty() {
            self.message = format!("{}{note}", self.message).into();
        }
        for text in std::iter::once(&mut self.kind).chain(&mut self.stack) {
            *text = shortened(text, bytes_max);
        }
    }

    /// How many failures led to this one.
    fn causes(&self) -> usize {
        std::iter::successors(Some(self), |failure| failure.cause.as_deref()).count() - 1
    }
}

/// The text, or as much of its beginning as fits into so many bytes with how much is left out.
pub(crate) fn shortened(text: &Text, bytes_max: usize) -> Text {
    if text.len() <= bytes_max {
        return text.clone();
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub(LEFT_OUT_BYTES));
    format!("{}... {} bytes left out", &text[..end], text.len() - end).into()
}

/// Room to say how much is left out.
const LEFT_OUT_BYTES: usize = 32;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}
