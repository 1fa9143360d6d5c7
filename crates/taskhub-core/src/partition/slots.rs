//! The instances that are kept in memory, least recently used first out, within a number of bytes.

use std::fmt;

use foldhash::fast::RandomState;
use lru::LruCache;

use super::{
    Input,
    instance::{Instance, Todo},
};
use crate::mutation::{Mutation, mutated};
use crate::{CommitSeq, InstanceId};

/// What is known about one instance id.
#[derive(Debug)]
pub(super) enum Slot {
    /// It is being read; these inputs wait for it.
    Loading(Vec<Input>),
    /// There is no such instance, as of this commit.
    Absent(CommitSeq),
    /// It exists.
    Known(Box<Instance>),
}

/// Slots by instance id. A slot whose last change is not durable stays.
pub(super) struct Slots {
    by_id: LruCache<InstanceId, (Slot, usize), RandomState>,
    bytes: usize,
    bytes_max: usize,
    /// Those that are to be dropped, so that they are replayed.
    samples: Vec<InstanceId>,
}

impl Slots {
    pub(super) fn new(bytes_max: usize) -> Self {
        let by_id = LruCache::unbounded_with_hasher(RandomState::default());
        Self { by_id, bytes: 0, bytes_max, samples: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get_mut(&mut self, id: &InstanceId) -> Option<&mut Slot> {
        self.by_id.get_mut(id).map(|(slot, _)| slot)
    }

    pub(super) fn known_mut(&mut self, id: &InstanceId) -> Option<&mut Instance> {
        match self.get_mut(id)? {
            Slot::Known(instance) => Some(instance),
            _ => None,
        }
    }

    pub(super) fn put(&mut self, id: InstanceId, slot: Slot) -> Option<Slot> {
        let bytes = slot.bytes();
        self.bytes += bytes;
        let (old, old_bytes) = self.by_id.put(id, (slot, bytes))?;
        self.bytes -= old_bytes;
        Some(old)
    }

    /// Measures a slot again after it was used.
    pub(super) fn measure(&mut self, id: &InstanceId) {
        if let Some((slot, bytes)) = self.by_id.get_mut(id) {
            let now = slot.bytes();
            self.bytes = self.bytes - *bytes + now;
            *bytes = now;
        }
    }

    /// Lets go of this one as soon as all of it is durable.
    pub(super) fn sample(&mut self, id: InstanceId) {
        self.samples.push(id);
    }

    /// Lets go of what is too much, oldest first, and of samples, if all of it is durable.
    pub(super) fn evict(&mut self, durable: CommitSeq) {
        for id in std::mem::take(&mut self.samples) {
            match self.by_id.peek(&id) {
                Some((slot, bytes)) if slot.is_settled(durable) => {
                    self.bytes -= *bytes;
                    self.by_id.pop(&id);
                }
                Some((Slot::Known(_), _)) => self.samples.push(id),
                _ => {}
            }
        }
        let mut kept = 0;
        while self.bytes > self.bytes_max && kept < 32 {
            let Some((id, (slot, bytes))) = self.by_id.pop_lru() else { return };
            let unsafely = matches!(slot, Slot::Known(_)) && mutated(Mutation::EvictUncommitted);
            if slot.is_settled(durable) || unsafely {
                self.bytes -= bytes;
            } else {
                self.by_id.put(id, (slot, bytes));
                kept += 1;
            }
        }
    }
}

impl Slot {
    fn is_settled(&self, durable: CommitSeq) -> bool {
        match self {
            Self::Loading(_) => false,
            Self::Absent(seq) => *seq <= durable,
            // What a worker was given is known in memory only: another reading of the history
            // would give it out again, and not know the first one's answer.
            Self::Known(instance) => {
                instance.seq <= durable
                    && instance.todo == Todo::Nothing
                    && !instance.runner.is_waited_for()
                    && !instance.is_owing()
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Loading(_) | Self::Absent(_) => 256,
            Self::Known(instance) => instance.bytes(),
        }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slots({} in {} bytes)", self.len(), self.bytes)
    }
}
