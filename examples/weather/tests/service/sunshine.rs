//! The way it should be: what goes out is answered, however the answer is written.

use std::{fs::File, io::Write as _, time::Duration};

use crate::weather::{Weather, put, results};

#[tokio::test]
async fn the_pretend_backend_answers() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &["--pretend-backend", "20"]).await;
    let answer = weather.get("/api/weather?city=S%C3%A3o+Paulo", None).await;
    assert_eq!(answer.says(), (200, "São Paulo: sunny, 21 degrees\n"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn a_file_answers_whatever_follows_the_first_dot_of_its_name() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &[]).await;
    for ending in [".txt", ".json", ".tar.gz", "..", ".late.reply.TXT", ""] {
        let city = format!("City{}", ending.replace('.', "-"));
        let held = weather.ask(&city);
        let id = weather.id_of(&city).await;
        let text = format!("{{\"it is\": \"{ending}\"}}\n\n ☃ ");
        put(data.path(), &format!("{id}{ending}"), &text);
        let answer = held.await.expect("no panic").expect("an answer");
        assert_eq!(answer.says(), (200, text.as_str()));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
}

#[tokio::test]
async fn a_file_that_is_written_slowly_is_read_whole() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &[]).await;
    let held = weather.ask("Bergen");
    let id = weather.id_of("Bergen").await;
    let mut file = File::create(results(data.path()).join(format!("{id}.txt"))).expect("a file");
    file.write_all(b"rain, ").expect("there is space");
    // The writer is slow; longer than the trigger takes to notice, and to scan.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!held.is_finished());
    file.write_all(b"and then more rain").expect("there is space");
    drop(file);
    let answer = held.await.expect("no panic").expect("an answer");
    assert_eq!(answer.says(), (200, "rain, and then more rain"));
}

#[tokio::test]
async fn the_same_key_is_one_request_and_one_answer() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &[]).await;
    let held = [weather.ask("Oslo"), weather.ask("Oslo"), weather.ask("Oslo")];
    let id = weather.id_of("Oslo").await;
    put(data.path(), &format!("{id}.txt"), "snow");
    for held in held {
        assert_eq!(held.await.expect("no panic").expect("an answer").says(), (200, "snow"));
    }
    assert_eq!(crate::weather::sent(data.path()).len(), 1);
}
