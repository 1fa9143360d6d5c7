//! Says when a schedule is due next: NCRONTAB text with six fields, in a time zone.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::field::{DAY, HOUR, MINUTE, MONTH, SECOND, Values, WEEKDAY};

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The text does not have six fields.
    #[error(
        "`{text}` has {count} fields; a schedule has six: \
         second, minute, hour, day of month, month, day of week{advice}"
    )]
    FieldCount {
        /// The whole schedule.
        text: String,
        /// How many fields it has.
        count: usize,
        /// What to write instead, where that can be guessed.
        advice: String,
    },
    /// One field holds what it may not.
    #[error("{field} `{text}`: {problem}")]
    Field {
        /// The name of the field.
        field: &'static str,
        /// What it holds.
        text: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// No day of any year has the day and the month that the schedule asks for.
    #[error("`{0}` is never due: none of its months has one of its days")]
    Never(String),
    /// The time zone is not known.
    #[error("no time zone is called `{0}`; use an IANA name such as `Europe/Berlin`, or `UTC`")]
    Zone(String),
}

/// A schedule that is due at least once in 50 years.
///
/// All six fields must hold, day of month *and* day of week too. Fields speak of wall-clock time.
/// A schedule for every hour follows elapsed time when clocks change: what a skipped hour held
/// is skipped, and a repeated hour counts twice. One that names hours keeps to the calendar: what a
/// skipped hour held is due once, at the moment the clocks jump, and a repeated hour counts once.
#[derive(Debug, Clone)]
pub(crate) struct Ncrontab {
    seconds: Values,
    minutes: Values,
    hours: Values,
    days: Values,
    months: Values,
    weekdays: Values,
    zone: TimeZone,
}

/// Longer than the longest pause of any schedule: 40 years between two 29 February on a Monday.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366 * 50);

const DAY_SECONDS: i64 = 86_400;

/// A stretch of time in which the clocks of a zone run evenly.
struct Stretch {
    /// In seconds of UTC; `None` when it began before anybody kept time.
    start: Option<i64>,
    end: Option<i64>,
    /// What to add to UTC, in seconds, in this stretch and in the one before.
    offset: i64,
    offset_before: i64,
}

impl Ncrontab {
    /// Reads `second minute hour day-of-month month day-of-week`, in an IANA time zone.
    pub(crate) fn parse(text: &str, zone: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<_> = text.split_whitespace().collect();
        let &[second, minute, hour, day, month, weekday] = fields.as_slice() else {
            let advice = match fields.len() {
                5 => format!("; the second comes first, so perhaps `0 {}`", fields.join(" ")),
                _ => String::new(),
            };
            let text = text.to_owned();
            return Err(ScheduleError::FieldCount { text, count: fields.len(), advice });
        };
        let schedule = Self {
            seconds: SECOND.parse(second)?,
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            weekdays: WEEKDAY.parse(weekday)?,
            zone: TimeZone::get(zone).map_err(|_| ScheduleError::Zone(zone.to_owned()))?,
        };
        if schedule.is_possible() { Ok(schedule) } else { Err(ScheduleError::Never(text.into())) }
    }

