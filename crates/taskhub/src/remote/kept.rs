//! The code of orchestrations, kept between their turns as long as there is room.

use std::{collections::BTreeSet, num::NonZeroUsize};

use lru::LruCache;
use taskhub_core::{CallId, Event, ExecutionId, InstanceId, turn::Execution};
use taskhub_wire::Extent;

/// How many are kept at most, however small they are.
const COUNT_MAX: NonZeroUsize = NonZeroUsize::new(100_000).expect("it is not 0");

/// What names one execution: the ids of the instance and of the execution, as they were sent.
pub(super) type Key = (String, Option<String>);

/// Code that stands at the end of a history.
pub(super) struct Kept {
    /// The instance.
    pub instance: InstanceId,
    /// Its execution.
    pub id: ExecutionId,
    /// The suspended code.
    pub execution: Execution,
    /// How far the history goes.
    pub extent: Extent,
    /// The place of the next event that it absorbs.
    pub position: u64,
    /// What it called that will be answered by name.
    pub calls: Vec<Event>,
    /// The activities that it called and that have not ended.
    pub open: BTreeSet<CallId>,
    /// What the last turn is called.
    pub mark: u64,
    /// Whether that was run ahead: nobody knows yet whether it counts.
    pub is_ahead: bool,
}

/// All that is kept on one thread; what was not used for longest goes first.
pub(super) struct Shelf {
    kept: LruCache<Key, (Kept, usize)>,
    bytes: usize,
    bytes_max: usize,
}

impl Shelf {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { kept: LruCache::new(COUNT_MAX), bytes: 0, bytes_max }
    }

    /// Takes the code of an execution out, if it is here and stands at the end of this history,
    /// whose last turn is called so. If it stands elsewhere it is of no use any more: a turn of it
    /// did not count, or another worker had one.
    pub(super) fn take(&mut self, key: &Key, extent: Extent, mark: u64) -> Option<Kept> {
        let kept = self.take_out(key)?;
        // What a turn ahead took was not durable before: another history may be as long.
        let is_there = |kept: &Kept| kept.extent == extent && (!kept.is_ahead || kept.mark == mark);
        Some(kept).filter(is_there)
    }

    /// Takes the code of an execution out, if it is here and this is the last activity that has not
    /// ended. The results of several are better taken by one turn.
    pub(super) fn take_for(&mut self, key: &Key, last: CallId) -> Option<Kept> {
        let (kept, _) = self.kept.peek(key)?;
        let is_last = kept.open.len() == 1 && kept.open.contains(&last);
        if is_last { self.take_out(key) } else { None }
    }

    fn take_out(&mut self, key: &Key) -> Option<Kept> {
        let (kept, bytes) = self.kept.pop(key)?;
        self.bytes -= bytes;
        Some(kept)
    }

    pub(super) fn put(&mut self, key: Key, kept: Kept) {
        let bytes = kept.execution.bytes() + 256 * (kept.calls.len() + 1) + 32 * kept.open.len();
        self.bytes += bytes;
        if let Some((_, (_, bytes))) = self.kept.push(key, (kept, bytes)) {
            self.bytes -= bytes;
        }
        while self.bytes > self.bytes_max
            && let Some((_, (_, bytes))) = self.kept.pop_lru()
        {
            self.bytes -= bytes;
        }
    }
}
