//! What several nodes need of the store that they share.

use std::{collections::BTreeSet, time::Duration};

use taskhub_core::{
    Epoch, PartitionId,
    store::{Lease, Node, Ownership, Shared, Store},
};

use super::{
    Fixture, PARTITIONS,
    hub::{Hub, TTL, envelope, keep, node, partition, running, turn},
    inboxes::{sends, takes},
};

/// How long a law waits for a hint that must come.
const SOON: Duration = Duration::from_secs(10);

/// How long a law waits for hints that must not come.
const NEVER: Duration = Duration::from_millis(20);

fn shared(store: &dyn Store) -> &dyn Shared {
    store.shared().expect("this suite is for stores that nodes can share")
}

/// A node lives until the time of its heartbeat has passed.
pub fn a_node_lives_as_long_as_its_heart_beats(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let shared = shared(&*store);
    let b = Node { circle: "seven".into(), ..node("b") };
    assert_eq!(shared.heartbeat(&b, TTL), Ok(vec![b.clone()]));
    fixture.clock().advance(TTL / 2);
    assert_eq!(shared.heartbeat(&node("a"), TTL), Ok(vec![node("a"), b]));
    fixture.clock().advance(TTL / 2);
    assert_eq!(shared.nodes(), Ok(vec![node("a")]), "the other was silent for too long");
    assert_eq!(shared.heartbeat(&node("a"), TTL), Ok(vec![node("a")]));
    fixture.clock().advance(TTL / 2);
    assert_eq!(shared.nodes(), Ok(vec![node("a")]), "a later heartbeat counts");
}

/// Who departs no longer counts, and may come back.
pub fn a_node_that_departs_no_longer_counts(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let shared = shared(&*store);
    shared.heartbeat(&node("a"), TTL).expect("the store works");
    shared.heartbeat(&node("b"), TTL).expect("the store works");
    shared.depart(&node("a")).expect("the store works");
    shared.depart(&node("unknown")).expect("nothing is to be done");
    assert_eq!(shared.nodes(), Ok(vec![node("b")]));
    assert_eq!(shared.heartbeat(&node("a"), TTL), Ok(vec![node("a"), node("b")]));
}

/// Everybody can see who owns what, where that node is, and for how long.
pub fn owners_are_told_with_their_nodes(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let shared = shared(&*store);
    assert_eq!(shared.owners(), Ok(vec![]));
    let mut held = store.claim(&node("a"), 2, TTL).expect("the store works");
    fixture.clock().advance(TTL / 3);
    held.extend(store.claim(&node("b"), usize::MAX, TTL).expect("the store works"));
    held.sort_by_key(|owned| owned.partition);
    let lease =
        |owned: &Ownership, name: &str, lasts| Lease { owned: *owned, node: node(name), lasts };
    let owners = shared.owners().expect("the store works");
    let of_a = owners.iter().filter(|lease| lease.node == node("a")).count();
    assert_eq!((owners.len(), of_a), (usize::from(PARTITIONS), 2));
    for (known, owned) in owners.iter().zip(&held) {
        let name = &*known.node.id;
        let lasts = if name == "a" { TTL / 3 * 2 } else { TTL };
        assert_eq!(*known, lease(owned, name, lasts));
    }
}

/// An owner is one until another has claimed, though its time has passed; a release ends it.
pub fn an_owner_is_told_until_it_releases_or_another_claims(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let shared = shared(&*store);
    let held = store.claim(&node("a"), usize::MAX, TTL).expect("the store works");
    fixture.clock().advance(TTL * 2);
    let owners = shared.owners().expect("the store works");
    assert_eq!(owners.len(), held.len());
    assert!(owners.iter().all(|lease| lease.lasts.is_zero()), "{owners:?}");
    let taken = store.claim(&node("b"), 1, TTL).expect("the store works");
    store.release(&held).expect("those of others are left alone");
    let owners = shared.owners().expect("the store works");
    let expected = Lease { owned: taken[0], node: node("b"), lasts: TTL };
    assert_eq!(owners, [expected]);
}

