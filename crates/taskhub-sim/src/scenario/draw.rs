//! Draws a run from its seed: the cluster, the workload, the troubles.

mod workers;

use taskhub_core::{ExecutionId, InstanceId, Limits, Reuse, RuntimeStatus, Text};

use workers::{draw_patience, draw_workers};

use super::{Act, CALM_AFTER, MILLIS, Operation, Rates, SECONDS, Scenario, Trouble, TroubleKind};
use crate::{
    program::{ENTITIES, EVENTS, PAYLOAD_BYTES_MAX, Program, entity, too_large},
    random::Random,
    trigger::schedule_id,
};

impl Scenario {
    /// Draws the run of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let embedded = random.chance(300);
        let nodes = if embedded { 1 } else { 1 + random.index(3) };
        let instances = 4 + random.index(12);
        let programs = Program::draw_all(&mut random, instances);
        let mut operations = draw_operations(&mut random, instances, &programs);
        let schedule = random.chance(400);
        if schedule {
            draw_disturbance(&mut random, &mut operations);
        }
        let blobs = if random.chance(400) { random.index(5) } else { 0 };
        let blobs = (0..blobs).map(|_| random.between(0, CALM_AFTER)).collect();
        let partitions = [1, 2, 4, 7][random.index(4)];
        let calm = random.chance(100);
        Self {
            seed,
            partitions,
            nodes,
            shards: 1 + random.index(2),
            embedded,
            narrow: random.chance(300),
            limits: draw_limits(&mut random),
            patience: draw_patience(&mut random),
            workers: draw_workers(&mut random, &programs),
            rates: if calm { Rates::default() } else { draw_rates(&mut random) },
            programs,
            operations,
            schedule,
            blobs,
            troubles: if calm {
                Vec::new()
            } else {
                draw_troubles(&mut random, nodes, embedded, partitions)
            },
            lanes: if embedded { 1 } else { [1, 2, 3][random.index(3)] },
        }
    }
}

fn draw_limits(random: &mut Random) -> Limits {
    let replay_samples = *random.pick(&[0, 1, 2, 256]);
    let payload_bytes_max = PAYLOAD_BYTES_MAX;
    let mut limits = Limits { replay_samples, payload_bytes_max, ..Limits::default() };
    if random.chance(600) {
        limits.cache_bytes_max = *random.pick(&[0, 1_000, 5_000, 20_000]);
    }
    if random.chance(400) {
        limits.wakes_count_max = 1 + random.index(12);
    }
    if random.chance(400) {
        limits.tasks_count_max = 1 + random.index(4);
    }
    if random.chance(500) {
        limits.batch_count_max = 1 + random.index(6);
    }
    if random.chance(200) {
        // So small that what arrives at once does not fit into one record either.
        limits.batch_bytes_max = if limits.batch_count_max < 4 { 20 } else { 600 };
    }
    if random.chance(150) {
        limits.backlog_count_max = 1 + random.index(3);
    }
    if random.chance(200) {
        limits.early_instances_max = 1;
    }
    if random.chance(300) {
        limits.operations_count_max = 1 + random.index(3);
    }
    if random.chance(300) {
        limits.continues_in_row_max = 1 + random.index(2);
    }
    limits
}

fn draw_rates(random: &mut Random) -> Rates {
    let mut rate = |max: u64| {
        if random.chance(400) { u32::try_from(random.below(max)).unwrap_or(0) } else { 0 }
    };
    Rates {
        commit_fails: rate(40),
        commit_lies: rate(40),
        commit_slow: rate(40),
        commit_crashes: rate(30),
        read_fails: rate(150),
        activity_fails: rate(500),
        result_twice: rate(300),
        hint_lost: rate(800),
        message_twice: rate(400),
        activity_hangs: rate(200),
        worker_lost: rate(300),
        worker_leaves: rate(100),
        work_refused: rate(300),
        turn_partial: rate(500),
        thread_late: rate(300),
        nodes_miscounted: rate(1_000),
        secret_wrong: rate(700),
    }
}

