//! One run of an activity: its signs of life, and the word that nobody waits for it any more.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use taskhub_core::{Failure, Outcome, Text};
use taskhub_engine::Running;
use tokio::sync::{Notify, SetOnce};

/// The kind of the last cause in a failure, which carries what was reported before it.
const PROGRESS: &str = "taskhub.Progress";

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
    running: Running,
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
    match (outcome, over.0.progress().take()) {
        (Err(failure), Some(progress)) => Err(failure.caused_by(Failure::new(PROGRESS, progress))),
        (outcome, _) => outcome,
    }
}

struct Over(Arc<Pulse>);

impl Drop for Over {
    fn drop(&mut self) {
        let _ = self.0.over.set(());
    }
}

/// Takes out of a failure what was reported before it.
pub(crate) fn take_progress(failure: &mut Failure) -> Option<Text> {
    let cause = failure.cause.as_mut()?;
    if &*cause.kind == PROGRESS {
        return failure.cause.take().map(|cause| cause.message);
    }
    take_progress(cause)
}
