//! Points in time, as the engine is told them; it never looks at a clock itself.

use std::{fmt, time::Duration};

/// Microseconds since the beginning of 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every other point in time: "now, whenever that is".
    pub const START: Self = Self(i64::MIN);

    /// The point in time `after` later; stops at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        let micros = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// How long after `earlier` this is; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000))
    }
}
