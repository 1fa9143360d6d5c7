//! Measures Taskhub beside the peers a user would pick instead, on this machine and in one run.
mod chart;
mod database;
mod machine;
mod measure;
mod points;
mod report;
mod results;
mod systems;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bench_harness::Pace;
use clap::Parser;

use crate::database::Database;
use crate::machine::Machine;
use crate::measure::{Folder, measure};
use crate::points::Point;
use crate::results::{Results, Sample};
use crate::systems::{Contestant, Store};

/// Measures Taskhub beside its peers, on this machine and in one run.
///
///   w1  sync over async: GETs held open until another channel brings the reply,
///       at 1, 64 and 512 clients
///   w2  chains of 5 activities, 64 orchestrations at a time
///   w3  fan-out of 1,000 activities, and join
///   w4  2,000 sequential steps in one instance: are the last 200 as cheap as the first?
///   w5  parked instances: memory, and the time from a restart to the first answer
///   w6  held requests: memory of each, over HTTP/1 and HTTP/2
///
/// With --postgres, w1 and w2 on systems that keep their instances in PostgreSQL.
///
/// Every measurement is a process of its own on an empty store. The systems take turns in
/// every round, and the table shows the median of the rounds. Leave the machine alone while
/// this runs: a build beside it halves the figures.
#[derive(Debug, Parser)]
#[command(name = "bench", verbatim_doc_comment)]
struct Flags {
    /// Only these works, for instance `w1,w4`
    #[arg(long, value_delimiter = ',', value_parser = ["w1", "w2", "w3", "w4", "w5", "w6"])]
    only: Vec<String>,

    /// The systems on PostgreSQL instead of those that have a folder: on a private server that is
    /// started for it, from what Debian's package `postgresql` has
    #[arg(long)]
    postgres: bool,

    /// Only these systems, for instance `taskhub,in-memory`; `python,python-in-memory` are
    /// measured only if they are named, and need `python3` with `venv`
    #[arg(long, value_delimiter = ',', value_parser = systems::names())]
    systems: Vec<String>,

    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,

    /// How long W1 and W2 are watched in each round, after a second of warming up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// When to give up on a measurement, in seconds
    #[arg(long, default_value_t = 40, value_name = "SECONDS")]
    cap: u64,

    /// How many instances W5 parks
    #[arg(long, default_value_t = 100_000, value_name = "INSTANCES")]
    parked: usize,

    /// How many requests W6 holds; fewer over HTTP/1 where fewer files may be open
    #[arg(long, default_value_t = 20_000, value_name = "REQUESTS")]
    held: usize,

    /// Where the stores are put while they are measured; removed afterwards
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Add what an earlier run of the same code wrote by `--json`: for a long run in pieces
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,

    /// Write every sample and all medians to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Draw the medians as an SVG into this file
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, child, system, order] = arguments.as_slice()
        && child == "child"
    {
        systems::child(system, order);
    }
    if let [_, node, database] = arguments.as_slice()
        && node == "node"
    {
        systems::node(database);
    }
    if let [_, callers, asked] = arguments.as_slice()
        && callers == "callers"
    {
        bench_harness::call(asked);
    }
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<(), String> {
    let systems: Vec<&Contestant> = systems::ALL.iter().filter(|s| flags.measures(s)).collect();
    let mut points = Vec::from(points::all(flags.parked, flags.held));
    points.retain(|point| systems.iter().any(|system| system.works.contains(&point.work)));
    points.retain(|point| flags.only.is_empty() || flags.only.iter().any(|o| o == point.work));
    for system in &systems {
        eprintln!("building {}", system.name);
        system.build()?;
    }
    let data = flags.data.clone().unwrap_or_else(systems::target);
    let data = Folder::create(data.join(format!("bench-data-{}", std::process::id())))?;

    let in_database = systems.iter().any(|system| system.store == Store::Postgres);
    let server = in_database.then(|| Database::start(&data.0)).transpose()?;

    let mut results = measure_all(flags, &systems, &points, (&data.0, server.as_ref()))?;
    for file in &flags.with {
        results.add(read(file)?)?;
    }
    let has = |is: &dyn Fn(&Sample) -> bool| results.samples.iter().any(is);
    let shown = systems::ALL.iter().filter(|system| has(&|sample| sample.system == system.name));
    let systems: Vec<_> = shown.collect();
    let mut points = Vec::from(points::all(flags.parked, flags.held));
    points.retain(|point| has(&|sample| sample.point == point.key));
    results.settle(&systems, &points);
    println!("{}", report::table(&results, &systems, &points));
    if let Some(file) = &flags.json {
        let text = serde_json::to_string_pretty(&results).map_err(|error| error.to_string())?;
        write(file, &(text + "\n"))?;
    }
    if let Some(file) = &flags.chart {
        write(file, &chart::draw(&results, &systems, &points))?;
    }
    Ok(())
}

