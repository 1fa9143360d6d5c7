//! Starts work because something happened outside: a time came, or a file arrived.
//!
//! A trigger is an async function that takes what happened, then extractors as activities have
//! them, and a text that says when to call it:
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use taskhub::{Filter, Registry, prelude::*};
//! use taskhub::trigger::{Blob, Occurrence, Triggers};
//!
//! const REPLY: Event<String> = Event::new("weather_response");
//!
//! /// The blob `weather-results/<instance>.json` answers the request `<instance>`.
//! async fn reply(blob: Blob, hub: Client) -> Result<()> {
//!     Ok(hub.instance(blob.stem()).raise(REPLY, blob.text()?).await?)
//! }
//!
//! /// Forgets what ended more than a day ago.
//! async fn purge_old(tick: Occurrence, hub: Client) -> Result<()> {
//!     let old = SystemTime::from(tick.due) - Duration::from_hours(24);
//!     hub.purge_many(Filter::new().completed_before(old)).await?;
//!     Ok(())
//! }
//!
//! # fn main() -> Result<(), taskhub::trigger::TriggerError> {
//! let triggers = Triggers::new()
//!     .blobs("weather-results/{name}", reply)
//!     .schedule("0 0 0 * * *", purge_old);
//! let (registry, armed) = triggers.build(Registry::new())?;
//! // .. open a hub with the registry, then `armed.start(&client)` ..
//! # let _ = (registry, armed);
//! # Ok(())
//! # }
//! ```
//!
//! Triggers are built on the hub itself, so there is nothing else to store, back up or lock:
//!
//! - A **schedule** is one instance, `schedule:<name>`, that sleeps until it is due, calls the
//!   handler as an activity, and begins anew. Hence one run at a time however many nodes there
//!   are, and one late run, [`past_due`](Occurrence::past_due), for whatever was missed.
//! - Each version of a **blob** is one instance, `blobs:<trigger>:<file>:<digest>`, begun unless it
//!   is there already. It calls the handler up to five times. If that fails it is `Failed` and
//!   stays, for a person to find and [try again](retry_blob).
//!
//! A handler runs at least once: after a crash in the midst of it, once more.

mod blob;
mod blob_store;
mod blobs;
mod field;
mod folder;
mod handler;
mod ncrontab;
mod notice;
mod pattern;
mod receipt;
mod schedule;
mod sightings;
mod sweep;
mod triggers;
mod version;
mod watch;

pub use blob::{Blob, NotText};
pub use blob_store::{BlobStore, BlobStoreError, ReadError};
pub use blobs::Blobs;
pub use handler::Handler;
pub use ncrontab::ScheduleError;
pub use pattern::PatternError;
pub use receipt::{RetryBlobError, retry_blob};
pub use schedule::{Occurrence, Schedule};
pub use triggers::{Armed, TriggerError, Triggering, Triggers};
pub use version::Version;
