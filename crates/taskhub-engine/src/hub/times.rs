//! How long something took, each time: counted in classes, so that the slow ones are seen.

use std::{
    array::from_fn,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The upper ends of the classes, in microseconds; what took longer is in one more.
const ENDS: [u64; CLASSES_COUNT - 1] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000,
];

const CLASSES_COUNT: usize = 17;

/// How often something took how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    counts: [u64; CLASSES_COUNT],
    micros: u64,
}

impl Times {
    /// A length of time, and how often it took at most so long, for longer and longer ones.
    pub fn at_most(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut all = 0;
        ENDS.into_iter().zip(self.counts).map(move |(end, count)| {
            all += count;
            (Duration::from_micros(end), all)
        })
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long all of it took together.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.micros)
    }
}

/// Such numbers while they grow.
#[derive(Debug, Default)]
pub(super) struct Clocked {
    counts: [AtomicU64; CLASSES_COUNT],
    micros: AtomicU64,
}

impl Clocked {
    /// It happened so often, and took so long each time.
    pub(super) fn took(&self, each: Duration, count: u64) {
        let micros = u64::try_from(each.as_micros()).unwrap_or(u64::MAX);
        let class = ENDS.partition_point(|end| *end < micros);
        self.counts[class].fetch_add(count, Ordering::Relaxed);
        self.micros.fetch_add(micros.saturating_mul(count), Ordering::Relaxed);
    }

    /// The numbers as they are now.
    pub(super) fn now(&self) -> Times {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Times { counts: from_fn(|class| read(&self.counts[class])), micros: read(&self.micros) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_of_time_is_counted_from_the_class_on_that_it_belongs_to() {
        let clocked = Clocked::default();
        for (micros, count) in [(0, 1), (50, 1), (51, 3), (10_000_000, 1), (10_000_001, 1)] {
            clocked.took(Duration::from_micros(micros), count);
        }
        let times = clocked.now();
        let at_most: Vec<_> = times.at_most().map(|(_, count)| count).collect();
        assert_eq!(at_most[..3], [2, 5, 5]);
        assert_eq!((at_most[CLASSES_COUNT - 2], times.count()), (6, 7));
        assert_eq!(times.total(), Duration::from_micros(20_000_204));
    }
}
