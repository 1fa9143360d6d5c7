//! The server stops, crashes, and comes back.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use taskhub_core::store::{Store as _, StoreError};
use taskhub_postgres::testing::{Server, ServerOptions};
use taskhub_sim::conformance::hub::{append, instance, numbers, partition};

use crate::scene::{Scene, is_unknown, options};

/// While it is away every call says so; after it the store works, without being opened again.
#[test]
fn a_store_works_again_when_its_server_does() {
    let server = Server::start().expect("PostgreSQL is installed");
    let mut scene = Scene::open(options(&server.url(), "default"));
    scene.step(0).expect("the server runs");
    server.stop().expect("it stops");
    assert!(is_unknown(&scene.step(1)));
    let read = scene.store.load(&instance("a"));
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert!(scene.recover().is_err());
    server.begin().expect("it starts again");
    scene.recover().expect("the server runs");
    assert_eq!(scene.steps(), [1, 1, 1]);
    scene.step(1).expect("the server runs");
    // A restart between two commits is not even noticed.
    server.stop().expect("it stops");
    server.begin().expect("it starts again");
    scene.step(2).expect("the server runs");
    assert_eq!(scene.steps(), [3, 3, 3]);
}

/// Many lanes write while the server is killed: what was acknowledged is there after it.
#[test]
fn what_was_acknowledged_survives_a_crash_of_the_server() {
    const LANES: usize = 4;
    let server = ServerOptions::default().durable().start().expect("PostgreSQL is installed");
    let mut scene = Scene::open(options(&server.url(), "default"));
    let ids: Vec<String> = (0..LANES).map(|lane| format!("lane{lane}")).collect();
    let counts: Vec<AtomicU32> = ids.iter().map(|_| AtomicU32::new(0)).collect();
    for _ in 0..2 {
        let crashed = AtomicBool::new(false);
        thread::scope(|scope| {
            for (id, count) in ids.iter().zip(&counts) {
                let (scene, crashed) = (&scene, &crashed);
                scope.spawn(move || lane(scene, id, count, crashed));
            }
            let begun: Vec<u32> = counts.iter().map(|it| it.load(Ordering::SeqCst)).collect();
            let wrote = |(it, begun): (&AtomicU32, &u32)| it.load(Ordering::SeqCst) >= begun + 10;
            while !counts.iter().zip(&begun).all(wrote) {
                thread::yield_now();
            }
            server.crash().expect("it dies");
            crashed.store(true, Ordering::SeqCst);
        });
        server.begin().expect("it starts again");
        scene.recover().expect("the server runs");
        for (id, count) in ids.iter().zip(&counts) {
            let stored = scene.store.load(&instance(id)).expect("reading works");
            let there = numbers(&stored.expect("it was written").history);
            let acknowledged = count.load(Ordering::SeqCst);
            let events = u32::try_from(there.len()).unwrap();
            assert!((acknowledged..=acknowledged + 1).contains(&events), "{id}: {events}");
            assert_eq!(there, (0..events).collect::<Vec<_>>());
            count.store(events, Ordering::SeqCst);
        }
    }
}

/// Appends to one instance until the server is gone.
fn lane(scene: &Scene, id: &str, count: &AtomicU32, crashed: &AtomicBool) {
    loop {
        let at = count.load(Ordering::SeqCst);
        let mut batch = scene.batch([append(id, at..at + 1)]);
        batch.owners.retain(|(owner, _)| *owner == partition(id));
        match scene.store.commit(&batch) {
            Ok(()) => count.store(at + 1, Ordering::SeqCst),
            done => {
                assert!(is_unknown(&done), "{done:?}");
                return;
            }
        }
        if crashed.load(Ordering::SeqCst) {
            return;
        }
    }
}
