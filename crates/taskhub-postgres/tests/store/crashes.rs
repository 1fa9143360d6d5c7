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

/// After a failover, the server that was left may go on answering, and only refuse writes: no
/// connection to it is used again.
#[test]
fn a_server_that_takes_no_writes_any_more_is_left() {
    let server = Server::start().expect("PostgreSQL is installed");
    let mut scene = Scene::open(options(&server.url(), "default"));
    scene.step(0).expect("the server runs");
    let turn = |how: &str| {
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {how}");
        server.psql(&set).and_then(|_| server.psql("SELECT pg_reload_conf()")).expect("psql works");
        let is =
            format!("SELECT 1 WHERE current_setting('default_transaction_read_only') = '{how}'");
        server.wait_for(&is).expect("psql works");
    };
    turn("on");
    while !is_unknown(&scene.step(1)) {
        scene.recover().expect("it has not heard yet");
    }
    let left = "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity \
        WHERE application_name = 'taskhub' AND backend_type = 'client backend')";
    server.wait_for(left).expect("psql works");
    let opened = options(&server.url(), "default").open();
    assert!(opened.is_err(), "who begins looks for one that takes writes");
    turn("off");
    scene.recover().expect("it takes writes again");
    let [steps, ..] = scene.steps();
    scene.step(u32::try_from(steps).unwrap()).expect("it takes writes again");
}

/// Many lanes write while the server is killed: what was acknowledged is there after it.
#[test]
fn what_was_acknowledged_survives_a_crash_of_the_server() {
    let server = ServerOptions::default().durable().start().expect("PostgreSQL is installed");
    let mut scene = Scene::open(options(&server.url(), "default"));
    let lanes = lanes();
    for _ in 0..2 {
        write_until(&scene, &lanes, || server.crash().expect("it dies"));
        server.begin().expect("it starts again");
        keeps_all(&mut scene, &lanes);
    }
}

/// The same when a synchronous standby takes over; the store finds it by itself.
#[test]
fn what_was_acknowledged_survives_a_failover_to_a_synchronous_standby() {
    let first = Server::start().expect("PostgreSQL is installed");
    let second = ServerOptions::default().following(&first).start().expect("it is copied");
    first.psql("ALTER SYSTEM SET synchronous_standby_names = '*'").expect("psql works");
    first.psql("SELECT pg_reload_conf()").expect("psql works");
    let follows = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
    first.wait_for(follows).expect("psql works");
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        second.port(),
        first.port()
    );
    let mut scene = Scene::open(options(&url, "default"));
    let lanes = lanes();
    write_until(&scene, &lanes, || first.crash().expect("it dies"));
    assert_eq!(second.psql("SELECT pg_promote()").expect("psql works"), "t");
    keeps_all(&mut scene, &lanes);
    write_until(&scene, &lanes, || second.crash().expect("it dies"));
}

/// Instances, and how many events of each are known to be stored.
type Lanes = Vec<(String, AtomicU32)>;

fn lanes() -> Lanes {
    (0..4).map(|lane| (format!("lane{lane}"), AtomicU32::new(0))).collect()
}

/// All lanes write, and when each of them has made some way, the server dies.
fn write_until(scene: &Scene, lanes: &Lanes, dies: impl FnOnce()) {
    let crashed = AtomicBool::new(false);
    thread::scope(|scope| {
        let count = |(_, count): &(String, AtomicU32)| count.load(Ordering::SeqCst);
        let begun: Vec<u32> = lanes.iter().map(count).collect();
        for (id, count) in lanes {
            let crashed = &crashed;
            scope.spawn(move || lane(scene, id, count, crashed));
        }
        while !lanes.iter().zip(&begun).all(|(lane, begun)| count(lane) >= begun + 10) {
            thread::yield_now();
        }
        dies();
        crashed.store(true, Ordering::SeqCst);
    });
}

/// Nothing that was acknowledged is missing, and at most the last one that was not is there.
fn keeps_all(scene: &mut Scene, lanes: &Lanes) {
    scene.recover().expect("the server runs");
    for (id, count) in lanes {
        let stored = scene.store.load(&instance(id)).expect("reading works");
        let there = numbers(&stored.expect("it was written").history);
        let acknowledged = count.load(Ordering::SeqCst);
        let events = u32::try_from(there.len()).expect("they are few");
        assert!((acknowledged..=acknowledged + 1).contains(&events), "{id}: {events}");
        assert_eq!(there, (0..events).collect::<Vec<_>>());
        count.store(events, Ordering::SeqCst);
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
