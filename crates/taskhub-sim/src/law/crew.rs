//! Promises 6, 8, 10 and 11, for workers elsewhere: each gets what it serves and has room for, a
//! result counts once and only while the work is in the hands of who gives it, and whatever workers
//! do, work is done, or is given up after it took so many of them down.

use std::collections::BTreeMap;

use taskhub_core::{
    Epoch, ExecutionId, InstanceId, Job, PartitionId, Piece, Task, Ticket, Timestamp,
};
use taskhub_engine::{Delivery, DeliveryId, Names, Patience, WorkerId, WorkerOptions};

use super::{Violation, ensure};

/// The workers of one node, and what they have.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    pub members: BTreeMap<WorkerId, Member>,
    /// Work without a result.
    open: BTreeMap<Key, Open>,
    hands: BTreeMap<DeliveryId, Hand>,
}

/// A worker that is connected.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its number in the scenario.
    pub worker: usize,
    pub options: WorkerOptions,
    pub leaves: bool,
    /// Whether it has lost its stream, has come back by another, and its node does not know yet.
    pub is_back: bool,
}

type Key = (PartitionId, Epoch, InstanceId, ExecutionId, Piece);

#[derive(Debug)]
struct Open {
    task: Task,
    /// Deliveries whose result would count.
    given: Vec<DeliveryId>,
    /// How often its last worker was lost with it.
    losses: u32,
}

#[derive(Debug)]
struct Hand {
    worker: WorkerId,
    key: Key,
    /// When it takes too long.
    ends: Timestamp,
}

fn key(ticket: &Ticket) -> Key {
    let Ticket { partition, epoch, instance, execution, piece } = ticket.clone();
    (partition, epoch, instance, execution, piece)
}

impl Crew {
    /// A partition offers work.
    pub(crate) fn on_offer(&mut self, task: &Task) -> Result<(), Violation> {
        let open = Open { task: task.clone(), given: Vec::new(), losses: 0 };
        let before = self.open.insert(key(&task.ticket), open);
        ensure(before.is_none(), || {
            Violation::new(6, "work is offered once", format!("{task:?} is there: {before:?}"))
        })
    }

    /// Work is given to a worker: it is there, has room, and serves that; and the work did not take
    /// too many down, and nobody has it who may still do it in time.
    pub(crate) fn on_give(
        &mut self,
        worker: WorkerId,
        delivery: &Delivery,
        now: Timestamp,
        patience: &Patience,
    ) -> Result<(), Violation> {
        let task = &delivery.task;
        let what = || format!("{worker:?} is given {:?}", task.ticket);
        let Some(member) = self.members.get(&worker).filter(|it| !it.leaves) else {
            return Err(Violation::new(11, "work is given to who stays", what()));
        };
        ensure(serves(&member.options, task), || {
            let expected = format!("a worker gets what it serves: {:?}", member.options.serves);
            Violation::new(8, expected, format!("{}: {:?}", what(), task.job))
        })?;
        let kind = task.ticket.piece.kind();
        let mine = self.hands.values().filter(|it| it.worker == worker);
        let has = mine.filter(|it| it.key.4.kind() == kind).count();
        let WorkerOptions { activities, turns, entities, .. } = member.options;
        ensure(has < [activities, turns, entities][kind], || {
            Violation::new(10, "a worker gets what it has room for", format!("{}: {has}", what()))
        })?;
        let Some(open) = self.open.get_mut(&key(&task.ticket)) else {
            return Err(Violation::new(6, "only what is wanted is given out", what()));
        };
        ensure(open.losses <= patience.losses_max, || {
            let happened = format!("{} after {} losses", what(), open.losses);
            Violation::new(11, format!("at most {patience:?}"), happened)
        })?;
        let stays = |hand: &&Hand| self.members.get(&hand.worker).is_some_and(|it| !it.leaves);
        let given = open.given.iter().filter_map(|id| self.hands.get(id)).filter(stays);
        let in_time = given.filter(|hand| hand.ends > now).count();
        ensure(in_time == 0, || {
            Violation::new(6, "nobody does for nothing what another does", what())
        })?;
        open.given.push(delivery.id);
        let time = if kind == 0 { patience.activity } else { patience.turn };
        let hand = Hand { worker, key: key(&task.ticket), ends: now.plus(time) };
        self.hands.insert(delivery.id, hand);
        Ok(())
    }

    /// The clock, which showed `before`, is set: what took too long by then does so by any clock.
    pub(crate) fn on_jump(&mut self, before: Timestamp) {
        let late = self.hands.values_mut().filter(|hand| hand.ends <= before);
        late.for_each(|hand| hand.ends = Timestamp::START);
    }

    /// Whether another worker has the same work in hand.
    pub(crate) fn is_with_two(&self, id: DeliveryId) -> bool {
        let open = self.hands.get(&id).and_then(|hand| self.open.get(&hand.key));
        open.is_some_and(|open| open.given.len() > 1)
    }

    /// A worker says that it is done; whether the pool lets that count.
    pub(crate) fn on_finish(&mut self, id: DeliveryId, counts: bool) -> Result<(), Violation> {
        let hand = self.hands.remove(&id);
        let open = |hand: &Hand| self.open.get(&hand.key).is_some_and(|it| it.given.contains(&id));
        let is_due = hand.as_ref().is_some_and(open);
        ensure(counts == is_due, || {
            let happened = format!("the result of {id}, {hand:?}, counts: {counts}");
            Violation::new(6, "work counts once, from who has it in hand", happened)
        })?;
        if let Some(hand) = hand.filter(|_| counts) {
            self.open.remove(&hand.key);
        }
        Ok(())
    }

