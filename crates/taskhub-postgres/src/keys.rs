//! Under which key each instance stands: those that are known, and those that are still free.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::FixedState;
use lru::LruCache;
use taskhub_core::{InstanceId, Record};

/// Instances whose keys are remembered. One takes some 150 bytes.
const KEYS_COUNT_MAX: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// How many keys one value of the sequence stands for: what the schema says.
const BLOCK: i64 = 1_000;

/// What a store knows about keys. It may be wrong about an instance that another node has purged
/// and made again: a commit finds out.
pub(crate) struct Keys {
    known: Mutex<LruCache<InstanceId, i64, FixedState>>,
    free: Mutex<Vec<Range<i64>>>,
}

/// The keys of instances that a batch names.
pub(crate) type Known<'a> = HashMap<&'a InstanceId, i64, FixedState>;

impl Keys {
    pub(crate) fn new() -> Self {
        let known = LruCache::with_hasher(KEYS_COUNT_MAX, FixedState::default());
        Self { known: Mutex::new(known), free: Mutex::default() }
    }

    /// Those of these instances that are known.
    pub(crate) fn of<'a>(&self, ids: impl Iterator<Item = &'a InstanceId>) -> Known<'a> {
        let mut known = lock(&self.known);
        ids.filter_map(|id| Some((id, *known.get(id)?))).collect()
    }

    /// Remembers an instance. One that has ended is not written again soon.
    pub(crate) fn remember(&self, id: &InstanceId, key: i64, record: &Record) {
        if record.status.is_terminal() {
            self.forget(id);
        } else {
            lock(&self.known).put(id.clone(), key);
        }
    }

    pub(crate) fn forget(&self, id: &InstanceId) {
        lock(&self.known).pop(id);
    }

    /// Takes `count` free keys, lowest first; `None`, and none are taken, when there are too few.
    pub(crate) fn take(&self, count: usize) -> Option<Vec<i64>> {
        let mut free = lock(&self.free);
        let there: i64 = free.iter().map(|range| range.end - range.start).sum();
        if usize::try_from(there).unwrap_or(usize::MAX) < count {
            return None;
        }
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            match free.first_mut().and_then(Iterator::next) {
                Some(key) => taken.push(key),
                None => drop(free.remove(0)),
            }
        }
        Some(taken)
    }

    /// How many blocks to ask the sequence for when so many keys are needed.
    pub(crate) fn blocks(count: usize) -> i32 {
        i32::try_from(count / 1_000 + 1).unwrap_or(i32::MAX)
    }

    /// Adds the blocks that begin here.
    pub(crate) fn add(&self, firsts: impl Iterator<Item = i64>) {
        lock(&self.free).extend(firsts.map(|first| first..first + BLOCK));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_given_twice() {
        let keys = Keys::new();
        assert_eq!(keys.take(1), None);
        keys.add([1, 5_001].into_iter());
        let mut all = keys.take(999).expect("there are enough");
        all.extend(keys.take(3).expect("there are enough"));
        assert_eq!(all[998..], [999, 1_000, 5_001, 5_002]);
        assert_eq!(keys.take(999), None);
        assert_eq!(keys.take(0), Some(vec![]));
    }
}
