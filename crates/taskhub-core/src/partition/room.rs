//! Room for one kind of work: so much of it may be out, and no name may take all of that.
//!
//! A name whose workers are slow, or are not there at all, would hold up every other one. So there
//! is room for twice as much as one name may have, and a name gets no more than is still free: it
//! leaves half of the room to others, those leave half of the rest, and so on.

use std::collections::{BTreeSet, VecDeque};

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

use crate::mutation::{Mutation, mutated};
use crate::{ExecutionId, InstanceId, Piece, Text};

/// What is done, by whom: a name, and a version.
pub(super) type Label = (Text, Option<Text>);

/// A piece of work that is out.
pub(super) type Key = (InstanceId, ExecutionId, Piece);

/// What of one kind is out, and what waits for room.
#[derive(Debug)]
pub(super) struct Room {
    out: HashMap<Key, Label>,
    names: HashMap<Label, OfName>,
    /// The names of which something waits.
    short: BTreeSet<Label>,
    /// How many instances wait, of all names.
    waiting: usize,
    count_max: usize,
}

#[derive(Debug)]
struct OfName {
    out: usize,
    /// Instances that found no room, each once.
    queue: VecDeque<InstanceId>,
    queued: HashSet<InstanceId>,
    /// Whether more instances found no room than the queue holds; then the store knows which.
    passed_over: bool,
}

impl OfName {
    fn new() -> Self {
        Self { out: 0, queue: VecDeque::new(), queued: HashSet::new(), passed_over: false }
    }
}

impl Room {
    /// Room for `count_max` of each name, and for twice as much of all names.
    pub(super) fn new(count_max: usize) -> Self {
        let (out, names, short) = (HashMap::new(), HashMap::new(), BTreeSet::new());
        Self { out, names, short, waiting: 0, count_max }
    }

    pub(super) fn is_out(&self, key: &Key) -> bool {
        self.out.contains_key(key)
    }

    /// Whether there is room; if not, the instance waits for it.
    pub(super) fn admit(&mut self, label: &Label, id: &InstanceId) -> bool {
        let out = self.names.get(label).map_or(0, |name| name.out);
        if out < self.free() || mutated(Mutation::Unbounded) {
            return true;
        }
        self.starve(label, id);
        false
    }

    /// Something goes out, if it is not out already.
    pub(super) fn send(&mut self, key: Key, label: Label) -> bool {
        if self.out.contains_key(&key) {
            return false;
        }
        self.names.entry(label.clone()).or_insert_with(OfName::new).out += 1;
        self.out.insert(key, label);
        true
    }

    /// A result came.
    pub(super) fn returned(&mut self, key: &Key) {
        let Some(label) = self.out.remove(key) else { return };
        if let Some(name) = self.names.get_mut(&label) {
            name.out -= 1;
        }
        self.tidy(&label);
    }

    /// Lets an instance wait, as far as the queue may grow beside those of the other names.
    fn starve(&mut self, label: &Label, id: &InstanceId) {
        let free = (8 * self.count_max).saturating_sub(self.waiting);
        let name = self.names.entry(label.clone()).or_insert_with(OfName::new);
        if mutated(Mutation::ForgetStarved) || name.queued.contains(id) {
            return;
        }
        self.short.insert(label.clone());
        if name.queue.len() < free {
            name.queued.insert(id.clone());
            name.queue.push_back(id.clone());
            self.waiting += 1;
        } else {
            name.passed_over = true;
        }
    }

    /// Forgets a name of which nothing is out and nothing waits.
    fn tidy(&mut self, label: &Label) {
        let Some(name) = self.names.get(label) else { return };
        let waits = name.passed_over || !name.queue.is_empty();
        if !waits {
            self.short.remove(label);
            if name.out == 0 {
                self.names.remove(label);
            }
        }
    }

    fn free(&self) -> usize {
        (2 * self.count_max).saturating_sub(self.out.len())
    }

    /// How much may go out of work whose names nobody knows yet; none while something waits.
    pub(super) fn spare(&self) -> usize {
        if self.short.is_empty() { self.free().div_ceil(2) } else { 0 }
    }

    /// How much of a name may go out now, when that is worth while.
    fn share(&self, out: usize) -> usize {
        let share = self.free().saturating_sub(out).div_ceil(2);
        if 2 * share >= out { share } else { 0 }
    }

