//! Everything that one seed decides before the run begins: the cluster, the workload, the troubles.

use taskhub_core::{InstanceId, Limits, Reuse, RuntimeStatus, Text, Timestamp};

use crate::{
    node::EPOCH,
    program::{ENTITIES, EVENTS, Program, entity},
    random::Random,
};

const MILLIS: i64 = 1_000;
const SECONDS: i64 = 1_000_000;

/// When clients and troubles come to an end, in microseconds of virtual time.
pub(crate) const CALM_AFTER: i64 = 30 * SECONDS;

/// One run, before it begins.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The seed it was drawn from.
    pub seed: u64,
    /// How many partitions the hub has.
    pub partitions: u16,
    /// How many nodes share it.
    pub nodes: usize,
    /// How many turn threads each node would have.
    pub shards: usize,
    /// How many lanes each node has.
    pub lanes: u16,
    /// Whether the store is a file of one node instead of a database of many.
    pub embedded: bool,
    /// The limits of the nodes.
    pub limits: Limits,
    /// How often things go wrong.
    pub rates: Rates,
    /// What the orchestrations do.
    pub programs: Vec<Program>,
    /// What clients ask for.
    pub operations: Vec<Operation>,
    /// What happens to the nodes.
    pub troubles: Vec<Trouble>,
}

/// How many times out of a thousand something goes wrong, while there are troubles.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// A commit fails and nothing took effect.
    pub commit_fails: u32,
    /// A commit fails though it took effect.
    pub commit_lies: u32,
    /// A commit takes up to half a minute.
    pub commit_slow: u32,
    /// The node crashes before or after a commit took effect.
    pub commit_crashes: u32,
    /// A read fails.
    pub read_fails: u32,
    /// An activity fails.
    pub activity_fails: u32,
    /// An activity hangs, perhaps until the troubles end.
    pub activity_hangs: u32,
    /// A worker is lost with a turn or with operations, and another one gets them.
    pub worker_lost: u32,
    /// A worker takes fewer arrivals with a turn than it was given, or performs fewer operations.
    pub turn_partial: u32,
    /// A turn thread comes late to its mail.
    pub thread_late: u32,
    /// A result is told twice.
    pub result_twice: u32,
    /// A hint about a message to another node is lost.
    pub hint_lost: u32,
    /// A message is delivered twice.
    pub message_twice: u32,
    /// A node believes that there is one more, and gives partitions away.
    pub nodes_miscounted: u32,
}

impl Rates {
    /// Whether anything can go wrong by chance.
    #[must_use]
    pub fn is_any(&self) -> bool {
        let Self { commit_fails, commit_lies, commit_slow, commit_crashes, read_fails, .. } = self;
        let Self { activity_fails, activity_hangs, result_twice, hint_lost, message_twice, .. } =
            self;
        let Self { worker_lost, turn_partial, thread_late, nodes_miscounted, .. } = self;
        commit_fails
            + commit_lies
            + commit_slow
            + commit_crashes
            + read_fails
            + activity_fails
            + activity_hangs
            + result_twice
            + hint_lost
            + message_twice
            + worker_lost
            + turn_partial
            + thread_late
            + nodes_miscounted
            > 0
    }
}

/// Something that a client asks for, at a time.
#[derive(Debug, Clone)]
pub struct Operation {
    /// When, in microseconds.
    pub at: i64,
    /// About which instance.
    pub instance: InstanceId,
    /// What.
    pub act: Act,
    /// After how long the client goes away without an answer, if ever.
    pub patience: Option<i64>,
    /// For a start: after how long the instance is terminated.
    pub within: Option<i64>,
}

/// What a client can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Start the program of that index, perhaps only after some microseconds.
    Start(usize, Reuse, Option<i64>),
    /// Raise an event with a payload that no other client uses.
    Raise(Text, Text),
    /// Terminate it, perhaps with its children.
    Terminate(bool),
    /// Suspend it.
    Suspend,
    /// Resume it.
    Resume,
    /// Purge it.
    Purge,
    /// Ask the entity for an operation, perhaps for only after some microseconds.
    Signal(Option<i64>),
    /// Ask where it stands.
    Status,
    /// Wait for its end.
    Wait,
}

/// Something that happens to a node, at a time.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// When, in microseconds.
    pub at: i64,
    /// To which node.
    pub node: usize,
    /// What.
    pub kind: TroubleKind,
}