/// Whoever looks sees which inboxes are not empty, whether or not a hint came: a node may die
/// between its commit and its hint.
pub fn mail_is_seen_until_it_is_taken(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let shared = shared(&*hub.store);
    assert_eq!(shared.mail(), Ok(vec![]));
    let (one, two) = (envelope(0, 1, "order-1"), envelope(0, 2, "order-1"));
    hub.commit([sends("x", [one.clone(), two.clone()])]);
    let there = Ok(vec![partition("order-1")]);
    assert_eq!(shared.mail(), there);
    hub.commit([takes("order-1", [one.id])]);
    assert_eq!(shared.mail(), there);
    hub.commit([takes("order-1", [two.id])]);
    assert_eq!(shared.mail(), Ok(vec![]));
}

/// A hint reaches every listener once, and nobody hears those of before.
pub fn a_hint_reaches_all_who_listen(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let shared = shared(&*store);
    shared.hint(&[PartitionId(0)]).expect("the store works");
    let mut ears = [shared.listen(), shared.listen()].map(|ear| ear.expect("the store works"));
    shared.hint(&[PartitionId(2), PartitionId(1)]).expect("the store works");
    shared.hint(&[]).expect("the store works");
    shared.hint(&[PartitionId(2)]).expect("the store works");
    for ear in &mut ears {
        let mut heard = BTreeSet::new();
        while heard.len() < 2 {
            let more = ear.next(SOON).expect("the store works");
            assert!(!more.is_empty(), "only {heard:?} were heard");
            heard.extend(more); // What is hinted apart may be heard apart.
        }
        assert_eq!(heard, BTreeSet::from([PartitionId(1), PartitionId(2)]));
    }
}

/// A listener waits no longer than it wants to.
pub fn a_listener_that_hears_nothing_goes_on(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let mut ear = shared(&*store).listen().expect("the store works");
    assert_eq!(ear.next(NEVER), Ok(vec![]));
    assert_eq!(ear.next(Duration::ZERO), Ok(vec![]));
}

/// A hint wakes who waits for it on another thread.
pub fn a_hint_wakes_a_listener_that_waits(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let mut ear = shared(&*store).listen().expect("the store works");
    let heard = std::thread::scope(|scope| {
        let waiting = scope.spawn(move || ear.next(SOON));
        shared(&*store).hint(&[PartitionId(3)]).expect("the store works");
        waiting.join().expect("it does not panic")
    });
    assert_eq!(heard, Ok(vec![PartitionId(3)]));
}

/// Lanes of several nodes write side by side, each its own partitions, into one inbox too: what
/// each sent stands there in its order.
pub fn lanes_commit_side_by_side(fixture: &mut impl Fixture) {
    const EACH: u64 = 50;
    let hub = Hub::open(fixture);
    let names: Vec<_> = (0..PARTITIONS)
        .map(|at| {
            let mut names = (0..).map(|number| format!("id{number}"));
            names.find(|name| partition(name) == PartitionId(at)).expect("there are enough")
        })
        .collect();
    std::thread::scope(|scope| {
        for (name, at) in names.iter().zip(0..) {
            let (store, owned) = (&hub.store, &hub.owned);
            scope.spawn(move || {
                let epoch = owned.iter().find(|held| held.partition == partition(name));
                let owners = vec![(partition(name), epoch.expect("all are owned").epoch)];
                for number in 1..=EACH {
                    let mut sends = turn(name);
                    sends.sent = vec![envelope(at, number, "receiver")];
                    let turns = vec![keep(name, running(0)), sends];
                    let batch = taskhub_core::Batch { owners: owners.clone(), turns };
                    store.commit(&batch).expect("nobody is in the way");
                }
            });
        }
    });
    let inbox = hub.inbox(partition("receiver").0);
    assert_eq!(inbox.len() as u64, EACH * u64::from(PARTITIONS));
    for from in 0..PARTITIONS {
        let sent = inbox.iter().filter(|it| it.id.from == PartitionId(from));
        let numbers: Vec<_> = sent.map(|it| (it.id.epoch, it.id.number)).collect();
        assert_eq!(numbers, (1..=EACH).map(|number| (Epoch(1), number)).collect::<Vec<_>>());
    }
    assert!(names.iter().all(|name| hub.record(name) == Some(running(0))));
}
