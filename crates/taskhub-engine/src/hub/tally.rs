//! What a hub has done since it was opened: a few numbers, added to once per commit.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use taskhub_core::{Batch, Change, HistoryChange, Record, RuntimeStatus, TurnRecord};

/// How much a hub has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Commits that succeeded.
    pub commits: u64,
    /// Commits that failed.
    pub failures: u64,
    /// Changes of instances in these commits.
    pub changes: u64,
    /// About how many bytes were committed.
    pub bytes: u64,
    /// How long all commits took together, in microseconds.
    pub micros: u64,
    /// Orchestrations that were started, children included.
    pub started: u64,
    /// Orchestrations that returned.
    pub completed: u64,
    /// Orchestrations that failed.
    pub failed: u64,
    /// Orchestrations that were terminated.
    pub terminated: u64,
}

/// Such numbers while they grow. Only the threads of the lanes write.
#[derive(Default)]
pub(super) struct Tallies {
    commits: AtomicU64,
    failures: AtomicU64,
    changes: AtomicU64,
    bytes: AtomicU64,
    micros: AtomicU64,
    started: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    terminated: AtomicU64,
    watch: Mutex<Option<Watch>>,
}

/// Who is told of every change that was committed.
pub(super) type Watch = Box<dyn Fn(&TurnRecord) + Send + Sync>;

impl fmt::Debug for Tallies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tallies({:?})", self.now())
    }
}

impl Tallies {
    /// Who is told of every change from now on, if anybody.
    pub(super) fn watched(&self, watch: Option<Watch>) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = watch;
    }

    /// A commit succeeded.
    pub(super) fn committed(&self, batch: &Batch, took: Duration) {
        if let Some(watch) = &*self.watch.lock().unwrap_or_else(PoisonError::into_inner) {
            batch.turns.iter().for_each(watch);
        }
        let mut tally = Tally { commits: 1, ..Tally::default() };
        tally.micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for turn in &batch.turns {
            tally.note(turn);
        }
        let numbers = [
            (&self.commits, tally.commits),
            (&self.changes, tally.changes),
            (&self.bytes, tally.bytes),
            (&self.micros, tally.micros),
            (&self.started, tally.started),
            (&self.completed, tally.completed),
            (&self.failed, tally.failed),
            (&self.terminated, tally.terminated),
        ];
        for (total, more) in numbers.into_iter().filter(|(_, more)| *more > 0) {
            total.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// A commit failed.
    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// The numbers as they are now.
    pub(super) fn now(&self) -> Tally {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Tally {
            commits: read(&self.commits),
            failures: read(&self.failures),
            changes: read(&self.changes),
            bytes: read(&self.bytes),
            micros: read(&self.micros),
            started: read(&self.started),
            completed: read(&self.completed),
            failed: read(&self.failed),
            terminated: read(&self.terminated),
        }
    }
}

impl Tally {
    fn note(&mut self, turn: &TurnRecord) {
        self.changes += 1;
        self.bytes += u64::try_from(turn.bytes()).unwrap_or_default();
        if let Change::Write { record, history } = &turn.change
            && turn.instance.as_entity().is_none()
        {
            self.orchestration(record, history);
        }
    }

    fn orchestration(&mut self, record: &Record, history: &HistoryChange) {
        let is_first = matches!(history, HistoryChange::Append { at: 0, .. });
        self.started += u64::from(is_first && !record.name.is_empty());
        // What an instance that has ended hears afterwards is no end.
        if *history == HistoryChange::Keep || record.completed_at != Some(record.updated_at) {
            return;
        }
        match record.status {
            RuntimeStatus::Completed => self.completed += 1,
            RuntimeStatus::Failed => self.failed += 1,
            RuntimeStatus::Terminated => self.terminated += 1,
            _ => {}
        }
    }
}
