//! What can go wrong with a hub in a folder, in words.

use std::path::PathBuf;

use rusqlite::{Error, ErrorCode, ffi::SQLITE_IOERR_SHMSIZE};
use taskhub_core::{codec::DecodeError, store::StoreError};

/// Why a hub could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the hub in {} is in use{}: a hub belongs to one process at a time; stop the other one, \
         or choose another folder",
        folder.display(),
        process.map(|id| format!(" by process {id}")).unwrap_or_default()
    )]
    InUse {
        /// The hub's folder.
        folder: PathBuf,
        /// The other process, if it could be found out.
        process: Option<u32>,
    },
    /// The folder or a file in it cannot be made, read or written.
    #[error(
        "the hub in {} cannot be opened: {reason}; check that the folder can be created there \
         and that this user may write to it",
        folder.display()
    )]
    Folder {
        /// The hub's folder.
        folder: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// A later version of this program wrote it.
    #[error(
        "the hub in {} has schema {found}, this program knows those up to {known}: it was \
         written by a later version, use that one or a later one",
        folder.display()
    )]
    Newer {
        /// The hub's folder.
        folder: PathBuf,
        /// The schema's number.
        found: u32,
        /// The last one that is known here.
        known: u32,
    },
    /// The file belongs to another program.
    #[error(
        "{} is a database of another program, not a hub; choose another folder",
        file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The options ask for something that cannot be.
    #[error("a hub has 1 to 4096 partitions, not {0}; 32 is a good number")]
    Partitions(u16),
    /// What is stored there cannot be used.
    #[error("the hub in {} cannot be used: {error}", folder.display())]
    Store {
        /// The hub's folder.
        folder: PathBuf,
        /// What is wrong.
        error: StoreError,
    },
}

/// Sorts an error of SQLite into what a caller can do about it.
#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(super) fn failed(error: Error) -> StoreError {
    let text = error.to_string();
    match error {
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => StoreError::Full(text),
            // The shared-memory file grows with the log; it fails like this on a full disk.
            _ if failure.extended_code == SQLITE_IOERR_SHMSIZE => StoreError::Full(text),
            ErrorCode::TooBig => StoreError::TooLarge(text),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch => {
                StoreError::Damaged(text)
            }
            _ => StoreError::Unavailable(text),
        },
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => StoreError::Damaged(text),
        _ => StoreError::Unavailable(text),
    }
}

/// Bytes that were stored do not decode.
#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(super) fn undecodable(error: DecodeError) -> StoreError {
    StoreError::Damaged(error.to_string())
}
