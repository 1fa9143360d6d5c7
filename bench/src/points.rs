//! What is measured: the points of the five works, and the figures each yields.
use bench_harness::{Door, Task};

/// One measurement, repeated in every round.
#[derive(Debug)]
pub(crate) struct Point {
    /// The work it belongs to, as `--only` names it.
    pub(crate) work: &'static str,
    /// Its key in the results, for instance `w1.512`.
    pub(crate) key: &'static str,
    /// What a person calls it.
    pub(crate) label: &'static str,
    /// What the measuring process is told.
    pub(crate) task: Task,
    /// The figures it yields, those for the chart first.
    pub(crate) figures: &'static [Figure],
    /// Whether only the first round measures it; it then has ten times as long.
    pub(crate) once: bool,
}

impl Point {
    /// After how many seconds a measurement here is given up, where most have `cap`.
    pub(crate) fn cap(&self, cap: u64) -> u64 {
        if self.once { cap * 10 } else { cap }
    }
}

/// One figure of a point.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Its name in the results.
    pub(crate) key: &'static str,
    /// What a person calls it, with its unit.
    pub(crate) label: &'static str,
    /// Which direction is better, or none.
    pub(crate) better: Better,
}

/// Which direction of a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
    Neither,
}

const fn figure(key: &'static str, label: &'static str, better: Better) -> Figure {
    Figure { key, label, better }
}

const LOAD: &[Figure] = &[
    figure("per_second", "per second", Better::More),
    figure("p50_ms", "median, ms", Better::Less),
    figure("p99_ms", "p99, ms", Better::Less),
];
const TIME: &[Figure] = &[figure("seconds", "seconds", Better::Less)];
const SEQUENCE: &[Figure] = &[
    figure("seconds", "seconds", Better::Less),
    figure("first_ms", "a step of the first 200, ms", Better::Less),
    figure("last_ms", "a step of the last 200, ms", Better::Less),
    figure("last_over_first", "last / first", Better::Neither),
    figure("steps_done", "steps done", Better::Neither),
];
const PARKED: &[Figure] = &[
    figure("parked", "parked", Better::Neither),
    figure("parked_per_second", "parked per second", Better::More),
    figure("bytes_each", "memory each, bytes", Better::Less),
    figure("resident_mb", "memory of the process, MB", Better::Less),
    figure("reopen_seconds", "restart to first answer, s", Better::Less),
    figure("reopen_resident_mb", "memory after restart, MB", Better::Less),
];

const HELD: &[Figure] = &[
    figure("bytes_each", "memory each, bytes", Better::Less),
    figure("held", "held", Better::Neither),
];

/// Every point, in the order of the table; W5 parks `parked` instances, W6 holds `held` requests.
pub(crate) fn all(parked: usize, held: usize) -> [Point; 11] {
    [
        weather("w1.1", "W1 sync over async, 1 client", 1),
        weather("w1.64", "W1 sync over async, 64 clients", 64),
        weather("w1.512", "W1 sync over async, 512 clients", 512),
        Point {
            work: "w2",
            key: "w2",
            label: "W2 chain of 5 activities, 64 at a time",
            task: Task::Chains { at_a_time: 64 },
            figures: LOAD,
            once: false,
        },
        Point {
            work: "w3",
            key: "w3",
            label: "W3 fan-out of 1,000 activities",
            task: Task::FanOut { width: 1_000 },
            figures: TIME,
            once: false,
        },
        Point {
            work: "w4",
            key: "w4",
            label: "W4 2,000 steps in one instance",
            task: Task::Sequence { steps: 2_000 },
            figures: SEQUENCE,
            once: false,
        },
        Point {
            work: "w5",
            key: "w5",
            label: "W5 parked instances",
            task: Task::Park { instances: parked },
            figures: PARKED,
            once: true,
        },
        hold("w6.gateway.1", "W6 held by a gateway, HTTP/1", held, Door::Gateway, false),
        hold("w6.gateway.2", "W6 held by a gateway, HTTP/2", held, Door::Gateway, true),
        hold("w6.start.1", "W6 held by start and wait, HTTP/1", held, Door::StartAndWait, false),
        hold("w6.start.2", "W6 held by start and wait, HTTP/2", held, Door::StartAndWait, true),
    ]
}

fn hold(key: &'static str, label: &'static str, requests: usize, door: Door, http2: bool) -> Point {
    let task = Task::Hold { requests, door, http2 };
    Point { work: "w6", key, label, task, figures: HELD, once: true }
}

fn weather(key: &'static str, label: &'static str, clients: usize) -> Point {
    let task = Task::Weather { clients };
    Point { work: "w1", key, label, task, figures: LOAD, once: false }
}
