//! The story of a run: always as a hash, on demand in words.

/// Takes note of what happens.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    spoken: bool,
}

impl Trace {
    /// A trace that prints its story.
    #[must_use]
    pub fn spoken() -> Self {
        Self { hash: 0, spoken: true }
    }

    /// Takes note of something, in numbers for the hash and in words for the reader.
    pub(crate) fn note(&mut self, now: i64, numbers: &[u64], words: impl FnOnce() -> String) {
        for number in numbers.iter().copied().chain([now.unsigned_abs()]) {
            self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01B3).rotate_left(23);
        }
        if self.spoken {
            println!("{:>5}.{:06} {}", now / 1_000_000, now % 1_000_000, words());
        }
    }

    /// The same for the same run.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
