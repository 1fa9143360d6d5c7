//! Asks of many generated schedules what must hold of every one.

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil;
use proptest::prelude::*;

use super::*;

fn item(min: u8, max: u8) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (min..=max).prop_map(|value| value.to_string()),
        1 => (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (1..=max - min).prop_map(|step| format!("*/{step}")),
    ]
}

fn field(min: u8, max: u8) -> impl Strategy<Value = String> {
    let list = prop::collection::vec(item(min, max), 1..3);
    prop_oneof![Just("*".to_owned()), list.prop_map(|items| items.join(","))]
}

fn text() -> impl Strategy<Value = String> {
    let time = (field(0, 59), field(0, 59), field(0, 23));
    let date = (field(1, 31), field(1, 12), field(0, 6));
    (time, date).prop_map(|((s, m, h), (d, mo, w))| format!("{s} {m} {h} {d} {mo} {w}"))
}

/// Seconds of UTC between 1950 and 2100.
fn time() -> impl Strategy<Value = Timestamp> {
    (-631_152_000_i64..4_102_444_800).prop_map(|it| Timestamp::from_second(it).unwrap())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,30}", zone in "[A-Za-z/]{0,12}") {
        let _ = Ncrontab::parse(&text, &zone);
    }

    #[test]
    fn text_of_the_right_letters_is_read_or_refused(
        text in "([0-9*/,\\-]{1,4}|MON|jan|[0-9]{1,3}|\\*)( ([0-9*/,\\-]{1,4}|SUN|\\*)){5}",
        after in time(),
    ) {
        if let Ok(schedule) = Ncrontab::parse(&text, "UTC") {
            prop_assert!(schedule.next(after).unwrap() > after);
        }
    }

    #[test]
    fn in_utc_an_independent_implementation_agrees(text in text(), after in time()) {
        let Ok(schedule) = Ncrontab::parse(&text, "UTC") else { return Ok(()) };
        let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed);
        let parser = parser.dom_and_dow(true).build();
        let expected = parser.parse(&text).unwrap();
        let zoned = after.to_zoned(TimeZone::UTC);
        let expected = expected.find_next_occurrence(&zoned, false).unwrap();
        prop_assert_eq!(schedule.next(after).unwrap(), expected.timestamp());
    }

    #[test]
    fn where_clocks_change_a_walk_second_by_second_agrees(
        time in (field(0, 59), field(0, 59), field(0, 23)),
        jump in prop::sample::select(JUMPS.to_vec()),
        hours_before in 0..8i64,
    ) {
        let (second, minute, hour) = time;
        let text = format!("{second} {minute} {hour} * * *");
        let schedule = Ncrontab::parse(&text, jump.0).unwrap();
        let after = jump.1.parse::<Timestamp>().unwrap()
            - SignedDuration::from_hours(hours_before);
        let due = schedule.next(after).unwrap();
        let later = (1..12 * 3600).map(|it| after + SignedDuration::from_secs(it));
        match later.into_iter().find(|time| is_due(&schedule, *time)) {
            Some(expected) => prop_assert_eq!(due, expected),
            None => prop_assert!(due > after + SignedDuration::from_hours(11)),
        }
    }
}

/// Zones, and moments at which their clocks change: forwards and back, by 30 minutes too.
const JUMPS: [(&str, &str); 6] = [
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
];

fn holds(schedule: &Ncrontab, wall: civil::DateTime) -> bool {
    let part = |it: i8| u8::try_from(it).unwrap();
    schedule.hours.contains(part(wall.hour()))
        && schedule.minutes.contains(part(wall.minute()))
        && schedule.seconds.contains(part(wall.second()))
}

/// The rules as they are written down, asked of one second.
fn is_due(schedule: &Ncrontab, time: Timestamp) -> bool {
    let second = SignedDuration::from_secs(1);
    let wall = |time| schedule.zone.to_datetime(time);
    let hourly = schedule.hours.len() == 24;
    if holds(schedule, wall(time)) {
        let first = schedule.zone.to_ambiguous_timestamp(wall(time)).earlier().unwrap();
        return hourly || first == time;
    }
    let mut skipped = wall(time - second) + second;
    while !hourly && skipped < wall(time) {
        if holds(schedule, skipped) {
            return true;
        }
        skipped += second;
    }
    false
}
