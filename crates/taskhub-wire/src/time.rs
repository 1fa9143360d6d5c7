//! Points in time and durations: the protocol counts nanoseconds, the core microseconds.

use std::time::Duration;

use taskhub_core::Timestamp;

use crate::InvalidMessage;

/// The first and the last second that the protocol can name: years 1 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A point in time from outside; `field` says where it stood. Rounded up, so that nothing is ever
/// early.
pub fn timestamp_in(
    field: &'static str,
    wire: &prost_types::Timestamp,
) -> Result<Timestamp, InvalidMessage> {
    let wrong = || InvalidMessage::Time { field, seconds: wire.seconds, nanos: wire.nanos };
    let nanos = u32::try_from(wire.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let nanos = nanos.ok_or_else(wrong)?;
    if !SECONDS.contains(&wire.seconds) {
        return Err(wrong());
    }
    Ok(Timestamp(wire.seconds * 1_000_000 + i64::from(nanos.div_ceil(1_000))))
}

/// A point in time for the outside; what lies before year 1 or after year 9999 is moved there.
#[must_use]
pub fn timestamp_out(at: Timestamp) -> prost_types::Timestamp {
    let seconds = at.0.div_euclid(1_000_000);
    if seconds < *SECONDS.start() {
        return prost_types::Timestamp { seconds: *SECONDS.start(), nanos: 0 };
    }
    if seconds > *SECONDS.end() {
        return prost_types::Timestamp { seconds: *SECONDS.end(), nanos: 999_999_000 };
    }
    let nanos = i32::try_from(at.0.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    prost_types::Timestamp { seconds, nanos }
}

/// A duration from outside; `field` says where it stood.
pub fn duration_in(
    field: &'static str,
    wire: &prost_types::Duration,
) -> Result<Duration, InvalidMessage> {
    let wrong = || InvalidMessage::Time { field, seconds: wire.seconds, nanos: wire.nanos };
    let seconds = u64::try_from(wire.seconds).map_err(|_| wrong())?;
    let nanos = u32::try_from(wire.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    Ok(Duration::new(seconds, nanos.ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_survives_the_way_out_and_back(
            seconds in SECONDS,
            micros in 0..1_000_000i64,
        ) {
            let micros = seconds * 1_000_000 + micros;
            let wire = timestamp_out(Timestamp(micros));
            prop_assert_eq!(timestamp_in("t", &wire), Ok(Timestamp(micros)));
        }

        #[test]
        fn every_time_can_be_sent(micros: i64) {
            prop_assert!(timestamp_in("t", &timestamp_out(Timestamp(micros))).is_ok());
        }

        #[test]
        fn no_time_from_outside_is_taken_for_an_earlier_one(seconds: i64, nanos: i32) {
            let wire = prost_types::Timestamp { seconds, nanos };
            if let Ok(at) = timestamp_in("t", &wire) {
                let meant = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
                prop_assert!((meant..meant + 1_000).contains(&(i128::from(at.0) * 1_000)));
            }
        }

        #[test]
        fn a_duration_from_outside_is_exact_or_refused(seconds: i64, nanos: i32) {
            let wire = prost_types::Duration { seconds, nanos };
            if let Ok(duration) = duration_in("d", &wire) {
                let meant = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
                prop_assert_eq!(i128::try_from(duration.as_nanos()), Ok(meant));
            }
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_refused() {
        for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0)] {
            let wire = prost_types::Timestamp { seconds, nanos };
            assert!(timestamp_in("t", &wire).is_err(), "{wire:?}");
        }
    }
}
