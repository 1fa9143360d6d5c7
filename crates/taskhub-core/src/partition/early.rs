//! Instances that nobody has started: their events are kept for a time, up to a number.
//!
//! The store lists them as busy. So a new owner meets them on its walk over that list, and knows
//! soon how many there are.

use foldhash::{HashSet, HashSetExt as _};

use super::{
    Partition,
    instance::{Instance, Reply},
    requests::refused,
    slots::Slot,
};
use crate::mutation::{Mutation, mutated};
use crate::{Answer, Change, InstanceId, Kind, Limits, Refusal, RequestId, Timestamp};

/// Which instances of a partition have events, and are not started.
#[derive(Debug)]
pub(super) struct Awaited {
    ids: HashSet<InstanceId>,
    count_max: usize,
}

impl Awaited {
    /// None yet; the partition is one of `partitions`.
    pub(super) fn new(limits: &Limits, partitions: u16) -> Self {
        let count_max = limits.early_instances_max.div_ceil(usize::from(partitions.max(1)));
        Self { ids: HashSet::new(), count_max }
    }

    /// One was read.
    pub(super) fn found(&mut self, id: &InstanceId) {
        self.ids.insert(id.clone());
    }

    /// An instance changes: it may be one of them, or not any more.
    pub(super) fn note(&mut self, id: &InstanceId, change: &Change) {
        match change {
            Change::Write { record, .. } if record.is_awaited(id) => self.found(id),
            Change::Write { .. } | Change::Purge if !self.ids.is_empty() => {
                self.ids.remove(id);
            }
            _ => {}
        }
    }
}

impl Partition {
    /// Keeps an event for an instance that nobody has started yet.
    pub(super) fn keep(
        &mut self,
        request: RequestId,
        id: &InstanceId,
        event: Kind,
        until: Timestamp,
        now: Timestamp,
    ) {
        if until <= now {
            return self.answer(request, Answer::Refused(Refusal::NotFound(id.clone())));
        }
        if self.slots.known_mut(id).is_none() {
            let is_full = self.awaited.ids.len() >= self.awaited.count_max;
            if is_full && !mutated(Mutation::KeepForAll) {
                let why = Refusal::Busy("events wait for too many instances that are not started");
                return self.answer(request, Answer::Refused(why));
            }
            let mut instance = Instance::early(id.clone(), now);
            if let Some(Slot::Absent(seq)) = self.slots.get_mut(id) {
                instance.seq = *seq;
            }
            self.slots.put(id.clone(), Slot::Known(Box::new(instance)));
        }
        let Some(instance) = self.slots.known_mut(id) else { return };
        let Some(early) = instance.runner.early() else { return };
        let bytes = early.payload_bytes() + event.payload_bytes();
        if early.events.len() >= self.limits.early_events_max || bytes > self.limits.turn_bytes_max
        {
            let why = Refusal::Busy("too many events wait for an instance that is not started");
            return self.reply(request, id, refused(why));
        }
        if early.until < until {
            instance.arrive(now, Kind::Awaited { until });
        }
        instance.arrive(now, event);
        self.reply(request, id, Reply::Answer(Answer::Done));
    }
}
