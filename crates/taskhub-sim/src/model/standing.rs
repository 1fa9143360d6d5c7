//! What the record of an instance must say, told naively from its history alone.

use std::collections::{BTreeMap, BTreeSet};

use taskhub_core::{CallId, Event, Kind, Record, RuntimeStatus, Timestamp};

use super::taken;
use crate::program::may_be_unknown;

/// What is wrong with the record of an orchestration with this history, if anything is, and which
/// promise that breaks.
pub(crate) fn contradiction(record: &Record, log: &[Event]) -> Option<(u8, String)> {
    let (begun, last) = (log.first()?, log.last()?);
    let Kind::Started(started) = &begun.kind else { return None };
    let ended = match &last.kind {
        Kind::Completed { status } => Some(*status),
        _ => None,
    };
    let suspended = log.iter().rev().find_map(|event| match event.kind {
        Kind::Suspended { .. } => Some(true),
        Kind::Resumed { .. } => Some(false),
        _ => None,
    });
    let suspended = suspended == Some(true);
    let ran = log.iter().any(|event| matches!(event.kind, Kind::TurnStarted { .. }));
    let status = match ended {
        Some(status) => status,
        None if suspended => RuntimeStatus::Suspended,
        None if ran => RuntimeStatus::Running,
        None => RuntimeStatus::Pending,
    };
    let wrong = |law: u8, what: &str, expected: String| Some((law, format!("{what}: {expected}")));
    if record.status != status {
        return wrong(8, "the status", format!("{status:?}"));
    }
    let completed = ended.map(|_| last.at);
    if record.completed_at != completed {
        return wrong(8, "the end", format!("{completed:?}"));
    }
    if (&record.name, &record.version) != (&started.name, &started.version) {
        return wrong(8, "the code", format!("{:?} {:?}", started.name, started.version));
    }
    if record.tags != started.tags {
        return wrong(8, "the labels", format!("{:?}", started.tags));
    }
    if ended.is_some() {
        let may_owe = may_be_unknown(&record.name, record.version.as_deref())
            && record.status != RuntimeStatus::Terminated
            && !Open::of(log).activities.is_empty();
        let idle = record.due.is_none() && (!record.busy || may_owe);
        return if idle { None } else { wrong(8, "one that has ended", "it is idle".to_owned()) };
    }
    let open = Open::of(log);
    let timer = open.timers.values().copied().chain(started.deadline).min();
    // A first turn that may run by now is not due any more, even if nobody can run it.
    let first = started.start_at.filter(|_| !ran && !suspended);
    let due = [timer, timer.into_iter().chain(first).min()];
    if !due.contains(&record.due) {
        return wrong(7, "the next due time", format!("one of {due:?}"));
    }
    let arrivals = log.iter().filter(|event| event.kind.is_arrival()).count();
    let waits = arrivals > taken(log);
    let must = !open.activities.is_empty()
        || waits && !suspended && first.is_none()
        || is_to_go_on(log) && !suspended;
    let may = must || waits;
    if record.busy && !may || !record.busy && must {
        return wrong(11, "whether it is busy", must.to_string());
    }
    None
}

/// Whether it was rewound, and no turn has run since.
pub(crate) fn is_to_go_on(log: &[Event]) -> bool {
    let told = |event: &Event| match event.kind {
        Kind::Rewound { .. } => Some(true),
        Kind::TurnStarted { .. } => Some(false),
        _ => None,
    };
    log.iter().rev().find_map(told) == Some(true)
}

/// Calls without an end.
#[derive(Default)]
struct Open {
    activities: BTreeSet<CallId>,
    timers: BTreeMap<CallId, Timestamp>,
}

impl Open {
    fn of(log: &[Event]) -> Self {
        let mut open = Self::default();
        for event in log {
            match &event.kind {
                Kind::ActivityScheduled { call, .. } => {
                    open.activities.insert(*call);
                }
                Kind::TimerCreated { call, fire_at } => {
                    open.timers.insert(*call, *fire_at);
                }
                Kind::ActivityFinished { call, .. }
                | Kind::TimerFired { call }
                | Kind::CallCancelled { call } => {
                    open.activities.remove(call);
                    open.timers.remove(call);
                }
                _ => {}
            }
        }
        open
    }
}