    /// A worker need not go on: nobody wants the result any more.
    pub(crate) fn on_withdraw(&self, id: DeliveryId) -> Result<(), Violation> {
        let hand = self.hands.get(&id);
        let open = hand.and_then(|hand| self.open.get(&hand.key));
        let is_wanted = open.is_some_and(|open| open.given.contains(&id));
        ensure(hand.is_none_or(|hand| hand.key.4.kind() == 0) && !is_wanted, || {
            let happened = format!("{id}, {hand:?}, is taken back, and wanted: {is_wanted}");
            Violation::new(6, "only what nobody wants is taken back", happened)
        })
    }

    /// A worker gives work back, or never got it.
    pub(crate) fn on_return(&mut self, id: DeliveryId) {
        if let Some(hand) = self.hands.remove(&id)
            && let Some(open) = self.open.get_mut(&hand.key)
        {
            open.given.retain(|it| *it != id);
        }
    }

    /// What a worker has in hand.
    pub(crate) fn in_hand(&self, worker: WorkerId) -> Vec<DeliveryId> {
        let own = self.hands.iter().filter(|(_, hand)| hand.worker == worker);
        own.map(|(id, _)| *id).collect()
    }

    /// A worker came back, named this, and is told that of it these are not wanted: it keeps what
    /// counts, and nothing else.
    pub(crate) fn on_back(
        &mut self,
        worker: WorkerId,
        named: &[DeliveryId],
        unwanted: &[DeliveryId],
    ) -> Result<(), Violation> {
        for id in named {
            let hand = self.hands.get_mut(id);
            let open = hand.as_ref().and_then(|hand| self.open.get(&hand.key));
            let counts = open.is_some_and(|open| open.given.contains(id));
            ensure(counts != unwanted.contains(id), || {
                let happened = format!("{id} counts: {counts}; of {named:?} stop {unwanted:?}");
                Violation::new(6, "who comes back keeps what counts, and nothing else", happened)
            })?;
            if let Some(hand) = hand.filter(|_| counts) {
                hand.worker = worker;
            }
        }
        Ok(())
    }

    /// A worker is gone, with all that it had.
    pub(crate) fn on_loss(&mut self, worker: WorkerId) -> Option<Member> {
        let had: Vec<_> = self.hands.extract_if(.., |_, hand| hand.worker == worker).collect();
        for (id, hand) in had {
            let Some(open) = self.open.get_mut(&hand.key) else { continue };
            let count = open.given.len();
            open.given.retain(|it| *it != id);
            open.losses += u32::from(open.given.is_empty() && count > 0);
        }
        self.members.remove(&worker)
    }

    /// The pool gives up work that takes every worker down.
    pub(crate) fn on_fail(&mut self, ticket: &Ticket, losses_max: u32) -> Result<Task, Violation> {
        let open = self.open.remove(&key(ticket)).filter(|open| open.losses > losses_max);
        open.map(|open| open.task).ok_or_else(|| {
            let expected = format!("it is given up after more than {losses_max} losses");
            Violation::new(11, expected, format!("{ticket:?} is given up"))
        })
    }

    /// A worker that wanted to leave may go.
    pub(crate) fn on_release(&self, worker: WorkerId) -> Result<(), Violation> {
        let leaves = self.members.get(&worker).is_some_and(|member| member.leaves);
        let has = self.hands.values().filter(|hand| hand.worker == worker).count();
        ensure(leaves && has == 0, || {
            let happened = format!("{worker:?} may go with {has}, it wants to: {leaves}");
            Violation::new(11, "who leaves may finish what it has", happened)
        })
    }

    /// Nobody wants the result any more.
    pub(crate) fn on_cancel(&mut self, ticket: &Ticket) {
        self.open.remove(&key(ticket));
    }

    /// A partition is gone, and offers its work anew wherever it is opened.
    pub(crate) fn forget(&mut self, partition: PartitionId) {
        self.open.retain(|key, _| key.0 != partition);
    }

    /// Everything rests: all work that was offered is done.
    pub(crate) fn at_rest(&self, waits: usize) -> Result<(), Violation> {
        ensure(self.open.is_empty() && waits == 0, || {
            let happened = format!("{waits} wait, open is {:?}", self.open);
            Violation::new(11, "what a worker serves is done", happened)
        })
    }
}

/// Whether a worker serves this, told naively.
fn serves(options: &WorkerOptions, task: &Task) -> bool {
    let serves = &options.serves;
    let (names, name, version) = match &task.job {
        Job::Activity(work) => (&serves.activities, &*work.name, work.version.as_deref()),
        Job::Turn(turn) => {
            let version = turn.version.as_deref().unwrap_or("");
            (&serves.orchestrations, &*turn.name, Some(version))
        }
        Job::Operations(_) => {
            let name = task.ticket.instance.as_entity().map_or("", |(name, _)| name);
            (&serves.entities, name, None)
        }
    };
    match names {
        Names::All => true,
        Names::Only(names) => names.iter().any(|(known, versions)| {
            let fits = |version: &str| versions.iter().any(|it| **it == *version);
            known.eq_ignore_ascii_case(name) && (versions.is_empty() || version.is_none_or(fits))
        }),
    }
}
