//! The work that was outstanding when a partition was opened: a walk over the store's list of busy
//! instances, page by page, as long as there is room for their activities.
//!
//! Whatever becomes busy later is in memory anyway. Only when more instances wait for room than
//! memory holds is the list walked again, from its beginning.

use std::{collections::VecDeque, time::Duration};

use foldhash::{HashSet, HashSetExt as _};

use super::{Decisions, Partition, RETRY_AFTER, Read, slots::Slot};
use crate::mutation::{Mutation, mutated};
use crate::{CommitSeq, InstanceId, Timestamp, store::StoreError};

/// How far the walk has come. It goes on by id, so that it meets nobody twice, and ends.
#[derive(Debug)]
pub(super) struct Busy {
    /// Read, and not yet looked at.
    page: VecDeque<InstanceId>,
    /// The last one that was read.
    after: Option<InstanceId>,
    rest: Rest,
    /// Instances that are being read because the walk came to them.
    loading: HashSet<InstanceId>,
    count_max: usize,
    /// When it went on last though there was no room.
    peeked_at: Timestamp,
}

/// How often the walk goes on though there is no room, and how far: whoever has that may keep it
/// for ever, and behind them may be others whose work has room.
const PEEK_EVERY: Duration = Duration::from_secs(1);
const PEEK_COUNT: usize = 64;

/// What the store may list behind the page.
#[derive(Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    More,
    /// A walk that begins anew: its first page is read once this commit is durable, since only
    /// then the store lists all that were passed over.
    Due(CommitSeq),
    Asked,
    /// A page could not be read: it is asked for again at this time.
    Unread(Timestamp),
}

impl Busy {
    pub(super) fn new(page: Vec<InstanceId>, count_max: usize) -> Self {
        let mut busy = Self {
            page: VecDeque::new(),
            after: None,
            rest: Rest::Nothing,
            loading: HashSet::new(),
            count_max,
            peeked_at: Timestamp::START,
        };
        if !mutated(Mutation::ForgetBusy) {
            busy.take(Ok(page), Timestamp::START);
        }
        busy
    }

    /// A page was read; if that failed it is asked for again, a little later.
    pub(super) fn take(&mut self, page: Result<Vec<InstanceId>, StoreError>, now: Timestamp) {
        self.rest = Rest::Unread(now.plus(RETRY_AFTER));
        let Ok(page) = page else { return };
        self.rest = if page.len() < self.count_max { Rest::Nothing } else { Rest::More };
        self.after = page.last().cloned();
        self.page = page.into();
    }

    /// An instance was read, or could not be.
    pub(super) fn loaded(&mut self, id: &InstanceId) {
        self.loading.remove(id);
    }

    /// How many instances it keeps in memory.
    pub(super) fn len(&self) -> usize {
        self.page.len() + self.loading.len()
    }

    fn is_done(&self) -> bool {
        self.page.is_empty() && self.rest == Rest::Nothing
    }

    /// Walks from the beginning again, to meet those that are busy as of the commit `last`.
    fn begin(&mut self, last: CommitSeq) {
        self.after = None;
        self.rest = Rest::Due(last);
    }

    /// Asks for a further page, unless it has to wait.
    fn next_page(&mut self, durable: CommitSeq, now: Timestamp) -> Option<Read> {
        let ready = match self.rest {
            Rest::More => true,
            Rest::Unread(until) => until <= now,
            Rest::Due(seq) => seq <= durable,
            Rest::Nothing | Rest::Asked => false,
        };
        if !ready || !self.page.is_empty() {
            return None;
        }
        self.rest = Rest::Asked;
        Some(Read::Busy { after: self.after.clone(), limit: self.count_max })
    }
}

impl Partition {
    /// How many instances it may look at now: each may have activities, which need room.
    fn room_to_walk(&self) -> usize {
        self.tasks.spare().saturating_sub(self.busy.loading.len())
    }

    /// How many it may look at though there is no room, when it is time.
    fn room_to_peek(&self) -> usize {
        PEEK_COUNT.min(self.limits.tasks_count_max).saturating_sub(self.busy.loading.len())
    }

    /// When the walk could go on; the past is at once.
    pub(super) fn next_walk(&self) -> Option<Timestamp> {
        if self.busy.is_done() && self.tasks.misses() {
            return Some(Timestamp::START);
        }
        let at = match self.busy.rest {
            _ if !self.busy.page.is_empty() => Timestamp::START,
            Rest::More => Timestamp::START,
            Rest::Due(seq) if seq <= self.outbox.durable() => Timestamp::START,
            Rest::Unread(until) => until,
            Rest::Nothing | Rest::Due(_) | Rest::Asked => return None,
        };
        if self.room_to_walk() > 0 {
            return Some(at);
        }
        let next = self.busy.peeked_at.plus(PEEK_EVERY);
        (self.room_to_peek() > 0).then_some(at.max(next))
    }

    /// Reads busy instances that are not in memory; that makes them go on.
    pub(super) fn walk(&mut self, now: Timestamp, out: &mut Decisions) {
        if self.busy.is_done() && self.tasks.misses() {
            self.tasks.look_for_missing();
            self.busy.begin(self.outbox.last());
        }
        let mut room = self.room_to_walk();
        if room == 0 && self.busy.peeked_at.plus(PEEK_EVERY) <= now {
            room = self.room_to_peek();
            self.busy.peeked_at = now;
        }
        while room > 0
            && let Some(id) = self.busy.page.pop_front()
        {
            match self.slots.get_mut(&id) {
                Some(Slot::Known(instance)) => {
                    room = room.saturating_sub(instance.ledger.unsent.len());
                    self.touch(&id);
                }
                // One that is being read goes on by itself.
                Some(Slot::Absent(_) | Slot::Loading(_)) => {}
                None => {
                    room -= 1;
                    self.busy.loading.insert(id.clone());
                    self.fetch(id, out);
                }
            }
        }
        if room == 0 {
            return;
        }
        out.reads.extend(self.busy.next_page(self.outbox.durable(), now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(0);

    #[test]
    fn a_walk_begins_anew_when_the_store_knows_who_was_passed_over() {
        let mut busy = Busy::new(Vec::new(), 2);
        busy.begin(CommitSeq(5));
        assert_eq!(busy.next_page(CommitSeq(4), NOW), None);
        let first = Read::Busy { after: None, limit: 2 };
        assert_eq!(busy.next_page(CommitSeq(5), NOW), Some(first));
        assert_eq!(busy.next_page(CommitSeq(5), NOW), None, "it is on its way");
    }

    #[test]
    fn a_page_that_could_not_be_read_is_asked_for_again_a_little_later() {
        let id = InstanceId::trusted("a");
        let mut busy = Busy::new(vec![id.clone()], 1);
        busy.page.clear();
        let next = Some(Read::Busy { after: Some(id), limit: 1 });
        assert_eq!(busy.next_page(CommitSeq(0), NOW), next);
        busy.take(Err(StoreError::Unavailable("this is a test".into())), NOW);
        assert_eq!(busy.next_page(CommitSeq(0), NOW), None, "not at once");
        assert_eq!(busy.next_page(CommitSeq(0), NOW.plus(RETRY_AFTER)), next);
        busy.take(Ok(Vec::new()), NOW);
        assert!(busy.is_done());
    }
}
