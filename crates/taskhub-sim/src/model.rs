//! What a program must have done, told naively from the events that its turns took.
//!
//! No futures and no cleverness: straight through the steps, and at each wait the earliest event in
//! history among those being waited for. The core has to come to the same calls and the same end.

mod asking;
mod outward;
mod seen;
mod standing;
mod trying;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use taskhub_core::{CallId, Event, ExecutionId, InstanceId, Kind, Started, Text, Timestamp};

use seen::Seen;
pub(crate) use seen::taken;
pub(crate) use standing::{contradiction, is_to_go_on};

use crate::program::{Notes, Program, Step, TOO_LARGE, occurrence, shown};

/// What came of a program so far.
#[derive(Debug)]
pub(crate) struct Told {
    /// The calls, in order.
    pub calls: Vec<Kind>,
    /// Calls given up before they ended.
    pub dropped: BTreeSet<CallId>,
    /// What it shows, if it set something.
    pub status: Option<Text>,
    /// How many events it took that came before it waited for them, and how many that came after.
    pub events: (u64, u64),
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
    Failed(String),
    /// It goes on as a new execution.
    GoesOn,
}

/// The id of a call that history does not have.
const UNKNOWN: CallId = CallId(u32::MAX);

struct Teller<'a> {
    programs: &'a [Program],
    instance: &'a InstanceId,
    execution: ExecutionId,
    seen: Seen<'a>,
    used: BTreeSet<usize>,
    now: Timestamp,
    uniques: u64,
    /// Whether it failed and was rewound.
    rewound: bool,
    /// The calls that the history has, in order, and those among them that this story has not had.
    actual: Vec<&'a Kind>,
    /// The calls of this story, with the ids that history gives them, as far as they are settled.
    calls: Vec<Kind>,
    settled: usize,
    /// Calls that were given up, and the turn in which they were.
    dropped: BTreeMap<usize, usize>,
    /// The turn in which the code went on last.
    turn: usize,
    status: Option<Text>,
    events: (u64, u64),
    notes: Notes,
}

#[derive(Clone, Copy)]
enum Wait {
    /// The call of this number in the story.
    Call(usize),
    Event(&'static str),
}

/// Tells what became of an execution of an instance, whose history this is.
pub(crate) fn tell(programs: &[Program], instance: &InstanceId, log: &[Event]) -> Option<Told> {
    let Some(Event { at, kind: Kind::Started(started) }) = log.first() else { return None };
    let program = programs.iter().find(|program| program.name == started.name)?;
    let mut teller = Teller::new(programs, instance, started, *at, log);
    let end = teller.run(program.steps(started.version.as_deref()));
    teller.settle();
    let Teller { seen, calls, dropped, status, events, .. } = teller;
    // One that has ended is not given up, unless its end was not known to the turn.
    let in_time = |call: &CallId, turn| seen.ended_by(*call, turn);
    let dropped = dropped.into_iter().filter_map(|(call, turn)| Some((calls[call].call()?, turn)));
    // Locks are given back in any case.
    let lock = |call: &CallId| {
        matches!(
            calls.iter().find(|kind| kind.call() == Some(*call)),
            Some(Kind::LocksRequested { .. })
        )
    };
    let dropped = dropped.filter(|(call, turn)| lock(call) || !in_time(call, *turn));
    let dropped = dropped.map(|it| it.0).collect();
    Some(Told { calls, dropped, status, events, end })
}

impl<'a> Teller<'a> {
    fn new(
        programs: &'a [Program],
        instance: &'a InstanceId,
        started: &Started,
        now: Timestamp,
        log: &'a [Event],
    ) -> Self {
        let own = |kind: &&Kind| kind.is_action() && !matches!(kind, Kind::CallCancelled { .. });
        let rewound = log.iter().any(|event| matches!(event.kind, Kind::Rewound { .. }));
        // A note stays though what the code did before it is done again.
        let counts = |kind: &&Kind| !(rewound && matches!(kind, Kind::Noted { .. }));
        let actual = log.iter().map(|event| &event.kind).filter(own).filter(counts).collect();
        Self {
            programs,
            instance,
            execution: started.origin.unwrap_or(started.execution),
            seen: Seen::of(log),
            used: BTreeSet::new(),
            now,
            uniques: 0,
            rewound,
            actual,
            settled: 0,
            calls: Vec::new(),
            dropped: BTreeMap::new(),
            turn: 0,
            status: None,
            events: (0, 0),
            notes: Notes::read(started.input.as_ref()),
        }
    }

