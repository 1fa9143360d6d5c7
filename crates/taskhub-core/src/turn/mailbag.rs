//! Events that wait for somebody, and those who wait for events, per name.

use std::collections::{BTreeSet, VecDeque};

use foldhash::{HashMap, HashMapExt as _};

use super::Position;
use crate::{Text, Timestamp};

/// Matches raised events with waiters: both first in first out.
#[derive(Debug)]
pub(super) struct Mailbag {
    names: HashMap<String, Name>,
    /// How many bytes the events take that nobody has taken.
    raised_bytes: usize,
}

#[derive(Debug, Default)]
struct Name {
    raised: VecDeque<Raised>,
    waiting: BTreeSet<Waiter>,
}

/// An event that nobody has taken.
#[derive(Debug, Clone)]
pub(super) struct Raised {
    pub position: Position,
    pub at: Timestamp,
    pub name: Text,
    pub input: Option<Text>,
}

/// Somebody who waits: by when the wait began, then the call that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiter {
    pub rank: u64,
    pub seq: u64,
}

/// "The event at this position can go to this waiter."
pub(super) type Offer = (Position, Waiter);

impl Mailbag {
    pub(super) fn new() -> Self {
        Self { names: HashMap::new(), raised_bytes: 0 }
    }

    /// Changes one name's queues; returns the offer that stood before and the one that stands now.
    fn change(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Name),
    ) -> (Option<Offer>, Option<Offer>) {
        let key = fold(name);
        let entry = self.names.entry(key.clone()).or_default();
        let before = entry.offer();
        change(entry);
        let after = entry.offer();
        if entry.raised.is_empty() && entry.waiting.is_empty() {
            self.names.remove(&key);
        }
        (before, after)
    }

    pub(super) fn raise(&mut self, raised: Raised) -> (Option<Offer>, Option<Offer>) {
        let name = raised.name.clone();
        self.raised_bytes += raised.bytes();
        self.change(&name, |entry| entry.raised.push_back(raised))
    }

    pub(super) fn wait(&mut self, name: &str, who: Waiter) -> (Option<Offer>, Option<Offer>) {
        self.change(name, |entry| {
            entry.waiting.insert(who);
        })
    }

    pub(super) fn withdraw(&mut self, name: &str, who: Waiter) -> (Option<Offer>, Option<Offer>) {
        self.change(name, |entry| {
            entry.waiting.remove(&who);
        })
    }

    /// Hands the oldest event of `name` to `who`.
    pub(super) fn take(
        &mut self,
        name: &str,
        who: Waiter,
    ) -> (Option<Raised>, Option<Offer>, Option<Offer>) {
        let mut taken = None;
        let (before, after) = self.change(name, |entry| {
            entry.waiting.remove(&who);
            taken = entry.raised.pop_front();
        });
        self.raised_bytes -= taken.as_ref().map_or(0, Raised::bytes);
        (taken, before, after)
    }

    /// The events that nobody took, oldest first.
    pub(super) fn into_raised(self) -> Vec<Raised> {
        let mut raised: Vec<_> = self.names.into_values().flat_map(|name| name.raised).collect();
        raised.sort_by_key(|raised| raised.position);
        raised
    }

    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        let raised = self.names.values().flat_map(|name| &name.raised);
        debug_assert_eq!(self.raised_bytes, raised.map(Raised::bytes).sum::<usize>());
        // A name has a place in the table, two texts, a tree.
        640 * self.names.len() + self.raised_bytes
    }
}

impl Raised {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        64 + self.input.as_ref().map_or(0, |text| text.len())
    }
}

impl Name {
    fn offer(&self) -> Option<Offer> {
        Some((self.raised.front()?.position, *self.waiting.first()?))
    }
}

/// Names of events are compared in lower case, as Unicode maps it; full case folding it is not:
/// `STRASSE` and `straße` stay two names.
fn fold(name: &str) -> String {
    name.to_lowercase()
}
