//! Which instances are due when, as far ahead as memory allows; the store has the rest.

use std::{collections::BTreeSet, time::Duration};

use foldhash::{HashMap, HashMapExt as _};

use super::{Decisions, Partition, RETRY_AFTER, Read, slots::Slot};
use crate::mutation::{Mutation, mutated};
use crate::{
    CommitSeq, InstanceId, Timestamp,
    store::{StoreError, Wake},
};

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
    /// A page could not be read: none is asked for before this time.
    rests_until: Option<Timestamp>,
    /// Wakes behind this one came while a page was on its way, and found no room.
    ceiling: Option<Wake>,
    count_max: usize,
}

/// Whether a further page is on its way. While it is, new wakes behind the horizon are kept, so
/// that none falls between the page (read after `Due`'s commit was durable) and the window.
#[derive(Debug, PartialEq, Eq)]
enum Refill {
    Idle,
    Due(CommitSeq),
    Asked,
}

impl Wakes {
    pub(super) fn new(page: Vec<Wake>, count_max: usize) -> Self {
        let mut wakes = Self {
            window: BTreeSet::new(),
            by_instance: HashMap::new(),
            horizon: None,
            refill: Refill::Idle,
            rests_until: None,
            ceiling: None,
            count_max,
        };
        wakes.take(Ok(page), Timestamp::START);
        wakes
    }

    /// How many it keeps: never more than two pages.
    pub(super) fn len(&self) -> usize {
        self.window.len()
    }

    /// A page was read; if that failed it is asked for again, a little later.
    pub(super) fn take(&mut self, page: Result<Vec<Wake>, StoreError>, now: Timestamp) {
        self.refill = Refill::Idle;
        self.rests_until = page.is_err().then(|| now.plus(RETRY_AFTER));
        if let Ok(page) = page {
            self.horizon = if page.len() < self.count_max { None } else { page.last().cloned() };
            for wake in page {
                if !self.by_instance.contains_key(&wake.instance) {
                    self.insert(wake);
                }
            }
        }
        let ceiling = self.ceiling.take();
        self.lower_horizon(ceiling);
        // What lies behind it has gaps: the next page will have it all.
        while self.horizon.is_some() && self.window.last() > self.horizon.as_ref() {
            self.drop_last();
        }
        self.bound();
    }

    fn insert(&mut self, wake: Wake) {
        self.by_instance.insert(wake.instance.clone(), wake.at);
        self.window.insert(wake);
    }

    fn drop_last(&mut self) {
        if let Some(last) = self.window.pop_last() {
            self.by_instance.remove(&last.instance);
        }
    }

    fn lower_horizon(&mut self, end: Option<Wake>) {
        self.horizon = self.horizon.take().into_iter().chain(end).min();
    }

    /// Leaves to the store what is too much.
    fn bound(&mut self) {
        while self.window.len() > 2 * self.count_max {
            self.drop_last();
            let end = self.window.last().cloned();
            if self.refill == Refill::Idle {
                self.lower_horizon(end);
            } else {
                self.ceiling = self.ceiling.take().into_iter().chain(end).min();
            }
        }
    }

    /// When an instance is due, as the store will say.
    pub(super) fn set(&mut self, instance: &InstanceId, due: Option<Timestamp>) {
        if self.by_instance.get(instance).copied() == due {
            return;
        }
        if let Some(at) = self.by_instance.remove(instance) {
            self.window.remove(&Wake { at, instance: instance.clone() });
        }
        let Some(at) = due.filter(|_| !mutated(Mutation::ForgetTimer)) else { return };
        let wake = Wake { at, instance: instance.clone() };
        let beyond = self.horizon.as_ref().is_some_and(|horizon| wake > *horizon);
        if !beyond || self.refill != Refill::Idle {
            self.insert(wake);
            self.bound();
        }
    }

    /// When the next one is due, or a page is to be asked for once more.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.next_due().into_iter().chain(self.rests_until).min()
    }

    fn next_due(&self) -> Option<Timestamp> {
        let late = if mutated(Mutation::FireLate) { 20 } else { 0 };
        self.window.first().map(|wake| wake.at.plus(Duration::from_secs(late)))
    }

    fn pop(&mut self, now: Timestamp) -> Option<InstanceId> {
        if self.next_due()? > now {
            return None;
        }
        let wake = self.window.pop_first()?;
        self.by_instance.remove(&wake.instance);
        Some(wake.instance)
    }

    /// Asks for a further page when the window runs low; after what is written now is durable.
    fn refill(&mut self, last: CommitSeq, durable: CommitSeq, now: Timestamp) -> Option<Read> {
        if self.rests_until.is_some_and(|until| until > now) {
            return None;
        }
        self.rests_until = None;
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
}

impl Partition {
    /// Looks at the instances whose time has come.
    pub(super) fn wake(&mut self, now: Timestamp, out: &mut Decisions) {
        let mut loads = 0;
        while loads < self.limits.wakes_count_max.div_ceil(8)
            && let Some(id) = self.wakes.pop(now)
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
        out.reads.extend(self.wakes.refill(self.outbox.last(), self.outbox.durable(), now));
    }

    /// Asks for an instance that is not in memory.
    pub(super) fn fetch(&mut self, id: InstanceId, out: &mut Decisions) {
        self.slots.put(id.clone(), Slot::Loading(Vec::new()));
        out.reads.push(Read::Instance(id));
    }