    fn run(&mut self, steps: &[Step]) -> End {
        for step in steps {
            match step {
                Step::Upgrade => return End::GoesOn,
                Step::Again(rounds) if self.notes.round < *rounds => return End::GoesOn,
                Step::Occurrence(period) => {
                    return self.occur(*period).map_or(End::Waits, |()| End::GoesOn);
                }
                Step::Heavy => {
                    return match self.step(&Step::Timer(10)) {
                        Some(()) => End::Failed(TOO_LARGE.to_owned()),
                        None => End::Waits,
                    };
                }
                Step::Panic => {} // A turn that panicked never was.
                Step::Fail => return End::Failed("Wanted".to_owned()),
                Step::Must | Step::MustBoth | Step::MustChild(_) => match self.demand(step) {
                    None => return End::Waits,
                    Some(Err(kind)) => return End::Failed(kind),
                    Some(Ok(())) => {}
                },
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
            Step::Retry(policy) => self.retry(policy)?,
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
                        self.dropped.insert(timer, self.turn);
                        self.notes.note_event(name, &payload);
                    }
                    _ => self.notes.note("late"),
                }
            }
            Step::Within(pause) => {
                let (call, timer) = (self.activity("slow", at), self.timer(*pause));
                let (winner, outcome) = self.first(&[Wait::Call(call), Wait::Call(timer)])?;
                self.dropped.insert(if winner == 0 { timer } else { call }, self.turn);
                self.notes.note(if winner == 0 { outcome } else { "late".to_owned() });
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
            Step::Leave | Step::Poll(_) | Step::Question(..) | Step::Answer(_) => self.ask(step)?,
            step => self.outward(step)?,
        }
        Some(())
    }

    fn occur(&mut self, period: u64) -> Option<()> {
        let fire_at = occurrence(period, self.notes.round);
        let timer = self.call(Kind::TimerCreated { call: UNKNOWN, fire_at });
        if let (0, _) = self.first(&[Wait::Event("go"), Wait::Call(timer)])? {
            self.dropped.insert(timer, self.turn);
            return Some(());
        }
        let tick = self.activity("tick", self.notes.round as usize);
        self.first(&[Wait::Call(tick)]).map(drop)
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
    fn join(&mut self, calls: &[usize]) -> Option<()> {
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

    fn note_first(&mut self, call: usize) -> Option<()> {
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
        self.settle();
        let place = |wait: &Wait| match wait {
            Wait::Call(call) => self.seen.ended.get(&self.calls[*call].call()?).copied(),
            Wait::Event(name) => self.seen.raised.iter().copied().find(|(position, event)| {
                let Kind::EventRaised { name: raised, .. } = &event.kind else { return false };
                !self.used.contains(position) && raised.to_lowercase() == *name
            }),
        };
        let found = waits.iter().enumerate().filter_map(|(at, wait)| Some((place(wait)?, at)));
        let ((position, event), index) =
            found.min_by_key(|((position, _), at)| (*position, *at))?;
        self.used.insert(position);
        let turn = self.seen.turn(position);
        if matches!(waits[index], Wait::Event(_)) {
            let early = u64::from(turn <= self.turn);
            self.events = (self.events.0 + early, self.events.1 + 1 - early);
        }
        self.turn = turn;
        self.now = self.now.max(event.at);
        Some((index, outcome(event)))
    }

    /// Calls made between two waits got their ids in an order that only the compiler knows: each
    /// takes the id of the first of history's calls of that time that is the same.
    fn settle(&mut self) {
        let mut free: Vec<_> = (self.settled..self.calls.len()).collect();
        // Timers of one that was rewound are known by their order alone.
        let fire_at = |kind: &Kind| match kind {
            Kind::TimerCreated { fire_at, .. } => Some(*fire_at),
            _ => None,
        };
        let mut unsettled = free.clone();
        unsettled.sort_by_key(|index| fire_at(&self.calls[*index]));
        if self.rewound {
            free.sort_by_key(|at| self.actual.get(*at).copied().and_then(fire_at));
        }
        for index in unsettled {
            let same = |at: &usize| {
                let actual = self.actual.get(*at).copied();
                let id = actual.and_then(Kind::call);
                let told = id.map(|id| self.with_id(&self.calls[index], id));
                actual.zip(told).is_some_and(|(actual, told)| self.is_same(actual, &told))
            };
            if let Some(place) = free.iter().position(same) {
                self.calls[index] = self.actual[free.remove(place)].clone();
            }
        }
        self.settled = self.calls.len();
    }

    /// Whether history has this call. The timers of one that was rewound are due at other times:
    /// later by as long as it had failed, or earlier if something before them was done again.
    fn is_same(&self, actual: &Kind, told: &Kind) -> bool {
        match (actual, told) {
            (
                Kind::TimerCreated { call, fire_at },
                Kind::TimerCreated { call: same, fire_at: meant },
            ) => call == same && (fire_at == meant || self.rewound),
            (actual, told) => actual == told,
        }
    }

    fn call(&mut self, kind: Kind) -> usize {
        self.calls.push(kind);
        self.calls.len() - 1
    }

    fn activity(&mut self, name: &str, input: usize) -> usize {
        let work = crate::code::work(name, Some(input.to_string().into()));
        self.call(Kind::ActivityScheduled { call: UNKNOWN, work })
    }

    fn timer(&mut self, pause: u64) -> usize {
        let fire_at = self.now.plus(Duration::from_millis(pause));
        self.call(Kind::TimerCreated { call: UNKNOWN, fire_at })
    }
}

fn outcome(event: &Event) -> String {
    match &event.kind {
        Kind::ActivityFinished { outcome, .. }
        | Kind::ChildFinished { outcome, .. }
        | Kind::OperationFinished { outcome, .. } => shown(outcome),
        Kind::EventRaised { input, .. } => shown(&Ok(input.clone())),
        _ => "-".to_owned(),
    }
}
