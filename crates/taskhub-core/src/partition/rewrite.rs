//! The history of an execution that failed, rewritten so that it goes on from before its failure.
//!
//! What was done stays done. A failure is taken back if the code came to nothing by it that stands
//! in the history: its call is then open again. Whether that is so is tried by a replay, if the
//! code is here: without the failure it must still make every call that it made. So an attempt
//! that was followed by another stays, and so does a failure that was compensated for. Of code
//! elsewhere the turns tell: a failure is taken back if the turn that took it called nothing, or
//! was the last.
//!
//! What the code gave up as it failed is open again too. For its timers, and for the deadline, the
//! time stood still while the execution had failed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::mutation::{Mutation, mutated};
use crate::{
    CallId, Event, InstanceId, Kind, Text, Timestamp,
    turn::{Execution, Orchestration, Progress},
};

/// How many events may be replayed in search of what can be taken back. A history whose failures
/// all can be, such as that of a large fan-out, needs one replay; each that cannot costs a few.
const REPLAYED_MAX: usize = 1_000_000;

/// What does not stand in the new history.
#[derive(Debug, Default)]
struct TakenBack {
    /// Failures, by their places.
    failures: BTreeSet<usize>,
    /// Calls that are not given up any more.
    given_up: BTreeSet<CallId>,
}

/// The history as it shall be, up to where it goes on; or why it cannot go on.
pub(super) fn rewritten(
    events: &[Event],
    instance: &InstanceId,
    code: Option<&dyn Orchestration>,
    now: Timestamp,
) -> Result<Vec<Event>, Text> {
    let Some(code) = code else {
        let (failures, given_up) = (by_turns(events), given_up_last(events));
        let taken_back = TakenBack { failures, given_up };
        return Ok(without(events, &taken_back, None, now));
    };
    let mut trial = Trial { code, instance, events, replayed: 0 };
    let given_up = trial.replay(&BTreeSet::new())?;
    let mut taken_back = TakenBack { failures: BTreeSet::new(), given_up };
    let failures: Vec<_> = (0..events.len()).filter(|at| is_failure(&events[*at])).collect();
    trial.take_back(&failures, &mut taken_back);
    if taken_back.failures.is_empty() && !failures.is_empty() && unlocked_last(events) {
        return Err(LOCKED.into());
    }
    Ok(without(events, &taken_back, Some(pause(events, now)), now))
}

/// Why who has lost its locks cannot go on.
pub(super) const LOCKED: &str = "it had locked entities, or waited for that, and gave them back \
    as it failed; start it again instead";

/// Whether it gave back locks in its last turn.
fn unlocked_last(events: &[Event]) -> bool {
    last_turn(events).any(|event| matches!(event.kind, Kind::Unlocked { .. }))
}

/// What the last turn did, the last first.
fn last_turn(events: &[Event]) -> impl Iterator<Item = &Event> {
    events.iter().rev().take_while(|event| !matches!(event.kind, Kind::TurnStarted { .. }))
}

fn is_failure(event: &Event) -> bool {
    if mutated(Mutation::RewindAll) && matches!(event.kind, Kind::ActivityFinished { .. }) {
        return true;
    }
    matches!(
        &event.kind,
        Kind::ActivityFinished { outcome: Err(_), .. }
            | Kind::ChildFinished { outcome: Err(_), .. }
            | Kind::OperationFinished { outcome: Err(_), .. }
    )
}

/// How long it has been failed.
fn pause(events: &[Event], now: Timestamp) -> std::time::Duration {
    let ended = |event: &&Event| matches!(event.kind, Kind::Completed { .. });
    events.iter().rfind(ended).map(|event| now.since(event.at)).unwrap_or_default()
}

/// The failures that code elsewhere can be expected to meet again.
fn by_turns(events: &[Event]) -> BTreeSet<usize> {
    let mut taken_back = BTreeSet::new();
    let mut waiting = VecDeque::new();
    let (mut taken, mut called) = (Vec::new(), false);
    for (position, event) in events.iter().enumerate() {
        match &event.kind {
            Kind::TurnStarted { takes, .. } => {
                if !called {
                    taken_back.append(&mut taken.drain(..).collect());
                }
                let count = (*takes as usize).min(waiting.len());
                taken = waiting.drain(..count).collect();
                called = false;
            }
            kind if kind.is_arrival() => waiting.push_back(position),
            kind => called |= kind.is_action(),
        }
    }
    taken_back.extend(taken.into_iter().chain(waiting));
    taken_back.retain(|position| is_failure(&events[*position]));
    taken_back
}

