//! Remembers which versions of blobs were seen, and decides when a file is complete.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::version::{Version, digest};

/// One version of a blob, as a scan or a notification found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Where the blob is, from the root of its store, with `/`.
    pub(crate) path: String,
    /// Which version of it this is.
    pub(crate) version: Version,
    /// In bytes.
    pub(crate) size: u64,
    /// How long before the sighting the blob was written; zero if that lies in the future.
    pub(crate) age: Duration,
}

/// When a file counts as written to its end, if nobody saw that it was closed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// A version that stays the same for this long is complete.
    pub(crate) unchanged: Duration,
    /// A file that somebody has open, as far as we saw, gets this long instead.
    pub(crate) growing: Duration,
    /// A version written this long ago is complete even when it is seen for the first time. Longer
    /// than `unchanged`, as the clock of a file server may be behind ours.
    pub(crate) old: Duration,
}

impl Patience {
    /// For folders, where a scan can meet a file while it is written.
    pub(crate) const FOR_FILES: Self = Self {
        unchanged: Duration::from_secs(2),
        growing: Duration::from_mins(1),
        old: Duration::from_secs(10),
    };

    /// For stores in which a blob appears whole or not at all.
    pub(crate) const FOR_OBJECTS: Self =
        Self { unchanged: Duration::ZERO, growing: Duration::ZERO, old: Duration::ZERO };
}

/// Files that may be known to be growing; of more, a scan finds out by itself.
const GROWING_COUNT_MAX: usize = 10_000;

/// Which versions were seen and which are not complete yet.
///
/// A version costs a 16-byte digest in a hash set and another one while a scan builds the next
/// set: at most about 70 bytes for each file, 7 MB for 100,000 files.
#[derive(Debug)]
pub(crate) struct Sightings {
    patience: Patience,
    /// Versions that were handed on.
    seen: HashSet<u128>,
    /// Versions that are not complete, with the time when they were first listed.
    unsettled: HashMap<u128, Instant>,
    /// Paths of files that were seen growing and not seen closing.
    growing: HashMap<u128, Growth>,
    /// The next `seen` and `unsettled`, while a scan is under way: what it does not find is gone.
    scan: Option<(HashSet<u128>, HashMap<u128, Instant>)>,
}

#[derive(Debug, Clone, Copy)]
struct Growth {
    last: Instant,
    /// A file that only appeared, and is not empty, was linked into place: it is complete.
    written: bool,
}

