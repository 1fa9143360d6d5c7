//! Promise 6: "An activity's result counts once, only while that attempt is outstanding. An entity
//! executes each operation once, in order per sender."

use std::collections::{BTreeMap, BTreeSet};

use taskhub_core::{
    Act, Change, Done, Envelope, Epoch, Event, ExecutionId, Failure, InstanceId, Job, Kind,
    Message, Outcome, Performed, Requested, Task, Text, Timestamp,
};

use super::{Violation, ensure, limits, locks};
use crate::{
    chronicle::{Applied, Chronicle},
    worker::done,
};

/// What was asked of entities, and what workers said that they did.
#[derive(Debug, Default)]
pub(crate) struct Entities {
    given: BTreeMap<(InstanceId, ExecutionId), Vec<Given>>,
    /// Every operation that was ever accepted, and what became of it.
    accepted: BTreeMap<Text, Fate>,
    /// When those that were asked for later are due, until they are.
    due: BTreeMap<Text, Option<Timestamp>>,
    /// The last operation of each sender that each entity performed, outside of a critical
    /// section and within one.
    last: BTreeMap<Sender, u64>,
}

/// The entity, the execution that asks it, and whether it does so within a critical section.
type Sender = (InstanceId, String, bool);

/// What became of an operation that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Done,
    /// Whoever called it may ask again when he is rewound.
    Failed,
}

/// An answer of a worker.
#[derive(Debug)]
struct Given {
    epoch: Epoch,
    requested: Vec<Requested>,
    performed: Performed,
}

impl Given {
    /// What it answers, and how: each of them in order.
    fn outcomes(&self) -> Vec<(&Requested, Outcome)> {
        let Performed { outcomes, failed, state, .. } = &self.performed;
        let nothing = || Failure::new("NoResult", "");
        let too_large = || limits::kept(&Ok(state.clone())).err();
        let all = failed.clone().or_else(too_large);
        let all = all.or_else(|| outcomes.is_empty().then(nothing));
        match all {
            Some(failed) => self.requested.iter().map(|it| (it, Err(failed.clone()))).collect(),
            None => self.requested.iter().zip(outcomes.iter().cloned()).collect(),
        }
    }
}

impl Entities {
    /// A worker performed operations.
    pub(crate) fn note(&mut self, task: &Task, done: &Done) {
        let (Job::Operations(job), Done::Operations(performed)) = (&task.job, done) else { return };
        let key = (task.ticket.instance.clone(), task.ticket.execution);
        self.given.entry(key).or_default().push(Given {
            epoch: task.ticket.epoch,
            requested: job.requested.clone(),
            performed: (**performed).clone(),
        });
    }

    /// A client is told that its signal was accepted.
    pub(crate) fn acknowledge(&self, request: &Text) -> Result<(), Violation> {
        ensure(self.accepted.contains_key(request), || {
            let happened = format!("{request} is acknowledged, and not durable");
            Violation::new(4, "what an answer tells is durable", happened)
        })
    }

    /// A turn of an entity became durable.
    pub(crate) fn on_turn(
        &mut self,
        applied: &Applied<'_>,
        chronicle: &Chronicle,
    ) -> Result<u64, Violation> {
        let id = &applied.turn.instance;
        if id.as_entity().is_none() {
            return Ok(0);
        }
        let log = chronicle.instances.get(id).map(|known| known.log.as_slice()).unwrap_or_default();
        let (old, new) = (open(&applied.old), open(log));
        for (request, requested) in new.iter().filter(|(request, _)| !old.contains_key(*request)) {
            self.due.extend(requested.due.map(|at| (request.clone(), Some(at))));
            let before = self.accepted.insert(request.clone(), Fate::Open);
            ensure(before.is_none_or(|before| before == Fate::Failed), || {
                Violation::new(5, "an operation is accepted once", format!("{id}: {request} again"))
            })?;
        }
        for (request, at) in line(log) {
            // It has its place: from now on its time does not matter.
            let due = self.due.get_mut(&request).and_then(Option::take);
            ensure(due.is_none_or(|due| due <= at), || {
                let happened = format!("{id}: {request} for {due:?} takes its place at {at:?}");
                Violation::new(7, "nothing that was asked for later is early", happened)
            })?;
        }
        let gone: BTreeSet<_> = old.keys().filter(|it| !new.contains_key(*it)).collect();
        let purged = applied.turn.change == Change::Purge;
        if gone.is_empty() {
            ensure(purged || !applied.replaced || state(&applied.old) == state(log), || {
                broken(id, "who does nothing keeps its state", &format!("{log:?}"))
            })?;
        } else {
            self.performed(applied, &gone, state(log).as_ref())?;
        }
        locks::on_turn(applied, log, chronicle)?;
        let is_wanted = |event: &Event| {
            matches!(event.kind, Kind::OperationRequested(_) | Kind::LockRequested(_))
        };
        let is_there = chronicle.record(id).is_some_and(|it| it.stuck.is_none());
        let is_empty = is_there
            && state(log).is_none()
            && locks::of(log).0.is_none()
            && !log.iter().any(is_wanted);
        ensure(!is_empty, || {
            Violation::new(11, "an empty entity is gone with its turn", format!("{id}: {log:?}"))
        })?;
        Ok(1)
    }

