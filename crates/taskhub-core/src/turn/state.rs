//! What one execution knows between polls: its calls, what completed, what may be released.

use std::{cmp::Ordering, collections::BTreeMap, ops::Range, panic::Location, ptr, task::Waker};

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

use super::{
    Command, ContinueAsNew, Place, Position,
    mailbag::{Mailbag, Offer, Raised, Waiter},
    matching::{Asked, Plan},
};
use crate::mutation::{Mutation, mutated};
use crate::{CallId, ExecutionId, InstanceId, Kind, Outcome, Started, Text, Timestamp};

/// The memory of an execution, shared by its scope, its pending futures and its executor.
pub(super) struct State {
    pub instance: InstanceId,
    /// What ids and chance are drawn from.
    pub execution: ExecutionId,
    pub now: Timestamp,
    pub uniques: u64,
    pub custom_status: Option<Text>,
    pub continue_as_new: Option<ContinueAsNew>,
    /// Calls and cancellations that history does not have yet.
    pub actions: Vec<Kind>,
    /// What history says the code will call.
    pub plan: Plan,
    /// While suspended, events behind this position are not released.
    pub gate: Option<Position>,
    /// Events before this position were seen by the code in an earlier turn.
    pub replay_until: Position,
    pub mail: Mailbag,
    /// The addresses at which the code's future keeps its variables.
    pub home: Range<usize>,
    /// What was noted, by name; `None` where there was nothing to note when the code came there.
    notes: HashMap<Text, Option<Text>>,
    /// Why the code says itself that it cannot go on.
    parked: Option<Text>,
    /// The furthest event that was released.
    reached: Position,
    created: u64,
    ranks: u64,
    /// Boxed, since a table keeps room for at least four.
    calls: HashMap<u64, Box<Call>>,
    by_id: HashMap<CallId, u64>,
    fresh: Vec<Fresh>,
    early: HashMap<CallId, Completion>,
    given_up: HashSet<CallId>,
    ready: BTreeMap<Position, u64>,
    released: Option<(Position, u64)>,
}

/// A call that was polled and is neither consumed nor given up.
struct Call {
    command: Command,
    id: Option<CallId>,
    done: Option<Completion>,
    /// Not being waited for: it was released and nobody came. Until it is polled again.
    skipped: bool,
    waker: Option<Waker>,
    /// For an event: by when the wait began.
    rank: u64,
}

pub(super) struct Completion {
    pub position: Position,
    pub at: Timestamp,
    pub outcome: Outcome,
}

/// A call of the poll that is under way; it has no id yet.
///
/// A `select!` polls its branches in random order, so the order in which calls are created says
/// nothing when its branches create them. Calls of one poll are therefore ordered by where they
/// stand in the source; those of one line by where they lie in the future of the code, whose
/// layout is fixed; and only those that lie elsewhere (in a `Vec` or a `Box`) by creation.
///
/// What nobody waits for (a signal, an unlock) keeps its place in what the code did: behind the
/// call that was made before it. A branch stops at the first call that it awaits, so receivers hear
/// from it in the order in which it spoke; and replay needs no other, as nothing comes back.
#[derive(Clone, Copy)]
struct Fresh {
    is_sent: bool,
    location: &'static Location<'static>,
    offset: usize,
    seq: u64,
}

impl Fresh {
    /// The calls of one poll in their order.
    fn sorted(asked: Vec<Self>) -> Vec<Self> {
        if asked.len() < 2 {
            return asked;
        }
        let mut chunks: Vec<_> = asked.chunk_by(|_, next| next.is_sent).collect();

        // Only what was sent before any call has no call in front of it.
        let from = usize::from(asked[0].is_sent);
        chunks[from..].sort_by(|a, b| a[0].order(&b[0]));
        chunks.concat()
    }

    fn order(&self, other: &Self) -> Ordering {
        let place = if ptr::eq(self.location, other.location) {
            Ordering::Equal
        } else {
            self.location.cmp(other.location)
        };
        place.then_with(|| (self.offset, self.seq).cmp(&(other.offset, other.seq)))
    }
}

impl State {
    pub(super) fn new(instance: InstanceId, started: &Started, at: Timestamp) -> Self {
        Self {
            instance,
            execution: started.origin.unwrap_or(started.execution),
            now: at,
            uniques: 0,
            custom_status: None,
            continue_as_new: None,
            actions: Vec::new(),
            plan: Plan::default(),
            gate: None,
            replay_until: 0,
            mail: Mailbag::new(),
            created: 0,
            calls: HashMap::new(),
            by_id: HashMap::new(),
            fresh: Vec::new(),
            early: HashMap::new(),
            given_up: HashSet::new(),
            ready: BTreeMap::new(),
            released: None,
            home: 0..0,
            notes: HashMap::new(),
            parked: None,
            reached: 0,
            ranks: 0,
        }
    }

