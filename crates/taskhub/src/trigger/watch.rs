//! Hands on every new version of the blobs that a trigger is for, soon after it is complete.

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};

use super::{
    blob_store::{BlobStore, Finding, Wanted},
    folder::Identity,
    notice::{Hint, Hints, Notifier, OperatingSystem, Subscription},
    pattern::Pattern,
    sightings::{Patience, Sighting, Sightings},
};

/// Sightings that wait to be taken; beyond it the watch waits as well.
const SIGHTINGS_WAITING_MAX: usize = 256;

/// Different troubles that are logged; more of them would only fill the log.
const TROUBLES_COUNT_MAX: usize = 1_000;

/// Scanning takes at most one part in this many of the time; more of it while files settle.
const SCAN_SHARE: u32 = 20;
const SCAN_SHARE_SETTLING: u32 = 4;

/// The longest pause that a long scan earns; it may have taken long because nobody took anything.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Watches the blobs that match a pattern.
///
/// Notification makes it quick, where there is any. A scan from time to time finds what
/// notification missed, and everything that happened before the start.
pub(crate) struct Watch {
    store: BlobStore,
    pattern: Arc<Pattern>,
    interval: Duration,
    notifier: Option<Box<dyn Notifier>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

impl Watch {
    /// Watches a folder by notification and a scan each second, other stores by a scan each 10 s.
    pub(crate) fn new(store: BlobStore, pattern: Pattern) -> Self {
        let is_folder = store.as_folder().is_some();
        Self {
            store,
            pattern: Arc::new(pattern),
            interval: Duration::from_secs(if is_folder { 1 } else { 10 }),
            notifier: is_folder.then(|| Box::new(OperatingSystem) as Box<dyn Notifier>),
        }
    }

    /// Pauses this long between two scans, and longer while scans take long.
    pub(crate) fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    #[cfg(test)]
    fn heard_from(mut self, notifier: Option<Box<dyn Notifier>>) -> Self {
        self.notifier = notifier;
        self
    }

    /// Starts watching. It ends when the receiver is dropped; it waits while nobody takes what is
    /// received. Each version is handed on once, and again after a restart.
    pub(crate) fn start(self) -> mpsc::Receiver<Sighting> {
        let (out, receiver) = mpsc::channel(SIGHTINGS_WAITING_MAX);
        let (hints, heard, missed) = Hints::new();
        let is_folder = self.store.as_folder().is_some();
        let pattern = self.pattern.clone();
        let running = Running {
            within: self.pattern.folder().to_owned(),
            store: self.store,
            wanted: Arc::new(move |path| pattern.captures(path).is_some()),
            interval: self.interval,
            notifier: self.notifier,
            hints,
            sightings: Sightings::new(if is_folder {
                Patience::FOR_FILES
            } else {
                Patience::FOR_OBJECTS
            }),
            out,
            presence: Presence::Unknown,
            distrusted: 0,
            subscription: None,
            troubles: HashSet::new(),
        };
        tokio::spawn(running.run(heard, missed));
        receiver
    }
}

/// What was found where the folder should be, when a scan began.
enum Presence {
    Unknown,
    Missing,
    Here(Identity),
}

struct Running {
    store: BlobStore,
    /// The folder below which everything wanted is.
    within: String,
    wanted: Wanted,
    interval: Duration,
    notifier: Option<Box<dyn Notifier>>,
    hints: Hints,
    sightings: Sightings,
    out: mpsc::Sender<Sighting>,
    presence: Presence,
    /// Hints on their way when some were missed: a file in them may have been closed unheard.
    distrusted: usize,
    /// Held for as long as we want to be notified.
    subscription: Option<Subscription>,
    /// What was logged already.
    troubles: HashSet<String>,
}

/// Nobody takes sightings any more.
struct Closed;

impl Running {
    async fn run(mut self, mut heard: mpsc::Receiver<Hint>, missed: Arc<Notify>) {
        self.create_folder();
        let out = self.out.clone();
        let mut scan: Option<Scan> = None;
        let mut next_scan = Instant::now();
        loop {
            let scanning = scan.is_some();
            let step = tokio::select! {
                () = out.closed() => Err(Closed),
                Some(hint) = heard.recv() => self.hint(hint).await,
                () = missed.notified() => {
                    self.sightings.missed();
                    self.distrusted = heard.len();
                    next_scan = next_scan.min(Instant::now() + self.interval);
                    if let Some(scan) = &mut scan {
                        scan.soon_again = true;
                    }
                    Ok(())
                }
                finding = next(&mut scan) => {
                    let ended = matches!(finding, None | Some(Finding::End { .. }));
                    let step = self.finding(finding).await;
                    if ended && let Some(scan) = scan.take() {
                        next_scan = Instant::now() + self.pause_after(&scan);
                    }
                    step
                }
                () = sleep_until(next_scan), if !scanning => {
                    scan = self.begin_scan();
                    next_scan = Instant::now() + self.interval;
                    Ok(())
                }
            };
            if step.is_err() {
                return;
            }
        }
    }

