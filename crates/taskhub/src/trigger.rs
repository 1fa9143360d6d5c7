//! Starts work because something happened outside: a time came, or a file arrived.

mod blob;
mod blob_store;
mod field;
mod folder;
mod ncrontab;
mod notice;
mod pattern;
mod sightings;
mod version;
mod watch;

pub use blob::{Blob, NotText, Opened};
pub use blob_store::{BlobStore, BlobStoreError, ReadError};
pub use ncrontab::{Ncrontab, ScheduleError};
pub use pattern::{Captures, Pattern, PatternError};
pub use sightings::Sighting;
pub use version::Version;
pub use watch::Watch;
