//! The triggers of a program: checked when it is built, begun when its hub runs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::{
    blob::Blob,
    blob_store::{BlobStore, BlobStoreError},
    blobs::Blobs,
    handler::{Handle, Handler},
    ncrontab::{Ncrontab, ScheduleError},
    pattern::{Pattern, PatternError},
    receipt::{Receipt, Watched, Watches, handle_blob, run_handler},
    schedule::{
        CHANGED, Occurrence, Schedule, Scheduled, Schedules, Waiting, keep_schedule, next_due,
        run_scheduled,
    },
    sightings::Sighting,
    sweep::sweep_receipts,
    watch::Watch,
};
use crate::{Client, Registry, RuntimeStatus, StartError};

/// Why a program's triggers cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerError {
    /// A schedule's text or time zone is wrong.
    #[error("schedule `{name}`: {source}")]
    Schedule {
        /// What the schedule is called.
        name: String,
        /// What is wrong.
        source: ScheduleError,
    },
    /// A pattern is wrong.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The current folder, where blobs are unless said otherwise, is not known.
    #[error(transparent)]
    Store(#[from] BlobStoreError),
    /// The handler is a closure.
    #[error("the handler of `{0}` is a closure, which has no name; call `.named(..)`")]
    Nameless(String),
    /// The name cannot be a part of an instance id.
    #[error("`{0}` cannot name a trigger: 1 to 64 letters, digits, `_`, `-` and `.` can")]
    Name(String),
    /// Two triggers of one kind have one name.
    #[error("two triggers are called `{0}`; give one of them another name by `.named(..)`")]
    Twice(String),
}

/// What a program wants to be woken for. A host collects it; use it to embed an engine by hand.
#[derive(Debug, Default)]
pub struct Triggers {
    schedules: Vec<(Schedule, Handle<Occurrence>)>,
    blobs: Vec<(Blobs, Handle<Blob>)>,
    store: Option<BlobStore>,
}

/// Starts at once and for one trigger; beyond it, blobs wait where they are.
const STARTS_AT_ONCE: usize = 64;

/// Pauses between attempts to reach a hub that is busy.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// When receipts of blobs that are gone are swept away: each night.
const SWEEP: (&str, &str) = ("taskhub.receipts", "0 30 3 * * *");

impl Triggers {
    /// No triggers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `handler` whenever the schedule is due.
    #[must_use]
    pub fn schedule<M, H>(mut self, schedule: impl Into<Schedule>, handler: H) -> Self
    where
        H: Handler<Occurrence, M>,
    {
        self.schedules.push((schedule.into(), Handle::new(handler)));
        self
    }

    /// Calls `handler` for each version of each blob that matches.
    #[must_use]
    pub fn blobs<M, H>(mut self, blobs: impl Into<Blobs>, handler: H) -> Self
    where
        H: Handler<Blob, M>,
    {
        self.blobs.push((blobs.into(), Handle::new(handler)));
        self
    }

    /// Where blobs are, for all that do not say so themselves; the current folder if nobody does.
    #[must_use]
    pub fn blob_store(mut self, store: BlobStore) -> Self {
        self.store = Some(store);
        self
    }

    /// Checks the triggers, and adds to the registry what they run.
    pub fn build(mut self, mut registry: Registry) -> Result<(Registry, Armed), TriggerError> {
        if !self.blobs.is_empty() {
            let (name, text) = SWEEP;
            self = self.schedule(Schedule::new(text).named(name), sweep_receipts);
        }
        let mut schedules = HashMap::new();
        let mut waiting = Vec::new();
        for (schedule, mut handle) in self.schedules {
            let name = name(schedule.name, handle.name.take(), &schedule.text)?;
            registry = registry.needs(&name, std::mem::take(&mut handle.needs));
            let ncrontab = Ncrontab::parse(&schedule.text, &schedule.zone)
                .map_err(|source| TriggerError::Schedule { name: name.clone(), source })?;
            waiting.push((name.clone(), schedule.text, schedule.zone));
            add(&mut schedules, name, Scheduled { ncrontab, handle })?;
        }
        let mut watches = HashMap::new();
        for (blobs, mut handle) in self.blobs {
            let name = name(blobs.name, handle.name.take(), &blobs.pattern)?;
            registry = registry.needs(&name, std::mem::take(&mut handle.needs));
            let pattern = Pattern::parse(&blobs.pattern)?;
            let store = match blobs.store.or_else(|| self.store.clone()) {
                Some(store) => store,
                None => BlobStore::folder(".")?,
            };
            let (bytes_max, scan_every) = (blobs.bytes_max, blobs.scan_every);
            add(&mut watches, name, Watched { store, pattern, bytes_max, scan_every, handle })?;
        }
        let schedules = Schedules(Arc::new(schedules));
        let watches = Watches(Arc::new(watches));
        let registry = registry
            .orchestration(keep_schedule)
            .orchestration(handle_blob)
            .activity(run_scheduled)
            .activity(next_due)
            .activity(run_handler)
            .state(schedules.clone())
            .state(watches.clone());
        Ok((registry, Armed { waiting, schedules, watches }))
    }
}