    fn begin_scan(&mut self) -> Option<Scan> {
        if !self.is_present() {
            return None;
        }
        self.sightings.scan_begins();
        let findings = self.store.scan(self.within.clone(), self.wanted.clone());
        Some(Scan { began: Instant::now(), findings, soon_again: false })
    }

    /// How long to wait for the next scan.
    fn pause_after(&self, scan: &Scan) -> Duration {
        let settling = self.sightings.are_settling();
        let share = if settling { SCAN_SHARE_SETTLING } else { SCAN_SHARE };
        let fair = (scan.began.elapsed() * (share - 1)).min(PAUSE_MAX);
        if scan.soon_again { self.interval } else { self.interval.max(fair) }
    }

    fn create_folder(&mut self) {
        let Some(folder) = self.store.as_folder() else { return };
        let place = folder.place(&self.within);
        match folder.create(&self.within) {
            Ok(true) => tracing::info!(folder = %place.display(), "made the folder for blobs"),
            Ok(false) => {}
            Err(error) => {
                let folder = place.display();
                tracing::warn!(%folder, %error, "cannot make the folder for blobs; awaiting it");
            }
        }
    }

    /// Whether there is something to scan; subscribes to a folder that is new.
    fn is_present(&mut self) -> bool {
        let Some(folder) = self.store.as_folder() else { return true };
        let place = folder.place(&self.within);
        let Some(identity) = folder.identity(&self.within) else {
            if !matches!(self.presence, Presence::Missing) {
                let folder = place.display();
                tracing::warn!(%folder, "the folder for blobs is missing; awaiting it");
            }
            self.presence = Presence::Missing;
            drop(self.subscription.take());
            return false;
        };
        match self.presence {
            Presence::Here(known) if known == identity => return true,
            Presence::Unknown => {}
            Presence::Missing | Presence::Here(..) => {
                tracing::info!(folder = %place.display(), "the folder for blobs is back");
            }
        }
        self.sightings.missed();
        self.presence = Presence::Here(identity);
        self.subscription = self.subscribe(&place);
        true
    }

    fn subscribe(&self, place: &Path) -> Option<Subscription> {
        match self.notifier.as_ref()?.subscribe(place, self.hints.clone()) {
            Ok(subscription) => Some(subscription),
            Err(error) => {
                let (folder, seconds) = (place.display(), self.interval.as_secs_f32());
                tracing::warn!(%folder, %error, "no notification; scanning every {seconds} s");
                None
            }
        }
    }

    async fn hint(&mut self, hint: Hint) -> Result<(), Closed> {
        let is_trusted = self.distrusted == 0;
        self.distrusted = self.distrusted.saturating_sub(1);
        let (Hint::Closed(place) | Hint::Appeared(place) | Hint::Grew(place)) = &hint;
        let Some(folder) = self.store.as_folder() else { return Ok(()) };
        let Some(path) = folder.path_of(place).filter(|path| (self.wanted)(path)) else {
            return Ok(());
        };
        match hint {
            Hint::Appeared(_) if is_trusted => self.sightings.appeared(&path, Instant::now()),
            Hint::Grew(_) if is_trusted => self.sightings.grew(&path, Instant::now()),
            Hint::Appeared(_) | Hint::Grew(_) => {}
            Hint::Closed(_) => match self.store.look(&path).await {
                Ok(Some(found)) if self.sightings.closed(&found) => return self.send(found).await,
                Ok(_) => {}
                Err(error) => self.trouble(&error.to_string()),
            },
        }
        Ok(())
    }

    async fn finding(&mut self, finding: Option<Finding>) -> Result<(), Closed> {
        let now = Instant::now();
        match finding {
            Some(Finding::Blobs(blobs)) => {
                for found in blobs {
                    if self.sightings.listed(&found, now) {
                        self.send(found).await?;
                    }
                }
            }
            Some(Finding::Trouble(trouble)) => self.trouble(&trouble),
            Some(Finding::End { reached_everything }) => {
                self.sightings.scan_ends(reached_everything, now);
            }
            None => self.sightings.scan_ends(false, now),
        }
        Ok(())
    }

    async fn send(&self, found: Sighting) -> Result<(), Closed> {
        self.out.send(found).await.map_err(|_| Closed)
    }

    /// Logs a trouble the first time.
    fn trouble(&mut self, trouble: &str) {
        let is_new = self.troubles.len() < TROUBLES_COUNT_MAX && !self.troubles.contains(trouble);
        if is_new {
            self.troubles.insert(trouble.to_owned());
            tracing::warn!(trouble, "a scan for blobs skips this");
        }
    }
}

/// A scan under way.
struct Scan {
    began: Instant,
    findings: mpsc::Receiver<Finding>,
    /// Something was missed while it went on.
    soon_again: bool,
}

/// The next finding of the scan under way; waits for ever when there is none.
async fn next(scan: &mut Option<Scan>) -> Option<Finding> {
    match scan {
        Some(scan) => scan.findings.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
