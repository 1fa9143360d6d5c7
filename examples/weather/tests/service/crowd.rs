//! Very many requests at once: all are held, in little memory, and all are answered.
//!
//! `WEATHER_CROWD` says how many; each needs an open file here, and one there.

use std::collections::BTreeMap;

use crate::weather::{Weather, put, sent, until};

/// How many ask, unless said otherwise.
const CROWD: u64 = 10_000;

/// Open files that the test needs for itself.
const OTHER_FILES: u64 = 200;

/// Memory for one held request.
const BYTES_PER_HELD_MAX: u64 = 64 << 10;

#[tokio::test]
async fn a_crowd_is_held_and_answered() {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    let wanted = std::env::var("WEATHER_CROWD").ok().and_then(|crowd| crowd.parse().ok());
    let crowd = wanted.unwrap_or(CROWD).min(files.saturating_sub(OTHER_FILES));
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path();
    let weather = Weather::start(data, &["--timeout", "600"]).await;
    let before = weather.memory();
    let began = std::time::Instant::now();
    let held: Vec<_> = (0..crowd)
        .map(|caller| format!("City-{caller}"))
        .map(|city| (weather.ask(&city), city))
        .collect();
    let went_out = || {
        let folder = std::fs::read_dir(data.join("weather-requests"));
        let whole = folder.into_iter().flatten().flatten();
        let count = whole.filter(|it| !it.file_name().to_string_lossy().starts_with('.')).count();
        (count as u64 == crowd).then_some(())
    };
    until("all requests go out", went_out).await;
    let all_held = began.elapsed();
    let after = weather.memory();
    if let (Some(before), Some(after)) = (before, after) {
        let each = after.saturating_sub(before) / crowd;
        println!("{crowd} held after {all_held:?}, {each} bytes of memory each");
        assert!(each < BYTES_PER_HELD_MAX, "{each} bytes each: {before} -> {after}");
    }
    assert!(held.iter().all(|(held, _)| !held.is_finished()), "nobody was answered yet");

    let ids: BTreeMap<_, _> = sent(data).into_iter().collect();
    for id in ids.values() {
        put(data, &format!("{id}.txt"), id);
    }
    for (held, city) in held {
        let answer = held.await.expect("no panic").expect("an answer");
        assert_eq!(answer.says(), (200, ids[&city].as_str()));
    }
    println!("{crowd} answered after {:?}", began.elapsed());
}