fn draw_operations(random: &mut Random, instances: usize, programs: &[Program]) -> Vec<Operation> {
    let mut operations = Vec::new();
    for index in 0..instances {
        draw_life(random, index, programs, &mut operations);
    }
    for _ in 0..random.index(12) {
        let instance = InstanceId::trusted(format!("i{}", random.index(instances)));
        let number = operations.len();
        let act = draw_act(random, number, programs.len());
        let at = random.between(0, CALM_AFTER);
        operations.push(Operation { at, instance, act, patience: None, within: None });
    }
    for _ in 0..random.index(20) {
        draw_visit(random, &mut operations);
    }
    for _ in 0..random.index(3) {
        let (at, instance) = (random.between(0, CALM_AFTER), entity(0));
        operations.push(Operation { at, instance, act: Act::Clean, patience: None, within: None });
    }
    operations.sort_by_key(|operation| operation.at);
    operations
}

/// Somebody stops the schedule, or lets it go on.
fn draw_disturbance(random: &mut Random, operations: &mut Vec<Operation>) {
    for _ in 0..random.index(4) {
        let act = match random.below(6) {
            0 => Act::Terminate(false),
            1 => Act::Suspend,
            2..=4 => Act::Resume,
            _ => Act::Wait,
        };
        let (at, instance) = (random.between(0, CALM_AFTER), schedule_id());
        operations.push(Operation { at, instance, act, patience: None, within: None });
    }
    operations.sort_by_key(|operation| operation.at);
}

/// Somebody uses an entity.
fn draw_visit(random: &mut Random, operations: &mut Vec<Operation>) {
    let act = match random.below(12) {
        0 => Act::Purge,
        1 => Act::Status,
        2..=4 => Act::Signal(Some(random.between(-SECONDS, 8 * SECONDS))),
        _ => Act::Signal(None),
    };
    let instance = entity(random.index(ENTITIES));
    let at = random.between(0, CALM_AFTER / 2);
    operations.push(Operation { at, instance, act, patience: None, within: None });
}

/// The life of one instance, as its clients mean it: a start, events, somebody who waits.
fn draw_life(
    random: &mut Random,
    index: usize,
    programs: &[Program],
    operations: &mut Vec<Operation>,
) {
    let reuse = draw_reuse(random, true);
    let fresh = reuse == Reuse::Fresh;
    let instance = id_of_life(index, fresh);
    let begin = random.between(0, CALM_AFTER / 3);
    let program = if random.chance(300) { random.index(5) } else { random.index(programs.len()) };
    let after = random.chance(100).then(|| random.between(-SECONDS, 8 * SECONDS));
    let mut within = random.chance(150).then(|| random.between(0, 10 * SECONDS));
    let mut push = |at: i64, act: Act, patience: Option<i64>| {
        let instance = instance.clone();
        operations.push(Operation { at, instance, act, patience, within });
        within = None;
    };
    push(begin, Act::Start(program, reuse, after), None);
    if random.chance(700) {
        let patience = random.chance(300).then(|| random.between(0, 10 * SECONDS));
        let (after, act) = draw_wait(random, index);
        push((begin + after).max(0), act, patience);
    }
    for number in 0..random.below(6) {
        let name = *random.pick(&EVENTS);
        let name = if random.chance(200) { name.to_uppercase() } else { name.to_owned() };
        let at = if random.chance(300) {
            begin + random.between(0, 20 * MILLIS)
        } else {
            begin + random.between(0, 12 * SECONDS)
        };
        let payload = draw_payload(random, format!("{index}-{number}"));
        let raise = match random.below(10) {
            0 if !fresh => {
                let (program, reuse) = (random.index(programs.len()), draw_reuse(random, false));
                Act::StartOrRaise(program, reuse, name.into(), payload)
            }
            1 if !fresh => Act::RaiseEarly(name.into(), payload, random.between(0, 5 * SECONDS)),
            _ => Act::Raise(name.into(), payload),
        };
        let early = if matches!(raise, Act::RaiseEarly(..)) { begin / 2 } else { 0 };
        let at = at - early;
        if random.chance(150) {
            push(at + random.between(0, 3 * SECONDS), raise.clone(), None);
        }
        push(at, raise, None);
    }
    for _ in 0..random.below(5) {
        let number = 100 + random.below(1_000_000);
        let act = draw_act(random, usize::try_from(number).unwrap_or(0), programs.len());
        let again = matches!(act, Act::Start(..) | Act::Restart(_));
        if !(again && fresh) {
            push(begin + random.between(0, 15 * SECONDS), act, None);
        }
    }
    if random.chance(150) {
        push(begin + random.between(3 * SECONDS, 20 * SECONDS), Act::PurgeAll, None);
    }
}

