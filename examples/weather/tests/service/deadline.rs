//! A reply that does not come in time, and one that comes later.

use crate::weather::{Weather, put};

#[tokio::test]
async fn who_waited_too_long_gets_500_for_good() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &["--timeout", "1"]).await;
    let first = weather.ask("Godot").await.expect("no panic").expect("an answer");
    assert_eq!(first.status, 500, "{first:?}");
    assert!(first.text.contains("did not end within the time"), "{first:?}");

    let id = weather.id_of("Godot").await;
    put(data.path(), &format!("{id}.txt"), "here I am");
    weather.logs("a blob came too late").await;
    let again = weather.ask("Godot").await.expect("no panic").expect("an answer");
    assert_eq!(again.says(), first.says());

    assert!(weather.terminate().await.success());
    let weather = Weather::start(data.path(), &["--timeout", "60"]).await;
    let later = weather.ask("Godot").await.expect("no panic").expect("an answer");
    assert_eq!(later.says(), first.says());
}

#[tokio::test]
async fn a_deadline_passes_also_while_nobody_is_there() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &["--timeout", "2"]).await;
    let held = weather.ask("Atlantis");
    let id = weather.id_of("Atlantis").await;
    weather.kill();
    assert!(held.await.expect("no panic").is_err());
    // Longer than the deadline.
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    let weather = Weather::start(data.path(), &["--timeout", "60"]).await;
    put(data.path(), &format!("{id}.txt"), "found");
    let answer = weather.ask("Atlantis").await.expect("no panic").expect("an answer");
    // Which of the two came first is for its owner to say, but it says so once.
    assert!(matches!(answer.says(), (200, "found") | (500, _)), "{answer:?}");
    weather.logs("a blob").await;
    let again = weather.ask("Atlantis").await.expect("no panic").expect("an answer");
    assert_eq!(again.says(), answer.says());
}