    /// The first time later than `after`; `None` only near the end of the calendar, in 9999.
    pub(crate) fn next_after(&self, after: crate::Timestamp) -> Option<crate::Timestamp> {
        let after = Timestamp::from_microsecond(after.as_micros()).ok()?;
        Some(crate::Timestamp::from_micros(self.next(after)?.as_microsecond()))
    }

    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let horizon = after.saturating_add(HORIZON).unwrap_or(Timestamp::MAX).as_second();
        // Whole seconds: half a second past is due at the next whole one.
        let from = after.as_second() + i64::from(after.subsec_nanosecond() >= 0);
        for stretch in self.stretches(after) {
            if stretch.start.is_some_and(|start| start > horizon) {
                return None;
            }
            if let Some(due) = self.first_in(&stretch, from, horizon) {
                return Timestamp::from_second(due).ok();
            }
        }
        None
    }

    /// Every weekday meets every date of the calendar sooner or later, 29 February too.
    fn is_possible(&self) -> bool {
        const LONGEST: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let fits = |(month, length)| {
            let first = self.days.first().unwrap_or(u8::MAX);
            self.months.contains(month) && first <= length
        };
        (1..).zip(LONGEST).any(fits)
    }

    /// The stretch that holds `after`, then those that follow.
    fn stretches(&self, after: Timestamp) -> impl Iterator<Item = Stretch> {
        let seconds = |timestamp: Timestamp| i64::from(self.zone.to_offset(timestamp).seconds());
        // A transition at `after` itself has happened already.
        let just_after = after.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(after);
        let began = self.zone.preceding(just_after).next().map(|it| it.timestamp());
        let mut ends = self.zone.following(after).map(|it| it.timestamp());
        let mut start = Some(began);
        std::iter::from_fn(move || {
            let began = start.take()?;
            let end = ends.next();
            start = end.map(Some);
            let before = began.map(|it| it.saturating_sub(SignedDuration::from_secs(1)));
            let before = before.and_then(Result::ok);
            Some(Stretch {
                start: began.map(Timestamp::as_second),
                end: end.map(Timestamp::as_second),
                offset: seconds(began.unwrap_or(after)),
                offset_before: seconds(before.unwrap_or(after)),
            })
        })
    }

    /// The first due second of the stretch that is at least `from`, up to the horizon.
    fn first_in(&self, stretch: &Stretch, from: i64, horizon: i64) -> Option<i64> {
        let mut earliest = stretch.start.map_or(from, |start| start.max(from)) + stretch.offset;
        if let Some(start) = stretch.start.filter(|_| !self.is_hourly()) {
            let jumped = (start + stretch.offset_before)..(start + stretch.offset);
            if start >= from && self.first_between(jumped.start, jumped.end).is_some() {
                return Some(start);
            }
            earliest = earliest.max(jumped.start);
        }
        let end = stretch.end.map_or(horizon, |end| end.min(horizon)) + stretch.offset;
        Some(self.first_between(earliest, end)? - stretch.offset)
    }

    fn is_hourly(&self) -> bool {
        self.hours.len() == 24
    }

    /// The first due second of wall-clock time in `from..to`.
    fn first_between(&self, from: i64, to: i64) -> Option<i64> {
        if from >= to {
            return None;
        }
        let (first, last) = (from.div_euclid(DAY_SECONDS), (to - 1).div_euclid(DAY_SECONDS));
        (first..=last).filter(|day| self.has_day(*day)).find_map(|day| {
            let midnight = day * DAY_SECONDS;
            let due = midnight + self.first_of_day((from - midnight).max(0))?;
            (due < to).then_some(due)
        })
    }

    /// Whether a day, counted from the beginning of 1970, is one of the schedule's.
    fn has_day(&self, day: i64) -> bool {
        let epoch = Date::constant(1970, 1, 1);
        let Ok(date) = epoch.checked_add(SignedDuration::from_secs(day * DAY_SECONDS)) else {
            return false;
        };
        let holds = |values: Values, it: i8| u8::try_from(it).is_ok_and(|it| values.contains(it));
        holds(self.months, date.month())
            && holds(self.days, date.day())
            && holds(self.weekdays, date.weekday().to_sunday_zero_offset())
    }

    /// The first due second of a day that is at least `from`, both counted from midnight.
    fn first_of_day(&self, from: i64) -> Option<i64> {
        let part = |seconds: i64| u8::try_from(seconds).ok();
        let (hour, minute, second) = (part(from / 3600)?, part(from / 60 % 60)?, part(from % 60)?);
        let seconds = |hour: u8, minute: u8, second: u8| {
            i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)
        };
        let (first_minute, first_second) = (self.minutes.first()?, self.seconds.first()?);
        if self.hours.contains(hour) {
            if self.minutes.contains(minute)
                && let Some(second) = self.seconds.at_least(second)
            {
                return Some(seconds(hour, minute, second));
            }
            if let Some(minute) = self.minutes.at_least(minute + 1) {
                return Some(seconds(hour, minute, first_second));
            }
        }
        Some(seconds(self.hours.at_least(hour + 1)?, first_minute, first_second))
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    /// The times that follow `after`, as wall-clock time with the zone's offset.
    fn due(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = Ncrontab::parse(text, zone).unwrap();
        let mut time: Timestamp = after.parse().unwrap();
        let next = || {
            time = schedule.next(time).unwrap();
            time.to_zoned(schedule.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    fn error(text: &str) -> String {
        Ncrontab::parse(text, "UTC").unwrap_err().to_string()
    }

    #[test]
    fn midnight_comes_every_day() {
        let days = due("0 0 0 * * *", "UTC", "2026-02-27T00:00:00Z", 2);
        assert_eq!(days, ["2026-02-28T00:00:00+00:00", "2026-03-01T00:00:00+00:00"]);
    }

    #[test]
    fn the_next_time_is_strictly_later() {
        let next = |after| due("*/30 * * * * *", "UTC", after, 1).remove(0);
        assert_eq!(next("2026-01-01T00:00:00Z"), "2026-01-01T00:00:30+00:00");
        assert_eq!(next("2026-01-01T00:00:29.999999Z"), "2026-01-01T00:00:30+00:00");
        assert_eq!(next("1969-12-31T23:59:29.5Z"), "1969-12-31T23:59:30+00:00");
    }

    #[test]
    fn day_of_month_and_day_of_week_both_hold() {
        let fridays = due("0 0 9 13 * FRI", "UTC", "2026-01-01T00:00:00Z", 3);
        let expected =
            ["2026-02-13T09:00:00+00:00", "2026-03-13T09:00:00+00:00", "2026-11-13T09:00:00+00:00"];
        assert_eq!(fridays, expected);
    }

    #[test]
    fn a_rare_schedule_is_found_across_40_years() {
        let days = due("0 0 0 29 2 1", "UTC", "2088-03-01T00:00:00Z", 1);
        assert_eq!(days, ["2112-02-29T00:00:00+00:00"]);
        let days = due("0 0 0 29 2 0", "UTC", "2088-03-01T00:00:00Z", 1);
        assert_eq!(days, ["2128-02-29T00:00:00+00:00"]);
    }

    #[test]
    fn a_zone_moves_the_day() {
        let days = due("0 0 0 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", 1);
        assert_eq!(days, ["2026-01-02T00:00:00+05:30"]);
    }

    #[test]
    fn a_named_hour_that_clocks_skip_is_due_once_as_they_jump() {
        let night = due("0 30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3);
        let expected =
            ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"];
        assert_eq!(night, expected);
        let often = due("0 */20 1-2 * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 3);
        let expected =
            ["2026-03-29T01:40:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T01:00:00+02:00"];
        assert_eq!(often, expected);
        let midnight = due("0 0 0 * * *", "Africa/Cairo", "2024-04-25T12:00:00Z", 1);
        assert_eq!(midnight, ["2024-04-26T01:00:00+03:00"]);
    }

    #[test]
    fn a_named_hour_that_clocks_repeat_is_due_once() {
        let night = due("0 30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(night, ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]);
        let second_pass = due("0 30 2 * * *", "Europe/Berlin", "2026-10-25T01:00:00Z", 1);
        assert_eq!(second_pass, ["2026-10-26T02:30:00+01:00"]);
    }

    #[test]
    fn a_schedule_for_every_hour_follows_elapsed_time() {
        let spring = due("0 30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2);
        assert_eq!(spring, ["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"]);
        let autumn = due("0 30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 3);
        let expected =
            ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"];
        assert_eq!(autumn, expected);
    }

    #[test]
    fn a_day_that_a_zone_skipped_is_due_as_the_clocks_jump() {
        let days = due("0 0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 2);
        assert_eq!(days, ["2011-12-31T00:00:00+14:00", "2012-12-30T12:00:00+14:00"]);
    }

    #[test]
    fn a_schedule_that_is_never_due_is_refused() {
        assert!(error("0 0 0 30 2 *").contains("is never due"));
        assert!(error("0 0 0 31 APR,JUN,SEP,NOV *").contains("is never due"));
        assert!(Ncrontab::parse("0 0 0 31 APR,MAY *", "UTC").is_ok());
    }

    #[test]
    fn an_error_says_what_to_write() {
        assert!(error("0 0 * * *").ends_with("so perhaps `0 0 0 * * *`"));
        assert!(error("").contains("has 0 fields; a schedule has six"));
        assert!(error("@daily").contains("has 1 fields"));
        assert!(error("0 0 24 * * *").starts_with("hour `24`: `24` is not allowed"));
        let zone = Ncrontab::parse("0 0 0 * * *", "Mars/Olympus").unwrap_err();
        assert!(zone.to_string().contains("`Mars/Olympus`; use an IANA name"));
    }

    #[test]
    fn the_calendar_ends_without_a_panic() {
        let schedule = Ncrontab::parse("0 0 0 29 2 *", "Europe/Berlin").unwrap();
        assert_eq!(schedule.next(Timestamp::MAX), None);
        assert!(schedule.next(Timestamp::MIN).is_some());
    }
}
