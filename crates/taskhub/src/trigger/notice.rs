//! Hears from the operating system that a file was written or moved into place.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{
    Event, EventKind, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use tokio::sync::{Notify, mpsc};

use super::folder::is_temporary;

/// What was heard of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Its writer closed it, or it was moved into place: it is complete.
    Closed(PathBuf),
    /// It appeared. Its writer will close it, unless it was linked into place.
    Appeared(PathBuf),
    /// Somebody writes to it and will close it.
    Grew(PathBuf),
}

/// Hints that wait to be taken; of more, only the next scan learns.
const HINTS_WAITING_MAX: usize = 4_096;

/// Where whoever hears something leaves it. It never waits.
#[derive(Debug, Clone)]
pub(crate) struct Hints {
    sender: mpsc::Sender<Hint>,
    missed: Arc<Notify>,
}

impl Hints {
    /// The place for hints, those left there, and the news that some were missed.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Hint>, Arc<Notify>) {
        let (sender, receiver) = mpsc::channel(HINTS_WAITING_MAX);
        let missed = Arc::new(Notify::new());
        (Self { sender, missed: missed.clone() }, receiver, missed)
    }

    /// Of growing files it is enough to know a few; the closed ones must not be crowded out.
    pub(crate) fn leave(&self, hint: Hint) {
        let is_closed = matches!(hint, Hint::Closed(_));
        if !is_closed && self.sender.capacity() <= HINTS_WAITING_MAX / 2 {
            return;
        }
        if self.sender.try_send(hint).is_err() {
            self.missed();
        }
    }

    /// Asks for a scan, as something happened that no hint tells of.
    pub(crate) fn missed(&self) {
        self.missed.notify_one();
    }
}

/// Ends the notification when it is dropped.
pub(crate) type Subscription = Box<dyn Send + Sync>;

/// Whoever can say that files change.
pub(crate) trait Notifier: Send + Sync {
    /// Leaves hints about all files below `folder`, until the subscription is dropped.
    fn subscribe(&self, folder: &Path, hints: Hints) -> Result<Subscription, Box<dyn Error>>;
}

/// The operating system: inotify, `FSEvents`, `ReadDirectoryChangesW`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OperatingSystem;

impl Notifier for OperatingSystem {
    fn subscribe(&self, folder: &Path, hints: Hints) -> Result<Subscription, Box<dyn Error>> {
        let hear = move |event: notify::Result<Event>| match event {
            Ok(event) if event.need_rescan() => hints.missed(),
            Ok(event) => hints_of(event).for_each(|hint| hints.leave(hint)),
            Err(_) => hints.missed(),
        };
        let mut watcher = notify::recommended_watcher(hear)?;
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(Box::new(watcher))
    }
}

fn hints_of(event: Event) -> impl Iterator<Item = Hint> {
    // Only inotify tells of closing, so only there does growing mean that more will be heard.
    let closing_is_told = cfg!(target_os = "linux");
    let hint: Option<fn(PathBuf) -> Hint> = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(Hint::Closed),
        EventKind::Create(CreateKind::File) if closing_is_told => Some(Hint::Appeared),
        EventKind::Modify(ModifyKind::Data(_)) if closing_is_told => Some(Hint::Grew),
        _ => None,
    };
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| !is_temporary(name));
    let paths = event.paths.into_iter().filter(named);
    paths.filter_map(move |path| Some(hint?(path)))
}

#[cfg(test)]
mod tests {
    use notify::event::DataChange;

    use super::*;

    fn hints(kind: EventKind, path: &str) -> Vec<Hint> {
        hints_of(Event::new(kind).add_path(path.into())).collect()
    }

    #[test]
    fn closing_and_moving_into_place_complete_a_file() {
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let moved = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        for kind in [closed, moved] {
            assert_eq!(hints(kind, "in/a"), [Hint::Closed("in/a".into())]);
            assert_eq!(hints(kind, "in/a.tmp"), []);
        }
        assert_eq!(hints(EventKind::Access(AccessKind::Close(AccessMode::Read)), "in/a"), []);
        assert_eq!(hints(EventKind::Modify(ModifyKind::Name(RenameMode::From)), "in/a"), []);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn writing_makes_a_file_grow() {
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        assert_eq!(hints(written, "in/a"), [Hint::Grew("in/a".into())]);
        let created = EventKind::Create(CreateKind::File);
        assert_eq!(hints(created, "in/a"), [Hint::Appeared("in/a".into())]);
    }

    #[test]
    fn growing_files_leave_room_for_closed_ones() {
        let (hints, receiver, _) = Hints::new();
        for _ in 0..HINTS_WAITING_MAX {
            hints.leave(Hint::Grew("in/a".into()));
        }
        hints.leave(Hint::Closed("in/a".into()));
        assert_eq!(receiver.len(), HINTS_WAITING_MAX / 2 + 1);
    }

    #[tokio::test]
    async fn hints_beyond_the_limit_ask_for_a_scan() {
        let (hints, mut receiver, missed) = Hints::new();
        for _ in 0..=HINTS_WAITING_MAX {
            hints.leave(Hint::Closed("in/a".into()));
        }
        missed.notified().await;
        assert!(receiver.recv().await.is_some());
    }
}