fn name(
    given: Option<String>,
    handler: Option<String>,
    what: &str,
) -> Result<String, TriggerError> {
    let nameless = || TriggerError::Nameless(what.to_owned());
    let name = given.or(handler).ok_or_else(nameless)?;
    let allowed = |char: char| char.is_alphanumeric() || matches!(char, '_' | '-' | '.');
    let fits = (1..=64).contains(&name.len()) && name.chars().all(allowed);
    if fits { Ok(name) } else { Err(TriggerError::Name(name)) }
}

fn add<T>(all: &mut HashMap<String, T>, name: String, it: T) -> Result<(), TriggerError> {
    if all.contains_key(&name) {
        return Err(TriggerError::Twice(name));
    }
    all.insert(name, it);
    Ok(())
}

/// Triggers that are ready to begin.
#[derive(Debug)]
#[must_use = "nothing is triggered until they start"]
pub struct Armed {
    /// The name, text and time zone of each schedule.
    waiting: Vec<(String, String, String)>,
    schedules: Schedules,
    watches: Watches,
}

/// Triggers at work. They stop taking in anything new when this is dropped; what was taken in is
/// safe in the hub.
#[derive(Debug)]
#[must_use = "the triggers stop when it is dropped"]
pub struct Triggering {
    tasks: JoinSet<()>,
}

impl Triggering {
    /// Stops taking in anything new, and lets go of the hub.
    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Armed {
    /// Begins; the hub must be running. To be called within a tokio runtime.
    pub fn start(self, hub: &Client) -> Triggering {
        let mut tasks = JoinSet::new();
        for (name, text, zone) in self.waiting {
            let (hub, schedules) = (hub.clone(), self.schedules.clone());
            tasks.spawn(async move { begin(&hub, &schedules, name, text, zone).await });
        }
        for (name, watched) in &*self.watches.0 {
            let mut watch = Watch::new(watched.store.clone(), watched.pattern.clone());
            if let Some(interval) = watched.scan_every {
                watch = watch.every(interval);
            }
            tasks.spawn(feed(hub.clone(), name.clone(), watch.start()));
        }
        Triggering { tasks }
    }
}

/// Starts an instance for each sighting.
async fn feed(hub: Client, trigger: String, mut sightings: mpsc::Receiver<Sighting>) {
    let found = stream::poll_fn(|task| sightings.poll_recv(task));
    let start = |found: Sighting| {
        let (hub, receipt) = (&hub, Receipt::of(&trigger, &found));
        async move {
            insist(&receipt.path, || receipt.clone().start(hub)).await;
        }
    };
    found.for_each_concurrent(STARTS_AT_ONCE, start).await;
}

/// Starts the instance of a schedule, or tells the one that runs what has changed.
async fn begin(hub: &Client, schedules: &Schedules, name: String, schedule: String, zone: String) {
    let id = format!("schedule:{name}");
    let next = schedules.0.get(&name).and_then(|it| it.ncrontab.next_after(hub.now()));
    let Some(next) = next else { return };
    tracing::info!(schedule = name, %next, "a schedule is kept");
    let waiting = Waiting { name, schedule, zone, next };
    let started = insist(&id, || async {
        match hub.start(keep_schedule, waiting.clone()).id(&id).await {
            Err(StartError::Exists(..)) => Ok(false),
            started => started.map(|_| true),
        }
    });
    if started.await == Some(true) {
        return;
    }
    let instance = hub.instance(&id);
    let known = match instance.status().await {
        Ok(status) if status.status == RuntimeStatus::Suspended => {
            tracing::warn!(%id, "a schedule is suspended; it does not run until it is resumed");
            status.custom_status::<Waiting>()
        }
        Ok(status) => status.custom_status::<Waiting>(),
        Err(_) => return,
    };
    let same = |known: Waiting| {
        (known.schedule, known.zone) == (waiting.schedule.clone(), waiting.zone.clone())
    };
    if !known.ok().flatten().is_some_and(same)
        && let Err(error) = instance.raise(CHANGED, waiting).await
    {
        tracing::warn!(%id, %error, "a changed schedule was not taken over; it stays as it was");
    }
}

/// Tries until it succeeds or fails for good; a hub that is busy makes it wait.
async fn insist<T, F>(what: &str, attempt: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, StartError>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt().await {
            Ok(done) => return Some(done),
            Err(StartError::Hub(error)) if error.is_transient() => {
                tracing::debug!(what, %error, "a trigger waits for the hub");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => {
                tracing::error!(what, %error, "a trigger could not start an instance");
                return None;
            }
        }
    }
}
