//! What really happened in many runs: how often each operation and trouble, and each law's checks.

mod turn;

use std::{collections::BTreeMap, fmt};

/// Counts, summed over runs.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// How often each thing happened.
    pub counts: BTreeMap<String, u64>,
    /// How often each promise was checked, from promise 1 on.
    pub checks: [u64; 11],
    /// How many happenings there were.
    pub events: u64,
    /// How much virtual time passed, in microseconds.
    pub time: i64,
}

impl Coverage {
    pub(crate) fn count(&mut self, what: &str) {
        self.count_many(what, 1);
    }

    pub(crate) fn count_many(&mut self, what: &str, times: u64) {
        if let Some(count) = self.counts.get_mut(what) {
            *count += times;
        } else {
            self.counts.insert(what.to_owned(), times);
        }
    }

    pub(crate) fn check(&mut self, law: usize, times: u64) {
        self.checks[law - 1] += times;
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.counts {
            *self.counts.entry(what.clone()).or_default() += count;
        }
        for (sum, count) in self.checks.iter_mut().zip(other.checks) {
            *sum += count;
        }
        self.events += other.events;
        self.time += other.time;
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.counts {
            writeln!(f, "  {what:<36} {count:>12}")?;
        }
        for (law, count) in self.checks.iter().enumerate() {
            writeln!(f, "  checks of promise {:<18} {count:>12}", law + 1)?;
        }
        writeln!(f, "  {:<36} {:>12}", "happenings", self.events)?;
        write!(f, "  {:<36} {:>12}", "hours of virtual time", self.time / 3_600_000_000)
    }
}
