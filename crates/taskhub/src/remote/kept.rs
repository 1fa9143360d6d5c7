//! The code of orchestrations, kept between their turns as long as there is room.

use std::num::NonZeroUsize;

use lru::LruCache;
use taskhub_core::{Event, ExecutionId, InstanceId, turn::Execution};
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

    /// Takes the code of an execution out, if it is here and stands at the end of this history. If
    /// it stands elsewhere it is of no use any more: a turn of it did not count, or another worker
    /// had one.
    pub(super) fn take(&mut self, key: &Key, extent: Extent) -> Option<Kept> {
        let (kept, bytes) = self.kept.pop(key)?;
        self.bytes -= bytes;
        Some(kept).filter(|kept| kept.extent == extent)
    }

    pub(super) fn put(&mut self, key: Key, kept: Kept) {
        let bytes = kept.execution.bytes() + 256 * (kept.calls.len() + 1);
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