    pub(super) fn is_replaying(&self) -> bool {
        self.reached < self.replay_until
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.calls.is_empty()
    }

    pub(super) fn created(&mut self) -> u64 {
        self.created += 1;
        self.created
    }

    /// A call, which lies at `address`, is polled for the first time; or an event is sent.
    pub(super) fn ask(
        &mut self,
        place: Place,
        command: Command,
        address: usize,
        waker: Option<Waker>,
    ) {
        let Place { seq, location } = place;
        let is_sent = command.is_sent();
        let call = Call { command, id: None, done: None, skipped: false, waker, rank: 0 };
        self.calls.insert(seq, Box::new(call));
        let inside = self.home.contains(&address);
        let offset = if inside { address - self.home.start } else { usize::MAX };
        self.fresh.push(Fresh { is_sent, location, offset, seq });
    }

    /// A call is polled again without being released.
    pub(super) fn wait(&mut self, seq: u64, waker: &Waker) {
        let Some(call) = self.calls.get_mut(&seq) else { return };
        match &mut call.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        if std::mem::take(&mut call.skipped) {
            if let Some(done) = &call.done {
                self.ready.insert(done.position, seq);
            } else if let Command::Event { name } = &call.command {
                let offers = self.mail.wait(name, Waiter { rank: call.rank, seq });
                self.renew(offers);
            }
        }
    }

    /// A call is dropped before it was ready.
    pub(super) fn give_up(&mut self, seq: u64) {
        let Some(call) = self.calls.remove(&seq).map(|call| *call) else { return };
        if let Command::Event { name } = &call.command {
            let offers = self.mail.withdraw(name, Waiter { rank: call.rank, seq });
            self.renew(offers);
            self.fresh.retain(|fresh| fresh.seq != seq);
            return;
        }
        let Some(id) = call.id else {
            // Asked and dropped within one poll: as if it had never been polled, so that the
            // order in which branches are polled makes no difference.
            self.fresh.retain(|fresh| fresh.seq != seq);
            return;
        };
        self.by_id.remove(&id);
        let done = call.done.map(|done| self.ready.remove(&done.position)).is_some();
        // Locks that were granted to nobody are given back, too.
        let matters = !done || matches!(call.command, Command::Lock { .. });
        let is_known = self.given_up.remove(&id);
        if matters && !is_known {
            self.actions.push(Kind::CallCancelled { call: id });
        }
    }

    /// The outcome for `seq`, if it is the one that this poll releases.
    pub(super) fn take_released(&mut self, seq: u64) -> Option<Outcome> {
        let (mut position, released) = self.released.or_else(|| self.second())?;
        if released != seq {
            position = self.second().filter(|(_, second)| *second == seq)?.0;
        }
        self.released = None;
        let call = *self.calls.remove(&seq)?;
        let (at, outcome) = if let Command::Event { name } = &call.command {
            let (raised, before, after) = self.mail.take(name, Waiter { rank: call.rank, seq });
            self.renew((before, after));
            let raised = raised?;
            (raised.at, Ok(raised.input))
        } else {
            let done = call.done?;
            self.ready.remove(&position);
            self.by_id.remove(&call.id?);
            (done.at, done.outcome)
        };
        self.now = self.now.max(at);
        Some(outcome)
    }

    /// A completion that goes out beside the one that is released: there is none.
    fn second(&self) -> Option<(Position, u64)> {
        if !mutated(Mutation::ReleaseTwo) {
            return None;
        }
        self.ready.last_key_value().map(|(position, seq)| (*position, *seq))
    }

    /// Chooses the completion to release next, and wakes who waits for it. A permit that nobody
    /// used is taken back first. Whether there was any.
    pub(super) fn release_next(&mut self) -> bool {
        self.take_back();
        let Some((&position, &seq)) = self.ready.first_key_value() else { return false };
        if self.gate.is_some_and(|gate| position > gate) {
            return false;
        }
        self.released = Some((position, seq));
        self.reached = self.reached.max(position);
        if let Some(waker) = self.calls.get(&seq).and_then(|call| call.waker.as_ref()) {
            waker.wake_by_ref();
        }
        true
    }

