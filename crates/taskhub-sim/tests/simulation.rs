//! A fixed set of seeds, each a whole cluster: no promise may be broken, and all that can happen
//! has to happen.

use std::sync::{
    LazyLock, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use taskhub_sim::{Coverage, Scenario, Trace, hush, run};

/// How many seeds run in the tests; the long run is `cargo xtask sim`.
const SEEDS: u64 = 2_000;

/// The seeds that broke a promise, and what happened in all of them.
static RAN: LazyLock<(Vec<String>, Coverage)> = LazyLock::new(|| {
    hush();
    let next = AtomicU64::new(0);
    let ran = Mutex::new((Vec::new(), Coverage::default()));
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        break;
                    }
                    let report = run(Scenario::draw(seed), Trace::default());
                    let mut ran = ran.lock().unwrap_or_else(PoisonError::into_inner);
                    ran.1.add(&report.coverage);
                    ran.0.extend(report.violation.map(|why| format!("seed {seed}: {why}")));
                }
            });
        }
    });
    ran.into_inner().unwrap_or_else(PoisonError::into_inner)
});

#[test]
fn no_promise_is_broken() {
    assert!(RAN.0.is_empty(), "{}", RAN.0.join("\n"));
}

#[test]
fn every_operation_and_every_trouble_really_happens() {
    let never = |what: &&&str| !RAN.1.counts.contains_key(**what);
    let never: Vec<_> = OPERATIONS.iter().chain(TROUBLES).filter(never).collect();
    assert!(never.is_empty(), "in {SEEDS} seeds these never happen: {never:?}\n{}", RAN.1);
    assert!(RAN.1.checks.iter().all(|count| *count > 1_000), "{:?}", RAN.1.checks);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    hush();
    for seed in 0..50 {
        let run = || run(Scenario::draw(seed), Trace::default());
        let (one, two) = (run(), run());
        assert_eq!(one.hash, two.hash, "seed {seed}");
        assert_eq!(one.coverage.counts, two.coverage.counts, "seed {seed}");
    }
}

const OPERATIONS: &[&str] = &[
    "activities that fail",
    "activities that fall silent",
    "activities that give too much",
    "activities that go on from what was told",
    "activities that succeed",
    "asked: clean up",
    "asked: purge",
    "asked: purge with children",
    "answers: not failed",
    "answers: too large",
    "asked: raise",
    "asked: raise early",
    "asked: restart",
    "asked: restart under another id",
    "asked: resume",
    "asked: rewind",
    "asked: signal",
    "asked: signal later",
    "asked: start fresh",
    "asked: start later",
    "asked: start or join",
    "asked: start or raise",
    "asked: start or replace",
    "asked: status",
    "asked: suspend",
    "asked: terminate",
    "asked: terminate with children",
    "asked: unlock",
    "asked: wait",
    "did: answered a question",
    "did: asked for locks",
    "did: began as a sub-orchestration",
    "did: began in place of one that ended",
    "did: called an activity",
    "did: called an entity",
    "did: continued as a new version",
    "did: continued as new",
    "did: ended before an activity that it called",
    "did: failed",
    "did: gave a lock back",
    "did: gave up a call",
    "did: got locks",
    "did: heard of a child that it had given up",
    "did: let delayed operations take their place",
    "did: moved to or from workers elsewhere",
    "did: ran into its deadline",
    "did: returned",
    "did: sent an event",
    "did: set a timer",
    "did: signaled an entity",
    "did: started another one",
    "did: terminated another one",
    "did: took a failure",
    "did: took a result",
    "did: took a timer",
    "did: took a turn that was run ahead",
    "did: took the answer of an entity",
    "did: took the end of a sub-orchestration",
    "did: was resumed",
    "did: was rewound",
    "did: was suspended",
    "did: was terminated",
    "events: asked for twice",
    "events: taken that came after the wait began",
    "events: taken that came before the wait",
    "events: too late",
    "operations: make the state too large",
    "operations: succeed",
    "triggers: a receipt begins",
    "triggers: a schedule changed",
    "triggers: a schedule goes on",
    "turns elsewhere that continue as new",
    "turns elsewhere that end",
    "turns elsewhere that wait",
    "turns that are run ahead",
    "turns that purge",
];

const TROUBLES: &[&str] = &[
    "answers: unknown",
    "batches lost in power cuts",
    "chores that are cut short",
    "chores that are done",
    "chores that end with their node",
    "circles beside each other that are settled",
    "clients that went away",
    "clusters whose clocks differ by a second",
    "commits that are fenced off",
    "commits that are slow",
    "commits that are too large",
    "commits that fail",
    "commits that fail though they took effect",
    "crashes after a commit",
    "crashes before a commit",
    "delayed: answers",
    "delayed: hints",
    "delayed: messages",
    "delayed: messages passed on",
    "delayed: reads",
    "delayed: requests",
    "delayed: results",
    "delayed: turn threads",
    "did: parked, its code changed",
    "did: parked, its code panicked",
    "did: went on after it was parked",
    "hints lost",
    "histories that can be read again",
    "instances read again after an eviction",
    "leases lost while working",
    "messages delivered twice",
    "messages left to the inbox",
    "messages passed on to other lanes",
    "messages that are void",
    "nodes that wake with a stale epoch",
    "operations: all fail",
    "operations: fail",
    "operations: fewer than given",
    "partitions handed over",
    "power cuts between a write and its sync",
    "reads that fail",
    "recoveries of a lane",
    "reordered: requests",
    "requests that found their partition leaving",
    "results told twice",
    "tasks cancelled",
    "troubles: a history damaged",
    "troubles: broken code deployed",
    "troubles: clock jumps",
    "troubles: crash",
    "troubles: lease lost",
    "troubles: node leaves",
    "troubles: pause",
    "troubles: power cut",
    "troubles: store down",
    "turns elsewhere that are stuck",
    "unsynced batches that outlive a power cut",
    "workers that are lost",
    "work for nothing",
    "work that workers keep",
    "work that is taken back",
    "work that took too many workers down",
    "workers that come back",
    "workers that give work back",
    "workers that hang",
    "workers that leave",
    "workers that are released",
];
