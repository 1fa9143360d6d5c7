//! Promise 6, for entities that are locked: only the holder's operations are performed, nobody
//! keeps a lock longer than he lives, and nobody waits for himself.

use std::collections::BTreeSet;

use taskhub_core::{
    Event, InstanceId, Kind, Lock, LockRequest, Message, Record, Requested, RuntimeStatus, Text,
};

use super::{Violation, ensure};
use crate::chronicle::{Applied, Chronicle};

/// Who has locked an entity with this history, and who wants to.
pub(crate) fn of(log: &[Event]) -> (Option<Lock>, Vec<LockRequest>) {
    let mut lock: Option<Lock> = None;
    let mut wanted: Vec<LockRequest> = Vec::new();
    for event in log {
        match &event.kind {
            Kind::Entity(entity) => lock.clone_from(&entity.lock),
            Kind::LockRequested(request) => wanted.push((**request).clone()),
            Kind::LockReleased { section } => {
                lock.take_if(|lock| lock.section == *section);
                wanted.retain(|request| request.section != *section);
            }
            _ => {}
        }
    }
    (lock, wanted)
}

/// An operation was performed while this was the lock.
pub(crate) fn on_performed(
    id: &InstanceId,
    lock: Option<&Lock>,
    requested: &Requested,
) -> Result<(), Violation> {
    let holds = |lock: &Lock| {
        let caller = requested.caller.as_ref();
        caller.is_some_and(|it| it.instance == lock.holder && it.execution == lock.execution)
    };
    ensure(lock.is_none_or(holds), || {
        let happened = format!("{id}: {requested:?} is performed, it is locked by {lock:?}");
        Violation::new(6, "of a locked entity only the holder's operations are performed", happened)
    })
}

/// A turn of an entity became durable, and this is its history now: whoever has it asked for it,
/// whoever had it gave it back or is gone, and a request goes on to where it has to go.
pub(crate) fn on_turn(
    applied: &Applied<'_>,
    log: &[Event],
    chronicle: &Chronicle,
) -> Result<(), Violation> {
    let ((before, mut wanted), (now, waiting)) = (of(&applied.old), of(log));
    let id = &applied.turn.instance;
    let broken =
        |expected: &str| Violation::new(6, expected, format!("{id}: {before:?}, then {now:?}"));
    let messages = || applied.messages.iter().map(|envelope| &envelope.message);
    if before == now {
        return Ok(());
    }
    if let Some(lock) = &before {
        let ends = |section: &Text| *section == lock.section;
        let released =
            |it: &Message| matches!(it, Message::Unlock { section, .. } if ends(section));
        let record = chronicle.record(&lock.holder);
        let lives =
            record.is_some_and(|it| it.execution == lock.execution && !it.status.is_terminal());
        ensure(messages().any(released) || !lives, || {
            broken("who has locked it unlocks it, or is gone")
        })?;
    }
    let Some(lock) = &now else { return Ok(()) };
    wanted.extend(messages().filter_map(|message| match message {
        Message::Lock(request) => Some((**request).clone()),
        _ => None,
    }));
    let Some(request) = wanted.iter().find(|it| it.section == lock.section) else {
        return Err(broken("who locks it has asked for that"));
    };
    let caller = &request.caller;
    let same = lock.holder == caller.instance && lock.execution == caller.execution;
    ensure(same && waiting.iter().all(|it| it.section != lock.section), || {
        broken("who asked for it has it")
    })?;
    let next = request.entities.get(request.position as usize + 1);
    let passed_on = applied.turn.sent.iter().any(|sent| match (&sent.message, next) {
        (Message::Lock(it), Some(next)) => sent.to == *next && it.section == lock.section,
        (Message::LocksGranted { section, .. }, None) => {
            sent.to == caller.instance && *section == lock.section
        }
        _ => false,
    });
    ensure(passed_on, || broken("a request goes on to the next entity, or the caller is told"))
}

/// Everything rests: each lock has a holder who lives and has not given it back, and none of them
/// waits for himself.
pub(crate) fn at_rest(chronicle: &Chronicle) -> Result<(), Violation> {
    for (id, known) in &chronicle.instances {
        let (lock, wanted) = of(&known.log);
        let Some(lock) = lock else {
            ensure(wanted.is_empty(), || {
                Violation::new(11, "a free entity is locked", format!("{id}: {wanted:?} wait"))
            })?;
            continue;
        };
        ensure(holds(chronicle, &lock, id), || {
            let happened =
                format!("{id} is locked by {lock:?}: {:?}", chronicle.record(&lock.holder));
            Violation::new(6, "no lock outlives its holder, or its section", happened)
        })?;
        let mut seen = BTreeSet::new();
        let mut holder = Some(lock.holder);
        while let Some(next) = holder {
            ensure(seen.insert(next.clone()), || {
                Violation::new(11, "nobody waits for himself", format!("{seen:?} do"))
            })?;
            holder = who_is_waited_for(chronicle, &next);
        }
    }
    Ok(())
}

fn holds(chronicle: &Chronicle, lock: &Lock, entity: &InstanceId) -> bool {
    let lives =
        |record: &Record| record.execution == lock.execution && !record.status.is_terminal();
    let Some(known) = chronicle.instances.get(&lock.holder) else { return false };
    known.record().is_some_and(lives)
        && sections(&known.log)
            .iter()
            .any(|(name, entities, _)| *name == lock.section && entities.contains(entity))
}

/// The critical sections that an orchestration asked for and has not left: the name, the entities
/// that it has not given back, and whether it has them.
fn sections(log: &[Event]) -> Vec<(Text, Vec<InstanceId>, bool)> {
    let mut sections = Vec::new();
    for event in log {
        match &event.kind {
            Kind::LocksRequested { call, section, entities } => {
                sections.push((*call, (section.clone(), entities.to_vec(), false)));
            }
            Kind::LocksGranted { section, .. } => {
                let granted = sections.iter_mut().filter(|(_, (name, ..))| name == section);
                granted.for_each(|(_, (.., granted))| *granted = true);
            }
            Kind::CallCancelled { call } => sections.retain(|(it, _)| it != call),
            Kind::Unlocked { section, entity, .. } => {
                let left = sections.iter_mut().filter(|(_, (name, ..))| name == section);
                left.for_each(|(_, (_, entities, _))| entities.retain(|it| it != entity));
            }
            _ => {}
        }
    }
    sections.into_iter().map(|(_, section)| section).collect()
}

/// Who has locked what this one waits for, if it waits for a lock.
fn who_is_waited_for(chronicle: &Chronicle, id: &InstanceId) -> Option<InstanceId> {
    let known = chronicle.instances.get(id)?;
    known.record().filter(|record| record.status == RuntimeStatus::Running)?;
    let (section, entities, _) = sections(&known.log).into_iter().find(|(.., granted)| !granted)?;
    entities.iter().find_map(|entity| {
        let (lock, wanted) = of(&chronicle.instances.get(entity)?.log);
        let waits = wanted.iter().any(|it| it.section == section);
        Some(lock?.holder).filter(|_| waits)
    })
}

/// Whether an orchestration waits rightly for a lock: its request stands behind another's lock.
pub(crate) fn waits_rightly(
    chronicle: &Chronicle,
    section: &Text,
    entities: &[InstanceId],
) -> bool {
    entities.iter().any(|entity| {
        let Some(known) = chronicle.instances.get(entity) else { return false };
        let (lock, wanted) = of(&known.log);
        lock.is_some_and(|lock| lock.section != *section)
            && wanted.iter().any(|it| it.section == *section)
    })
}
