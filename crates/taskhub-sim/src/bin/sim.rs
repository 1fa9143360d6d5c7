//! `sim`: runs many seeds, or tells the story of one.

use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use taskhub_sim::{Coverage, Scenario, Trace, Violation, hush, run, shrink};

/// One seed, one whole cluster.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many to run at the same time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Run this one seed
    #[arg(long)]
    seed: Option<u64>,
    /// Tell the story of that seed
    #[arg(long)]
    trace: bool,
    /// How many runs may be spent on making a failing seed shorter
    #[arg(long, default_value_t = 2000)]
    shrink: usize,
}

fn main() -> ExitCode {
    hush();
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    }
}

fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    let trace = if arguments.trace { Trace::spoken() } else { Trace::default() };
    let scenario = Scenario::draw(seed);
    if arguments.trace {
        tell(&scenario);
    }
    let report = run(scenario, trace);
    println!("{}", report.coverage);
    println!("seed {seed}: trace hash {:016x}", report.hash);
    match report.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            explain(seed, &violation, arguments.shrink);
            ExitCode::FAILURE
        }
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + arguments.seeds;
    let (done, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let coverage = Mutex::new(Coverage::default());
    let broken = Mutex::new(Vec::new());
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let report = run(Scenario::draw(seed), Trace::default());
                    coverage.lock().unwrap_or_else(PoisonError::into_inner).add(&report.coverage);
                    done.fetch_add(1, Ordering::Relaxed);
                    if let Some(violation) = report.violation {
                        failed.store(true, Ordering::Relaxed);
                        let mut broken = broken.lock().unwrap_or_else(PoisonError::into_inner);
                        broken.push((seed, violation));
                    }
                }
            });
        }
        progress(&done, &failed, arguments.seeds, start);
    });
    let coverage = coverage.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (done, took) = (done.into_inner(), start.elapsed().as_secs_f64());
    println!("{coverage}");
    #[allow(clippy::cast_precision_loss, reason = "a rate to look at")]
    let rate = done as f64 / took / arguments.jobs.max(1) as f64;
    println!("{done} seeds from {} in {took:.1} s: {rate:.0} a second and core", arguments.from);
    let mut broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    broken.sort_by_key(|(seed, _)| *seed);
    for (seed, violation) in broken.iter().take(1) {
        explain(*seed, violation, arguments.shrink);
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn progress(done: &AtomicU64, failed: &AtomicBool, seeds: u64, start: Instant) {
    let mut told = Instant::now();
    while done.load(Ordering::Relaxed) < seeds && !failed.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            let done = done.load(Ordering::Relaxed);
            eprintln!("{done} of {seeds} seeds after {} s", start.elapsed().as_secs());
        }
    }
}

fn explain(seed: u64, violation: &Violation, runs: usize) {
    println!("\nseed {seed}: {violation}\n");
    let short = shrink(&Scenario::draw(seed), violation.law, runs);
    println!("shortened, it still breaks promise {}:", violation.law);
    tell(&short);
    println!("repeat it with: cargo xtask sim --seed {seed} --trace");
}

fn tell(scenario: &Scenario) {
    let Scenario { partitions, nodes, shards, lanes, embedded, .. } = scenario;
    println!("{nodes} nodes x {shards} shards, {lanes} lanes, {partitions} partitions");
    println!("embedded: {embedded}");
    println!("{:?}\n{:?}", scenario.limits, scenario.rates);
    for program in &scenario.programs {
        println!("program {}: {:?}", program.name, program.steps);
    }
    for operation in &scenario.operations {
        println!("{:>10} {:?}: {:?}", operation.at, operation.instance, operation.act);
    }
    for trouble in &scenario.troubles {
        println!("{:>10} node{}: {:?}", trouble.at, trouble.node, trouble.kind);
    }
}