    /// These operations are no longer open: a worker performed them, just then, and all that it
    /// said is written.
    fn performed(
        &mut self,
        applied: &Applied<'_>,
        gone: &BTreeSet<&Text>,
        state_now: Option<&Text>,
    ) -> Result<(), Violation> {
        let id = &applied.turn.instance;
        let state_then = state(&applied.old);
        let execution = applied.before.as_ref().map(|before| before.execution);
        let key = execution.map(|execution| (id.clone(), execution));
        let given = key.and_then(|key| self.given.get(&key));
        let given = given.map(Vec::as_slice).unwrap_or_default();
        let fits = |given: &&Given| {
            let outcomes = given.outcomes();
            given.epoch == applied.epoch
                && outcomes.len() == gone.len()
                && outcomes.iter().all(|(it, _)| gone.contains(&it.operation.request))
                && after(state_then.clone(), &outcomes).as_ref() == state_now
                && told(&applied.turn.sent, &outcomes)
                && did(&applied.turn.sent, &given.performed)
        };
        let purged = applied.turn.change == Change::Purge;
        let old = open(&applied.old);
        let Some(given) = given.iter().find(fits) else {
            if purged && gone.iter().all(|request| old[*request].due.is_some()) {
                // A client purged it: what was to be done later is forgotten with it.
                for request in gone {
                    self.accepted.insert((*request).clone(), Fate::Done);
                }
                return Ok(());
            }
            let expected = format!("as one of these workers said: {given:?}");
            let happened = format!(
                "{gone:?} of {:?} are done, from {state_then:?} to {state_now:?}, sent are {:?}",
                applied.old, applied.turn.sent
            );
            return Err(broken(id, &expected, &happened));
        };
        let (lock, _) = locks::of(&applied.old);
        in_line(id, &applied.old, gone)?;
        for (requested, outcome) in given.outcomes() {
            let request = &requested.operation.request;
            let fate = if outcome.is_ok() { Fate::Done } else { Fate::Failed };
            ensure(self.accepted.insert(request.clone(), fate) == Some(Fate::Open), || {
                broken(id, "an operation is performed once", &format!("{request} again"))
            })?;
            locks::on_performed(id, lock.as_ref(), requested)?;
            if !self.due.contains_key(request) {
                let within = was_given_within(&applied.old, requested);
                in_order(&mut self.last, id, requested, within)?;
            }
        }
        Ok(())
    }

    /// Everything rests: what was accepted is performed, or waits for a lock that somebody has.
    pub(crate) fn at_rest(&self, chronicle: &Chronicle) -> Result<(), Violation> {
        locks::at_rest(chronicle)?;
        let waiting: BTreeSet<Text> = chronicle
            .instances
            .values()
            .filter(|known| locks::of(&known.log).0.is_some())
            .flat_map(|known| open(&known.log).into_keys())
            .collect();
        let lost =
            self.accepted.iter().find(|(it, fate)| **fate == Fate::Open && !waiting.contains(*it));
        ensure(lost.is_none(), || {
            Violation::new(11, "every operation is performed", format!("{lost:?} is not"))
        })
    }
}

/// What is called within a critical section does not wait for what was signaled before it:
/// that waits for its end.
fn in_order(
    last: &mut BTreeMap<Sender, u64>,
    id: &InstanceId,
    requested: &Requested,
    within: bool,
) -> Result<(), Violation> {
    let input = requested.operation.input.as_deref().unwrap_or_default();
    let Some((sender, number)) = input.split_once(':') else { return Ok(()) };
    let number: u64 = number.parse().unwrap_or(0);
    let before = last.insert((id.clone(), sender.to_owned(), within), number);
    // Only what failed comes again, which is the last that its sender asked for.
    ensure(before.is_none_or(|before| before <= number), || {
        broken(id, "in order per sender", &format!("{input} comes after {before:?}"))
    })
}

/// Whether who asked had locked the entity when it was given out, though perhaps no longer when it
/// was done.
fn was_given_within(log: &[Event], requested: &Requested) -> bool {
    let Some(Kind::Entity(entity)) = log.first().map(|event| &event.kind) else { return false };
    let caller = requested.caller.as_ref().map(|it| (&it.instance, it.execution));
    entity.lock.as_ref().is_some_and(|it| caller == Some((&it.holder, it.execution)))
}

