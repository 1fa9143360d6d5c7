//! What a run found: every sample, and the medians over the rounds.
use std::ops::Range;

use bench_harness::Figures;
use serde::{Deserialize, Serialize};

use crate::machine::{Machine, Probe};
use crate::points::Point;
use crate::systems::Contestant;

/// All that a run found, as the JSON file holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// What the machine had to give before and after each run.
    pub(crate) probes: Vec<Probe>,
    /// Rounds that were asked for.
    pub(crate) rounds: usize,
    /// The window of each measurement.
    pub(crate) seconds: f64,
    /// When a measurement was given up.
    pub(crate) cap_seconds: u64,
    /// How long all runs took.
    pub(crate) took_seconds: f64,
    /// The `PostgreSQL` that systems shared, and how it was set, if there was one.
    pub(crate) server: Option<String>,
    /// The medians, for who reads the file without a program.
    pub(crate) medians: Vec<Median>,
    pub(crate) samples: Vec<Sample>,
}

/// One measurement of one system.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) system: String,
    pub(crate) point: String,
    pub(crate) round: usize,
    /// What it found, or why there is nothing.
    pub(crate) found: Result<Figures, String>,
}

/// The middle of what the rounds found for one figure.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Median {
    system: String,
    point: String,
    figure: String,
    value: f64,
}

/// What the table says in one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    /// The median of the rounds.
    Value(f64),
    /// Most rounds were given up.
    Unfinished,
    /// Most rounds ended with an error.
    Failed,
    /// Not measured.
    Absent,
}

impl Reading {
    /// The value, when there is one.
    pub(crate) fn value(self) -> Option<f64> {
        if let Reading::Value(value) = self { Some(value) } else { None }
    }
}

impl Results {
    /// Takes in what an earlier run of the same code found.
    pub(crate) fn add(&mut self, earlier: Results) -> Result<(), String> {
        let (here, there) = (&self.machine.commit, &earlier.machine.commit);
        if here != there {
            return Err(format!("this is commit {here}, and the earlier run measured {there}"));
        }
        self.probes.extend(earlier.probes);
        self.took_seconds += earlier.took_seconds;
        self.samples.extend(earlier.samples);
        Ok(())
    }

    /// The least and the most that the machine gave while nothing was measured: syncs of the disk
    /// per second, and percents of the processor.
    pub(crate) fn given(&self) -> [Range<f64>; 2] {
        let of = |what: fn(&Probe) -> f64| {
            let all = || self.probes.iter().map(what);
            all().fold(f64::INFINITY, f64::min)..all().fold(0.0, f64::max)
        };
        [of(|probe| probe.syncs_per_second), of(|probe| probe.idle_percent)]
    }

    /// What the rounds found for one figure of one system.
    pub(crate) fn reading(&self, system: &str, point: &str, figure: &str) -> Reading {
        let samples = self.samples.iter().filter(|s| s.system == system && s.point == point);
        let (mut values, mut unfinished, mut rounds) = (Vec::new(), 0, 0);
        for sample in samples {
            rounds += 1;
            if let Ok(figures) = &sample.found {
                values.extend(figures.values.get(figure));
                unfinished += usize::from(figures.unfinished);
            }
        }
        values.sort_by(f64::total_cmp);
        match values.as_slice() {
            [] if rounds == 0 => Reading::Absent,
            values if values.len() * 2 > rounds => Reading::Value(values[values.len() / 2]),
            _ if unfinished > 0 => Reading::Unfinished,
            _ => Reading::Failed,
        }
    }

    /// Whether a system was given up or failed at a point, so that no round need repeat it.
    pub(crate) fn gave_up(&self, system: &str, point: &str) -> bool {
        self.samples.iter().any(|sample| {
            sample.system == system
                && sample.point == point
                && sample.found.as_ref().map_or(true, |figures| figures.unfinished)
        })
    }

    /// Works out the medians from the samples.
    pub(crate) fn settle(&mut self, systems: &[&'static Contestant], points: &[Point]) {
        let mut medians = Vec::new();
        for (system, point) in systems.iter().flat_map(|s| points.iter().map(move |p| (s, p))) {
            for figure in point.figures {
                let reading = self.reading(system.name, point.key, figure.key);
                medians.extend(reading.value().map(|value| Median {
                    system: system.name.to_owned(),
                    point: point.key.to_owned(),
                    figure: figure.key.to_owned(),
                    value,
                }));
            }
        }
        self.medians = medians;
    }
}