    fn take_back(&mut self) {
        let Some((position, seq)) = self.released.take() else { return };
        let Some(call) = self.calls.get_mut(&seq) else { return };
        call.skipped = true;
        if let Command::Event { name } = &call.command {
            let offers = self.mail.withdraw(name, Waiter { rank: call.rank, seq });
            self.renew(offers);
        } else {
            self.ready.remove(&position);
        }
    }

    /// A call that the code made, or will make, has ended.
    pub(super) fn complete(&mut self, id: CallId, done: Completion) {
        match self.by_id.get(&id).and_then(|seq| Some((*seq, self.calls.get_mut(seq)?))) {
            Some((seq, call)) => {
                if !call.skipped {
                    self.ready.insert(done.position, seq);
                }
                call.done = Some(done);
            }
            None if self.plan.expects(id) => {
                self.early.insert(id, done);
            }
            None => {}
        }
    }

    /// Somebody raised an event.
    pub(super) fn raise(&mut self, raised: Raised) {
        let offers = self.mail.raise(raised);
        self.renew(offers);
    }

    /// History says that the code gives up this call.
    pub(super) fn expect_given_up(&mut self, id: CallId) {
        self.given_up.insert(id);
    }

    /// The calls that history says the code gives up, and it has not yet.
    pub(super) fn given_up(&self) -> impl Iterator<Item = CallId> {
        self.given_up.iter().copied()
    }

    /// A call that the code waits for, though history says that it was given up: its result can not
    /// come any more. (A rewind tries what the code makes of less.)
    pub(super) fn waits_in_vain(&self) -> Option<Text> {
        if self.replay_until == Position::MAX {
            return None;
        }
        let waits = |id: &&CallId| {
            let call = self.by_id.get(*id).and_then(|seq| self.calls.get(seq));
            call.is_some_and(|call| call.done.is_none())
        };
        let id = self.given_up.iter().filter(waits).min()?;
        Some(format!("history says that the code gave up {id}, the code waits for it").into())
    }

    /// History says that this was noted. It is found by its name, wherever the code now stands.
    pub(super) fn recall(&mut self, call: CallId, name: Text, value: Text) {
        self.plan.skip(call);
        self.notes.insert(name, Some(value));
    }

    /// What is noted under a name, since the code first came there; and whether that is now.
    pub(super) fn note(&mut self, name: &Text, value: &Text) -> (Option<Text>, bool) {
        if let Some(noted) = self.notes.get(name) {
            return (noted.clone(), false);
        }
        let is_new = !self.is_replaying();
        let noted = is_new.then(|| value.clone());
        self.notes.insert(name.clone(), noted.clone());
        (noted, is_new)
    }

    /// The code cannot go on, and says why.
    pub(super) fn park(&mut self, why: Text) {
        self.parked.get_or_insert(why);
    }

    fn renew(&mut self, (before, after): (Option<Offer>, Option<Offer>)) {
        if before == after {
            return;
        }
        if let Some((position, _)) = before {
            self.ready.remove(&position);
        }
        if let Some((position, who)) = after {
            self.ready.insert(position, who.seq);
        }
    }

    /// Gives ids to the calls of the poll that just ended; see [`super::matching`].
    pub(super) fn settle(&mut self) -> Result<(), Text> {
        if let Some(why) = self.parked.take() {
            return Err(why);
        }
        let fresh = Fresh::sorted(std::mem::take(&mut self.fresh));
        for Fresh { seq, .. } in &fresh {
            let Some(call) = self.calls.get_mut(seq) else { continue };
            if let Command::Event { name } = &call.command {
                self.ranks += 1;
                call.rank = self.ranks;
                let offers = self.mail.wait(name, Waiter { rank: call.rank, seq: *seq });
                self.renew(offers);
            }
        }
        let asked: Vec<_> = fresh
            .into_iter()
            .map(|Fresh { seq, location, .. }| (seq, location, &self.calls[&seq].command))
            .filter(|(_, _, command)| !matches!(command, Command::Event { .. }))
            .map(|(seq, location, command)| Asked { seq, command, location })
            .collect();
        let assigned = self.plan.assign(self.execution, &asked)?;
        for (seq, id, action) in assigned {
            self.actions.extend(action);
            let Some(call) = self.calls.get_mut(&seq) else { continue };
            if call.command.is_sent() {
                self.calls.remove(&seq);
                continue;
            }
            call.id = Some(id);
            call.done = self.early.remove(&id);
            if let Some(done) = &call.done {
                self.ready.insert(done.position, seq);
            }
            self.by_id.insert(id, seq);
        }
        Ok(())
    }

    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        let call = size_of::<Call>() + 128; // Its places in the tables, and what it points at.
        size_of::<Self>() + call * self.calls.len() + self.mail.bytes()
    }
}