    /// Turns the due timers of an instance into arrivals, and notes when it is due next.
    pub(super) fn fire_timers(&mut self, id: &InstanceId, now: Timestamp) {
        let Some(instance) = self.slots.known_mut(id) else { return };
        let early = Duration::from_millis(500);
        let due = if mutated(Mutation::FireEarly) { now.plus(early) } else { now };
        for call in instance.ledger.due(due) {
            instance.arrive(now, crate::Kind::TimerFired { call });
        }
        instance.ledger.pass_start(now);
        if let Some(entity) = instance.runner.entity() {
            entity.wake(now);
        }
        let next = instance.next_due();
        // A start that has come is no longer due, but something to run: the store shall know,
        // since its list has only the earliest time.
        instance.changed |= instance.record.due != next;
        let expired = instance.ledger.deadline.is_some_and(|at| at <= now);
        self.wakes.set(id, next.filter(|at| *at > now));
        if expired {
            self.step(id, now); // What arrived in time comes first.
            let parked = self.slots.known_mut(id).and_then(|known| known.record.stuck.clone());
            let parked = parked.map(|why| format!("; it was parked: {why}")).unwrap_or_default();
            self.terminate(id, now, Some(format!("{EXPIRED}{parked}").into()), true);
        }
        self.touch(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 4;
    const NOW: Timestamp = Timestamp(0);

    fn id(at: i64) -> InstanceId {
        InstanceId::trusted(format!("due at {at}"))
    }

    fn page(times: &[i64]) -> Vec<Wake> {
        times.iter().map(|at| Wake { at: Timestamp(*at), instance: id(*at) }).collect()
    }

    fn set(wakes: &mut Wakes, at: i64) {
        wakes.set(&id(at), Some(Timestamp(at)));
        assert!(wakes.len() <= 2 * PAGE);
    }

    fn pop_all(wakes: &mut Wakes) -> Vec<InstanceId> {
        std::iter::from_fn(|| wakes.pop(Timestamp(i64::MAX))).collect()
    }

    /// A full page was read, and all but two of it has come.
    fn running_low() -> Wakes {
        let mut wakes = Wakes::new(page(&[1, 2, 3, 4]), PAGE);
        assert!(wakes.pop(Timestamp(2)).is_some() && wakes.pop(Timestamp(2)).is_some());
        wakes
    }

    fn behind(at: i64) -> Read {
        Read::Wakes { after: page(&[at]).pop(), limit: PAGE }
    }

    #[test]
    fn a_page_is_asked_for_when_what_was_written_before_is_durable() {
        let mut wakes = running_low();
        assert_eq!(wakes.refill(CommitSeq(7), CommitSeq(6), NOW), None);
        assert_eq!(wakes.refill(CommitSeq(8), CommitSeq(7), NOW), Some(behind(4)));
        assert_eq!(wakes.refill(CommitSeq(8), CommitSeq(8), NOW), None, "it is on its way");
    }

    #[test]
    fn a_wake_is_kept_that_the_page_on_its_way_does_not_have() {
        let mut wakes = running_low();
        wakes.refill(CommitSeq(7), CommitSeq(6), NOW);
        set(&mut wakes, 13);
        wakes.refill(CommitSeq(8), CommitSeq(7), NOW);
        set(&mut wakes, 11);
        wakes.take(Ok(page(&[10, 12, 14, 16])), NOW);
        assert_eq!(pop_all(&mut wakes), [3, 4, 10, 11, 12, 13, 14, 16].map(id));
    }

    #[test]
    fn what_lies_behind_a_gap_waits_for_the_page_that_fills_it() {
        let mut wakes = running_low();
        wakes.refill(CommitSeq(1), CommitSeq(1), NOW);
        for at in 50..54 {
            set(&mut wakes, at);
        }
        wakes.take(Err(StoreError::Unavailable("this is a test".into())), NOW);
        assert_eq!(wakes.refill(CommitSeq(5), CommitSeq(5), NOW), None, "not at once");
        let later = NOW.plus(RETRY_AFTER);
        assert!(wakes.next() <= Some(later));
        assert_eq!(wakes.refill(CommitSeq(5), CommitSeq(5), later), Some(behind(4)));
        wakes.take(Ok(page(&[10, 20, 30, 40])), NOW);
        assert_eq!(pop_all(&mut wakes), [3, 4, 10, 20, 30, 40].map(id));
    }

    #[test]
    fn wakes_that_found_no_room_while_a_page_was_read_come_with_the_next() {
        let mut wakes = running_low();
        wakes.refill(CommitSeq(1), CommitSeq(1), NOW);
        for at in (10..40).rev() {
            set(&mut wakes, at);
        }
        wakes.take(Ok(page(&[60, 70])), NOW);
        assert_eq!(pop_all(&mut wakes), [3, 4, 10, 11, 12, 13, 14, 15].map(id));
        assert_eq!(wakes.refill(CommitSeq(31), CommitSeq(31), NOW), Some(behind(15)));
    }

    #[test]
    fn more_than_two_pages_are_left_to_the_store() {
        let mut wakes = Wakes::new(Vec::new(), PAGE);
        for at in 0..100 {
            set(&mut wakes, at);
        }
        assert_eq!(pop_all(&mut wakes), [0, 1, 2, 3, 4, 5, 6, 7].map(id));
        assert_eq!(wakes.refill(CommitSeq(100), CommitSeq(100), NOW), Some(behind(7)));
    }
}
