//! Readers and the committer at the same time: nobody sees half a batch, nobody waits for ever.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use taskhub_core::{
    Record, Timestamp,
    store::{Filter, Store},
};

use super::{
    Fixture,
    hub::{Hub, append, instance, keep, numbers, running},
};

const ROUNDS: u64 = 150;

/// Sets its flag also when the test fails, so that the other threads end.
struct Finished<'a>(&'a AtomicBool);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Each batch gives all instances the same time; each read finds one time, never an older one
/// than was acknowledged before it began.
pub fn a_reader_never_sees_part_of_a_batch(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let write = |round: u64| {
        let at = Timestamp(i64::try_from(round).unwrap_or_default());
        let record = Record { updated_at: at, due: Some(at), busy: true, ..running(0) };
        hub.commit((0..40).map(|n| keep(&format!("i{n}"), record.clone())));
    };
    write(0);
    let (acknowledged, finished) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !finished.load(Ordering::SeqCst) {
                    let least = acknowledged.load(Ordering::SeqCst).cast_signed();
                    check_list(&*hub.store, least);
                    check_wakes(&hub, least);
                }
            });
        }
        let _finished = Finished(&finished);
        for round in 1..ROUNDS {
            write(round);
            acknowledged.store(round, Ordering::SeqCst);
        }
    });
}

fn check_list(store: &dyn Store, least: i64) {
    let all = Filter { limit: 100, ..Filter::default() };
    let page = store.query(&all).expect("listing works");
    assert_eq!(page.instances.len(), 40);
    let at = page.instances[0].1.updated_at;
    assert!(at.0 >= least, "{at} is older than what was acknowledged: {least}");
    assert!(page.instances.iter().all(|(_, record)| record.updated_at == at));
}

fn check_wakes(hub: &Hub, least: i64) {
    for held in &hub.owned {
        let wakes = hub.store.wakes(held.partition, None, 100).expect("reading works");
        assert!(wakes.iter().all(|wake| wake.at == wakes[0].at && wake.at.0 >= least));
    }
}

/// A load gives as many events as its record counts.
pub fn a_record_and_its_history_are_of_one_moment(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    hub.commit([append("a", 0..1)]);
    let finished = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut seen = 0;
                while !finished.load(Ordering::SeqCst) {
                    let stored = hub.store.load(&instance("a")).expect("loading works");
                    let stored = stored.expect("it is there");
                    let events = numbers(&stored.history);
                    assert_eq!(events.len() as u64, stored.record.events);
                    assert!(stored.record.events >= seen, "nothing goes back");
                    seen = stored.record.events;
                }
            });
        }
        let _finished = Finished(&finished);
        for round in 1..200 {
            hub.commit([append("a", round..round + 1), append(&format!("b{round}"), 0..3)]);
        }
    });
    assert_eq!(hub.loaded("a"), (0..200).collect::<Vec<_>>());
}
