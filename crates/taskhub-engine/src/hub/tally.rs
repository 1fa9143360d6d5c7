//! What a hub has done since it was opened: a few numbers, added to once per commit.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use taskhub_core::{Batch, Change, HistoryChange, Record, RuntimeStatus, TurnRecord};

use super::times::{Clocked, Times};

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
    /// How long each commit took that succeeded.
    pub commit_times: Times,
    /// Orchestrations that were started, children included.
    pub started: u64,
    /// Orchestrations that returned.
    pub completed: u64,
    /// Orchestrations that failed.
    pub failed: u64,
    /// Orchestrations that were terminated.
    pub terminated: u64,
    /// Changes that turns decided, to be committed.
    pub turns: u64,
    /// How long the threads of turns took for them together, in microseconds.
    pub turn_micros: u64,
    /// How long it was from when each of them was begun to be decided until it was durable.
    pub turn_times: Times,
    /// Reads of instances that were not in memory.
    pub reads: u64,
    /// Changes that wait until a lane has room for them, now.
    pub waiting: u64,
    /// Instances in memory, now.
    pub cached: u64,
    /// About how many bytes these take.
    pub cached_bytes: u64,
}

/// Such numbers while they grow: those of commits by the threads of the lanes, those of turns by
/// their threads.
#[derive(Default)]
pub(super) struct Tallies {
    commits: AtomicU64,
    failures: AtomicU64,
    changes: AtomicU64,
    bytes: AtomicU64,
    commit_times: Clocked,
    started: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    terminated: AtomicU64,
    turns: AtomicU64,
    turn_micros: AtomicU64,
    turn_times: Clocked,
    reads: AtomicU64,
    waiting: AtomicU64,
    caches: Mutex<Vec<Arc<Cached>>>,
    watch: Mutex<Option<Watch>>,
    /// Why nothing can be committed, as long as that is so.
    failing: Mutex<Option<String>>,
    /// Whether other nodes have the hub and answer nothing of what this one asks.
    is_apart: AtomicBool,
}

/// What one thread of turns has in memory.
#[derive(Debug, Default)]
pub(super) struct Cached {
    instances: AtomicU64,
    bytes: AtomicU64,
}

impl Cached {
    /// So many instances, in so many bytes.
    pub(super) fn set(&self, (instances, bytes): (usize, usize)) {
        self.instances.store(number(instances), Ordering::Relaxed);
        self.bytes.store(number(bytes), Ordering::Relaxed);
    }
}

/// Who is told of every change that was committed.
pub(super) type Watch = Arc<dyn Fn(&TurnRecord) + Send + Sync>;

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

    /// The place for what one more thread of turns has in memory.
    pub(super) fn cached(&self) -> Arc<Cached> {
        let cached = Arc::<Cached>::default();
        self.caches.lock().unwrap_or_else(PoisonError::into_inner).push(cached.clone());
        cached
    }

    /// A thread of turns decided so many changes and reads, and took so long for it.
    pub(super) fn turned(&self, turns: usize, reads: usize, took: Duration) {
        let (turns, reads) = (number(turns), number(reads));
        add([
            (&self.turns, turns),
            (&self.waiting, turns),
            (&self.reads, reads),
            (&self.turn_micros, micros(took)),
        ]);
    }

    /// A lane took so many changes.
    pub(super) fn taken(&self, turns: usize) {
        self.waiting.fetch_sub(number(turns), Ordering::Relaxed);
    }

    /// A commit succeeded.
    pub(super) fn committed(&self, batch: &Batch, took: Duration) {
        // Other lanes need not wait for who is told.
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(watch) = watch {
            batch.turns.iter().for_each(&*watch);
        }
        self.commit_times.took(took, 1);
        let mut tally = Tally { commits: 1, ..Tally::default() };
        for turn in &batch.turns {
            tally.note(turn);
        }
        add([
            (&self.commits, tally.commits),
            (&self.changes, tally.changes),
            (&self.bytes, tally.bytes),
            (&self.started, tally.started),
            (&self.completed, tally.completed),
            (&self.failed, tally.failed),
            (&self.terminated, tally.terminated),
        ]);
    }

    /// So many changes are durable, so long after a thread of turns began with them.
    pub(super) fn durable(&self, turns: usize, after: Duration) {
        self.turn_times.took(after, number(turns));
    }

    /// The store fails, or works again.
    pub(super) fn fails(&self, why: Option<String>) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Why the store fails, if it does.
    pub(super) fn failing(&self) -> Option<String> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether those that have the hub answer what this node asks.
    pub(super) fn is_answered(&self, is_answered: bool) {
        self.is_apart.store(!is_answered, Ordering::Relaxed);
    }

    /// Whether they do not.
    pub(super) fn is_apart(&self) -> bool {
        self.is_apart.load(Ordering::Relaxed)
    }

    /// A commit failed.
    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// The sum over all threads of turns.
    fn caches(&self, which: impl Fn(&Cached) -> &AtomicU64) -> u64 {
        let caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        caches.iter().map(|cached| which(cached).load(Ordering::Relaxed)).sum()
    }

    /// The numbers as they are now.
    pub(super) fn now(&self) -> Tally {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Tally {
            commits: read(&self.commits),
            failures: read(&self.failures),
            changes: read(&self.changes),
            bytes: read(&self.bytes),
            commit_times: self.commit_times.now(),
            started: read(&self.started),
            completed: read(&self.completed),
            failed: read(&self.failed),
            terminated: read(&self.terminated),
            turns: read(&self.turns),
            turn_micros: read(&self.turn_micros),
            turn_times: self.turn_times.now(),
            reads: read(&self.reads),
            waiting: read(&self.waiting),
            cached: self.caches(|cached| &cached.instances),
            cached_bytes: self.caches(|cached| &cached.bytes),
        }
    }
}

/// Nothing is written where nothing is added: the threads share these.
fn add<const N: usize>(numbers: [(&AtomicU64, u64); N]) {
    for (total, more) in numbers.into_iter().filter(|(_, more)| *more > 0) {
        total.fetch_add(more, Ordering::Relaxed);
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Tally {
    fn note(&mut self, turn: &TurnRecord) {
        self.changes += 1;
        self.bytes += u64::try_from(turn.bytes()).unwrap_or_default();
        if let Change::Write { record, history, .. } = &turn.change
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
