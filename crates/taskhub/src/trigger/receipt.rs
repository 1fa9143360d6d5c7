//! Handles each version of a blob once, as an instance that is its receipt.

use std::{any::type_name, collections::HashMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    blob::{Blob, NotText, Opened},
    blob_store::{BlobStore, ReadError},
    handler::Handle,
    pattern::Pattern,
    sightings::Sighting,
    version::Version,
};
use crate::{
    ActivityContext, Client, Context, Failure, RaiseError, Result, Retry, StartError, State,
    activity, orchestration,
};

/// Which blob to handle: the input of the instance, and its tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) trigger: String,
    pub(crate) path: String,
    pub(crate) version: String,
}

/// How the handling of a blob ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Handled {
    /// The handler ran.
    Done,
    /// Another version had taken the blob's place; that one is handled.
    Superseded,
    /// The blob was gone.
    Gone,
    /// The handler raised an event to an instance that had ended.
    Ignored,
}

/// What a program does about blobs, by the names of its triggers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watches(pub(crate) Arc<HashMap<String, Watched>>);

#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) store: BlobStore,
    pub(crate) pattern: Pattern,
    pub(crate) bytes_max: u64,
    pub(crate) scan_every: Option<Duration>,
    pub(crate) handle: Handle<Blob>,
}

/// Labels of an instance that handles a blob.
pub(crate) const TRIGGER_TAG: &str = "trigger";
pub(crate) const BLOB_TAG: &str = "blob";
pub(crate) const VERSION_TAG: &str = "version";

/// The longest part of a blob's name that its instance id shows, in bytes.
const NAME_BYTES_MAX: usize = 64;

impl Receipt {
    pub(crate) fn of(trigger: &str, found: &Sighting) -> Self {
        Self {
            trigger: trigger.to_owned(),
            path: found.path.clone(),
            version: found.version.as_str().to_owned(),
        }
    }

    /// The id of the instance: the same for the same version of the same blob, wherever it is seen.
    pub(crate) fn id(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let mut shown = String::new();
        for char in name.chars() {
            if shown.len() + char.len_utf8() > NAME_BYTES_MAX {
                break;
            }
            let garbled = matches!(char, '\\' | '?' | '#' | '%') || char.is_control();
            shown.push(if garbled { '_' } else { char });
        }
        let digest = Version::stored(self.version.clone()).digest(&self.path);
        format!("{}{shown}:{digest:032x}", prefix(&self.trigger))
    }

    /// Starts the instance, unless it is there already, whatever became of it.
    pub(crate) async fn start(self, hub: &Client) -> Result<(), StartError> {
        self.begin(hub).join().await.map(drop)
    }

    fn begin(self, hub: &Client) -> crate::Start<handle_blob> {
        let start = hub.start(handle_blob, self.clone()).id(self.id());
        let start = start.tag(TRIGGER_TAG, self.trigger).tag(BLOB_TAG, self.path);
        start.tag(VERSION_TAG, self.version)
    }
}

/// What the ids of a trigger's instances begin with.
pub(crate) fn prefix(trigger: &str) -> String {
    format!("blobs:{trigger}:")
}

