//! What a program must have done, told naively from the events that its turns took.
//!
//! No futures and no cleverness: straight through the steps, and at each wait the earliest event in
//! history among those being waited for. The core has to come to the same calls and the same end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use taskhub_core::{CallId, Event, ExecutionId, InstanceId, Kind, Started, Text, Timestamp, Work};

use crate::program::{Notes, Program, Step, shown};

/// What came of a program so far.
#[derive(Debug)]
pub(crate) struct Told {
    /// The calls, in order.
    pub calls: Vec<Kind>,
    /// Calls given up before they ended.
    pub dropped: BTreeSet<CallId>,
    /// What it shows, if it set something.
    pub status: Option<Text>,
    /// Where it stands.
    pub end: End,
}

/// Where a program stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It waits.
    Waits,
    /// It returned this.
    Returned(Text),
    /// It failed with an error of this kind.
    Failed(&'static str),
    /// It goes on as a new execution.
    GoesOn,
}

struct Teller<'a> {
    programs: &'a [Program],
    execution: ExecutionId,
    /// Arrivals that turns took: when a call ended, and which events were raised.
    ended: BTreeMap<CallId, (usize, &'a Event)>,
    raised: Vec<(usize, &'a Event)>,
    used: BTreeSet<usize>,
    now: Timestamp,
    next: u32,
    uniques: u64,
    calls: Vec<Kind>,
    dropped: BTreeSet<CallId>,
    status: Option<Text>,
    notes: Notes,
}

#[derive(Clone, Copy)]
enum Wait {
    Call(CallId),
    Event(&'static str),
}

/// Tells what became of an execution whose history this is.
pub(crate) fn tell(programs: &[Program], log: &[Event]) -> Option<Told> {
    let Some(Event { at, kind: Kind::Started(started) }) = log.first() else { return None };
    let program = programs.iter().find(|program| program.name == started.name)?;
    let mut teller = Teller::new(programs, started, *at, log);
    let end = teller.run(program);
    let ended = teller.ended;
    let dropped = teller.dropped.into_iter().filter(|call| !ended.contains_key(call)).collect();
    Some(Told { calls: teller.calls, dropped, status: teller.status, end })
}

/// How many arrivals of a history its turns took.
pub(crate) fn taken(log: &[Event]) -> usize {
    let takes = |event: &Event| match event.kind {
        Kind::TurnStarted { takes } => takes as usize,
        _ => 0,
    };
    log.iter().map(takes).sum()
}

impl<'a> Teller<'a> {
    fn new(programs: &'a [Program], started: &Started, now: Timestamp, log: &'a [Event]) -> Self {
        let mut ended = BTreeMap::new();
        let mut raised = Vec::new();
        let arrivals = log.iter().enumerate().filter(|(_, event)| event.kind.is_arrival());
        for (position, event) in arrivals.take(taken(log)) {
            match &event.kind {
                Kind::EventRaised { .. } => raised.push((position, event)),
                kind => {
                    if let Some(call) = kind.call() {
                        ended.insert(call, (position, event));
                    }
                }
            }
        }
        Self {
            programs,
            execution: started.execution,
            ended,
            raised,
            used: BTreeSet::new(),
            now,
            next: 0,
            uniques: 0,
            calls: Vec::new(),
            dropped: BTreeSet::new(),
            status: None,
            notes: Notes::read(started.input.as_ref()),
        }
    }

    fn run(&mut self, program: &Program) -> End {
        for step in &program.steps {
            match step {
                Step::Again(rounds) if self.notes.round < *rounds => return End::GoesOn,
                Step::Panic => return End::Failed("Panic"),
                Step::Fail => return End::Failed("Wanted"),
                step => {
                    if self.step(step).is_none() {
                        return End::Waits;
                    }
                }
            }
        }
        End::Returned(self.notes.output())
    }

    /// One step; `None` when it waits.
    fn step(&mut self, step: &Step) -> Option<()> {
        let at = self.notes.entries.len();
        match step {
            Step::Activity => {
                let call = self.activity("work", at);
                self.note_first(call)?;
            }
            Step::Retry(times, pause) => self.retry(*times, *pause)?,
            Step::FanOut(width) => {
                let calls = (0..*width).map(|at| self.activity("fan", at as usize));
                let calls: Vec<_> = calls.collect();
                self.join(&calls)?;
            }
            Step::Unordered(width) => self.unordered(*width)?,
            Step::Event(name) => self.note_event(name)?,
            Step::EventOr(name, pause) => {
                let timer = self.timer(*pause);
                match self.first(&[Wait::Event(name), Wait::Call(timer)])? {
                    (0, payload) => {
                        self.dropped.insert(timer);
                        self.notes.note_event(name, &payload);
                    }
                    _ => self.notes.note("late"),
                }
            }
            Step::Both(name) => {
                let call = self.activity("both", at);
                match self.first(&[Wait::Call(call), Wait::Event(name)])? {
                    (0, outcome) => {
                        self.notes.note(outcome);
                        self.note_event(name)?;
                    }
                    (_, payload) => {
                        self.notes.note_event(name, &payload);
                        self.note_first(call)?;
                    }
                }
            }
            Step::Twice(name) => {
                let (_, one) = self.first(&[Wait::Event(name)])?;
                let (_, two) = self.first(&[Wait::Event(name)])?;
                self.notes.note_event(name, &one);
                self.notes.note_event(name, &two);
            }
            Step::Timer(pause) => {
                let call = self.timer(*pause);
                self.first(&[Wait::Call(call)])?;
                self.notes.note("woke");
            }
            step => self.outward(step)?,
        }
        Some(())
    }

    fn outward(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Child(program, id) => {
                let call = self.child(*program, id.clone());
                self.note_first(call)?;
            }
            Step::Children(program) => {
                let calls = [self.child(*program, None), self.child(*program, None)];
                self.join(&calls)?;
            }
            Step::Send(to, name) => {
                let payload = format!("{}.{}", self.execution, self.notes.entries.len());
                self.notes.note("sent");
                let (to, name, input) = (to.clone(), Text::from(*name), Some(payload.into()));
                self.call(|call| Kind::EventSent { call, to, name, input });
            }
            Step::Status => self.status = Some(self.notes.output()),
            Step::Clock => self.notes.note(format!("{}", self.now.0)),
            Step::Unique => {
                self.uniques += 1;
                let unique = self.execution.derive(u64::MAX - self.uniques).0;
                self.notes.note(format!("{unique:x}"));
            }
            _ => {}
        }
        Some(())
    }

    fn retry(&mut self, attempts: u32, pause: u64) -> Option<()> {
        for attempt in 0..attempts {
            let call = self.activity("frail", attempt as usize);
            let (_, outcome) = self.first(&[Wait::Call(call)])?;
            if !outcome.starts_with('!') || attempt + 1 == attempts {
                self.notes.note(outcome);
                return Some(());
            }
            let timer = self.timer(pause);
            self.first(&[Wait::Call(timer)])?;
        }
        Some(())
    }

    fn unordered(&mut self, width: u32) -> Option<()> {
        let calls = (0..width).map(|at| Wait::Call(self.activity("free", at as usize)));
        let mut calls: Vec<_> = calls.collect();
        while !calls.is_empty() {
            let (index, outcome) = self.first(&calls)?;
            calls.remove(index);
            self.notes.note(outcome);
        }
        Some(())
    }

    /// Waits for all of these calls, and notes their outcomes in the order of the calls.
    fn join(&mut self, calls: &[CallId]) -> Option<()> {
        let mut open: Vec<_> = calls.to_vec();
        let mut outcomes = BTreeMap::new();
        while !open.is_empty() {
            let waits: Vec<_> = open.iter().copied().map(Wait::Call).collect();
            let (index, outcome) = self.first(&waits)?;
            outcomes.insert(open.remove(index), outcome);
        }
        for outcome in outcomes.into_values() {
            self.notes.note(outcome);
        }
        Some(())
    }

    fn note_first(&mut self, call: CallId) -> Option<()> {
        let (_, outcome) = self.first(&[Wait::Call(call)])?;
        self.notes.note(outcome);
        Some(())
    }

    fn note_event(&mut self, name: &'static str) -> Option<()> {
        let (_, payload) = self.first(&[Wait::Event(name)])?;
        self.notes.note_event(name, &payload);
        Some(())
    }

    /// The earliest of what is waited for: its index and its outcome.
    fn first(&mut self, waits: &[Wait]) -> Option<(usize, String)> {
        let place = |wait: &Wait| match wait {
            Wait::Call(call) => self.ended.get(call).copied(),
            Wait::Event(name) => self.raised.iter().copied().find(|(position, event)| {
                let Kind::EventRaised { name: raised, .. } = &event.kind else { return false };
                !self.used.contains(position) && raised.to_lowercase() == *name
            }),
        };
        let found = waits.iter().enumerate().filter_map(|(at, wait)| Some((place(wait)?, at)));
        let ((position, event), index) =
            found.min_by_key(|((position, _), at)| (*position, *at))?;
        self.used.insert(position);
        self.now = self.now.max(event.at);
        Some((index, outcome(event)))
    }

    fn call(&mut self, kind: impl FnOnce(CallId) -> Kind) -> CallId {
        let call = CallId(self.next);
        self.next += 1;
        self.calls.push(kind(call));
        call
    }

    fn activity(&mut self, name: &str, input: usize) -> CallId {
        let taskhub_core::turn::Command::Activity(work) = crate::code::activity(name, input) else {
            return CallId(u32::MAX);
        };
        self.call(|call| Kind::ActivityScheduled { call, work })
    }

    fn timer(&mut self, pause: u64) -> CallId {
        let fire_at = self.now.plus(Duration::from_millis(pause));
        self.call(|call| Kind::TimerCreated { call, fire_at })
    }

    fn child(&mut self, program: usize, id: Option<InstanceId>) -> CallId {
        let name = self.programs[program].name.clone();
        let work = Work { name, version: None, input: None, tags: std::sync::Arc::default() };
        let execution = self.execution;
        self.call(|call| {
            let instance = id.unwrap_or_else(|| InstanceId::of_child(execution, call));
            Kind::ChildScheduled { call, instance, work }
        })
    }
}

fn outcome(event: &Event) -> String {
    match &event.kind {
        Kind::ActivityFinished { outcome, .. } | Kind::ChildFinished { outcome, .. } => {
            shown(outcome)
        }
        Kind::EventRaised { input, .. } => shown(&Ok(input.clone())),
        _ => "-".to_owned(),
    }
}