/// What code elsewhere gave up in its last turn, as it failed.
fn given_up_last(events: &[Event]) -> BTreeSet<CallId> {
    let last = last_turn(events);
    last.filter(|event| matches!(event.kind, Kind::CallCancelled { .. }))
        .filter_map(|event| event.kind.call())
        .collect()
}

/// Tries what the code makes of its history when something is missing there.
struct Trial<'a> {
    code: &'a dyn Orchestration,
    instance: &'a InstanceId,
    events: &'a [Event],
    replayed: usize,
}

impl Trial<'_> {
    /// Takes back as many of these failures as possible, the later ones first.
    fn take_back(&mut self, failures: &[usize], taken_back: &mut TakenBack) {
        if failures.is_empty() || self.replayed + self.events.len() > REPLAYED_MAX {
            return;
        }
        let mut more = taken_back.failures.clone();
        more.extend(failures);
        if let Ok(given_up) = self.replay(&more) {
            *taken_back = TakenBack { failures: more, given_up };
        } else if failures.len() > 1 {
            let (early, late) = failures.split_at(failures.len() / 2);
            self.take_back(late, taken_back);
            self.take_back(early, taken_back);
        }
    }

    /// Replays the history without these events. What history says was given up and now is not;
    /// or how they contradict each other.
    fn replay(&mut self, without: &BTreeSet<usize>) -> Result<BTreeSet<CallId>, Text> {
        let Some(Event { at, kind: Kind::Started(started) }) = self.events.first() else {
            return Err("its history does not begin with a start".into());
        };
        self.replayed += self.events.len();
        let mut again = Execution::begin(self.code, self.instance.clone(), started, *at);
        again.replay_until(u64::MAX);
        for (position, event) in self.events.iter().enumerate() {
            if !without.contains(&position) {
                again.absorb(position as u64, event);
            }
        }
        match again.step().progress {
            Progress::Stuck(why) => Err(why),
            _ => Ok(again.still_wanted()),
        }
    }
}

/// The history without what is taken back. Timers that are open then are due later by `pause`.
fn without(
    events: &[Event],
    taken_back: &TakenBack,
    pause: Option<std::time::Duration>,
    now: Timestamp,
) -> Vec<Event> {
    let mut kept: Vec<Event> = Vec::with_capacity(events.len());
    let mut waiting = VecDeque::new();
    for (position, event) in events.iter().enumerate() {
        let mut event = event.clone();
        let stays = !taken_back.failures.contains(&position);
        if event.kind.is_arrival() {
            waiting.push_back(stays);
        }
        match &mut event.kind {
            Kind::Completed { .. } => continue,
            Kind::CallCancelled { call } if taken_back.given_up.contains(call) => continue,
            Kind::TurnStarted { takes, .. } => {
                let count = (*takes as usize).min(waiting.len());
                let stay = waiting.drain(..count).filter(|stays| *stays).count();
                *takes = u32::try_from(stay).unwrap_or(u32::MAX);
            }
            Kind::Started(started) => {
                let later = |at: Timestamp| at.plus(self::pause(events, now));
                started.deadline = started.deadline.map(later);
            }
            _ if !stays => continue,
            _ => {}
        }
        kept.push(event);
    }
    if let Some(pause) = pause {
        postpone(&mut kept, pause);
    }
    drop_idle(kept)
}

/// Lets the timers that are open be due so much later.
fn postpone(events: &mut [Event], pause: std::time::Duration) {
    let mut open = BTreeMap::new();
    for (position, event) in events.iter().enumerate() {
        match event.kind {
            Kind::TimerCreated { call, .. } => drop(open.insert(call, position)),
            Kind::TimerFired { call } | Kind::CallCancelled { call } => drop(open.remove(&call)),
            _ => {}
        }
    }
    for position in open.into_values() {
        if let Kind::TimerCreated { fire_at, .. } = &mut events[position].kind {
            *fire_at = fire_at.plus(pause);
        }
    }
}

/// Drops turns that now took nothing and called nothing.
fn drop_idle(events: Vec<Event>) -> Vec<Event> {
    let mut idle = None;
    let mut dropped = BTreeSet::new();
    for (position, event) in events.iter().enumerate() {
        match event.kind {
            Kind::TurnStarted { takes, .. } => {
                dropped.extend(idle.take());
                idle = (takes == 0).then_some(position);
            }
            ref kind if kind.is_action() => idle = None,
            _ => {}
        }
    }
    dropped.extend(idle);
    let numbered = events.into_iter().enumerate();
    numbered.filter(|(position, _)| !dropped.contains(position)).map(|(_, it)| it).collect()
}
