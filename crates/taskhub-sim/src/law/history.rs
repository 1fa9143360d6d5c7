//! Promise 2: "History is append-only; every later history of an execution begins with every
//! earlier one."

use std::collections::{BTreeMap, VecDeque};

use taskhub_core::{CallId, Change, Event, Kind};

use super::{Violation, ensure};
use crate::chronicle::{Applied, Chronicle};

/// A turn became durable: its history has to be the old one with something added, or that of a
/// new execution, and has to make sense as a log.
pub(crate) fn on_turn(applied: &Applied<'_>, chronicle: &Chronicle) -> Result<(), Violation> {
    let Change::Write { record, .. } = &applied.turn.change else { return Ok(()) };
    let id = &applied.turn.instance;
    let broken =
        |expected: &str, happened: String| Violation::new(2, expected, format!("{id}: {happened}"));
    if let Some(before) = &applied.before {
        ensure(applied.replaced != (before.execution == record.execution), || {
            let happened = format!("{} became {}", before.execution, record.execution);
            broken("a history is replaced by another execution's, and only then", happened)
        })?;
        ensure(
            applied.replaced || !before.status.is_terminal() || applied.fresh.is_empty(),
            || broken("nothing is added after the end", format!("{:?}", applied.fresh)),
        )?;
    }
    let log = &chronicle.instances[id].log;
    ensure(record.events == log.len() as u64, || {
        broken("the record counts the events", format!("{} for {}", record.events, log.len()))
    })?;
    if id.as_entity().is_some() {
        let sense = log.iter().enumerate().all(|(position, event)| entity_has(position, event));
        return ensure(sense, || broken("the log makes sense", format!("{log:?}")));
    }
    if record.is_awaited(id) {
        let sense = log.iter().enumerate().all(|(position, event)| early_has(position, event));
        return ensure(sense, || broken("the log makes sense", format!("{log:?}")));
    }
    let damaged = chronicle.damaged.contains(id);
    makes_sense(log, damaged).map_err(|happened| broken("the log makes sense", happened))?;
    let last = log.last().map(|event| &event.kind);
    let ended = matches!(last, Some(Kind::Completed { status }) if *status == record.status);
    ensure(record.status.is_terminal() == ended, || {
        broken("status and log agree on the end", format!("{:?}, {last:?}", record.status))
    })?;
    ensure(record.outcome.is_some() == ended && record.completed_at.is_some() == ended, || {
        broken("whoever has ended has an outcome", format!("{:?}", record.outcome))
    })
}

/// Whether the history of an entity can have this event at this place.
fn entity_has(position: usize, event: &Event) -> bool {
    match &event.kind {
        Kind::Entity(_) => position == 0,
        Kind::OperationRequested(_)
        | Kind::OperationsDue { .. }
        | Kind::LockRequested(_)
        | Kind::LockReleased { .. } => true,
        _ => false,
    }
}

/// Whether an instance that nobody has started can have this event at this place.
fn early_has(position: usize, event: &Event) -> bool {
    match &event.kind {
        Kind::Awaited { .. } => true,
        Kind::EventRaised { .. } => position > 0,
        _ => false,
    }
}

/// Whether a log could have been written by turns. While it could not be read, ends were kept of
/// calls that had been given up.
fn makes_sense(log: &[Event], damaged: bool) -> Result<(), String> {
    let mut open: BTreeMap<CallId, &Kind> = BTreeMap::new();
    let mut waiting = VecDeque::new();
    let mut next = 0;
    // What it took may have been taken back, and one turn after that may take nothing.
    let rewound = log.iter().any(|event| matches!(event.kind, Kind::Rewound { .. }));
    for (position, event) in log.iter().enumerate() {
        let kind = &event.kind;
        if position > 0 && event.at < log[position - 1].at {
            return Err(format!("#{position} is earlier than the one before"));
        }
        if (position == 0) != matches!(kind, Kind::Started(_)) {
            return Err(format!("#{position} is {kind:?}"));
        }
        if kind.is_arrival() {
            waiting.push_back(kind.call());
        }
        match kind {
            Kind::TurnStarted { takes, .. } => {
                let takes = *takes as usize;
                if takes == 0 && !rewound || takes > waiting.len() {
                    return Err(format!("#{position} takes {takes} of {}", waiting.len()));
                }
                waiting.drain(..takes);
            }
            Kind::Completed { .. } if position + 1 < log.len() => {
                return Err(format!("#{position} is the end, and not the last"));
            }
            // Its end may have come while a turn elsewhere gave it up.
            Kind::CallCancelled { call } if waiting.contains(&Some(*call)) => {}
            Kind::CallCancelled { call } => close(&mut open, *call, kind)?,
            kind if kind.is_action() => {
                let call = kind.call().unwrap_or(CallId(u32::MAX));
                if call.0 != next {
                    return Err(format!("#{position} is {kind:?} instead of call {next}"));
                }
                next += 1;
                if takes_time(kind) {
                    open.insert(call, kind);
                }
            }
            kind => {
                if let Some(call) = kind.call() {
                    close(&mut open, call, kind).or_else(|why| damaged.then_some(()).ok_or(why))?;
                }
            }
        }
    }
    Ok(())
}

fn takes_time(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::ActivityScheduled { .. }
            | Kind::ChildScheduled { .. }
            | Kind::TimerCreated { .. }
            | Kind::OperationCalled { .. }
            | Kind::LocksRequested { .. }
    )
}

fn close(open: &mut BTreeMap<CallId, &Kind>, call: CallId, by: &Kind) -> Result<(), String> {
    // A section that is granted can still be given up.
    if let (Some(Kind::LocksRequested { section: asked, .. }), Kind::LocksGranted { section, .. }) =
        (open.get(&call), by)
        && asked == section
    {
        return Ok(());
    }
    let fits = matches!(
        (open.remove(&call), by),
        (Some(_), Kind::CallCancelled { .. })
            | (Some(Kind::ActivityScheduled { .. }), Kind::ActivityFinished { .. })
            | (Some(Kind::ChildScheduled { .. }), Kind::ChildFinished { .. })
            | (Some(Kind::TimerCreated { .. }), Kind::TimerFired { .. })
            | (Some(Kind::OperationCalled { .. }), Kind::OperationFinished { .. })
    );
    if fits { Ok(()) } else { Err(format!("{by:?} ends a call that is not open")) }
}
