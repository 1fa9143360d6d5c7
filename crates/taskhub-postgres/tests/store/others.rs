//! Other nodes, and other users of the database, get in the way.

use std::{
    collections::BTreeSet,
    sync::Barrier,
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use taskhub_core::{
    Epoch, PartitionId,
    store::{CommitError, Ownership, Store as _},
};
use taskhub_sim::conformance::{
    PARTITIONS,
    hub::{TTL, append, instance, keep, node, partition, running},
};

use crate::{
    rival::Rival,
    scene::{Scene, database, fresh, is_unknown, options, refuse_instances, server},
};

/// However many claim at the same time, each partition goes to one of them.
#[test]
fn nodes_that_claim_at_once_share_out_the_partitions() {
    let hub = fresh();
    let many = || options(&server().url(), &hub).partitions(64);
    let stores: Vec<_> = (0..8).map(|_| many().open().expect("the server runs")).collect();
    for round in 1..=5 {
        let barrier = Barrier::new(stores.len());
        let claimed: Vec<Ownership> = thread::scope(|scope| {
            let claiming: Vec<_> = stores
                .iter()
                .zip(0..)
                .map(|(store, number)| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let node = node(&format!("node{number}"));
                        barrier.wait();
                        let mut held = Vec::new();
                        // Those that somebody else looks at are passed over.
                        for _ in 0..50 {
                            held.extend(store.claim(&node, 8, TTL).expect("claiming works"));
                            if held.len() >= 8 {
                                break;
                            }
                        }
                        held
                    })
                })
                .collect();
            claiming.into_iter().flat_map(|it| it.join().expect("it does not panic")).collect()
        });
        let partitions: BTreeSet<u16> = claimed.iter().map(|held| held.partition.0).collect();
        assert_eq!((claimed.len(), partitions.len()), (64, 64), "each goes to one");
        assert!(claimed.iter().all(|held| held.epoch == Epoch(round)));
        stores[0].release(&claimed).expect("releasing works");
    }
}

/// By the server's clock, whatever the nodes' say.
#[test]
fn a_lease_runs_out_by_the_clock_of_the_server() {
    let store = options(&server().url(), &fresh()).open().expect("the server runs");
    let short = Duration::from_millis(50);
    let held = store.claim(&node("a"), usize::MAX, short).expect("claiming works");
    assert_eq!(held.len(), usize::from(PARTITIONS));
    let taken = loop {
        let taken = store.claim(&node("b"), usize::MAX, TTL).expect("claiming works");
        if !taken.is_empty() {
            break taken;
        }
    };
    assert_eq!(taken.len(), usize::from(PARTITIONS));
    assert_eq!(store.renew(&held, TTL).map(|lost| lost.len()), Ok(held.len()));
    assert_eq!(store.claim(&node("c"), usize::MAX, TTL), Ok(vec![]));
}

/// A claim waits for the commit that is under way, and sees it; what the owner sends after is
/// refused.
#[test]
fn a_takeover_and_a_commit_do_not_pass_each_other() {
    let hub = fresh();
    let first = Scene::open(options(&server().url(), &hub));
    let second = options(&server().url(), &hub).open().expect("the server runs");
    for round in 0..20_u32 {
        first.store.release(&first.owned).expect("releasing works");
        let mut first = Scene { store: first.store.clone(), owned: first.owned.clone() };
        first.recover().expect("claiming works");
        thread::scope(|scope| {
            let id = format!("x{round}");
            let (writer, name) = (&first, id.clone());
            let writing = scope.spawn(move || {
                let mut done = 0..;
                loop {
                    let at = done.next().unwrap_or_default();
                    match writer.store.commit(&writer.batch([append(&name, at..at + 1)])) {
                        Ok(()) => {}
                        Err(CommitError::Fenced(_)) => return at,
                        Err(other) => panic!("{other}"),
                    }
                }
            });
            thread::sleep(Duration::from_millis(3));
            first.store.release(&first.owned).expect("releasing works");
            let taken = second.claim(&node("b"), usize::MAX, TTL).expect("claiming works");
            assert_eq!(taken.len(), usize::from(PARTITIONS), "it waits rather than pass over");
            let seen = second.load(&instance(&id)).expect("reading works");
            let seen = seen.map_or(0, |stored| stored.record.events);
            let written = writing.join().expect("it does not panic");
            assert_eq!(seen, u64::from(written), "what the new owner sees is all there is");
            second.release(&taken).expect("releasing works");
        });
    }
}