/// What can happen to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// Its process dies and is started again after so many microseconds.
    Crash(i64),
    /// The power fails: what was not synced is lost; it is started again.
    PowerCut(i64),
    /// It stops for so many microseconds and knows nothing of it.
    Pause(i64),
    /// Its clock is set forward or back.
    Jump(i64),
    /// The store takes a partition's lease away from whoever has it.
    LoseLease(u16),
    /// It is started again with code that makes other calls at replay.
    DeployBroken(i64),
    /// It stops in good order and gives its partitions away, then is started again.
    Leave(i64),
    /// The store does not work for so many microseconds.
    StoreDown(i64),
}

impl Scenario {
    /// Draws the run of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let embedded = random.chance(300);
        let nodes = if embedded { 1 } else { 1 + random.index(3) };
        let instances = 4 + random.index(12);
        let programs = Program::draw_all(&mut random, instances);
        let operations = draw_operations(&mut random, instances, &programs);
        let partitions = [1, 2, 4, 7][random.index(4)];
        let calm = random.chance(100);
        Self {
            seed,
            partitions,
            nodes,
            shards: 1 + random.index(2),
            embedded,
            limits: draw_limits(&mut random),
            rates: if calm { Rates::default() } else { draw_rates(&mut random) },
            programs,
            operations,
            troubles: if calm {
                Vec::new()
            } else {
                draw_troubles(&mut random, nodes, embedded, partitions)
            },
            lanes: if embedded { 1 } else { [1, 2, 3][random.index(3)] },
        }
    }
}

impl Scenario {
    /// From when on, by every clock, nothing can be wrong.
    pub(crate) fn calm_from(&self) -> Timestamp {
        Timestamp(EPOCH + if self.is_calm() { 10 * SECONDS } else { CALM_AFTER + 120 * SECONDS })
    }

    /// How many turn threads and lanes each node has.
    pub(crate) fn threads(&self) -> (usize, u16) {
        (self.shards, self.lanes)
    }

    /// Whether nothing is ever wrong.
    pub(crate) fn is_calm(&self) -> bool {
        self.troubles.is_empty() && !self.rates.is_any()
    }
}

fn draw_limits(random: &mut Random) -> Limits {
    let mut limits = Limits::default();
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
        limits.batch_bytes_max = 600;
    }
    if random.chance(150) {
        limits.backlog_count_max = 1 + random.index(3);
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
        turn_partial: rate(500),
        thread_late: rate(300),
        nodes_miscounted: rate(1_000),
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
    operations.sort_by_key(|operation| operation.at);
    operations
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
    // A fresh id is one that nobody else could have used.
    let fresh = if reuse == Reuse::Fresh { "fresh" } else { "i" };
    let instance = InstanceId::trusted(format!("{fresh}{index}"));
    let begin = random.between(0, CALM_AFTER / 3);
    let program = if random.chance(300) { random.index(2) } else { random.index(programs.len()) };
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
        push(begin + random.between(0, 2 * SECONDS), Act::Wait, patience);
    }
    for number in 0..random.below(6) {
        let name = *random.pick(&EVENTS);
        let name = if random.chance(200) { name.to_uppercase() } else { name.to_owned() };
        let at = if random.chance(300) {
            begin + random.between(0, 20 * MILLIS)
        } else {
            begin + random.between(0, 12 * SECONDS)
        };
        push(at, Act::Raise(name.into(), format!("{index}-{number}").into()), None);
    }
    for _ in 0..random.below(4) {
        let number = 100 + random.below(1_000_000);
        let act = draw_act(random, usize::try_from(number).unwrap_or(0), programs.len());
        let again = matches!(act, Act::Start(..));
        if !(again && fresh == "fresh") {
            push(begin + random.between(0, 15 * SECONDS), act, None);
        }
    }
}

fn draw_act(random: &mut Random, number: usize, programs: usize) -> Act {
    match random.below(12) {
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
        let kind = match random.below(9) {
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
            _ => TroubleKind::StoreDown(pause / 8),
        };
        let node = random.index(nodes);
        troubles.push(Trouble { at: random.between(0, CALM_AFTER), node, kind });
    }
    troubles.sort_by_key(|trouble| trouble.at);
    troubles
}
