//! Why a host could not start, or stopped serving.

use std::fmt;

use taskhub_server::{KeysError, ServeError, TracesError};

use crate::{
    RegistryError, RemoteError,
    trigger::{BlobStoreError, TriggerError},
};

/// Why a host could not start, or stopped serving. Shown as text also by `Debug`, so that a `main`
/// that returns it tells people something.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The folder of the hub could not be opened.
    #[error(transparent)]
    Folder(#[from] taskhub_engine::store::OpenError),
    /// The database of the hub could not be used.
    #[error(transparent)]
    Database(#[from] taskhub_postgres::OpenError),
    /// The hub could not be started.
    #[error(transparent)]
    Hub(#[from] taskhub_engine::OpenError),
    /// Something is missing among the functions.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A trigger makes no sense.
    #[error(transparent)]
    Trigger(#[from] TriggerError),
    /// The place where blobs are cannot be used.
    #[error(transparent)]
    Blobs(#[from] BlobStoreError),
    /// The server of the hub cannot be spoken to.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The threads for the turns of orchestrations could not be started.
    #[error("a thread could not be started: {0}; are there too many processes?")]
    Thread(std::io::Error),
    /// There is no runtime to work on.
    #[error(
        "a host is built within tokio: call `build()` in an `async` function, below \
         `#[tokio::main]` or `Runtime::block_on`"
    )]
    NoRuntime,
    /// Something that only the process of a hub can offer.
    #[error("the server that has the hub offers `{0}`; remove it here, beside `.connect(..)`")]
    Elsewhere(&'static str),
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The address cannot be listened on, or what was said of HTTP makes no sense.
    #[error(transparent)]
    Server(#[from] ServeError),
    /// There is no way to the collector of traces.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// The listener failed.
    #[error("the HTTP server failed: {0}")]
    Serve(std::io::Error),
}

impl fmt::Debug for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
