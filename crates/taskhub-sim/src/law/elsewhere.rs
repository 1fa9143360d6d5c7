//! Promises 6 and 8, for turns of code that is elsewhere: what a worker answers counts once, while
//! its ticket is outstanding, and what is written is what the worker had before it and did.

use std::collections::{BTreeMap, BTreeSet};

use taskhub_core::{
    Done, Epoch, Event, ExecutionId, InstanceId, Job, Kind, Piece, Record, Task, Text, Timestamp,
    turn::Progress,
};

use super::{Violation, ensure};
use crate::{
    chronicle::{Applied, Chronicle},
    crew::TOOK_DOWN,
    program::{TOO_LARGE, is_elsewhere},
};

/// Every answer that a worker ever gave to a turn.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    given: BTreeMap<(InstanceId, ExecutionId), Vec<Given>>,
    /// Instances of which a turn was given up, as it took every worker down.
    given_up: BTreeSet<InstanceId>,
}

#[derive(Debug)]
struct Given {
    epoch: Epoch,
    /// How many events the history had that the worker saw.
    events: u64,
    clock: Timestamp,
    takes: u32,
    actions: Vec<Kind>,
    /// What it goes on with as a new execution, if it does.
    goes_on: Option<Text>,
}

impl Elsewhere {
    /// Whether a turn of an instance was given up.
    pub(crate) fn gave_up(&self, id: &InstanceId) -> bool {
        self.given_up.contains(id)
    }

    /// A worker ran a turn.
    pub(crate) fn note(&mut self, task: &Task, done: &Done) {
        let (events, clock, count, taken) = match (task.ticket.piece, &task.job, done) {
            (Piece::Turn(events), Job::Turn(turn), Done::Turn(taken)) => {
                (events, turn.clock, taken.takes.unwrap_or(turn.takes), taken.as_ref())
            }
            // Behind which turn it was run is what its mark says, and a replay shows.
            (_, _, Done::Ahead(ahead)) => (u64::MAX, ahead.at, 1, &ahead.taken),
            _ => return,
        };
        if let Progress::Stuck(why) = &taken.step.progress
            && why.contains(TOOK_DOWN)
        {
            self.given_up.insert(task.ticket.instance.clone());
        }
        let goes_on = match &taken.step.progress {
            Progress::ContinuedAsNew(how, _) => Some(how.input.clone().unwrap_or_default()),
            _ => None,
        };
        let given = Given {
            epoch: task.ticket.epoch,
            events,
            clock,
            takes: count,
            actions: taken.step.actions.clone(),
            goes_on,
        };
        let key = (task.ticket.instance.clone(), task.ticket.execution);
        self.given.entry(key).or_default().push(given);
    }

    /// A turn became durable: if it ran elsewhere, it is one that a worker ran, after the turns
    /// before it, and under the epoch that wrote it.
    pub(crate) fn on_turn(
        &self,
        applied: &Applied<'_>,
        chronicle: &Chronicle,
    ) -> Result<(), Violation> {
        let id = &applied.turn.instance;
        let Some(record) = chronicle.record(id) else { return Ok(()) };
        let log = &chronicle.instances[id].log;
        if applied.replaced {
            return self.on_next(applied, log);
        }
        let given = self.given.get(&(id.clone(), record.execution));
        let given = given.map(Vec::as_slice).unwrap_or_default();
        let fresh = log.len() - applied.fresh.len();
        for (position, event) in log.iter().enumerate().skip(fresh) {
            let Kind::TurnStarted { takes, clock } = event.kind else { continue };
            let Some(clock) = clock else {
                ensure(!is_elsewhere(&record.name, record.version.as_deref()), || {
                    Violation::new(8, "its code is elsewhere", format!("{id} ran here: {event:?}"))
                })?;
                continue;
            };
            let before = last_turn(&log[..position]);
            let actions: Vec<_> = log[position + 1..]
                .iter()
                .map(|event| &event.kind)
                .take_while(|kind| kind.is_action())
                .collect();
            let fits = given.iter().any(|it| {
                it.epoch == applied.epoch
                    && it.events > before
                    && (it.clock, it.takes) == (clock, takes)
                    && (it.actions.iter().eq(actions.iter().copied())
                        || is_too_large(record) && actions.is_empty())
            });
            ensure(fits, || {
                let happened = format!("{id} has {event:?} {actions:?}, behind a turn at {before}");
                Violation::new(6, format!("a turn of a worker: one of {given:?}"), happened)
            })?;
        }
        Ok(())
    }

    /// An execution went on as a new one: because a worker said so, if the code is elsewhere.
    fn on_next(&self, applied: &Applied<'_>, log: &[Event]) -> Result<(), Violation> {
        let (Some(before), Some(Kind::Started(started))) =
            (&applied.before, log.first().map(|event| &event.kind))
        else {
            return Ok(());
        };
        // Further executions of the same step ran here.
        let next = started.execution == before.execution.derive(u64::MAX);
        if !next || !is_elsewhere(&before.name, before.version.as_deref()) {
            return Ok(());
        }
        let id = &applied.turn.instance;
        let given = self.given.get(&(id.clone(), before.execution));
        let given = given.map(Vec::as_slice).unwrap_or_default();
        let last = last_turn(&applied.old);
        let fits = given.iter().any(|it| {
            it.epoch == applied.epoch
                && it.events > last
                && it.goes_on.is_some()
                && it.goes_on == started.input
        });
        ensure(fits, || {
            let happened = format!("{id} goes on with {:?}, after {last}", started.input);
            Violation::new(6, format!("as a worker said: one of {given:?}"), happened)
        })
    }
}

/// Whether an instance failed as its last turn made something that was too large: then nothing of
/// that turn happened.
pub(crate) fn is_too_large(record: &Record) -> bool {
    matches!(&record.outcome, Some(Err(failure)) if *failure.kind == *TOO_LARGE)
}

/// Where the last turn stands in a history, or 0.
fn last_turn(log: &[Event]) -> u64 {
    let turn = |event: &Event| matches!(event.kind, Kind::TurnStarted { .. });
    log.iter().rposition(turn).unwrap_or(0) as u64
}
