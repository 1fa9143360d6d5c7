//! One run of an activity: its signs of life, and the word that nobody waits for it any more.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use serde_json::value::RawValue;
use taskhub_core::{Failure, Outcome, Text};
use tokio::sync::{Notify, SetOnce};

use crate::code::Attempt;

/// Where a failure's details have what was reported before it.
const PROGRESS: &str = "taskhub.progress";

/// A JSON object whose values are left as they are.
type Details = BTreeMap<String, Box<RawValue>>;

/// What a run and those outside of it tell each other.
#[derive(Default)]
pub(crate) struct Pulse {
    /// What was reported last, as JSON.
    progress: Mutex<Option<Text>>,
    beat: Notify,
    over: SetOnce<()>,
}

impl Pulse {
    pub(crate) fn beat(&self, progress: Text) {
        *self.progress() = Some(progress);
        self.beat.notify_one();
    }

    fn progress(&self) -> MutexGuard<'_, Option<Text>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when nothing was reported for so long.
    async fn silent(&self, silence: Duration) {
        while tokio::time::timeout(silence, self.beat.notified()).await.is_ok() {}
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.initialized()
    }

    pub(crate) async fn over(&self) {
        self.over.wait().await;
    }
}

/// Runs an activity to its end, or until it was silent for too long. If this is dropped, or ends,
/// whoever holds the pulse hears so.
pub(crate) async fn run(
    name: Text,
    pulse: Arc<Pulse>,
    silence: Option<Duration>,
    running: Attempt,
) -> Outcome {
    let over = Over(pulse);
    let running = AssertUnwindSafe(running).catch_unwind();
    let running = running
        .map(|ended| ended.unwrap_or_else(|panic| Err(Failure::panic("the activity", &*panic))));
    let outcome = match silence {
        None => running.await,
        Some(silence) => tokio::select! {
            biased;
            outcome = running => outcome,
            () = over.0.silent(silence) => {
                let message = format!("`{name}` gave no sign of life for {silence:?}");
                Err(Failure::new(crate::Failure::TIMEOUT, message))
            }
        },
    };
    let progress = over.0.progress().take();
    outcome.map_err(|failure| match progress {
        Some(progress) => with_progress(failure, &progress),
        None => failure,
    })
}

struct Over(Arc<Pulse>);

impl Drop for Over {
    fn drop(&mut self) {
        let _ = self.0.over.set(());
    }
}

fn details(failure: &Failure) -> Details {
    let details = failure.details.as_deref().and_then(|text| serde_json::from_str(text).ok());
    details.unwrap_or_default()
}

fn with_details(failure: Failure, details: &Details) -> Failure {
    let text = serde_json::to_string(details).ok().filter(|_| !details.is_empty());
    Failure { details: text.map(Into::into), ..failure }
}

fn with_progress(failure: Failure, progress: &str) -> Failure {
    let mut details = details(&failure);
    if let Ok(progress) = RawValue::from_string(progress.to_owned()) {
        details.insert(PROGRESS.to_owned(), progress);
    }
    with_details(failure, &details)
}

/// Takes out of a failure what was reported before it.
pub(crate) fn take_progress(failure: Failure) -> (Failure, Option<Text>) {
    let mut details = details(&failure);
    match details.remove(PROGRESS) {
        Some(progress) => (with_details(failure, &details), Some(progress.get().into())),
        None => (failure, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_taken_out_and_the_other_details_stay() {
        let mut failure = Failure::new("Jam", "paper jam");
        failure.details = Some(r#"{"tray": 2}"#.into());
        let (taken, progress) = take_progress(with_progress(failure.clone(), "[4]"));
        assert_eq!(progress.as_deref(), Some("[4]"));
        assert_eq!(taken.details.as_deref(), Some(r#"{"tray":2}"#));
        failure.details = None;
        let told = with_progress(failure.clone(), "4");
        assert_eq!(told.details.as_deref(), Some(r#"{"taskhub.progress":4}"#));
        assert_eq!(take_progress(told).0, failure);
        failure.details = Some("not an object".into());
        assert_eq!(take_progress(failure.clone()), (failure, None));
    }
}
