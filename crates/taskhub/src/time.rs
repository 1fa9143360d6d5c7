//! Points in time, as orchestrations see them.

use std::{
    fmt,
    ops::{Add, Sub},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// A point in time, in microseconds since the beginning of 1970, UTC.
///
/// [`Context::now`](crate::Context::now) gives one; it is stored as a number of microseconds and
/// shown in RFC 3339. Arithmetic stops at the ends of time instead of wrapping.
///
/// ```
/// use std::time::Duration;
/// use taskhub::Timestamp;
///
/// let start = Timestamp::from_micros(1_700_000_000_000_000);
/// assert_eq!(start.to_string(), "2023-11-14T22:13:20.000000Z");
/// assert_eq!((start + Duration::from_secs(90)) - start, Duration::from_secs(90));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point in time so many microseconds after the beginning of 1970, UTC.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// How many microseconds after the beginning of 1970 it is.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub(crate) fn of(at: taskhub_core::Timestamp) -> Self {
        Self(at.0)
    }

    pub(crate) fn core(self) -> taskhub_core::Timestamp {
        taskhub_core::Timestamp(self.0)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        Self::of(self.core().plus(after))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// How long after `earlier` it is; zero when it is not.
    fn sub(self, earlier: Self) -> Duration {
        self.core().since(earlier.core())
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(micros(after)),
            Err(before) => Self(-micros(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        let span = Duration::from_micros(at.0.unsigned_abs());
        let time =
            if at.0 < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) };
        time.unwrap_or(UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// The Gregorian date of a day counted from 1970-01-01, reckoned in years that begin in March, so
/// that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468; // from 0000-03-01
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_in_rfc_3339() {
        let shown = |seconds: i64| Timestamp(seconds * 1_000_000).to_string();
        assert_eq!(shown(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(shown(951_782_400), "2000-02-29T00:00:00.000000Z");
        assert_eq!(shown(4_107_542_399), "2100-02-28T23:59:59.000000Z");
        assert_eq!(shown(-1), "1969-12-31T23:59:59.000000Z");
    }

    #[test]
    fn it_survives_the_way_to_the_system_and_back() {
        for micros in [0, 1, -1, 1_700_000_000_123_456] {
            let at = Timestamp(micros);
            assert_eq!(Timestamp::from(SystemTime::from(at)), at);
        }
    }
}
