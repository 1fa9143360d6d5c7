//! No text of a schedule or a pattern makes its reader panic; what is due comes later than asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taskhub::{
    Timestamp,
    trigger::{Blobs, Schedule},
};

/// What may be asked about: the years 0 to 9999, in microseconds.
const RANGE: std::ops::Range<i64> = -62_167_219_200_000_000..253_402_300_800_000_000;

fuzz_target!(|input: (i64, &str, &str, &str, &str)| {
    let (after, text, zone, pattern, path) = input;
    for zone in [zone, "UTC", "Australia/Lord_Howe"] {
        let after = RANGE.start + after.rem_euclid(RANGE.end - RANGE.start);
        let after = Timestamp::from_micros(after);
        if let Ok(Some(due)) = Schedule::new(text).zone(zone).next_after(after) {
            assert!(due > after, "{text:?} in {zone:?}: {due:?} after {after:?}");
        }
    }
    if let Ok(Some(found)) = Blobs::of(pattern).captures(path) {
        assert!(found.values().all(|text| !text.is_empty() && path.contains(text.as_str())));
    }
});
