//! Replies that nobody can use: each has a defined end, and none stops the next one.

use std::path::Path;

use crate::weather::{Weather, look_up, put, until};

/// How the handling of the file ended: the status of its receipt, and its output.
async fn end_of(data: &Path, file: &str) -> (String, String) {
    let row = |column: &str| {
        let query = format!(
            "SELECT coalesce({column}, '') FROM instances \
             WHERE id LIKE 'blobs:reply:{file}:%' AND status NOT IN ('Pending', 'Running')"
        );
        look_up(data, &query).pop()
    };
    let status = until(&format!("{file} is handled"), || row("status")).await;
    (status, row("output").unwrap_or_default())
}

/// Waits until a file was given up, and checks that the log says why.
async fn given_up(weather: &Weather, file: &str, why: &[&str]) {
    assert_eq!(end_of(&weather.data, file).await.0, "Failed");
    let log = weather.log();
    let said = |line: &&str| line.contains("a blob was given up") && line.contains(file);
    let line = log.lines().find(said).unwrap_or_else(|| panic!("{file} is not logged: {log}"));
    assert!(why.iter().all(|why| line.contains(why)), "{line}");
}

/// Asks for a city, and answers it as it should be.
async fn works(weather: &Weather, city: &str) {
    let held = weather.ask(city);
    let id = weather.id_of(city).await;
    put(&weather.data, &format!("{id}.txt"), "fine");
    assert_eq!(held.await.expect("no panic").expect("an answer").says(), (200, "fine"));
}

#[tokio::test]
async fn replies_that_nobody_waits_for_are_ignored_or_given_up() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path();
    let weather = Weather::start(data, &["--timeout", "2"]).await;
    for name in ["nobody.txt", "nobody-without-extension", "no body & no #1?.txt", "☃.txt"] {
        put(data, name, "hello?");
    }
    let late = weather.ask("Late").await.expect("no panic").expect("an answer");
    assert_eq!(late.status, 500);
    let terminated = weather.id_of("Late").await;
    weather.kill();

    let weather = Weather::start(data, &[]).await;
    works(&weather, "Early").await;
    let finished = weather.id_of("Early").await;
    for id in [&terminated, &finished] {
        let name = format!("{id}.late");
        put(data, &name, "too late");
        assert_eq!(end_of(data, &name).await, ("Completed".into(), "\"ignored\"".into()));
    }
    for name in ["nobody.txt", "nobody-without-extension"] {
        given_up(&weather, name, &["there is no instance nobody"]).await;
    }
    works(&weather, "After").await;
}

#[tokio::test]
async fn what_a_reply_holds_is_answered_whole_or_given_up_with_a_reason() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path();
    let weather = Weather::start(data, &[]).await;
    let cities = ["Binary", "Huge", "Empty", "Large", "Newline"];
    let held: Vec<_> = cities.iter().map(|city| weather.ask(city)).collect();
    let mut ids = Vec::new();
    for city in cities {
        ids.push(weather.id_of(city).await);
    }
    let large = "rain ".repeat(600_000);
    let contents: [&[u8]; 5] =
        [b"\x89PNG\r\n\x1a\n\0\xff", &vec![b'x'; 10 << 20], b"", large.as_bytes(), b"\n"];
    for (id, content) in ids.iter().zip(contents) {
        put(data, &format!("{id}.bin"), content);
    }

    let [picture, huge] = [0, 1].map(|index: usize| format!("{}.bin", ids[index]));
    given_up(&weather, &picture, &["is not UTF-8 text from byte 0"]).await;
    given_up(&weather, &huge, &["is too large", "10485762 bytes"]).await;
    // Nothing makes the same content smaller: one attempt tells it all.
    let attempts = weather.log().matches("an attempt to handle a blob failed").count();
    assert_eq!(attempts, 2, "{}", weather.log());

    // Their callers still wait, and a reply that is right answers them.
    put(data, &format!("{}.txt", ids[0]), "no picture");
    put(data, &format!("{}.txt", ids[1]), "short");
    let expected = ["no picture", "short", "", large.as_str(), "\n"];
    for (held, expected) in held.into_iter().zip(expected) {
        let answer = held.await.expect("no panic").expect("an answer");
        assert!(answer.says() == (200, expected), "{} {}", answer.status, answer.text.len());
    }
    works(&weather, "After").await;
}

#[tokio::test]
async fn folders_links_and_drafts_among_the_replies_are_left_alone() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path();
    let weather = Weather::start(data, &[]).await;
    let held = weather.ask("Porto");
    let id = weather.id_of("Porto").await;
    let results = crate::weather::results(data);
    std::fs::create_dir(results.join(format!("{id}.folder"))).expect("it can be made");
    std::fs::write(results.join(format!("{id}.part")), "half").expect("there is space");
    std::fs::write(results.join(format!(".{id}.txt")), "hidden").expect("there is space");
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/hostname", results.join(format!("{id}.link"))).expect("ok");
    put(data, &format!("{id}.txt"), "mild");
    assert_eq!(held.await.expect("no panic").expect("an answer").says(), (200, "mild"));
    works(&weather, "After").await;
    let receipts = look_up(data, "SELECT id FROM instances WHERE id LIKE 'blobs:%'");
    assert_eq!(receipts.len(), 2, "{receipts:?}");
}
