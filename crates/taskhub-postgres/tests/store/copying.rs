//! A hub moves from a folder into a database and back, and is the same.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use taskhub_core::{
    InstanceId, PartitionId, Timestamp,
    store::{Filter, Node, Store, Stored, Which},
};
use taskhub_engine::store::{EmbeddedOptions, MemoryStore};
use taskhub_postgres::{CopyError, PostgresOptions, copy, testing::Server};
use taskhub_sim::conformance::{
    PARTITIONS,
    commits::full_record,
    hub::{Hub, TTL, append, ended, envelope, keep, node, running, turn, write},
};
use tempfile::TempDir;

/// Instances with their histories, and the messages to each, all by id.
fn all(store: &dyn Store) -> Vec<(InstanceId, Stored, Vec<taskhub_core::Message>)> {
    let every = Filter { kind: Which::All, limit: 1_000, ..Filter::default() };
    let page = store.query(&every).expect("listing works");
    let mut found: Vec<_> = page
        .instances
        .into_iter()
        .map(|(id, _)| {
            let stored = store.load_whole(&id).expect("reading works").expect("it is there");
            let partition = PartitionId::of(&id, store.partitions());
            let inbox = store.inbox(partition, &[], usize::MAX).expect("reading works");
            let mine = inbox.into_iter().filter(|envelope| envelope.to == id);
            (id.clone(), stored, mine.map(|envelope| envelope.message).collect())
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Nobody interrupts the copy.
const GO_ON: fn() -> bool = || false;

/// With what waits in it, though the numbers of partitions differ.
#[test]
fn a_hub_moves_into_a_database_and_back() {
    let server = Server::start().expect("PostgreSQL is installed");
    let folder = TempDir::new().expect("there is room");
    let embedded = EmbeddedOptions::default().partitions(PARTITIONS).open(folder.path());
    let owned = {
        let store = embedded.expect("the folder is free");
        let owned = store.claim(&node("test"), usize::MAX, TTL).expect("nobody has it");
        Hub { store: Arc::new(store), owned }
    };
    owned.commit((0..300).map(|n| append(&format!("i{n}"), 0..n % 7)));
    owned.commit((0..300).map(|n| append(&format!("i{n}"), n % 7..n % 7 + 2)));
    let events = taskhub_sim::conformance::hub::events(&(0..3));
    let history = taskhub_core::HistoryChange::Append { at: 0, events };
    owned.commit([write("done", ended(3), history), keep("full", full_record())]);
    owned.commit([keep("@counter@a", running(0))]);
    let mut sends = turn("i1");
    sends.sent = (0..50).map(|n| envelope(1, n, &format!("i{}", n % 5))).collect();
    owned.commit([sends]);
    let before = all(&*owned.store);
    assert_eq!(before.len(), 303);

    let postgres = PostgresOptions::new(server.url()).partitions(9).open("moved");
    let postgres = postgres.expect("the server runs");
    assert!(matches!(copy(&*owned.store, &postgres, &GO_ON), Err(CopyError::InUse("from"))));
    owned.store.release(&owned.owned).expect("releasing works");
    let copied = copy(&*owned.store, &postgres, &GO_ON).expect("both are free");
    assert_eq!((copied.instances, copied.messages), (303, 50));
    assert_eq!(all(&postgres), before);
    assert!(matches!(copy(&*owned.store, &postgres, &GO_ON), Err(CopyError::NotEmpty)));

    let folder = TempDir::new().expect("there is room");
    let back = EmbeddedOptions::default().partitions(5).open(folder.path());
    let back = back.expect("the folder is free");
    copy(&postgres, &back, &GO_ON).expect("both are free");
    assert_eq!(all(&back), before);
    let next = Node { id: "next".into(), address: "".into(), circle: "".into() };
    let held = postgres.claim(&next, usize::MAX, TTL).expect("the server runs");
    assert_eq!(held.len(), 9, "it was given back");
}

/// A hub with several pages of instances, and a clock that a test sets.
fn source(ahead: &Arc<AtomicI64>) -> MemoryStore {
    let ahead = ahead.clone();
    let clock = move || Timestamp(ahead.load(Ordering::SeqCst));
    let store = MemoryStore::with_clock(PARTITIONS, Arc::new(clock));
    let owned = store.claim(&node("test"), usize::MAX, TTL).expect("nobody has it");
    let hub = Hub { store: Arc::new(store.clone()), owned };
    hub.commit((0..500).map(|n| append(&format!("i{n}"), 0..1)));
    store.release(&hub.owned).expect("it is in memory");
    store
}

/// However long it takes, nobody gets in between; and a minute after it was killed somebody does.
#[test]
fn a_copy_keeps_others_out_as_long_as_it_goes_on() {
    let ahead = Arc::<AtomicI64>::default();
    let from = source(&ahead);
    let pass = |time: Duration| {
        let micros = i64::try_from(time.as_micros()).expect("less than that");
        ahead.fetch_add(micros, Ordering::SeqCst);
    };
    let looks = Cell::new(0);
    let rival = || from.claim(&node("rival"), usize::MAX, TTL).expect("it is in memory");
    let goes_on = || {
        looks.set(looks.get() + 1);
        pass(Duration::from_secs(40));
        assert!(rival().is_empty(), "it was renewed");
        false
    };
    copy(&from, &MemoryStore::new(5), &goes_on).expect("both are free");
    assert!(looks.get() >= 3, "{}", looks.get());

    let killed = || {
        pass(Duration::from_mins(1));
        assert_eq!(rival().len(), usize::from(PARTITIONS), "nobody renewed it");
        false
    };
    let lost = copy(&from, &MemoryStore::new(5), &killed);
    assert!(matches!(lost, Err(CopyError::Lost("from"))), "{lost:?}");
}

#[test]
fn a_copy_that_is_interrupted_gives_both_hubs_back() {
    let (from, to) = (source(&Arc::default()), MemoryStore::new(5));
    let stopped = copy(&from, &to, &|| true);
    assert!(matches!(stopped, Err(CopyError::Interrupted)), "{stopped:?}");
    for store in [&from, &to] {
        let held = store.claim(&node("next"), usize::MAX, TTL).expect("it is in memory");
        assert_eq!(held.len(), usize::from(store.partitions()));
    }
}
