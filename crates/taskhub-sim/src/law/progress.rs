//! Promise 11: "An instance that can progress does, on some node, within a bounded time."

use taskhub_core::{Event, InstanceId, Kind, Record, RuntimeStatus, Timestamp};

use super::{Violation, ensure, entities, locks, timers::LATE_MAX};
use crate::{
    chronicle::Chronicle,
    model,
    program::{SCHEDULE, may_be_unknown},
};

/// The troubles are over: whether everything has come as far as it can.
pub(crate) fn at_rest(chronicle: &Chronicle, clock: Timestamp) -> Result<(), Violation> {
    ensure(chronicle.inbox.is_empty(), || {
        let happened = format!("{:?} waits", chronicle.inbox.values().next());
        Violation::new(11, "every message is taken", happened)
    })?;
    for (id, known) in &chronicle.instances {
        let deadline = known.log.first().and_then(|event| match &event.kind {
            Kind::Started(started) => started.deadline,
            _ => None,
        });
        let runs = known.record().is_some_and(|record| !record.status.is_terminal());
        ensure(!runs || deadline.is_none(), || {
            Violation::new(11, "who has a deadline ends", format!("{id} has one: {deadline:?}"))
        })?;
        if let Some(record) = known.record()
            && id.as_entity().is_none()
            && !record.status.is_terminal()
            && record.status != RuntimeStatus::Suspended
        {
            as_far_as_it_can(chronicle, id, record, &known.log, clock)?;
        }
    }
    Ok(())
}

fn as_far_as_it_can(
    chronicle: &Chronicle,
    id: &InstanceId,
    record: &Record,
    log: &[Event],
    clock: Timestamp,
) -> Result<(), Violation> {
    let late = |happened: String| Violation::new(11, "what can progress does", happened);
    if record.stuck.is_some()
        && may_be_unknown(&record.name, record.version.as_deref())
        && model::is_to_go_on(log)
    {
        return Ok(()); // It does not fit its code as it was rewound: that is for a person to see.
    }
    ensure(record.stuck.is_none(), || late(format!("{id} is parked: {:?}", record.stuck)))?;
    let arrivals = log.iter().filter(|event| event.kind.is_arrival()).count();
    let taken = model::taken(log);
    ensure(arrivals == taken, || {
        late(format!("{id} took {taken} of {arrivals} arrivals: {log:?}"))
    })?;
    for event in log {
        let Some(call) = event.kind.call() else { continue };
        let ends = |it: &Event| it.kind.call() == Some(call) && it.kind != event.kind;
        if log.iter().any(ends) {
            continue;
        }
        let waits = match &event.kind {
            Kind::ChildScheduled { instance, .. } => {
                !waits_rightly(chronicle, id, record, call, instance)
            }
            Kind::OperationCalled { entity, operation, .. } => {
                // Somebody else has locked the entity; whether he may is for another law.
                let known = chronicle.instances.get(entity);
                let log = known.map(|known| known.log.as_slice()).unwrap_or_default();
                let locked = locks::of(log).0.is_some_and(|lock| lock.holder != *id);
                !locked || !entities::open(log).contains_key(&operation.request)
            }
            Kind::LocksRequested { section, entities, .. } => {
                !locks::waits_rightly(chronicle, section, entities)
            }
            // A schedule waits for its next time, for ever.
            Kind::TimerCreated { fire_at, .. } if *record.name == *SCHEDULE => {
                fire_at.plus(LATE_MAX) < clock
            }
            Kind::ActivityScheduled { .. } | Kind::TimerCreated { .. } => true,
            _ => false,
        };
        ensure(!waits, || late(format!("{id} still waits for {event:?}")))?;
    }
    Ok(())
}

/// Whether the child of that call is there and has not ended.
fn waits_rightly(
    chronicle: &Chronicle,
    id: &InstanceId,
    record: &Record,
    call: taskhub_core::CallId,
    child: &InstanceId,
) -> bool {
    chronicle.record(child).is_some_and(|child| {
        let ours = child.parent.as_ref().is_some_and(|parent| {
            parent.instance == *id && parent.execution == record.execution && parent.call == call
        });
        ours && !child.status.is_terminal()
    })
}
