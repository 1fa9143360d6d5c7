//! `kill -9` while requests are held and replies keep arriving: what was put is answered, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    http::Answer,
    weather::{Weather, put, sent, until},
};

const CITIES: usize = 50;
const KILLS: usize = 3;
/// Replies put while it runs, before it is killed, and then while it is down.
const PUT_BEFORE: usize = 8;
const PUT_WHILE_DOWN: usize = 4;

fn cities() -> impl Iterator<Item = String> {
    (0..CITIES).map(|city| format!("City-{city}"))
}

/// The one reply to an id.
fn reply(id: &str) -> String {
    format!("the weather for {id}\n")
}

/// Puts replies to requests that went out and have none yet.
fn put_replies(data: &Path, replied: &mut BTreeSet<String>, count: usize) {
    let open = sent(data).into_iter().filter(|(_, id)| !replied.contains(id));
    let open: Vec<_> = open.take(count).collect();
    for (_, id) in open {
        put(data, &format!("{id}.txt"), reply(&id));
        replied.insert(id);
    }
}

/// Notes an answer; there must never be another one to the same city.
fn note(answers: &mut BTreeMap<String, Answer>, city: &str, answer: Answer) {
    assert_eq!(answer.status, 200, "{city}: {answer:?}");
    if let Some(before) = answers.insert(city.to_owned(), answer) {
        assert_eq!(before.says(), answers[city].says(), "two answers to {city}");
    }
}

#[tokio::test]
async fn every_reply_is_answered_to_who_comes_back_after_a_crash() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path();
    let (mut answers, mut replied) = (BTreeMap::new(), BTreeSet::new());
    for round in 0..KILLS {
        let weather = Weather::start(data, &[]).await;
        let held: Vec<_> = cities().map(|city| (weather.ask(&city), city)).collect();
        let wanted = (round + 1) * (PUT_BEFORE + PUT_WHILE_DOWN) - PUT_WHILE_DOWN;
        until("replies are put", || {
            put_replies(data, &mut replied, 2);
            (replied.len() >= wanted).then_some(())
        })
        .await;
        weather.kill();
        put_replies(data, &mut replied, PUT_WHILE_DOWN);
        for (held, city) in held {
            if let Ok(answer) = held.await.expect("no panic") {
                note(&mut answers, &city, answer);
            }
        }
    }
    let before_the_end = answers.clone();

    let weather = Weather::start(data, &[]).await;
    let held: Vec<_> = cities().map(|city| (weather.ask(&city), city)).collect();
    until("all replies are put", || {
        put_replies(data, &mut replied, CITIES);
        (replied.len() == CITIES).then_some(())
    })
    .await;
    for (held, city) in held {
        note(&mut answers, &city, held.await.expect("no panic").expect("an answer"));
    }
    let ids = sent(data).into_iter().collect::<BTreeMap<_, _>>();
    assert_eq!((sent(data).len(), ids.len()), (CITIES, CITIES), "one request for each key");
    for (city, id) in &ids {
        assert_eq!(answers[city].text, reply(id), "{city} got what was put for another");
    }

    // What comes later, and says something else, changes nothing.
    for id in ids.values() {
        put(data, &format!("{id}.again"), "something else");
    }
    weather.logs("a blob came too late").await;
    for city in cities() {
        let answer = weather.ask(&city).await.expect("no panic").expect("an answer");
        note(&mut answers, &city, answer);
    }
    println!("{} of {CITIES} were answered before the last start", before_the_end.len());
}