impl Sightings {
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            patience,
            seen: HashSet::new(),
            unsettled: HashMap::new(),
            growing: HashMap::new(),
            scan: None,
        }
    }

    pub(crate) fn scan_begins(&mut self) {
        self.scan = Some((HashSet::with_capacity(self.seen.len()), HashMap::new()));
    }

    /// Takes what a scan found. Whether it is new and complete: to be handed on, once.
    pub(crate) fn listed(&mut self, found: &Sighting, now: Instant) -> bool {
        let digest = found.version.digest(&found.path);
        let known = self.seen.contains(&digest);
        let since = *self.unsettled.get(&digest).unwrap_or(&now);
        let complete = known || self.is_complete(found, since, now);
        if let Some((seen, unsettled)) = &mut self.scan {
            if complete {
                seen.insert(digest);
            } else {
                unsettled.insert(digest, since);
            }
        }
        if complete {
            self.seen.insert(digest);
        }
        complete && !known
    }

    /// A scan that did not reach everything forgets nothing.
    pub(crate) fn scan_ends(&mut self, reached_everything: bool, now: Instant) {
        let Some((seen, unsettled)) = self.scan.take() else { return };
        if reached_everything {
            self.seen = seen;
            self.unsettled = unsettled;
        } else {
            self.unsettled.extend(unsettled);
        }
        self.growing.retain(|_, growth| now - growth.last < self.patience.growing);
    }

    /// Whether another scan will find files complete that were not yet.
    pub(crate) fn are_settling(&self) -> bool {
        !self.unsettled.is_empty()
    }

    /// Takes a file that was closed by its writer or moved into place. Whether it is new.
    pub(crate) fn closed(&mut self, found: &Sighting) -> bool {
        self.growing.remove(&digest(&found.path));
        let digest = found.version.digest(&found.path);
        self.unsettled.remove(&digest);
        if let Some((seen, _)) = &mut self.scan {
            seen.insert(digest);
        }
        self.seen.insert(digest)
    }

    /// Notes that a file appeared at `path`: its writer will close it, unless it was a link.
    pub(crate) fn appeared(&mut self, path: &str, now: Instant) {
        self.note(path, Growth { last: now, written: false });
    }

    /// Notes that somebody writes to the file at `path`, and will close it.
    pub(crate) fn grew(&mut self, path: &str, now: Instant) {
        self.note(path, Growth { last: now, written: true });
    }

    /// Files may have been closed without our hearing of it.
    pub(crate) fn missed(&mut self) {
        self.growing.clear();
    }

    fn note(&mut self, path: &str, growth: Growth) {
        let path = digest(path);
        if self.growing.len() < GROWING_COUNT_MAX || self.growing.contains_key(&path) {
            self.growing.insert(path, growth);
        }
    }

    fn is_complete(&self, found: &Sighting, since: Instant, now: Instant) -> bool {
        let unchanged = now - since >= self.patience.unchanged;
        match self.growing.get(&digest(&found.path)) {
            Some(growth) if growth.written || found.size == 0 => {
                unchanged && now - growth.last >= self.patience.growing
            }
            _ => unchanged || found.age >= self.patience.old,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A folder that is scanned at times counted from the start, in seconds.
    struct Folder {
        sightings: Sightings,
        start: Instant,
    }

    impl Folder {
        fn new() -> Self {
            let sightings = Sightings::new(Patience::FOR_FILES);
            Self { sightings, start: Instant::now() }
        }

        fn at(&self, second: u32) -> Instant {
            self.start + SECOND * second
        }

        /// The versions of `in/a`, each written just now, that a scan hands on.
        fn scan(&mut self, second: u32, versions: &[&str]) -> Vec<bool> {
            let now = self.at(second);
            self.sightings.scan_begins();
            let listed =
                versions.iter().map(|it| self.sightings.listed(&file(it, 0), now)).collect();
            self.sightings.scan_ends(true, now);
            listed
        }
    }

    fn file(version: &str, age: u64) -> Sighting {
        Sighting {
            path: "in/a".into(),
            version: Version::stored(version.into()),
            size: 1,
            age: Duration::from_secs(age),
        }
    }

    #[test]
    fn a_file_counts_when_two_seconds_did_not_change_it() {
        let mut folder = Folder::new();
        assert_eq!(folder.scan(0, &["v1"]), [false]);
        assert_eq!(folder.scan(1, &["v1"]), [false]);
        assert_eq!(folder.scan(2, &["v1"]), [true]);
        assert_eq!(folder.scan(3, &["v1"]), [false], "once");
    }

    #[test]
    fn a_file_that_changes_between_scans_starts_anew() {
        let mut folder = Folder::new();
        assert_eq!(folder.scan(0, &["v1"]), [false]);
        assert_eq!(folder.scan(1, &["v2"]), [false]);
        assert_eq!(folder.scan(2, &["v2"]), [false]);
        assert_eq!(folder.scan(3, &["v2"]), [true]);
        assert_eq!(folder.scan(9, &["v3"]), [false]);
        assert_eq!(folder.scan(11, &["v3"]), [true], "each version counts");
    }

    #[test]
    fn an_old_file_counts_at_once() {
        let mut folder = Folder::new();
        assert!(folder.sightings.listed(&file("v1", 10), folder.at(0)));
        assert!(!folder.sightings.listed(&file("v1", 11), folder.at(1)));
    }

    #[test]
    fn a_closed_file_counts_at_once_and_once() {
        let mut folder = Folder::new();
        assert!(folder.sightings.closed(&file("v1", 0)));
        assert!(!folder.sightings.closed(&file("v1", 0)));
        assert_eq!(folder.scan(5, &["v1"]), [false]);
        assert!(folder.sightings.closed(&file("v2", 0)));
    }

    #[test]
    fn a_file_closed_while_a_scan_is_past_it_is_not_forgotten() {
        let mut folder = Folder::new();
        folder.sightings.scan_begins();
        assert!(folder.sightings.closed(&file("v1", 0)));
        folder.sightings.scan_ends(true, folder.at(0));
        assert_eq!(folder.scan(9, &["v1"]), [false]);
        assert!(!folder.sightings.closed(&file("v1", 0)));
    }

    #[test]
    fn a_file_that_was_seen_growing_gets_a_minute_of_silence() {
        let mut folder = Folder::new();
        folder.sightings.grew("in/a", folder.at(0));
        assert_eq!(folder.scan(1, &["v1"]), [false]);
        folder.sightings.grew("in/a", folder.at(5));
        assert_eq!(folder.scan(64, &["v1"]), [false]);
        assert!(!folder.sightings.listed(&file("v1", 99), folder.at(64)), "its age is no excuse");
        assert_eq!(folder.scan(65, &["v1"]), [true]);
    }

    #[test]
    fn an_empty_file_that_appeared_is_awaited_and_a_full_one_was_linked() {
        let mut folder = Folder::new();
        folder.sightings.appeared("in/a", folder.at(0));
        let empty = Sighting { size: 0, ..file("v0", 0) };
        assert!(!folder.sightings.listed(&empty, folder.at(0)));
        assert_eq!(folder.scan(0, &["v1"]), [false]);
        assert_eq!(folder.scan(2, &["v1"]), [true]);
    }

    #[test]
    fn when_hints_were_missed_nobody_waits_for_them() {
        let mut folder = Folder::new();
        folder.sightings.grew("in/a", folder.at(0));
        assert_eq!(folder.scan(0, &["v1"]), [false]);
        folder.sightings.missed();
        assert_eq!(folder.scan(2, &["v1"]), [true]);
    }

    #[test]
    fn closing_ends_the_growing() {
        let mut folder = Folder::new();
        folder.sightings.grew("in/a", folder.at(0));
        assert!(folder.sightings.closed(&file("v1", 0)));
        assert_eq!(folder.scan(1, &["v2"]), [false]);
        assert_eq!(folder.scan(3, &["v2"]), [true]);
    }

    #[test]
    fn what_a_whole_scan_does_not_find_is_forgotten() {
        let mut folder = Folder::new();
        folder.sightings.closed(&file("v1", 0));
        assert_eq!(folder.scan(1, &[]), [] as [bool; 0]);
        assert!(folder.sightings.seen.is_empty());
        assert!(folder.sightings.closed(&file("v1", 0)), "it is back, and new");
    }

    #[test]
    fn what_a_broken_scan_does_not_find_is_remembered() {
        let mut folder = Folder::new();
        folder.sightings.closed(&file("v1", 0));
        folder.sightings.scan_begins();
        folder.sightings.scan_ends(false, folder.at(1));
        assert!(!folder.sightings.closed(&file("v1", 0)));
    }

    #[test]
    fn the_memory_of_growing_files_is_bounded() {
        let mut folder = Folder::new();
        for number in 0..GROWING_COUNT_MAX + 5 {
            folder.sightings.grew(&number.to_string(), folder.at(0));
        }
        assert_eq!(folder.sightings.growing.len(), GROWING_COUNT_MAX);
        folder.scan(61, &[]);
        assert!(folder.sightings.growing.is_empty());
    }
}
