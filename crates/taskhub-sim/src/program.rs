//! What the simulated orchestrations do: small programs, drawn from the seed.

use taskhub_core::{InstanceId, Text};

use crate::random::Random;

/// The names of the events that clients raise.
pub(crate) const EVENTS: [&str; 2] = ["reply", "go"];

/// One orchestration: its name and what it does, step by step.
#[derive(Debug, Clone)]
pub struct Program {
    /// The name under which it is served. Nodes do not serve names with `late` at first, and those
    /// with `far` never: only workers elsewhere do.
    pub name: Text,
    /// What it does.
    pub steps: Vec<Step>,
}

/// One step of a program. Each adds what it learned to the notes that become the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Calls an activity.
    Activity,
    /// Calls an activity up to so many times, with a pause in between.
    Retry(u32, u64),
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
    /// Calls an orchestration, the program of that index, under this id or a derived one.
    Child(usize, Option<InstanceId>),
    /// Calls two orchestrations at once.
    Children(usize),
    /// Sends an event.
    Send(InstanceId, &'static str),
    /// Shows what it knows.
    Status,
    /// Notes the time.
    Clock,
    /// Notes a unique number.
    Unique,
    /// Goes on as a new execution, so many times in all, keeping its events.
    Again(u32),
    /// Panics.
    Panic,
    /// Returns an error.
    Fail,
}

impl Program {
    /// The programs of one run. Children come behind their parents, so there are no circles.
    pub(crate) fn draw_all(random: &mut Random, instances: usize) -> Vec<Self> {
        let count = 6 + random.index(6);
        let mut programs = vec![
            Self { name: "weather".into(), steps: vec![Step::Activity, Step::Event("reply")] },
            Self {
                name: "collect".into(),
                steps: vec![Step::Event("go"), Step::Activity, Step::Event("go"), Step::Again(3)],
            },
        ];
        for index in 2..count {
            let place = match random.below(100) {
                0..8 => "late",
                8..33 => "far",
                _ => "p",
            };
            let name = format!("{place}{index}");
            let length = 1 + random.index(5);
            let mut steps: Vec<_> =
                (0..length).map(|_| Step::draw(random, index, count, instances)).collect();
            if random.chance(150) {
                steps.push(Step::Again(1 + u32::try_from(random.below(4)).unwrap_or(0)));
            }
            if random.chance(60) {
                steps.push(if random.chance(500) { Step::Panic } else { Step::Fail });
            }
            programs.push(Self { name: name.into(), steps });
        }
        programs
    }
}

impl Step {
    fn draw(random: &mut Random, own: usize, programs: usize, instances: usize) -> Self {
        let event = *random.pick(&EVENTS);
        let some = 2 + u32::try_from(random.below(3)).unwrap_or(0);
        let pause = 100 + random.below(4000);
        let other = InstanceId::trusted(format!("i{}", random.index(instances)));
        let child = own + 1 + random.index(3);
        match random.below(21) {
            2 => Self::Retry(some, pause),
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

/// What a program carries from one execution to the next: how often it went on, and its notes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    pub round: u32,
    pub entries: Vec<String>,
}

impl Notes {
    pub(crate) fn read(input: Option<&Text>) -> Self {
        let Some((round, entries)) = input.and_then(|text| text.split_once('#')) else {
            return Self::default();
        };
        let entries = entries.split(';').filter(|entry| !entry.is_empty());
        Self { round: round.parse().unwrap_or(0), entries: entries.map(str::to_owned).collect() }
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
        Ok(Some(text)) => text.chars().map(|c| if "=;#".contains(c) { '~' } else { c }).collect(),
        Ok(None) => "-".to_owned(),
        Err(failure) => format!("!{}", failure.kind),
    }
}