fn broken(id: &InstanceId, expected: &str, happened: &str) -> Violation {
    Violation::new(6, expected, format!("{id}: {happened}"))
}

/// The operations that a history of an entity leaves open.
pub(crate) fn open(log: &[Event]) -> BTreeMap<Text, Requested> {
    let requested = |event: &Event| match &event.kind {
        Kind::OperationRequested(it) => Some((it.operation.request.clone(), (**it).clone())),
        _ => None,
    };
    log.iter().filter_map(requested).collect()
}

/// The same in the order in which they are to be performed, each with the time at which it took its
/// place: what was asked for later stands where the history says that its time had come, or has no
/// place yet.
fn line(log: &[Event]) -> Vec<(Text, Timestamp)> {
    let (mut line, mut later) = (Vec::new(), BTreeMap::new());
    for (position, Event { at, kind }) in log.iter().enumerate() {
        match kind {
            Kind::OperationRequested(it) => {
                let request = it.operation.request.clone();
                match it.due {
                    None => line.push((request, *at)),
                    Some(due) => drop(later.insert((due, position), request)),
                }
            }
            Kind::OperationsDue { count } => {
                let due = (0..*count).map_while(|_| later.pop_first());
                line.extend(due.map(|(_, request)| (request, *at)));
            }
            _ => {}
        }
    }
    line
}

/// Those that were performed stood first in line; those of a holder of the lock stood in it.
fn in_line(id: &InstanceId, log: &[Event], performed: &BTreeSet<&Text>) -> Result<(), Violation> {
    let is_locked =
        |event: &Event| matches!(&event.kind, Kind::Entity(entity) if entity.lock.is_some());
    let line = line(log);
    let count = if log.iter().any(is_locked) { line.len() } else { performed.len() };
    let stands = |request: &Text| line.iter().take(count).any(|(it, _)| it == request);
    ensure(performed.iter().all(|it| stands(it)), || {
        let happened = format!("{performed:?} are performed, in line stand {line:?}");
        broken(id, "what stands first in line is performed first", &happened)
    })
}

/// The state of an entity with this history.
fn state(log: &[Event]) -> Option<Text> {
    log.iter().rev().find_map(|event| match &event.kind {
        Kind::Entity(entity) => Some(entity.state.clone()),
        _ => None,
    })?
}

/// The state after these operations.
fn after(mut state: Option<Text>, outcomes: &[(&Requested, Outcome)]) -> Option<Text> {
    for (requested, outcome) in outcomes {
        if outcome.is_ok() {
            done(&mut state, &requested.operation);
        }
    }
    state
}

/// Whether all who called, and nobody else, are told, each once.
fn told(sent: &[Envelope], outcomes: &[(&Requested, Outcome)]) -> bool {
    let answers = sent.iter().filter_map(|envelope| match &envelope.message {
        Message::OperationFinished { execution, call, outcome } => {
            Some((&envelope.to, *execution, *call, outcome))
        }
        _ => None,
    });
    let mut answers: Vec<_> = answers.collect();
    for (requested, outcome) in outcomes {
        let Some(caller) = &requested.caller else { continue };
        let same = |(to, execution, call, told): &(&InstanceId, _, _, &Outcome)| {
            **to == caller.instance
                && (*execution, *call) == (caller.execution, caller.call)
                && alike(told, outcome)
        };
        let Some(at) = answers.iter().position(same) else { return false };
        answers.remove(at);
    }
    answers.is_empty()
}

fn alike(one: &Outcome, two: &Outcome) -> bool {
    match (one, two) {
        (Err(one), Err(two)) => one.kind == two.kind,
        (one, two) => one == two,
    }
}

/// Whether what the entity did beside is on its way, each once.
fn did(sent: &[Envelope], performed: &Performed) -> bool {
    let sends = |envelope: &&Envelope| {
        matches!(envelope.message, Message::Operation(_) | Message::Start(_))
    };
    let too_large = limits::kept(&Ok(performed.state.clone())).is_err();
    let nothing = performed.failed.is_some() || performed.outcomes.is_empty() || too_large;
    let acts = if nothing { &[] } else { performed.acts.as_slice() };
    let sent: Vec<_> = sent.iter().filter(sends).collect();
    sent.len() == acts.len()
        && acts.iter().zip(sent).all(|(act, sent)| match (act, &sent.message) {
            (Act::Signal(to, signal), Message::Operation(sent_it)) => {
                *to == sent.to && *signal == **sent_it
            }
            (Act::Start { instance, work, at }, Message::Start(started)) => {
                *instance == sent.to && started.name == work.name && started.start_at == *at
            }
            _ => false,
        })
}
