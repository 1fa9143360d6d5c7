//! What the simulated orchestrations do: small programs, drawn from the seed.

mod policy;

use std::time::Duration;

use taskhub_core::{ExecutionId, InstanceId, Operation, Text, Timestamp};

pub use policy::Policy;
pub(crate) use policy::{FINAL, TIMEOUT, attempt, millis, progress};

use crate::{node::EPOCH, random::Random};

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
    /// Panics, until the code is mended.
    Panic,
    /// Returns an error.
    Fail,
}

impl Program {
    /// The programs of one run. Children come behind their parents, so there are no circles.
    pub(crate) fn draw_all(random: &mut Random, instances: usize) -> Vec<Self> {
        let count = 8 + random.index(6);
        let mut programs = vec![
            Self { name: "weather".into(), steps: vec![Step::Activity, Step::Event("reply")] },
            Self {
                name: "collect".into(),
                steps: vec![Step::Event("go"), Step::Activity, Step::Event("go"), Step::Again(3)],
            },
            Self {
                name: "desk".into(),
                steps: vec![Step::Answer("go"), Step::Activity, Step::Answer("go"), Step::Again(4)],
            },
            Self { name: "ask".into(), steps: vec![draw_question(random, instances)] },
        ];
        for index in programs.len()..count {
            let place = match random.below(100) {
                0..8 => "late",
                8..33 => "far",
                _ => "p",
            };
            let name = format!("{place}{index}");
            let length = 1 + random.index(5);
            let mut steps: Vec<_> =
                (0..length).map(|_| Step::draw(random, index, count, instances)).collect();
            if random.chance(250) {
                draw_section(random, &mut steps);
            }
            if random.chance(150) {
                steps.insert(random.index(steps.len()), Step::Upgrade);
            }
            if random.chance(150) {
                steps.push(Step::Again(1 + u32::try_from(random.below(4)).unwrap_or(0)));
            }
            if random.chance(100) {
                steps.push(Step::Leave);
            }
            if random.chance(70) {
                steps.push(Step::Fail);
            }
            if random.chance(100) {
                steps.insert(random.index(steps.len() + 1), Step::Panic);
            }
            programs.push(Self { name: name.into(), steps });
        }
        programs.push(Self { name: SCHEDULE.into(), steps: vec![draw_schedule(random)] });
        programs.push(Self { name: BLOB.into(), steps: draw_receipt(random, instances) });
        programs
    }
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

impl Step {
    fn draw(random: &mut Random, own: usize, programs: usize, instances: usize) -> Self {
        let event = *random.pick(&EVENTS);
        let some = 2 + u32::try_from(random.below(3)).unwrap_or(0);
        let pause32 = 100 + u32::try_from(random.below(4000)).unwrap_or(0);
        let pause = u64::from(pause32);
        let other = InstanceId::trusted(format!("i{}", random.index(instances)));
        let child = own + 1 + random.index(3);
        let entity = random.index(ENTITIES);
        let later = random.chance(400).then_some(pause);
        match random.below(40) {
            30..=32 => Self::Must,
            33 => Self::MustBoth,
            34 | 35 if child < programs => Self::MustChild(child),
            36 => Self::Poll(pause),
            37 => draw_question(random, instances),
            38 => Self::Answer(event),
            39 => Self::Leave,
            28 | 29 => Self::Change(if later.is_some() { "change" } else { "other" }),
            21 | 22 => Self::Ask(entity),
            23..=25 => Self::Tell(entity, later),
            26 if child < programs => Self::Spawn(child, later),
            27 => Self::End(other, random.chance(500)),
            2 | 0 => Self::Retry(Policy::draw(random, some, 1 + pause32 / 4)),
            3 => Self::FanOut(some * 2),
            4 => Self::Unordered(some),
            5 => Self::Event(event),
            6 | 7 => Self::EventOr(event, pause * 2),
            8 => Self::Both(event),
            9 => Self::Twice(event),
            10 => Self::Timer(pause),
            11 | 12 if child < programs => Self::Child(child, None),
            13 if child < programs => Self::Child(child, Some(other)),
            14 if child < programs => Self::Children(child),
            15 => Self::Send(other, event),
            16 => Self::Status,
            17 => Self::Clock,
            18 => Self::Unique,
            19 | 20 => Self::Within(pause / 100),
            _ => Self::Activity,
        }
    }
}

/// Puts a critical section around some of the steps: what concerns entities stands outside. It may
/// never be left, except by the end of the program.
fn draw_section(random: &mut Random, steps: &mut Vec<Step>) {
    steps.retain(|step| !matches!(step, Step::Ask(_) | Step::Tell(..)) || random.chance(500));
    let uses = |step: &Step| matches!(step, Step::Ask(_) | Step::Tell(..));
    let first = steps.iter().rposition(uses).map_or(0, |at| at + 1);
    let mut entities: Vec<_> = (0..ENTITIES).filter(|_| random.chance(600)).collect();
    if entities.is_empty() {
        entities.push(random.index(ENTITIES));
    }
    if random.chance(500) {
        entities.reverse();
    }
    let pause = 50 + random.below(2_000);
    let lock =
        if random.chance(300) { Step::LockOr(entities, pause) } else { Step::Lock(entities) };
    steps.insert(first, lock);
    steps.insert(first + 1, Step::Inside);
    if random.chance(800) {
        let rest = steps.len() - first - 2;
        steps.insert(first + 2 + random.index(rest + 1), Step::Unlock);
        if random.chance(300) {
            steps.push(Step::Ask(random.index(ENTITIES)));
        }
    }
}

fn draw_question(random: &mut Random, instances: usize) -> Step {
    let other = InstanceId::trusted(format!("i{}", random.index(instances)));
    Step::Question(other, "go")
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

fn draw_schedule(random: &mut Random) -> Step {
    Step::Occurrence(2_000 + random.below(20_000))
}

/// Handles a blob in up to five attempts, and tells an orchestration about it.
fn draw_receipt(random: &mut Random, instances: usize) -> Vec<Step> {
    let instance = InstanceId::trusted(format!("i{}", random.index(instances)));
    vec![Step::Retry(Policy::patient(5, 200)), Step::Send(instance, "reply")]
}

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

/// The outcome of a call, as a note: short, and without the signs that notes are made of.
pub(crate) fn shown(outcome: &taskhub_core::Outcome) -> String {
    match outcome {
        Ok(Some(text)) => text.chars().map(|c| if "=;#!".contains(c) { '~' } else { c }).collect(),
        Ok(None) => "-".to_owned(),
        Err(failure) => format!("!{}", failure.kind),
    }
}