    /// The names of which something waits, that have room, and whose queue `is` so.
    fn fed(&self, is: impl Fn(&OfName) -> bool) -> impl Iterator<Item = (&Label, usize)> {
        self.short.iter().filter_map(move |label| {
            let name = self.names.get(label).filter(|name| is(name))?;
            Some((label, self.share(name.out))).filter(|(_, share)| *share > 0)
        })
    }

    /// Whether somebody waits for room, and there is room now.
    pub(super) fn is_hungry(&self) -> bool {
        self.fed(|name| !name.queue.is_empty()).next().is_some()
    }

    /// The names that have room for those who wait, and for how many.
    pub(super) fn hungry(&self) -> Vec<(Label, usize)> {
        let fed = self.fed(|name| !name.queue.is_empty());
        fed.map(|(label, share)| (label.clone(), share)).collect()
    }

    /// Who waits longest for room for this name.
    pub(super) fn next(&mut self, label: &Label) -> Option<InstanceId> {
        let name = self.names.get_mut(label)?;
        let id = name.queue.pop_front()?;
        name.queued.remove(&id);
        self.waiting -= 1;
        self.tidy(label);
        Some(id)
    }

    /// Whether there is room for some who were passed over.
    pub(super) fn misses(&self) -> bool {
        self.fed(|name| name.passed_over && name.queue.is_empty()).next().is_some()
    }

    /// Those who were passed over and have room now will be looked for.
    pub(super) fn look_for_missing(&mut self) {
        let missing = self.fed(|name| name.passed_over && name.queue.is_empty());
        let missing: Vec<_> = missing.map(|(label, _)| label.clone()).collect();
        for label in missing {
            if let Some(name) = self.names.get_mut(&label) {
                name.passed_over = false;
            }
            self.tidy(&label);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CallId;

    fn label(name: &str) -> Label {
        (name.into(), None)
    }

    fn id(number: usize) -> InstanceId {
        InstanceId::trusted(format!("i{number}"))
    }

    fn key(number: usize) -> Key {
        (id(number), ExecutionId(1), Piece::Activity(CallId(0)))
    }

    /// Sends out as many of these as there is room for.
    fn fill(room: &mut Room, name: &str, numbers: std::ops::Range<usize>) -> usize {
        let sent = |number: &usize| {
            room.admit(&label(name), &id(*number)) && room.send(key(*number), label(name))
        };
        numbers.filter(sent).count()
    }

    #[test]
    fn a_name_that_nobody_serves_leaves_room_for_others() {
        let mut room = Room::new(100);
        assert_eq!(fill(&mut room, "absent", 0..1_000), 100);
        assert_eq!(fill(&mut room, "slow", 1_000..2_000), 50);
        assert_eq!(fill(&mut room, "served", 2_000..3_000), 25);
        assert!(room.out.len() < 200);
    }

    #[test]
    fn who_found_no_room_gets_it_when_others_of_the_same_name_are_through() {
        let mut room = Room::new(4);
        fill(&mut room, "absent", 0..10);
        assert_eq!(fill(&mut room, "served", 10..20), 2);
        assert!(!room.is_hungry());
        room.returned(&key(10));
        room.returned(&key(11));
        assert_eq!(room.hungry(), [(label("served"), 2)]);
        assert_eq!(room.next(&label("served")), Some(id(12)));
    }

    #[test]
    fn who_was_passed_over_is_looked_for_once_and_when_there_is_room() {
        let mut room = Room::new(1);
        fill(&mut room, "a", 0..100);
        assert!(!room.misses(), "there is none");
        room.returned(&key(0));
        while room.next(&label("a")).is_some() {
            assert!(room.misses() == room.names[&label("a")].queue.is_empty());
        }
        room.look_for_missing();
        assert!(!room.misses() && room.names.is_empty() && room.short.is_empty());
    }

    #[test]
    fn what_waits_is_bounded_whatever_the_names() {
        let mut room = Room::new(10);
        for name in 0..50 {
            fill(&mut room, &name.to_string(), name * 1_000..(name + 1) * 1_000);
        }
        assert!(room.waiting <= 80 && room.out.len() <= 20);
    }
}
