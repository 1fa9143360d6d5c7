//! Promise 6: "An activity's result counts once, only while that attempt is outstanding. An entity
//! executes each operation once, in order per sender."

use std::collections::BTreeMap;

use taskhub_core::{
    CallId, Change, Done, Event, ExecutionId, InstanceId, Kind, Outcome, Piece, RuntimeStatus,
    TaskResult, Ticket,
};

use super::{Violation, ensure, limits};
use crate::{
    chronicle::{Applied, Chronicle},
    program::is_elsewhere,
};

/// Every result that a worker ever gave.
#[derive(Debug, Default)]
pub(crate) struct Results {
    given: BTreeMap<(InstanceId, ExecutionId, CallId), Vec<(Ticket, Outcome)>>,
}

impl Results {
    /// A worker gives a result.
    pub(crate) fn note(&mut self, result: &TaskResult) {
        let TaskResult { ticket, done } = result.clone();
        let (call, outcome) = match (ticket.piece, done) {
            (Piece::Activity(call), Done::Activity(outcome)) => (call, outcome),
            (Piece::Activity(call), Done::Ahead(ahead)) => (call, ahead.outcome),
            _ => return,
        };
        let key = (ticket.instance.clone(), ticket.execution, call);
        self.given.entry(key).or_default().push((ticket, outcome));
    }

    /// The troubles are over: every activity that code elsewhere called has run, whether it waited
    /// for that or not, unless it was terminated.
    pub(crate) fn at_rest(&self, chronicle: &Chronicle) -> Result<(), Violation> {
        for (id, known) in &chronicle.instances {
            let Some(record) = known.record().filter(|it| it.status.is_terminal()) else {
                continue;
            };
            let goes_on = is_elsewhere(&record.name, record.version.as_deref())
                && !chronicle.damaged.contains(id)
                && record.status != RuntimeStatus::Terminated;
            for event in known.log.iter().filter(|_| goes_on) {
                let Kind::ActivityScheduled { call, .. } = &event.kind else { continue };
                // What went on after a failure has results of an earlier execution.
                let ends = |it: &Event| it.kind.call() == Some(*call) && it.kind != event.kind;
                let key = (id.clone(), record.execution, *call);
                let ran = self.given.contains_key(&key) || known.log.iter().any(ends);
                ensure(ran && !record.busy, || {
                    let happened = format!("{id} has ended, and {event:?} ran: {ran}");
                    Violation::new(11, "what code elsewhere calls is done", happened)
                })?;
            }
        }
        Ok(())
    }

    /// A turn became durable: each result in it was given under the epoch that wrote it. (That a
    /// call ends once is seen in the log as a whole, by promise 2.)
    pub(crate) fn on_turn(&self, applied: &Applied<'_>) -> Result<(), Violation> {
        let Change::Write { record, .. } = &applied.turn.change else { return Ok(()) };
        let mut seen = std::collections::BTreeSet::new();
        let ended_before = |call: &CallId| {
            let ends =
                |kind: &Kind| matches!(kind, Kind::ActivityFinished { call: it, .. } if it == call);
            !applied.replaced && applied.old.iter().any(|event| ends(&event.kind))
        };
        for event in &applied.fresh {
            let Kind::ActivityFinished { call, outcome } = &event.kind else { continue };
            let once = seen.insert(*call) && !ended_before(call);
            let key = (applied.turn.instance.clone(), record.execution, *call);
            let given = self.given.get(&key).into_iter().flatten();
            let mut given = given.filter(|(_, given)| limits::kept(given) == *outcome);
            let outstanding = given.any(|(ticket, _)| ticket.epoch == applied.epoch);
            ensure(once && outstanding, || {
                let happened = format!(
                    "{} takes {outcome:?} of {call}; first: {once}, outstanding: {outstanding}",
                    applied.turn.instance,
                );
                Violation::new(
                    6,
                    "a result counts once, while its attempt is outstanding",
                    happened,
                )
            })?;
        }
        Ok(())
    }
}