/// This payload, or one that nobody may send.
fn draw_payload(random: &mut Random, payload: String) -> Text {
    if random.chance(20) { too_large() } else { payload.into() }
}

/// A fresh id is one that nobody else could have used: that of its execution.
fn id_of_life(index: usize, fresh: bool) -> InstanceId {
    if fresh {
        InstanceId::fresh(ExecutionId(1 << 120 | index as u128))
    } else {
        InstanceId::trusted(format!("i{index}"))
    }
}

/// Somebody waits, some before the instance is there; from its start.
fn draw_wait(random: &mut Random, index: usize) -> (i64, Act) {
    let after = random.between(0, 2 * SECONDS);
    if index.is_multiple_of(3) { (-after, Act::Expect) } else { (after, Act::Wait) }
}

fn draw_act(random: &mut Random, number: usize, programs: usize) -> Act {
    match random.below(20) {
        12..=18 => Act::Rewind,
        19 => {
            let other = InstanceId::trusted(format!("again{number}"));
            Act::Restart(random.chance(500).then_some(other))
        }
        0 | 1 => Act::Start(random.index(programs), draw_reuse(random, false), None),
        2 => Act::Terminate(random.chance(500)),
        3 => Act::Suspend,
        4 | 5 => Act::Resume,
        6 => Act::Purge,
        7 => Act::Raise((*random.pick(&EVENTS)).into(), format!("x{number}").into()),
        8 => Act::Wait,
        _ => Act::Status,
    }
}

fn draw_reuse(random: &mut Random, first: bool) -> Reuse {
    match random.below(6) {
        0 | 1 if first => Reuse::Fresh,
        1 => Reuse::Fresh, // Somebody says so of an id that may well be in use.
        2 => Reuse::Join,
        3 => Reuse::Replace(Vec::new()),
        4 => Reuse::Replace(RuntimeStatus::ALL.to_vec()),
        _ => Reuse::ended(),
    }
}

fn draw_troubles(
    random: &mut Random,
    nodes: usize,
    embedded: bool,
    partitions: u16,
) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for _ in 0..random.below(8) {
        let pause = random.between(50 * MILLIS, 20 * SECONDS);
        let kind = match random.below(10) {
            0 | 1 => TroubleKind::Crash(pause / 4),
            2 if embedded => TroubleKind::PowerCut(pause / 4),
            3 if !embedded => TroubleKind::Pause(pause),
            4 => TroubleKind::Jump(random.between(-10 * SECONDS, 10 * SECONDS)),
            5 if !embedded => {
                let partition = random.below(u64::from(partitions));
                TroubleKind::LoseLease(u16::try_from(partition).unwrap_or(0))
            }
            6 => TroubleKind::DeployBroken(pause / 4),
            7 => TroubleKind::Leave(pause / 4),
            8 => TroubleKind::Damage(pause / 4),
            _ => TroubleKind::StoreDown(pause / 8),
        };
        let node = random.index(nodes);
        troubles.push(Trouble { at: random.between(0, CALM_AFTER), node, kind });
    }
    troubles.sort_by_key(|trouble| trouble.at);
    troubles
}
