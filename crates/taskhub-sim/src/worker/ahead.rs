//! Turns that workers run ahead, with the result of an activity, as they keep the code; now and
//! then of code that stands elsewhere by now, or at a time that cannot be.

use std::collections::BTreeMap;

use taskhub_core::{
    Ahead, Done, Event, ExecutionId, InstanceId, Kind, Mark, Piece, Taken, Task, Text, Timestamp,
    Turn,
    turn::{Progress, Step},
};

use super::replay;
use crate::{node::Life, world::World};

/// How many turns back a worker may stand.
const TURNS_KEPT: usize = 3;

/// Code that stands behind a turn, as what it saw and did.
#[derive(Debug, Clone)]
struct Behind {
    mark: Mark,
    name: Text,
    version: Option<Text>,
    events: Vec<Event>,
}

/// The code that workers keep, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    behind: BTreeMap<(InstanceId, ExecutionId), Vec<Behind>>,
    marks: u64,
}

impl Kept {
    /// A turn ran that took so many arrivals, at this time for its code.
    fn put(
        &mut self,
        key: (InstanceId, ExecutionId),
        mut behind: Behind,
        takes: u32,
        at: Timestamp,
        step: &Step,
    ) -> Mark {
        self.marks += 1;
        behind.mark = Mark(self.marks);
        let clock = Some(at);
        let kinds = [Kind::TurnStarted { takes, clock }].into_iter();
        let kinds = kinds.chain(step.actions.iter().cloned());
        behind.events.extend(kinds.map(|kind| Event { at, kind }));
        let all = self.behind.entry(key).or_default();
        if matches!(step.progress, Progress::Waiting) {
            all.push(behind);
            all.drain(..all.len().saturating_sub(TURNS_KEPT));
        }
        Mark(self.marks)
    }
}

impl World {
    /// A worker keeps what it ran.
    pub(super) fn keep(
        &mut self,
        task: &Task,
        turn: &Turn,
        events: Vec<Event>,
        takes: u32,
        step: &Step,
    ) -> Mark {
        let key = (task.ticket.instance.clone(), task.ticket.execution);
        let (name, version) = (turn.name.clone(), turn.version.clone());
        let behind = Behind { mark: Mark(0), name, version, events };
        self.kept.put(key, behind, takes, turn.clock, step)
    }

    /// An activity ended, and its worker runs the next turn of the instance with the result.
    pub(super) fn run_ahead(&mut self, life: Life, task: &Task, done: Done) -> Done {
        let (Piece::Activity(call), Done::Activity(outcome)) = (task.ticket.piece, &done) else {
            return done;
        };
        let key = (task.ticket.instance.clone(), task.ticket.execution);
        let Some(kept) = self.kept.behind.get(&key).filter(|kept| !kept.is_empty()) else {
            return done;
        };
        if self.random.chance(300) {
            return done;
        }
        let latest = kept.len() - 1;
        let behind = if self.random.chance(850) { latest } else { self.random.index(kept.len()) };
        let mut behind = self.kept.behind[&key][behind].clone();
        let mut at = self.nodes[life.node].clock(self.now);
        if self.random.chance(100) {
            at = Timestamp(at.0 + self.random.between(-1_000_000, 1_000_000));
        }
        let (outcome, after) = (outcome.clone(), behind.mark);
        let kind = Kind::ActivityFinished { call, outcome: outcome.clone() };
        behind.events.push(Event { at, kind });
        let code = &self.workers[self.nodes[life.node].flaw() as usize];
        let version = behind.version.as_deref();
        let step = replay(code, &key.0, &behind.name, version, &behind.events);
        if matches!(step.progress, Progress::Stuck(_)) {
            return done;
        }
        self.coverage.count("turns that are run ahead");
        let mark = Some(self.kept.put(key, behind, 1, at, &step));
        let taken = Taken { takes: None, step, mark };
        Done::Ahead(Box::new(Ahead { outcome, at, after, taken }))
    }
}
