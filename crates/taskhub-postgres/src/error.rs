//! What can go wrong with a database, in words.

use taskhub_core::{codec::DecodeError, store::StoreError};
use tokio_postgres::error::{DbError, Severity, SqlState};

/// Why a hub in a database could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address makes no sense.
    #[error(
        "this is no address of a PostgreSQL database: {0}; one is postgres://USER@HOST/DATABASE"
    )]
    Url(String),
    /// A certificate that the address names cannot be used.
    #[error("the connection cannot be made secure: {0}")]
    Tls(String),
    /// There is no connection.
    #[error("the database cannot be reached: {0}; check that it runs, and the address")]
    Unreachable(String),
    /// The server does not know this user, or asks for a password.
    #[error(
        "the database does not let this user in: {0}; name one that it knows, with the password: \
         postgres://USER:PASSWORD@HOST/DATABASE, or go over the socket of this machine, where \
         many ask for none: postgres://USER@%2Fvar%2Frun%2Fpostgresql/DATABASE; `createuser USER` \
         makes one"
    )]
    Barred(String),
    /// The server does not let this user do it.
    #[error(
        "the database refuses: {0}; let a user who may create tables open the hub once, and grant \
         this one what docs/postgres.md lists"
    )]
    Refused(String),
    /// A later version of this program made the tables.
    #[error(
        "the database has schema {found}, this program knows those up to {known}: it was \
         changed by a later version, use that one or a later one"
    )]
    Newer {
        /// The schema's number.
        found: i32,
        /// The last one that is known here.
        known: i32,
    },
    /// The database keeps its texts in another encoding.
    #[error("the database keeps its texts as {0}; create one with ENCODING 'UTF8'")]
    Encoding(String),
    /// What answers is no server, but shares its connections out.
    #[error(
        "connections to the database share a session, as behind a pooler that hands them out per \
         transaction, and a hub needs some of its own: name the server itself, or a pool that \
         hands them out per session"
    )]
    Pooled,
    /// The hub is there, and its partitions are not.
    #[error("the hub {0} is being deleted; if nobody is at it any more, delete it once more")]
    HalfDeleted(String),
    /// The options ask for something that cannot be.
    #[error("a hub has 1 to 4096 partitions, not {0}; 32 is a good number")]
    Partitions(u16),
    /// The threads for the connections could not be started.
    #[error("no thread for the database could be started: {0}")]
    Threads(String),
    /// What is stored there cannot be used.
    #[error("the hub cannot be used: {0}")]
    Store(StoreError),
}

/// Why a statement failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server said no: nothing of the statement is there.
    Refused(Box<DbError>),
    /// It is more than a server takes at once: nothing of the statement is there.
    TooLarge(String),
    /// There is no answer, or the server has closed the connection: it may be there, or not.
    Lost(String),
    /// There was no connection: the statement was never sent.
    Unreachable(String),
    /// There was no connection, as the server does not let this user in.
    Barred(String),
    /// What came back makes no sense.
    Damaged(String),
}

impl Trouble {
    /// Whether it was rolled back only because others were at work, and may well succeed now.
    pub(crate) fn is_collision(&self) -> bool {
        let codes = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE];
        matches!(self, Self::Refused(error) if codes.contains(error.code()))
    }

    /// Whether the server said no for this reason.
    pub(crate) fn is(&self, code: &SqlState) -> bool {
        matches!(self, Self::Refused(error) if error.code() == code)
    }

    /// Whether the connection can be used for the next statement. One to a server that takes no
    /// writes any more is of no use, though it works: another one has its place.
    pub(crate) fn leaves_connection(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::TooLarge(_))
            && !self.is(&SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// Whether two rows were to be the same in this respect.
    pub(crate) fn repeats(&self, constraint: &str) -> bool {
        matches!(self, Self::Refused(error)
            if *error.code() == SqlState::UNIQUE_VIOLATION
                && error.constraint() == Some(constraint))
    }
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            // Its last word on this connection. It may stand behind a commit: one that waits for a
            // standby when the server is stopped is there.
            Some(last) if last.parsed_severity().is_some_and(is_last) => Self::Lost(told(last)),
            Some(refusal) if is_too_large(refusal) => Self::TooLarge(told(refusal)),
            Some(refusal) => Self::Refused(Box::new(refusal.clone())),
            None => Self::Lost(chain(&error)),
        }
    }
}

fn is_last(severity: Severity) -> bool {
    matches!(severity, Severity::Fatal | Severity::Panic)
}

/// Whether a statement is beyond a limit of the server: of its class of SQLSTATEs, or the most that
/// it ever asks its memory for at once, which it has no code for.
fn is_too_large(refusal: &DbError) -> bool {
    let is_alloc = || refusal.message().starts_with("invalid memory alloc request size");
    match refusal.code().code() {
        "XX000" => is_alloc(),
        code => code.starts_with("54"),
    }
}

impl From<DecodeError> for Trouble {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(error) => match error.code().code() {
                "53100" => Self::Full(told(&error)),
                // Damaged files, and values that a column cannot hold.
                code if code.starts_with("XX") || code.starts_with("22") => {
                    Self::Damaged(told(&error))
                }
                _ => Self::Unavailable(told(&error)),
            },
            Trouble::TooLarge(why) => Self::TooLarge(why),
            Trouble::Lost(why) => {
                Self::Unavailable(format!("the connection was lost before the answer: {why}"))
            }
            Trouble::Unreachable(why) | Trouble::Barred(why) => Self::Unavailable(why),
            Trouble::Damaged(why) => Self::Damaged(why),
        }
    }
}

impl From<Trouble> for OpenError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(error) if error.code().code().starts_with("42") => {
                Self::Refused(told(&error))
            }
            Trouble::Lost(why) | Trouble::Unreachable(why) => Self::Unreachable(why),
            Trouble::Barred(why) => Self::Barred(why),
            other => Self::Store(other.into()),
        }
    }
}

/// What the server said, in one line.
pub(crate) fn told(error: &DbError) -> String {
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{}{detail} (SQLSTATE {})", error.message(), error.code().code())
}

/// An error with what caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
