//! Lives of one execution: lived at random, replayed from history, or lived again in other turns.

use std::collections::{BTreeMap, BTreeSet};

use taskhub_core::{
    CallId, Event, ExecutionId, Failure, InstanceId, Kind, Outcome, Started, Text, Timestamp,
    turn::{Execution, Orchestration, Progress},
};

/// Something that happens to an execution, told by content: ids may differ from life to life.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arrival {
    Finished(Text, Outcome),
    Fired(Timestamp),
    Raised(Text, Text),
}

/// A history, and what the code came to.
pub(crate) struct Life<'a> {
    code: &'a dyn Orchestration,
    execution: Execution,
    pub(crate) history: Vec<Event>,
    pub(crate) outcome: Option<Outcome>,
    /// What the code waits for, with the call that does.
    open: BTreeMap<Text, CallId>,
    /// Its timers, in the order in which they fire.
    timers: BTreeSet<(Timestamp, CallId)>,
}

fn started() -> Started {
    Started::new("program", None, ExecutionId(7))
}

fn begin(code: &dyn Orchestration) -> Execution {
    Execution::begin(code, InstanceId::trusted("i"), &started(), Timestamp(0))
}

impl<'a> Life<'a> {
    /// Begins to live; the first turn has run.
    pub(crate) fn new(code: &'a dyn Orchestration) -> Self {
        let mut life = Self {
            code,
            execution: begin(code),
            history: Vec::new(),
            outcome: None,
            open: BTreeMap::new(),
            timers: BTreeSet::new(),
        };
        life.write(Timestamp(0), Kind::Started(Box::new(started())));
        life.turn(1);
        life
    }

    pub(crate) fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.history.last().map_or(Timestamp(0), |event| event.at)
    }

    /// What could happen next, apart from events.
    pub(crate) fn possible(&self, outcome: impl Fn(&Text) -> Outcome) -> Vec<Arrival> {
        let fired = self.timers.first().map(|(at, _)| Arrival::Fired(*at));
        let finished =
            self.open.keys().map(|input| Arrival::Finished(input.clone(), outcome(input)));
        finished.chain(fired).collect()
    }

    /// Notes an arrival, if what it is about is open.
    pub(crate) fn arrive(&mut self, at: Timestamp, arrival: &Arrival) -> bool {
        let kind = match arrival.clone() {
            Arrival::Finished(input, outcome) => {
                self.open.remove(&input).map(|call| Kind::ActivityFinished { call, outcome })
            }
            Arrival::Fired(due) => {
                let timer = self.timers.iter().find(|(at, _)| *at == due).copied();
                timer
                    .filter(|timer| self.timers.remove(timer))
                    .map(|(_, call)| Kind::TimerFired { call })
            }
            Arrival::Raised(name, input) => Some(Kind::EventRaised { name, input: Some(input) }),
        };
        let Some(kind) = kind else { return false };
        self.write(at, kind);
        true
    }

    fn write(&mut self, at: Timestamp, kind: Kind) {
        let event = Event { at, kind };
        self.execution.absorb(self.history.len() as u64, &event);
        self.history.push(event);
    }

    /// A turn that takes the last so many arrivals.
    pub(crate) fn turn(&mut self, takes: u32) {
        let step = self.execution.step();
        let at = self.now();
        self.history.push(Event { at, kind: Kind::TurnStarted { takes, clock: None } });
        for kind in step.actions {
            match &kind {
                Kind::ActivityScheduled { call, work } => {
                    let input = work.input.clone().expect("calls have an input");
                    self.open.entry(input).or_insert(*call);
                }
                Kind::TimerCreated { call, fire_at } => {
                    self.timers.insert((*fire_at, *call));
                }
                Kind::CallCancelled { call } => {
                    self.open.retain(|_, open| open != call);
                    self.timers.retain(|(_, open)| open != call);
                }
                other => panic!("{other:?}"),
            }
            self.history.push(Event { at, kind });
        }
        match step.progress {
            Progress::Waiting => {}
            Progress::Finished(outcome) => self.outcome = Some(outcome),
            other => panic!("{other:?}\n{:#?}", self.history),
        }
    }

    /// The same life after a restart of its process.
    pub(crate) fn reload(&self) -> Self {
        let mut execution = begin(self.code);
        let ran = |event: &Event| matches!(event.kind, Kind::TurnStarted { .. });
        execution.replay_until(self.history.iter().rposition(ran).unwrap_or(0) as u64);
        for (position, event) in self.history.iter().enumerate() {
            execution.absorb(position as u64, event);
        }
        Self {
            code: self.code,
            execution,
            history: self.history.clone(),
            outcome: None,
            open: self.open.clone(),
            timers: self.timers.clone(),
        }
    }

    /// Replays the history; `cuts` says after which turns the code runs. The last always runs.
    pub(crate) fn replay(&self, mut cuts: impl FnMut() -> bool) -> Option<Outcome> {
        let mut again = begin(self.code);
        again.replay_until(self.history.len() as u64);
        let mut outcome = None;
        let mut step = |again: &mut Execution| {
            let step = again.step();
            assert_eq!(step.actions, [], "a replay did something new: {:#?}", self.history);
            match step.progress {
                Progress::Waiting => {}
                Progress::Finished(result) => outcome = Some(result),
                other => panic!("{other:?}\n{:#?}", self.history),
            }
        };
        let mut turns = 0;
        for (position, event) in self.history.iter().enumerate() {
            let arrives = event.kind.is_arrival();
            let follows = position > 0 && !self.history[position - 1].kind.is_arrival();
            turns += u32::from(arrives && follows);
            if arrives && follows && turns > 0 && cuts() {
                step(&mut again);
            }
            again.absorb(position as u64, event);
        }
        step(&mut again);
        assert_eq!(again.drift(), None);
        outcome
    }
}

/// How an activity with this input ends: most succeed.
pub(crate) fn outcome_of(input: &Text) -> Outcome {
    let sum = input.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
    if sum % 7 == 0 {
        return Err(Failure::new("Test", format!("no {input}")));
    }
    Ok(Some(format!("did {input}").into()))
}
