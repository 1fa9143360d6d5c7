//! An entity in memory: its state, who has locked it, and what it was asked for.
//!
//! An entity is an instance whose history does not grow: what it is asked for is appended as it
//! comes, and each of its turns begins the history anew with its state and what is still to do.

use std::collections::{BTreeMap, VecDeque};

use crate::mutation::{Mutation, mutated};
use crate::{EntityState, Event, Kind, Lock, LockRequest, Piece, Requested, Text, Timestamp};

/// What is known of an entity.
#[derive(Debug, Default)]
pub(super) struct Entity {
    /// Its state, and its lock.
    pub now: EntityState,
    /// What it was asked for and has not done, oldest first.
    queue: VecDeque<Item>,
    /// What it was asked to do later, by time, then by when it was asked.
    delayed: BTreeMap<(Timestamp, u64), Requested>,
    asked: u64,
    /// The operations that a worker has: the piece, and what it is.
    out: Option<(Piece, Vec<Requested>)>,
    /// So many of the next operations are given out one at a time.
    alone: usize,
    /// How many bytes all that waits takes, what a worker has included.
    waiting_bytes: usize,
}

/// Something that an entity was asked for.
#[derive(Debug, Clone)]
enum Item {
    Operation(Requested),
    Lock(LockRequest),
}

impl Entity {
    /// What a history comes to.
    pub(super) fn of(history: &[Event]) -> Self {
        let mut entity = Self::default();
        for event in history {
            entity.note(event);
        }
        entity
    }

    /// Takes note of the next event of its history.
    pub(super) fn note(&mut self, event: &Event) {
        match &event.kind {
            Kind::Entity(state) => self.now = (**state).clone(),
            Kind::OperationRequested(requested) => self.ask((**requested).clone()),
            Kind::LockRequested(request) => {
                self.waiting_bytes += lock_bytes(request);
                self.queue.push_back(Item::Lock((**request).clone()));
            }
            Kind::LockReleased { section } => self.release(section),
            Kind::OperationsDue { count } => (0..*count).for_each(|_| self.wake_first()),
            _ => {}
        }
    }

    /// Whether something is due is for the clock to say: the time of an event may be ahead of it,
    /// after an owner whose clock was.
    fn ask(&mut self, requested: Requested) {
        self.waiting_bytes += operation_bytes(&requested);
        match requested.due {
            Some(due) => {
                self.asked += 1;
                self.delayed.insert((due, self.asked), requested);
            }
            None if mutated(Mutation::Overtake) => {
                self.queue.push_front(Item::Operation(requested));
            }
            None => self.queue.push_back(Item::Operation(requested)),
        }
    }

    fn release(&mut self, section: &Text) {
        if self.now.lock.as_ref().is_some_and(|lock| lock.section == *section) {
            self.now.lock = None;
        }
        let waiting_bytes = &mut self.waiting_bytes;
        self.queue.retain(|item| match item {
            Item::Lock(lock) if lock.section == *section => {
                *waiting_bytes -= lock_bytes(lock);
                false
            }
            _ => true,
        });
    }

    /// Moves what was asked for later, and is due now, to the queue: how much that was.
    pub(super) fn wake(&mut self, now: Timestamp) -> u32 {
        let early = std::time::Duration::from_millis(500);
        let now = if mutated(Mutation::PerformEarly) { now.plus(early) } else { now };
        let due = self.delayed.keys().take_while(|(at, _)| *at <= now).count();
        (0..due).for_each(|_| self.wake_first());
        u32::try_from(due).unwrap_or(u32::MAX)
    }

    /// What was asked for later and is due first has its place in the queue from now on.
    fn wake_first(&mut self) {
        if let Some((_, first)) = self.delayed.pop_first() {
            let woken = Requested { due: None, ..first };
            self.queue.push_back(Item::Operation(woken));
        }
    }

    /// When the next operation that was asked for later is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.delayed.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether it has no state, and nobody wants anything of it.
    pub(super) fn is_gone(&self) -> bool {
        self.now == EntityState::default()
            && self.queue.is_empty()
            && self.delayed.is_empty()
            && self.out.is_none()
    }

    /// Whether nobody uses it, though it may have a state.
    pub(super) fn is_resting(&self) -> bool {
        self.now.lock.is_none() && self.queue.is_empty() && self.out.is_none()
    }

    /// Whether a worker has operations of it.
    pub(super) fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// Whether something can be done for it now.
    pub(super) fn is_busy(&self) -> bool {
        self.out.is_some()
            || match &self.now.lock {
                None => !self.queue.is_empty(),
                Some(lock) => self.queue.iter().any(|item| item.is_of(lock)),
            }
    }

    /// How much waits for it.
    pub(super) fn backlog(&self) -> usize {
        self.queue.len() + self.delayed.len() + self.out.as_ref().map_or(0, |(_, out)| out.len())
    }

