//! What the simulated orchestrations do: small programs, drawn from the seed.

mod draw;
mod ending;
mod policy;

use std::time::Duration;

use taskhub_core::{ExecutionId, InstanceId, Operation, Text, Timestamp};

pub(crate) use ending::{ends_all, why_ended};
pub use policy::Policy;
pub(crate) use policy::{FINAL, TIMEOUT, attempt, millis, progress};

use crate::node::EPOCH;

/// The names of the events that clients raise.
pub(crate) const EVENTS: [&str; 2] = ["reply", "go"];

/// The name of the event that answers a question.
pub(crate) const ANSWER: &str = "answer";

/// One orchestration: its name and what it does, step by step.
#[derive(Debug, Clone)]
pub struct Program {
    /// The name under which it is served. Nodes do not serve names with `late` at first, and those
    /// with `far` not at all: only workers elsewhere do, unless an upgrade changes that.
    pub name: Text,
    /// What it does.
    pub steps: Vec<Step>,
}

/// One step of a program. Each adds what it learned to the notes that become the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Calls an activity.
    Activity,
    /// Calls an activity and never asks what came of it.
    Leave,
    /// Calls an activity until it succeeds or nothing is left of the attempts or the time.
    Retry(Policy),
    /// Calls so many activities at once and notes the results in the order of the calls.
    FanOut(u32),
    /// Calls so many activities at once and notes the results in the order of their ends.
    Unordered(u32),
    /// Waits for an event.
    Event(&'static str),
    /// Waits for an event, but only so many milliseconds; drops the loser.
    EventOr(&'static str, u64),
    /// Calls an activity, but waits only so many milliseconds; drops the loser.
    Within(u64),
    /// Calls an activity and waits for an event; keeps the loser and takes it afterwards.
    Both(&'static str),
    /// Waits twice for the same event, at once.
    Twice(&'static str),
    /// Waits for so many milliseconds.
    Timer(u64),
    /// Calls an activity, and fails with it.
    Must,
    /// Calls two activities at once, and fails with the first that fails; drops the other.
    MustBoth,
    /// Calls an orchestration, and fails with it.
    MustChild(usize),
    /// Asks a service, and again after so many milliseconds as long as it says "accepted".
    Poll(u64),
    /// Asks an instance, by an event of that name, and waits for its answer.
    Question(InstanceId, &'static str),
    /// Waits for an event; answers if it is a question.
    Answer(&'static str),
    /// Calls an orchestration, the program of that index, under this id or a derived one.
    Child(usize, Option<InstanceId>),
    /// Calls an orchestration, but waits only so many milliseconds; drops the loser.
    ChildOr(usize, u64),
    /// Calls two orchestrations at once.
    Children(usize),
    /// Sends an event.
    Send(InstanceId, &'static str),
    /// Calls an operation of the entity of that index.
    Ask(usize),
    /// Signals the entity of that index, perhaps for only after so many milliseconds.
    Tell(usize, Option<u64>),
    /// Locks the entities of those indexes, in that order.
    Lock(Vec<usize>),
    /// Locks entities, but waits only so many milliseconds.
    LockOr(Vec<usize>, u64),
    /// Calls an operation of each entity that is locked.
    Inside,
    /// Unlocks what is locked.
    Unlock,
    /// Starts an orchestration and does not wait for it, perhaps for only after so many
    /// milliseconds.
    Spawn(usize, Option<u64>),
    /// Terminates an instance.
    End(InstanceId, bool),
    /// Notes once and for all in the history which version of a change it has.
    Change(&'static str),
    /// Shows what it knows.
    Status,
    /// Notes the time.
    Clock,
    /// Notes a unique number.
    Unique,
    /// Waits for the next of the times that lie so many milliseconds apart, runs for it, and goes
    /// on as a new execution, for ever; an event changes it.
    Occurrence(u64),
    /// Goes on as a new execution, so many times in all, keeping its events.
    Again(u32),
    /// Goes on as a new execution of the next version, whose steps are those behind this one.
    Upgrade,
    /// Calls three activities at once, with more in all than some stores take.
    Broad,
    /// Waits a moment, then calls an activity with more than anything may be.
    Heavy,
    /// Panics, until the code is mended.
    Panic,
    /// Returns an error.
    Fail,
}

impl Program {
    /// The steps of a version.
    pub(crate) fn steps(&self, version: Option<&str>) -> &[Step] {
        let upgrade = self.steps.iter().position(|step| *step == Step::Upgrade);
        match (upgrade, version) {
            (Some(at), Some(_)) => &self.steps[at + 1..],
            _ => &self.steps,
        }
    }
}

/// The version that programs are upgraded to.
pub(crate) const NEXT: &str = "2";

/// Whether only workers elsewhere can run this. Some programs move when they are upgraded.
pub(crate) fn is_elsewhere(name: &str, version: Option<&str>) -> bool {
    let moves = version.is_some() && name.ends_with(['1', '3', '5', '7', '9']);
    name.starts_with("far") != moves
}

/// Whether some node does not have this, so that it may be rewound without its code.
pub(crate) fn may_be_unknown(name: &str, version: Option<&str>) -> bool {
    name.starts_with("late") || is_elsewhere(name, version)
}

/// What is asked: a payload that says where the answer goes.
pub(crate) fn question(execution: ExecutionId, count: usize, asker: &InstanceId) -> Text {
    format!("{execution}.{count}@{asker}").into()
}

/// Who asked, if this payload is a question, and what he is answered.
pub(crate) fn answer(payload: &str) -> Option<(InstanceId, Text)> {
    let (_, asker) = payload.split_once('@')?;
    Some((InstanceId::trusted(asker), format!("re:{payload}").into()))
}

/// Whether a service that says this has more to do.
pub(crate) fn is_accepted(told: &str) -> bool {
    let number = told.strip_prefix('r').and_then(|number| number.parse::<u64>().ok());
    number.is_some_and(|number| number % 3 == 0)
}

/// The program of a schedule, and that of a receipt.
pub(crate) const SCHEDULE: &str = "schedule";
pub(crate) const BLOB: &str = "blob";

/// The times of a schedule are numbered: when this one is due.
pub(crate) fn occurrence(period: u64, number: u32) -> Timestamp {
    Timestamp(EPOCH).plus(Duration::from_millis(period) * number)
}

/// The first time of a schedule after this moment.
pub(crate) fn next_occurrence(period: u64, now: Timestamp) -> u32 {
    let passed = now.since(Timestamp(EPOCH)).as_millis() / u128::from(period.max(1));
    u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(1)
}

/// How many entities there are.
pub(crate) const ENTITIES: usize = 4;

/// The entity of an index.
pub(crate) fn entity(index: usize) -> InstanceId {
    InstanceId::trusted(format!("@cell@{index}"))
}

/// The operation that is asked for as the `count`th thing of an execution. Its input says by whom,
/// and which of those of its sender it is.
pub(crate) fn operation(execution: ExecutionId, count: usize) -> Operation {
    let name = match count % 7 {
        2 => "clear",
        4 => "pass",
        _ => "add",
    };
    let input = Some(format!("{execution}:{count}").into());
    Operation::new("", name, input)
}

/// Entities that an execution has locked, and the name of the critical section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub section: Text,
    pub entities: Vec<InstanceId>,
}

/// What a program carries from one execution to the next: how often it went on, and its notes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    pub round: u32,
    pub entries: Vec<String>,
    /// What is locked; no further execution has it.
    pub held: Option<Held>,
}

impl Notes {
    pub(crate) fn read(input: Option<&Text>) -> Self {
        let Some((round, entries)) = input.and_then(|text| text.split_once('#')) else {
            return Self::default();
        };
        let entries = entries.split(';').filter(|entry| !entry.is_empty());
        let round = round.parse().unwrap_or(0);
        Self { round, entries: entries.map(str::to_owned).collect(), held: None }
    }

    pub(crate) fn write(&self) -> Text {
        format!("{}#{}", self.round, self.entries.join(";")).into()
    }

    pub(crate) fn output(&self) -> Text {
        self.entries.join(";").into()
    }

    /// The events of a name that were noted, in order.
    pub(crate) fn events<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.entries.iter().filter_map(move |entry| {
            let (key, payload) = entry.split_once('=')?;
            (key == name).then_some(payload)
        })
    }

    /// The entities that are locked.
    pub(crate) fn locked(&self) -> Vec<InstanceId> {
        self.held.as_ref().map(|held| held.entities.clone()).unwrap_or_default()
    }

    pub(crate) fn note(&mut self, entry: impl Into<String>) {
        self.entries.push(entry.into());
    }

    pub(crate) fn note_event(&mut self, name: &str, payload: &str) {
        self.note(format!("{name}={payload}"));
    }
}

/// More than anything may be, in bytes and as a text: whatever else there is is far less. And the
/// kind of the failure that comes of it.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 16;
pub(crate) const TOO_LARGE: &str = "PayloadTooLarge";

/// The inputs of three of which are more than a store takes that has this bound.
pub(crate) const COMMIT_BYTES_MAX: usize = 1 << 14;

pub(crate) fn broad() -> Text {
    "x".repeat(COMMIT_BYTES_MAX / 2).into()
}

pub(crate) fn too_large() -> Text {
    "x".repeat(PAYLOAD_BYTES_MAX + 1).into()
}

/// The outcome of a call, as a note: short, and without the signs that notes are made of.
pub(crate) fn shown(outcome: &taskhub_core::Outcome) -> String {
    match outcome {
        Ok(Some(text)) => text.chars().map(|c| if "=;#!".contains(c) { '~' } else { c }).collect(),
        Ok(None) => "-".to_owned(),
        Err(failure) => format!("!{}", failure.kind),
    }
}
