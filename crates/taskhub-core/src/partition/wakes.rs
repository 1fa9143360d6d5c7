//! Which instances want attention when, as far ahead as memory allows; the store has the rest.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt as _};

use super::{Decisions, Partition, Read, slots::Slot};
use crate::mutation::{Mutation, mutated};
use crate::{CommitSeq, InstanceId, Timestamp, store::Wake};

/// The reason given when an instance reaches its deadline.
const EXPIRED: &str = "it did not end within the time it was given";

/// A window on the store's list of wakes: its beginning, in memory.
#[derive(Debug)]
pub(super) struct Wakes {
    window: BTreeSet<Wake>,
    by_instance: HashMap<InstanceId, Timestamp>,
    /// Wakes behind this one are in the store only; `None` when all are in memory.
    horizon: Option<Wake>,
    refill: Refill,
    count_max: usize,
    /// Timers that the store cannot tell of, as it lists their instances as "at once": those of
    /// instances in memory or with activities out, and of parked ones.
    alarms: BTreeSet<Wake>,
    alarm_of: HashMap<InstanceId, Timestamp>,
}

/// Whether a further page is on its way. While it is, every new wake is kept, so that none falls
/// between the page (read after `Due`'s commit was durable) and the window.
#[derive(Debug, PartialEq, Eq)]
enum Refill {
    Idle,
    Due(CommitSeq),
    Asked,
    /// A page is on its way that is of no use any more.
    Stale,
}

impl Wakes {
    pub(super) fn new(page: Vec<Wake>, count_max: usize) -> Self {
        let mut wakes = Self {
            window: BTreeSet::new(),
            by_instance: HashMap::new(),
            horizon: None,
            refill: Refill::Idle,
            count_max,
            alarms: BTreeSet::new(),
            alarm_of: HashMap::new(),
        };
        wakes.extend(page);
        wakes
    }

    fn extend(&mut self, page: Vec<Wake>) {
        self.horizon = if page.len() < self.count_max { None } else { page.last().cloned() };
        for wake in page {
            if !self.by_instance.contains_key(&wake.instance) {
                self.insert(wake);
            }
        }
    }

    fn insert(&mut self, wake: Wake) {
        self.by_instance.insert(wake.instance.clone(), wake.at);
        self.window.insert(wake);
    }

    /// When the store lists an instance, and when its next timer is due.
    pub(super) fn set(
        &mut self,
        instance: &InstanceId,
        attention: Option<Timestamp>,
        due: Option<Timestamp>,
    ) {
        let at_once = attention == Some(Timestamp::START);
        self.set_listed(instance, attention.filter(|_| !at_once));
        self.set_alarm(instance, due.filter(|_| at_once));
    }

    fn set_alarm(&mut self, instance: &InstanceId, due: Option<Timestamp>) {
        let old = match due {
            Some(at) => self.alarm_of.insert(instance.clone(), at),
            None => self.alarm_of.remove(instance),
        };
        if let Some(at) = old {
            self.alarms.remove(&Wake { at, instance: instance.clone() });
        }
        self.alarms.extend(due.map(|at| Wake { at, instance: instance.clone() }));
    }

    fn set_listed(&mut self, instance: &InstanceId, at: Option<Timestamp>) {
        if self.by_instance.get(instance).copied() == at {
            return;
        }
        if let Some(at) = self.by_instance.remove(instance) {
            self.window.remove(&Wake { at, instance: instance.clone() });
        }
        let Some(at) = at.filter(|_| !mutated(Mutation::ForgetTimer)) else { return };
        let wake = Wake { at, instance: instance.clone() };
        let beyond = self.horizon.as_ref().is_some_and(|horizon| wake > *horizon);
        if beyond && self.refill == Refill::Idle {
            return;
        }
        self.insert(wake);
        if self.window.len() > 2 * self.count_max
            && self.refill == Refill::Idle
            && let Some(last) = self.window.pop_last()
        {
            self.by_instance.remove(&last.instance);
            // Never further than before: what lies between was not read.
            let end = self.window.last();
            self.horizon = self.horizon.iter().chain(end).min().cloned();
        }
    }

