//! Draws programs from the seed.

use taskhub_core::InstanceId;

use super::{BLOB, ENTITIES, EVENTS, Policy, Program, SCHEDULE, Step};
use crate::random::Random;

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
            Self {
                name: "nurse".into(),
                steps: vec![Step::ChildOr(0, 300), Step::EventOr("go", 900), Step::Again(4)],
            },
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
            36 if some == 2 => Self::Heavy,
            36 if some == 3 => Self::Broad,
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
            9 if child < programs && some == 2 => Self::ChildOr(child, pause),
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

fn draw_schedule(random: &mut Random) -> Step {
    Step::Occurrence(2_000 + random.below(20_000))
}

/// Handles a blob in up to five attempts, and tells an orchestration about it.
fn draw_receipt(random: &mut Random, instances: usize) -> Vec<Step> {
    let instance = InstanceId::trusted(format!("i{}", random.index(instances)));
    vec![Step::Retry(Policy::patient(5, 200)), Step::Send(instance, "reply")]
}
