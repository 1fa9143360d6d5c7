//! Promises 6 and 8, for what begins anew: who is rewound keeps what was done, who is restarted is
//! what he was, and labels go over from one execution to the next.

use std::collections::BTreeMap;

use taskhub_core::{Event, ExecutionId, InstanceId, Kind, Record, Started};

use super::{Violation, ensure};
use crate::{
    chronicle::{Applied, Chronicle},
    code::tags,
};

/// What clients restart: as what each of those runs has to begin.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    wanted: BTreeMap<ExecutionId, Started>,
}

impl Restarts {
    /// A client wants to have once more what this was.
    pub(crate) fn ask(&mut self, execution: ExecutionId, was: Started) {
        self.wanted.insert(execution, was);
    }

    /// A turn became durable.
    pub(crate) fn on_turn(
        &self,
        applied: &Applied<'_>,
        chronicle: &Chronicle,
    ) -> Result<(), Violation> {
        let id = &applied.turn.instance;
        for event in &applied.fresh {
            let Kind::Started(started) = &event.kind else { continue };
            let Some(was) = self.wanted.get(&started.execution) else { continue };
            let facts = |it: &Started| {
                (it.name.clone(), it.version.clone(), it.input.clone(), it.tags.clone())
            };
            ensure(facts(started) == facts(was) && started.parent.is_none(), || {
                broken(8, id, "what is restarted is as it was", &format!("{started:?}, {was:?}"))
            })?;
        }
        if let (Some(before), Some(now), true) =
            (&applied.before, chronicle.record(id), applied.replaced && applied.goes_on)
        {
            labels(id, before, now)?;
        }
        applied.kept.as_ref().map_or(Ok(()), |kept| done_stays_done(id, &applied.old, kept))
    }
}

fn broken(law: u8, id: &InstanceId, expected: &str, happened: &str) -> Violation {
    Violation::new(law, expected, format!("{id}: {happened}"))
}

/// Programs change their label when they are upgraded, and never else.
fn labels(id: &InstanceId, before: &Record, now: &Record) -> Result<(), Violation> {
    let upgraded = now.version.as_deref().filter(|_| before.version != now.version);
    let expected = upgraded.map_or_else(|| before.tags.clone(), tags);
    ensure(now.tags == expected, || {
        let happened = format!("{:?} after {:?}", now.tags, before.tags);
        broken(8, id, &format!("the labels are {expected:?}"), &happened)
    })
}

/// Of the history of one that failed, only failures are taken back, and what was given up.
fn done_stays_done(id: &InstanceId, old: &[Event], kept: &[Event]) -> Result<(), Violation> {
    let mut left = kept.iter().peekable();
    for event in old {
        if left.next_if(|it| stays(event, it)).is_none() {
            ensure(may_go(&event.kind), || {
                let happened = format!("{event:?} is gone of {old:?}, {kept:?}");
                broken(6, id, "what was done stays done", &happened)
            })?;
        }
    }
    ensure(left.peek().is_none(), || {
        let happened = format!("{:?} was not in {old:?}", left.peek());
        broken(6, id, "nothing is added to what was done", &happened)
    })
}

fn may_go(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Completed { .. }
            | Kind::CallCancelled { .. }
            | Kind::TurnStarted { .. }
            | Kind::ActivityFinished { outcome: Err(_), .. }
            | Kind::ChildFinished { outcome: Err(_), .. }
            | Kind::OperationFinished { outcome: Err(_), .. }
    )
}

/// Whether an event is still there: a start knows what it was at first, a turn may have taken
/// less, and what was to happen at a time happens later.
fn stays(old: &Event, new: &Event) -> bool {
    let same = match (&old.kind, &new.kind) {
        (Kind::Started(old), Kind::Started(new)) => {
            let later = |(old, new)| old <= new;
            new.origin == Some(old.origin.unwrap_or(old.execution))
                && (&old.name, &old.version, &old.input) == (&new.name, &new.version, &new.input)
                && old.tags == new.tags
                && old.deadline.is_some() == new.deadline.is_some()
                && old.deadline.zip(new.deadline).is_none_or(later)
        }
        (Kind::TurnStarted { takes, clock }, Kind::TurnStarted { takes: fewer, clock: same }) => {
            fewer <= takes && clock == same
        }
        (
            Kind::TimerCreated { call, fire_at },
            Kind::TimerCreated { call: same, fire_at: later },
        ) => call == same && fire_at <= later,
        (old, new) => old == new,
    };
    same && old.at == new.at
}