    /// When the next one is due; those that only resume activities count while there is `room`.
    pub(super) fn next(&self, room: bool) -> Option<Timestamp> {
        self.first(room).map(|wake| wake.at)
    }

    fn first(&self, room: bool) -> Option<&Wake> {
        let listed = if room {
            self.window.first()
        } else {
            let start = Timestamp(Timestamp::START.0 + 1);
            let start = Wake { at: start, instance: InstanceId::trusted("") };
            self.window.range(start..).next()
        };
        listed.into_iter().chain(self.alarms.first()).min()
    }

    fn pop(&mut self, now: Timestamp, room: bool) -> Option<InstanceId> {
        let wake = self.first(room).filter(|wake| wake.at <= now)?.clone();
        if self.window.remove(&wake) {
            self.by_instance.remove(&wake.instance);
        } else {
            self.set_alarm(&wake.instance, None);
        }
        Some(wake.instance)
    }

    /// Asks for a further page when the window runs low; after what is written now is durable.
    fn refill(&mut self, last: CommitSeq, durable: CommitSeq) -> Option<Read> {
        if self.refill == Refill::Idle
            && self.horizon.is_some()
            && self.window.len() <= self.count_max / 2
        {
            self.refill = Refill::Due(last);
        }
        let Refill::Due(seq) = self.refill else { return None };
        if seq > durable {
            return None;
        }
        self.refill = Refill::Asked;
        Some(Read::Wakes { after: self.horizon.clone(), limit: self.count_max })
    }

    /// All wakes are to be read again from the beginning, since some were passed over.
    pub(super) fn read_again(&mut self) {
        let first = Wake { at: Timestamp::START, instance: InstanceId::trusted("") };
        self.horizon = Some(first);
        self.window.clear();
        self.by_instance.clear();
        if self.refill == Refill::Asked {
            self.refill = Refill::Stale;
        }
    }
}

impl Partition {
    /// Looks at the instances whose time has come.
    pub(super) fn wake(&mut self, now: Timestamp, out: &mut Decisions) {
        let mut loads = 0;
        while loads < self.limits.wakes_count_max.div_ceil(8)
            && let Some(id) = self.wakes.pop(now, self.tasks.has_room())
        {
            match self.slots.get_mut(&id) {
                Some(Slot::Known(_)) => self.fire_timers(&id, now),
                // One that is being read fires its timers then.
                Some(Slot::Absent(_) | Slot::Loading(_)) => {}
                None => {
                    loads += 1;
                    self.fetch(id, out);
                }
            }
        }
        while let Some((at, id)) = self.retries.pop_first() {
            if at > now {
                self.retries.insert((at, id));
                break;
            }
            out.reads.push(Read::Instance(id));
        }
        out.reads.extend(self.wakes.refill(self.outbox.last(), self.outbox.durable()));
    }

    /// Asks for an instance that is not in memory.
    pub(super) fn fetch(&mut self, id: InstanceId, out: &mut Decisions) {
        self.slots.put(id.clone(), Slot::Loading(Vec::new()));
        out.reads.push(Read::Instance(id));
    }

    /// Turns the due timers of an instance into arrivals.
    pub(super) fn fire_timers(&mut self, id: &InstanceId, now: Timestamp) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        let early = std::time::Duration::from_millis(500);
        let due = if mutated(Mutation::FireEarly) { now.plus(early) } else { now };
        for call in instance.ledger.due(due) {
            instance.arrive(now, crate::Kind::TimerFired { call });
        }
        if instance.ledger.deadline.is_some_and(|at| at <= now) {
            self.step(id, now); // What arrived in time comes first.
            self.terminate(id, now, Some(EXPIRED.into()), true);
        }
        self.touch(id);
    }

    /// A page of wakes was read; if that failed it is asked for again.
    pub(super) fn take_wakes(&mut self, page: Result<Vec<Wake>, crate::store::StoreError>) {
        let stale = self.wakes.refill == Refill::Stale;
        self.wakes.refill = Refill::Idle;
        if let (Ok(page), false) = (page, stale) {
            self.wakes.extend(page);
        }
    }
}
