//! What waits for a worker: first in first out among what one worker may take.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use taskhub_core::{Piece, Task, Timestamp};

use super::{Serves, filter::label};

/// Waiting items, by kind, name and version, so that what nobody takes stands in nobody's way.
#[derive(Debug, Default)]
pub(super) struct Queue {
    by_name: [BTreeMap<Label, BTreeMap<i64, u64>>; Piece::KINDS],
    places: foldhash::HashMap<u64, i64>,
    last: i64,
    first: i64,
    later: BTreeSet<(Timestamp, u64)>,
    /// Until when each of those is put aside.
    until: foldhash::HashMap<u64, Timestamp>,
}

/// A name, in lower case, and a version, if that matters.
type Label = (String, Option<String>);

fn key(task: &Task) -> Label {
    let (name, version) = label(task);
    (name.to_lowercase(), version.map(str::to_owned))
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        let aside = self.until.keys().filter(|number| !self.places.contains_key(*number));
        self.places.len() + aside.count()
    }

    /// Puts an item at the end, or at the front.
    pub(super) fn push(&mut self, task: &Task, number: u64, first: bool) {
        let place = if first {
            self.first -= 1;
            self.first
        } else {
            self.last += 1;
            self.last
        };
        if self.places.contains_key(&number) {
            return;
        }
        self.places.insert(number, place);
        let of_kind = &mut self.by_name[task.ticket.piece.kind()];
        of_kind.entry(key(task)).or_default().insert(place, number);
    }

    /// Puts an item aside until then; it may stand in the queue as well.
    pub(super) fn push_later(&mut self, at: Timestamp, number: u64) {
        if let Some(earlier) = self.until.insert(number, at) {
            self.later.remove(&(earlier, number));
        }
        self.later.insert((at, number));
    }

    /// An item is put aside no longer.
    pub(super) fn take_up(&mut self, number: u64) {
        if let Some(at) = self.until.remove(&number) {
            self.later.remove(&(at, number));
        }
    }

    /// Whether an item is put aside.
    pub(super) fn is_later(&self, number: u64) -> bool {
        self.until.contains_key(&number)
    }

    /// Takes the oldest item out that such a worker takes, of those that it may have.
    pub(super) fn pop(
        &mut self,
        kind: usize,
        serves: &Serves,
        may: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        let names = serves.names(kind);
        let of_kind = &mut self.by_name[kind];
        let taken =
            of_kind.iter().filter(|((name, version), _)| names.contain(name, version.as_deref()));
        let heads = taken.filter_map(|(key, items)| {
            let (place, number) = items.iter().find(|(_, number)| may(**number))?;
            Some((*place, *number, key))
        });
        let (place, number, key) = heads.min_by_key(|(place, ..)| *place)?;
        let key = key.clone();
        let items = of_kind.get_mut(&key)?;
        items.remove(&place);
        if items.is_empty() {
            of_kind.remove(&key);
        }
        self.places.remove(&number);
        Some(number)
    }

    /// Takes an item out.
    pub(super) fn remove(&mut self, task: &Task, number: u64) {
        if let Some(place) = self.places.remove(&number) {
            let (of_kind, key) = (&mut self.by_name[task.ticket.piece.kind()], key(task));
            if let Some(items) = of_kind.get_mut(&key) {
                items.remove(&place);
                if items.is_empty() {
                    of_kind.remove(&key);
                }
            }
        }
    }

    /// Takes out what was put aside until now.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<u64> {
        let mut due = Vec::new();
        while let Some((at, number)) = self.later.pop_first() {
            if at > now {
                self.later.insert((at, number));
                break;
            }
            self.until.remove(&number);
            due.push(number);
        }
        due
    }

    /// Takes out what was put aside until some time, and is wanted now; but not what stands in the
    /// queue as well.
    pub(super) fn hasten(&mut self, wanted: impl Fn(&u64) -> bool) -> Vec<u64> {
        let wanted = |number: &u64| !self.places.contains_key(number) && wanted(number);
        let hastened = self.later.extract_if(.., |(_, number)| wanted(number));
        let hastened: Vec<_> = hastened.map(|(_, number)| number).collect();
        for number in &hastened {
            self.until.remove(number);
        }
        hastened
    }

    /// Until when the first item is put aside.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.later.first().map(|(at, _)| *at)
    }
}

/// How long something is put aside that came back so many times: 100 ms, 200 ms, and so on, up to
/// 30 s.
pub(super) fn pause(times: u32) -> Duration {
    let doubled =
        Duration::from_millis(100) * 2_u32.saturating_pow(times.saturating_sub(1).min(20));
    doubled.min(Duration::from_secs(30))
}