    /// Locks it for the next who wants to have it for himself, if it is his turn.
    pub(super) fn grant(&mut self) -> Option<LockRequest> {
        if self.out.is_some() || self.now.lock.is_some() {
            return None;
        }
        let Some(Item::Lock(_)) = self.queue.front() else { return None };
        let Some(Item::Lock(request)) = self.queue.pop_front() else { return None };
        self.waiting_bytes -= lock_bytes(&request);
        self.now.lock = Some(Lock {
            section: request.section.clone(),
            holder: request.caller.instance.clone(),
            execution: request.caller.execution,
        });
        Some(request)
    }

    /// Whether a worker could perform something.
    pub(super) fn is_ready(&self) -> bool {
        self.out.is_none() && self.performable() > 0
    }

    /// How many operations can be performed now: the oldest ones, up to the next who wants to lock
    /// it; of one that is locked, those of the holder.
    fn performable(&self) -> usize {
        match &self.now.lock {
            Some(lock) => self.queue.iter().filter(|item| item.is_of(lock)).count(),
            None => self.queue.iter().take_while(|item| matches!(item, Item::Operation(_))).count(),
        }
    }

    /// Hands a worker up to so many operations.
    pub(super) fn give(&mut self, piece: Piece, most: usize) -> Vec<Requested> {
        let mut count = self.performable().min(if self.alone > 0 { 1 } else { most });
        self.alone = self.alone.saturating_sub(count);
        let lock = self.now.lock.clone();
        let mut given = Vec::with_capacity(count);
        let mut kept = VecDeque::with_capacity(self.queue.len() - count);
        for item in std::mem::take(&mut self.queue) {
            match item {
                Item::Operation(_)
                    if count == 0 || lock.as_ref().is_some_and(|lock| !item.is_of(lock)) =>
                {
                    kept.push_back(item);
                }
                Item::Operation(requested) => {
                    count -= 1;
                    given.push(requested);
                }
                Item::Lock(_) => kept.push_back(item),
            }
        }
        self.queue = kept;
        self.out = Some((piece, given.clone()));
        given
    }

    /// Takes back what a worker had, if it is this; the first `done` of it are done.
    pub(super) fn take_back(&mut self, piece: Piece, done: usize) -> Option<Vec<Requested>> {
        if self.out.as_ref().is_none_or(|(out, _)| *out != piece) {
            return None;
        }
        let (_, mut requested) = self.out.take()?;
        for undone in requested.split_off(done.min(requested.len())).into_iter().rev() {
            self.queue.push_front(Item::Operation(undone));
        }
        if mutated(Mutation::PerformAgain) {
            self.queue.extend(requested.iter().cloned().map(Item::Operation));
            return Some(requested);
        }
        self.waiting_bytes -= requested.iter().map(operation_bytes).sum::<usize>();
        Some(requested)
    }

    /// Takes back what a worker had, if it is several operations: none of it is done, and each is
    /// given out by itself. Whether it was so.
    pub(super) fn split(&mut self, piece: Piece) -> bool {
        let out = self.out.as_ref().filter(|(out, _)| *out == piece);
        let count = out.map_or(0, |(_, requested)| requested.len());
        if count < 2 {
            return false;
        }
        self.alone = count;
        self.take_back(piece, 0).is_some()
    }

    /// Its history as it would begin now: what it is, and what is still to do.
    pub(super) fn summary(&self) -> Vec<Kind> {
        let queue = self.queue.iter().map(|item| match item {
            Item::Operation(requested) => Kind::OperationRequested(Box::new(requested.clone())),
            Item::Lock(request) => Kind::LockRequested(Box::new(request.clone())),
        });
        let delayed = self.delayed.values();
        let delayed = delayed.map(|it| Kind::OperationRequested(Box::new(it.clone())));
        [Kind::Entity(Box::new(self.now.clone()))].into_iter().chain(queue).chain(delayed).collect()
    }

    /// About how many bytes it keeps in memory.
    pub(super) fn bytes(&self) -> usize {
        debug_assert_eq!(self.waiting_bytes, self.count_waiting_bytes());
        size_of::<Self>()
            + self.now.state.as_ref().map_or(0, |text| text.len())
            + self.waiting_bytes
    }

    /// What [`Self::waiting_bytes`] has to be.
    fn count_waiting_bytes(&self) -> usize {
        let queued = self.queue.iter().map(|item| match item {
            Item::Operation(requested) => operation_bytes(requested),
            Item::Lock(request) => lock_bytes(request),
        });
        let out = self.out.iter().flat_map(|(_, out)| out).map(operation_bytes);
        queued.chain(self.delayed.values().map(operation_bytes)).chain(out).sum()
    }
}

fn operation_bytes(requested: &Requested) -> usize {
    256 + requested.operation.input.as_ref().map_or(0, |text| text.len())
}

fn lock_bytes(request: &LockRequest) -> usize {
    128 + 64 * request.entities.len()
}

impl Item {
    /// Whether it is an operation of who holds the lock.
    fn is_of(&self, lock: &Lock) -> bool {
        match self {
            Self::Operation(_) if mutated(Mutation::PerformLocked) => true,
            Self::Operation(Requested { caller: Some(caller), .. }) => {
                caller.instance == lock.holder && caller.execution == lock.execution
            }
            _ => false,
        }
    }
}
