//! A disk that is full: clear refusals, nothing broken, and all is well when there is space again.

use std::{fs, io, path::Path};

use futures::FutureExt as _;
use tokio::task::JoinHandle;

use crate::{
    http::{self, Answer},
    starting::{mount, unmount},
    weather::{Weather, look_up, put, results, until},
};

/// Fills the disk to the last byte.
fn fill(place: &Path) {
    use std::io::Write as _;
    let mut ballast = fs::File::create(place.join("ballast")).expect("an entry fits");
    for piece in [1 << 20, 4_096, 1] {
        while ballast.write_all(&vec![0; piece]).is_ok() {}
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let place = tempfile::tempdir().expect("a folder");
    if !mount(place.path(), "size=24m") {
        println!("skipped: a small disk must be mounted, which only root may");
        return;
    }
    let mounted = Mounted(place.path());
    let data = place.path().join("data");
    let weather = Weather::start(&data, &["--timeout", "600"]).await;
    let held = weather.ask("Before");
    let id = weather.id_of("Before").await;
    fill(place.path());

    let refusal = first_refusal(&weather).await;
    assert!(refusal.header("retry-after").is_some(), "{refusal:?}");
    let why = refusal.text.to_lowercase();
    assert!(why.contains("full") || why.contains("space"), "{refusal:?}");
    println!("refused: {}", refusal.text);

    // A while without space: it must not fill the log instead.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let lines = weather.log().matches("no space is left").count();
    assert!((1..=5).contains(&lines), "{lines} lines: {}", weather.log());

    fs::remove_file(place.path().join("ballast")).expect("it is there");
    let after = weather.ask("After");
    let answered = held.await.expect("no panic").expect("an answer");
    assert_eq!(answered.status, 503, "who was held is told to come back: {answered:?}");
    drop(after);
    recovers(&weather, "Before", &id).await;
    look_well(&data);

    fill(place.path());
    let refusal = first_refusal(&weather).await;
    assert_eq!(refusal.status, 503);
    weather.kill();
    let (status, said) = Weather::refuses(&data, &["--listen", "127.0.0.1:0"]).await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("space") || said.contains("full"), "{said}");
    println!("refused to start: {said}");
    fs::remove_file(place.path().join("ballast")).expect("it is there");
    let weather = Weather::start(&data, &[]).await;
    let again = weather.ask("Before").await.expect("no panic").expect("an answer");
    assert_eq!(again.says(), (200, "clear again"));
    assert!(weather.terminate().await.success());
    look_well(&data);
    drop(mounted);
}

/// What SQLite has set aside already can still be written; asks until that is used up too.
async fn first_refusal(weather: &Weather) -> Answer {
    let mut asked: Vec<JoinHandle<io::Result<Answer>>> = Vec::new();
    until("a refusal", || {
        let path = format!("/api/weather?city=During-{}", "x".repeat(16 << 10));
        let address = weather.address;
        let ask = async move { http::send(address, &http::get(&path, None)).await };
        asked.push(tokio::spawn(ask));
        let answered = asked.extract_if(.., |asked| asked.is_finished());
        let answers = answered.filter_map(|asked| asked.now_or_never()?.ok()?.ok());
        let mut answers = answers.inspect(|answer| {
            let known = answer.status == 503 || answer.text.contains("No space left");
            assert!(known, "{answer:?}");
        });
        answers.find(|answer| answer.status == 503)
    })
    .await
}

/// Whoever comes back is answered, as is who is new.
async fn recovers(weather: &Weather, city: &str, id: &str) {
    put(&weather.data, &format!("{id}.txt"), "clear again");
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    loop {
        let answer = weather.ask(city).await.expect("no panic").expect("an answer");
        if answer.says() == (200, "clear again") {
            break;
        }
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(std::time::Instant::now() < deadline, "still refused: {answer:?}");
    }
    let held = weather.ask("New");
    let id = weather.id_of("New").await;
    put(&weather.data, &format!("{id}.txt"), "new");
    assert_eq!(held.await.expect("no panic").expect("an answer").says(), (200, "new"));
    until("it says so", || weather.log().contains("the store works again").then_some(())).await;
    assert!(results(&weather.data).join(format!("{id}.txt")).exists());
}

fn look_well(data: &Path) {
    assert_eq!(look_up(data, "PRAGMA integrity_check"), ["ok"]);
}

/// A small disk, taken away in the end.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        unmount(self.0);
    }
}
