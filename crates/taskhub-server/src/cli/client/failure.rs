//! Why a command failed, and the exit code that says so to programs.

use std::{error::Error, io};

use tonic::{Code, Status};

use crate::KeysError;

/// Why a command to a server came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(in crate::cli) enum Failure {
    /// Anything that no other variant tells.
    #[error("{0}")]
    Other(String),
    /// What was said on the command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// There is no such instance, hub or key.
    #[error("{0}")]
    NotFound(String),
    /// The instance is not in the state for it.
    #[error("{0}")]
    Refused(String),
    /// No server answered.
    #[error("{0}")]
    NoServer(String),
    /// The server does not know the token.
    #[error("{0}; set `--token` or TASKHUB_TOKEN")]
    NotLetIn(String),
    /// The instance that was waited for came to a bad end.
    #[error("{0}")]
    BadEnd(String),
    /// What was done to several failed for some, who were told of already; of them this is the
    /// first.
    #[error("{0}")]
    Told(Box<Failure>),
    /// What was to be printed could not be.
    #[error("the output could not be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The exit code.
    pub(in crate::cli) fn code(&self) -> u8 {
        match self {
            // Who reads has read enough: `taskhub list | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Other(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Refused(_) => 4,
            Self::NoServer(_) => 5,
            Self::NotLetIn(_) => 6,
            Self::BadEnd(_) => 7,
            Self::Told(first) => first.code(),
        }
    }

    /// Whether nobody has heard of it, and should.
    pub(in crate::cli) fn is_news(&self) -> bool {
        self.code() != 0 && !matches!(self, Self::Told(_))
    }

    /// There is no such instance.
    pub(super) fn no_instance(id: &str) -> Self {
        Self::NotFound(format!("there is no instance {id}"))
    }

    /// There is no connection to a server, though one may be there.
    pub(super) fn unreachable(server: &str, error: &dyn Error) -> Self {
        let (why, reason) = (causes(error), reason(error));
        if reason != why || why.contains("certificate") {
            return Self::NoServer(format!("the server at {server} cannot be spoken to: {reason}"));
        }
        let advice = "start one by `taskhub serve`, or name another with `--server`";
        Self::NoServer(format!("no server answers at {server}: {why}; {advice}"))
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            Code::NotFound => Self::NotFound(message),
            Code::AlreadyExists | Code::FailedPrecondition => Self::Refused(message),
            Code::InvalidArgument => Self::Usage(message),
            Code::Unauthenticated | Code::PermissionDenied => Self::NotLetIn(message),
            Code::Unavailable => Self::NoServer(message),
            Code::DeadlineExceeded | Code::Cancelled => {
                Self::NoServer("the server did not answer in time; see `--timeout`".to_owned())
            }
            _ if status.source().is_some() => {
                Self::NoServer(format!("the connection failed: {}", reason(&status)))
            }
            code => Self::Other(format!("{message} ({code:?})")),
        }
    }
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        let why = error.to_string();
        match error {
            KeysError::Unknown(_) => Self::NotFound(why),
            KeysError::Exists(_) => Self::Refused(why),
            KeysError::Name(_) => Self::Usage(why),
            _ => Self::Other(why),
        }
    }
}

impl From<Box<dyn Error>> for Failure {
    fn from(error: Box<dyn Error>) -> Self {
        Self::Other(error.to_string())
    }
}

/// Whether an answer was lost on its way, and the server may be asked again.
pub(super) fn is_lost(status: &Status) -> bool {
    let gave_up = matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled);
    status.code() == Code::Unavailable || (status.source().is_some() && !gave_up)
}

/// Why there is no connection, and what to do where that is known.
fn reason(error: &dyn Error) -> String {
    let why = causes(error);
    let advice = [
        (
            "CaUsedAsEndEntity",
            "its certificate is that of an authority, which no server may show: make it with \
             `-addext basicConstraints=critical,CA:FALSE`",
        ),
        ("UnknownIssuer", "nobody who is trusted vouches for its certificate: name it by `--ca`"),
        ("InvalidContentType", "it does not speak TLS there: use http://"),
        ("frame with invalid size", "it speaks no plain HTTP/2: if it has TLS, use https://"),
    ];
    let known = advice.into_iter().find(|(sign, _)| why.contains(sign));
    known.map_or_else(|| why.clone(), |(_, advice)| format!("{advice} ({why})"))
}

/// The innermost reason, which says most.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_scheme_is_told_from_a_broken_connection() {
        let told = |text: &str| reason(&io::Error::other(text));
        assert!(told("received corrupt message of type InvalidContentType").contains("http://"));
        assert!(told("http2 error: frame with invalid size").contains("https://"));
        assert_eq!(told("connection reset"), "connection reset");
    }
}