/// Somebody locks the same rows in another order; the server undoes the commit, and it is tried
/// again. The other one looks for deadlocks much later, so it is not undone.
#[test]
fn a_deadlock_is_tried_again() {
    let scene = Scene::open(options(&database("deadlocked", ""), "default"));
    let turns = || scene.batch([keep("a", running(0)), keep("b", running(0))]);
    scene.store.commit(&turns()).expect("they are new");
    let touch = |id: &str| format!("UPDATE taskhub.instance SET busy = busy WHERE id = '{id}'");
    let mut rival = Rival::with("deadlocked", "SET LOCAL deadlock_timeout = '1min'");
    rival.does(&touch("b"));
    thread::scope(|scope| {
        let writing = scope.spawn(|| scene.store.commit(&turns()));
        rival.holds_up(1, Duration::ZERO);
        rival.does(&touch("a"));
        rival.commit();
        assert_eq!(writing.join().expect("it does not panic"), Ok(()));
    });
    let deadlocks = "SELECT 1 FROM pg_stat_database WHERE datname = 'deadlocked' AND deadlocks > 0";
    server().wait_for(deadlocks).expect("there was one");
}

/// However long reads and commits of this node take: others must not take over from one that lives.
#[test]
fn leases_wait_for_no_read_and_no_commit() {
    let url = database("locked", "");
    let scene = Scene::open(options(&url, "default").connections(1, 5));
    scene.step(0).expect("the server runs");
    let rival = Rival::with("locked", "LOCK TABLE taskhub.instance");
    thread::scope(|scope| {
        let reading = scope.spawn(|| scene.store.load(&instance("a")));
        let writing: Vec<_> = (0..8)
            .map(|number| {
                let turn = keep(&format!("locked {number}"), running(0));
                let batch = scene.batch([turn]);
                scope.spawn(|| scene.store.commit(&{ batch }))
            })
            .collect();
        rival.holds_up(2, Duration::ZERO);
        assert_eq!(scene.store.renew(&scene.owned, TTL), Ok(vec![]));
        let shared = scene.store.shared().expect("it is");
        shared.heartbeat(&node("test"), TTL).expect("the server runs");
        assert_eq!(shared.nodes().expect("the server runs").len(), 1);
        assert_eq!(shared.owners().expect("the server runs").len(), usize::from(PARTITIONS));
        assert!(!reading.is_finished() && !writing.iter().any(ScopedJoinHandle::is_finished));
        drop(rival);
        reading.join().expect("it does not panic").expect("it goes on");
        for writing in writing {
            writing.join().expect("it does not panic").expect("it goes on");
        }
    });
}

/// An error that says "try again" is tried again, as long as it may pass.
#[test]
fn a_serialization_failure_is_tried_again() {
    let scene = Scene::open(options(&database("serial", ""), "default"));
    server().psql_in("serial", "CREATE SEQUENCE public.tries").expect("psql works");
    let is_early = "NEW.id = 'hopeless' OR NEW.id = 'unlucky' AND nextval('public.tries') <= 3";
    refuse_instances("serial", is_early, "'try again' USING ERRCODE = '40001'");
    assert_eq!(scene.store.commit(&scene.batch([keep("unlucky", running(0))])), Ok(()));
    let tries = server().psql_in("serial", "SELECT last_value FROM public.tries");
    assert_eq!(tries.expect("psql works"), "4");
    // Not for ever; the engine looks what became of it.
    assert!(is_unknown(&scene.store.commit(&scene.batch([keep("hopeless", running(0))]))));
    assert_eq!(scene.store.load(&instance("hopeless")).expect("reading works"), None);
    assert_eq!(scene.store.commit(&scene.batch([keep("lucky", running(0))])), Ok(()));
}

/// Another node purged an instance and made it again: what this one remembers of it is wrong, and
/// no harm.
#[test]
fn what_is_remembered_may_be_wrong() {
    let hub = fresh();
    let mut here = Scene::open(options(&server().url(), &hub));
    let there = options(&server().url(), &hub).open().expect("the server runs");
    here.store.commit(&here.batch([append("a", 0..2)])).expect("it is new");
    here.store.release(&here.owned).expect("releasing works");
    let mut away = Scene { store: there, owned: vec![] };
    away.recover().expect("claiming works");
    let purge = taskhub_sim::conformance::hub::purge("a");
    away.store.commit(&away.batch([purge])).expect("it is there");
    away.store.commit(&away.batch([append("a", 0..1), append("b", 0..1)])).expect("it is new");
    away.store.release(&away.owned).expect("releasing works");
    here.recover().expect("claiming works");
    here.store.commit(&here.batch([append("a", 1..3), append("b", 1..2)])).expect("it fits");
    let stored = here.store.load(&instance("a")).expect("reading works").expect("it is there");
    assert_eq!((stored.record.events, stored.history.len()), (3, 2));
    // And a stale owner is told so, not that the history is broken.
    away.owned = vec![Ownership { partition: partition("a"), epoch: Epoch(2) }];
    let stale = away.store.commit(&away.batch([append("a", 1..2)]));
    assert_eq!(stale, Err(CommitError::Fenced(partition("a"))));
    assert_ne!(partition("a"), PartitionId(PARTITIONS));
}
