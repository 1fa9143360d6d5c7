//! Chance, drawn from a seed: the same seed draws the same numbers on every machine.

use std::time::Duration;

/// A small generator of pseudo-random numbers (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    /// The generator of a seed; `stream` keeps independent draws apart.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self { state: seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93) };
        chance.word();
        chance
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.word() % end).unwrap_or_default()
    }

    /// A time of at least `from` and less than `to`, in milliseconds.
    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.word() % (to - from))
    }
}