/// Why the handling of a blob was not begun again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetryBlobError {
    /// The instance is not known, or cannot be asked.
    #[error(transparent)]
    Status(#[from] crate::StatusError),
    /// It is not the instance of a blob trigger.
    #[error("instance {0} handles no blob; those that do begin with `blobs:`")]
    NoBlob(String),
    /// It has not ended, or the hub refused.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Handles a blob again whose handling has ended: after five failed attempts, for instance.
///
/// `id` is the id of the instance that handled it. If the blob has changed since, that version is
/// handled by an instance of its own, and this one ends as superseded.
pub async fn retry_blob(hub: &Client, id: impl AsRef<str>) -> Result<(), RetryBlobError> {
    let id = id.as_ref();
    let status = hub.instance(id).status().await?;
    let tag = |key: &str| status.tags.get(key).map(ToString::to_string);
    match (tag(TRIGGER_TAG), tag(BLOB_TAG), tag(VERSION_TAG)) {
        (Some(trigger), Some(path), Some(version)) => {
            Receipt { trigger, path, version }.begin(hub).await?;
            Ok(())
        }
        _ => Err(RetryBlobError::NoBlob(id.to_owned())),
    }
}

/// Five attempts in about 17 seconds; after that a person has to look.
fn five_attempts() -> Retry {
    Retry::exponential(5).first_delay(Duration::from_millis(200)).factor(4.0)
}

/// One version of one blob. It is Completed or, when five attempts have failed, Failed; either way
/// it stays, so that the same version is never begun again.
#[orchestration(name = "taskhub.blob")]
pub(crate) async fn handle_blob(ctx: Context, receipt: Receipt) -> Result<Handled> {
    let handled = ctx.call(run_handler, receipt.clone()).retry(five_attempts()).await;
    if let Err(failure) = &handled {
        let (trigger, blob, instance) = (receipt.trigger, receipt.path, ctx.instance_id());
        tracing::error!(trigger, blob, %instance, %failure, "a blob was given up");
    }
    handled
}

#[activity(name = "taskhub.blob.run")]
pub(crate) async fn run_handler(
    watches: State<Watches>,
    context: ActivityContext,
    receipt: Receipt,
) -> Result<Handled> {
    let Receipt { trigger, path, version } = receipt;
    let Some(watched) = watches.0.0.get(&trigger) else {
        return Err(Failure::terminal(format!("no blob trigger is called `{trigger}`")));
    };
    let version = Version::stored(version);
    let at = (path.as_str(), &version);
    let opened = Blob::open(&watched.store, &watched.pattern, at, watched.bytes_max).await;
    let blob = match opened {
        Ok(Opened::Blob(blob)) => blob,
        Ok(Opened::Changed) => {
            tracing::info!(trigger, blob = path, "a blob changed before it was handled");
            return Ok(Handled::Superseded);
        }
        Ok(Opened::Gone) => {
            tracing::warn!(trigger, blob = path, "a blob was gone before it was handled");
            return Ok(Handled::Gone);
        }
        Err(error @ ReadError::TooLarge { .. }) => return Err(Failure::from(error).no_retry()),
        Err(error) => return Err(error.into()),
    };
    match watched.handle.call(blob, &context).await {
        Ok(()) => Ok(Handled::Done),
        Err(failure) if is_of_ended(&failure) => {
            tracing::warn!(trigger, blob = path, %failure, "a blob came too late; ignored");
            Ok(Handled::Ignored)
        }
        Err(failure) => {
            tracing::warn!(trigger, blob = path, %failure, "an attempt to handle a blob failed");
            // The same version never becomes text by itself, or smaller.
            let is_final = failure.kind() == type_name::<NotText>() || is_of_too_large(&failure);
            Err(if is_final { failure.no_retry() } else { failure })
        }
    }
}

/// Whether the handler failed because the instance that it raised an event to has ended: then no
/// further attempt can do better, and no person can mend it.
fn is_of_ended(failure: &Failure) -> bool {
    failure.kind() == type_name::<RaiseError>() && failure.message().contains(" has ended: it is ")
}

/// Whether the handler failed because the event that it raised would carry too much.
fn is_of_too_large(failure: &Failure) -> bool {
    failure.kind() == type_name::<RaiseError>() && failure.message().contains(" is too large, ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InstanceId, RuntimeStatus, testing::Run};

    fn receipt(path: &str, version: &str) -> Receipt {
        Receipt { trigger: "reply".into(), path: path.into(), version: version.into() }
    }

    #[test]
    fn an_id_shows_the_name_and_stands_for_one_version() {
        let id = receipt("in/17.json", "v1").id();
        assert!(id.starts_with("blobs:reply:17.json:"), "{id}");
        assert_eq!(id, receipt("in/17.json", "v1").id());
        assert_ne!(id, receipt("in/17.json", "v2").id());
        assert_ne!(id, receipt("in/deep/17.json", "v1").id());
    }

    #[test]
    fn every_name_makes_an_id() {
        let names = ["a b#1.json", "?\\%\u{7}", "☃", &"ß".repeat(200), "."];
        for name in names {
            let mut receipt = receipt(&format!("in/{name}"), "v1");
            receipt.trigger = "x".repeat(64);
            assert!(InstanceId::parse(&receipt.id()).is_ok(), "{}", receipt.id());
        }
    }

    #[test]
    fn five_attempts_are_made_and_then_it_fails() {
        let mut run = Run::of(handle_blob).input(receipt("in/a", "v1"));
        for attempt in 1..=5 {
            run.expect(run_handler).fails(Failure::new("Busy", format!("attempt {attempt}")));
            assert_eq!(run.is_finished(), attempt == 5);
            run.advance(Duration::from_secs(13));
        }
        assert_eq!(run.output().unwrap_err().message(), "attempt 5");
    }

    #[test]
    fn raising_to_an_instance_that_has_ended_is_told_from_other_failures() {
        let instance = InstanceId::parse("17").unwrap();
        let ended = RaiseError::Ended(instance.clone(), RuntimeStatus::Terminated);
        assert!(is_of_ended(&Failure::from(ended)));
        assert!(!is_of_ended(&Failure::from(RaiseError::NotFound(instance))));
        assert!(!is_of_ended(&Failure::terminal("the pump has ended: it is Completed")));
    }

    #[test]
    fn raising_too_much_is_told_from_other_failures() {
        let instance = InstanceId::parse("17").unwrap();
        let too_large = Failure::from(RaiseError::TooLarge(instance.clone(), 9, 8));
        assert!(is_of_too_large(&too_large), "{too_large}");
        assert!(!is_of_too_large(&Failure::from(RaiseError::NotFound(instance))));
    }
}
