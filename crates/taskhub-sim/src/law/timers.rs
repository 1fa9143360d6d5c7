//! Promise 7: "A timer fires once, and never early."

use std::{collections::BTreeMap, time::Duration};

use taskhub_core::{
    CallId, Change, Event, ExecutionId, HistoryChange, InstanceId, Job, Kind, Task, Timestamp,
    TurnRecord, codec, store::Ownership,
};

use super::{Violation, ensure};
use crate::chronicle::{Applied, Chronicle};

type Timer = (u16, u64, InstanceId, ExecutionId, CallId);

/// When the timers are due that owners decided on, durable or not.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    made: BTreeMap<Timer, Timestamp>,
}

impl Timers {
    /// An owner decided on turns while its own clock showed `now`: no timer in them is early.
    pub(crate) fn on_decision(
        &mut self,
        owner: Ownership,
        turns: &[TurnRecord],
        now: Timestamp,
        chronicle: &Chronicle,
    ) -> Result<u64, Violation> {
        let mut checks = 0;
        for turn in turns {
            let Change::Write { record, history, .. } = &turn.change else { continue };
            let (HistoryChange::Append { events, .. } | HistoryChange::Replace { events }) =
                history
            else {
                continue;
            };
            let key = |call| {
                let (partition, epoch) = (owner.partition.0, owner.epoch.0);
                (partition, epoch, turn.instance.clone(), record.execution, call)
            };
            let events = codec::decode_events(events).unwrap_or_default();
            // Of one that was rewound, what stands before that is of earlier decisions.
            let rewound = |event: &Event| matches!(event.kind, Kind::Rewound { .. });
            let fresh = events.iter().rposition(rewound).unwrap_or(0);
            for (position, event) in events.into_iter().enumerate() {
                match event.kind {
                    Kind::TimerFired { .. } if position < fresh => {}
                    Kind::TimerCreated { call, fire_at } => {
                        self.made.insert(key(call), fire_at);
                    }
                    Kind::TimerFired { call } => {
                        checks += 1;
                        let stored = || made(chronicle, turn, record.execution, call);
                        let fire_at = self.made.get(&key(call)).copied().or_else(stored);
                        ensure(fire_at.is_none_or(|at| at <= now), || {
                            let who = format!("{}: {call} for {fire_at:?}", turn.instance);
                            let happened = format!("{who} fired when the clock showed {now:?}");
                            Violation::new(7, "a timer never fires early", happened)
                        })?;
                    }
                    _ => {}
                }
            }
        }
        Ok(checks)
    }
}

/// When a timer of that execution is due, unless the instance has gone on without this owner.
fn made(
    chronicle: &Chronicle,
    turn: &TurnRecord,
    execution: ExecutionId,
    call: CallId,
) -> Option<Timestamp> {
    let known = chronicle.instances.get(&turn.instance)?;
    known.record().filter(|record| record.execution == execution)?;
    created(&known.log, call)
}

fn created(log: &[Event], call: CallId) -> Option<Timestamp> {
    log.iter().find_map(|made| match made.kind {
        Kind::TimerCreated { call: it, fire_at } if it == call => Some(fire_at),
        _ => None,
    })
}

/// When the code began to wait for a timer.
fn made_at(log: &[Event], call: CallId) -> Option<Timestamp> {
    let made = |it: &&Event| matches!(it.kind, Kind::TimerCreated { call: it, .. } if it == call);
    log.iter().find(made).map(|event| event.at)
}

/// How late a timer may fire while nothing is wrong.
pub(crate) const LATE_MAX: Duration = Duration::from_secs(10);

/// A turn became durable: its timers fired after their time, each once, and not late by much when
/// nothing was wrong from `calm` on.
pub(crate) fn on_turn(
    applied: &Applied<'_>,
    chronicle: &Chronicle,
    calm: Timestamp,
) -> Result<(), Violation> {
    let id = &applied.turn.instance;
    let Some(known) = chronicle.instances.get(id) else { return Ok(()) };
    let (start_at, deadline) = match known.log.first().map(|event| &event.kind) {
        Some(Kind::Started(started)) => (started.start_at, started.deadline),
        _ => (None, None),
    };
    for event in &applied.fresh {
        if let (Kind::Terminated { reason: Some(reason) }, Some(deadline)) = (&event.kind, deadline)
            && reason.contains("within the time")
        {
            ensure(deadline <= event.at, || {
                let happened = format!("{id}: {:?} for {deadline:?}", event.at);
                Violation::new(7, "a deadline is never early", happened)
            })?;
        }
        let Kind::TimerFired { call } = event.kind else { continue };
        let timer = created(&known.log, call);
        let fired = Kind::TimerFired { call };
        let count = known.log.iter().filter(|event| event.kind == fired).count();
        ensure(count == 1 && timer.is_some_and(|fire_at| fire_at <= event.at), || {
            let happened = format!("{id}: {call} for {timer:?} at {:?}, {count} times", event.at);
            Violation::new(7, "a timer fires once, and never early", happened)
        })?;
        let due = made_at(&known.log, call).max(timer);
        let late = due.filter(|due| *due >= calm).is_some_and(|due| event.at.since(due) > LATE_MAX);
        ensure(!late, || {
            let happened = format!("{id}: {call} for {timer:?} at {:?}", event.at);
            Violation::new(7, "a timer is not late while nothing is wrong", happened)
        })?;
    }
    let here = |it: &&Event| matches!(it.kind, Kind::TurnStarted { clock: None, .. });
    let begun = applied.fresh.iter().find(here).map(|event| event.at);
    if let (Some(begun), Some(start_at)) = (begun, start_at) {
        ensure(start_at <= begun, || {
            let happened = format!("{id}: a turn at {begun:?} for {start_at:?}");
            Violation::new(7, "nothing starts early", happened)
        })?;
    }
    Ok(())
}

/// Work is handed out: a first turn not before its time by the clock of the owner, which showed at
/// most `latest`. (Operations have their places in line by then.)
pub(crate) fn on_dispatch(task: &Task, latest: Timestamp) -> Result<(), Violation> {
    let due = match &task.job {
        Job::Activity(_) | Job::Operations(_) => None,
        Job::Turn(turn) => {
            let mut events = turn.history.iter().flat_map(|it| it.iter()).map(|it| &it.kind);
            match events.next() {
                Some(Kind::Started(started))
                    if !events.any(|it| matches!(it, Kind::TurnStarted { .. })) =>
                {
                    started.start_at
                }
                _ => None,
            }
        }
    };
    ensure(due.is_none_or(|due| due <= latest), || {
        let happened = format!("{task:?} is handed out when the clock shows {latest:?}");
        Violation::new(7, "nothing that was asked for later is early", happened)
    })
}
