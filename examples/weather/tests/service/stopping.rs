//! A graceful end: who is held is handed back, and comes back for the answer.

use std::time::{Duration, Instant};

use crate::weather::{Weather, put, until};

/// Draining may take ten seconds, open connections five.
const END_MAX: Duration = Duration::from_secs(20);

#[tokio::test]
async fn held_requests_are_handed_back_and_answered_after_the_restart() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &[]).await;
    let cities: Vec<_> = (0..20).map(|city| format!("City-{city}")).collect();
    let held: Vec<_> = cities.iter().map(|city| weather.ask(city)).collect();
    let mut ids = Vec::new();
    for city in &cities {
        ids.push(weather.id_of(city).await);
    }
    let began = Instant::now();
    let status = weather.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < END_MAX, "it took {:?} to end", began.elapsed());
    for held in held {
        let answer = held.await.expect("no panic").expect("an answer");
        assert_eq!(answer.status, 503, "{answer:?}");
        let after = answer.header("retry-after").expect("when to come back");
        assert!(after.parse::<u64>().is_ok(), "{answer:?}");
        assert!(!answer.text.is_empty());
    }

    let weather = Weather::start(data.path(), &[]).await;
    let held: Vec<_> = cities.iter().map(|city| weather.ask(city)).collect();
    for id in &ids {
        put(data.path(), &format!("{id}.txt"), id);
    }
    for (held, id) in held.into_iter().zip(&ids) {
        let answer = held.await.expect("no panic").expect("an answer");
        assert_eq!(answer.says(), (200, id.as_str()));
    }
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &[]).await;
    let silent = tokio::net::TcpStream::connect(weather.address).await.expect("it listens");
    let half = tokio::net::TcpStream::connect(weather.address).await.expect("it listens");
    half.writable().await.expect("it can be written to");
    assert!(half.try_write(b"GET /api/weather?city=Half HTTP/1.1\r\n").is_ok());
    let began = Instant::now();
    assert_eq!(weather.terminate().await.code(), Some(0));
    assert!(began.elapsed() < END_MAX, "it took {:?} to end", began.elapsed());
    drop((silent, half));
}

#[tokio::test]
async fn a_reply_that_arrives_while_it_stops_is_not_lost() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &[]).await;
    let held = weather.ask("Lisbon");
    let id = weather.id_of("Lisbon").await;
    let path = data.path().to_owned();
    let writer = tokio::spawn(async move { put(&path, &format!("{id}.txt"), "mild") });
    let (status, _) = tokio::join!(weather.terminate(), writer);
    assert_eq!(status.code(), Some(0));
    let answer = held.await.expect("no panic").expect("an answer");
    assert!(matches!(answer.says(), (200, "mild") | (503, _)), "{answer:?}");
    let weather = Weather::start(data.path(), &[]).await;
    let again = weather.ask("Lisbon").await.expect("no panic").expect("an answer");
    assert_eq!(again.says(), (200, "mild"));
    until("the log ends", || weather.log().contains("serving").then_some(())).await;
}