fn measure_all(
    flags: &Flags,
    systems: &[&'static Contestant],
    points: &[Point],
    server: (&Path, Option<&Database>),
) -> Result<Results, String> {
    let began = Instant::now();
    let probe = || machine::probe(server.0).map_err(|error| error.to_string());
    let mut results = Results {
        machine: Machine::here(&systems::home()),
        probes: vec![probe()?],
        rounds: flags.rounds.into(),
        seconds: flags.pace().window.as_secs_f64(),
        cap_seconds: flags.cap,
        took_seconds: 0.0,
        server: server.1.map(Database::shown).transpose()?,
        medians: Vec::new(),
        samples: Vec::new(),
    };
    for round in 1..=flags.rounds.into() {
        for point in points {
            for system in systems {
                let again = !point.once && !results.gave_up(system.name, point.key);
                if system.works.contains(&point.work) && (round == 1 || again) {
                    results.samples.push(sample(flags, system, point, round, server));
                }
            }
        }
    }
    results.probes.push(probe()?);
    results.took_seconds = began.elapsed().as_secs_f64();
    Ok(results)
}

/// Measures one system at one point, and says so while it does.
fn sample(
    flags: &Flags,
    system: &Contestant,
    point: &Point,
    round: usize,
    server: (&Path, Option<&Database>),
) -> Sample {
    eprint!("round {round} of {}: {}, {} ... ", flags.rounds, point.label, system.name);
    let cap = Duration::from_secs(point.cap(flags.cap));
    let pace = Pace { cap, ..flags.pace() };
    let found = measure(system, point.task, pace, server);
    match &found {
        Ok(figures) if figures.unfinished => eprintln!("not within {} s", cap.as_secs()),
        Ok(figures) => {
            let shown = point.figures.iter().filter_map(|figure| {
                let value = figures.values.get(figure.key)?;
                Some(format!("{} {}", report::number(*value), figure.label))
            });
            eprintln!("{}", shown.take(3).collect::<Vec<_>>().join("; "));
        }
        Err(error) => eprintln!("failed: {error}"),
    }
    Sample { system: system.name.to_owned(), point: point.key.to_owned(), round, found }
}

fn read(file: &PathBuf) -> Result<Results, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let results = text.and_then(|text| serde_json::from_str(&text).map_err(|it| it.to_string()));
    results.map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

fn write(file: &PathBuf, text: &str) -> Result<(), String> {
    let written = std::fs::write(file, text);
    written.map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

impl Flags {
    fn measures(&self, system: &Contestant) -> bool {
        if self.systems.is_empty() {
            return !system.is_extra && self.postgres == (system.store == Store::Postgres);
        }
        self.systems.iter().any(|name| name == system.name)
    }

    fn pace(&self) -> Pace {
        Pace {
            warm_up: Duration::from_secs(1),
            window: Duration::from_secs(self.seconds),
            cap: Duration::from_secs(self.cap),
        }
    }
}
