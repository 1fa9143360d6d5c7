//! Numbered batches, and what a hub must hold after the first so many of them.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use rusqlite::Connection;
use taskhub_core::{
    Change, HistoryChange, PartitionId, Record, Timestamp, TurnRecord,
    store::{CommitError, Filter, Store as _},
};
use taskhub_engine::store::EmbeddedOptions;
use taskhub_sim::conformance::{
    PARTITIONS,
    hub::{Hub, TTL, envelope, events, instance, keep, message_id, node, purge, running, write},
};

/// Instances that each batch adds.
const ADDED: u64 = 3;

/// How long an instance stays.
const KEPT_BATCHES: u64 = 40;

/// How long a message waits.
const WAITING_BATCHES: u64 = 5;

/// Where the counter's history begins anew.
const HISTORY_MAX: u64 = 300;

/// Opens the hub in `folder` and takes all of it.
pub(crate) fn open(folder: &Path) -> Hub {
    let options = EmbeddedOptions::default().partitions(PARTITIONS);
    let store = options.open(folder).expect("the hub opens after any crash");
    let owned = store.claim(&node("worker"), usize::MAX, TTL).expect("claiming works");
    assert_eq!(owned.len(), usize::from(PARTITIONS), "a dead process holds nothing");
    Hub { store: Arc::new(store), owned }
}

/// How many batches the hub has taken, by its own account.
pub(crate) fn committed(hub: &Hub) -> u64 {
    hub.record("counter").map_or(0, |record| record.updated_at.0.unsigned_abs())
}

/// Commits batch `number`; the first is 1, and each needs those before it.
pub(crate) fn commit(hub: &Hub, number: u64) -> Result<(), CommitError> {
    hub.try_commit(turns(number))
}

fn added(number: u64, which: u64) -> String {
    format!("b{number}-{which}")
}

fn turns(number: u64) -> Vec<TurnRecord> {
    let at = (number - 1) % HISTORY_MAX;
    let event = u32::try_from(at).expect("it is small");
    let events = events(&(event..event + 1));
    let history = match at {
        0 => HistoryChange::Replace { events },
        _ => HistoryChange::Append { at, events },
    };
    let record = Record { updated_at: Timestamp(number.cast_signed()), ..running(at + 1) };
    let mut counter = write("counter", record, history);
    counter.sent.push(envelope(0, number, "counter"));
    if let Some(old) = number.checked_sub(WAITING_BATCHES) {
        counter.taken.push(message_id(0, old));
    }
    let mut turns = vec![counter];
    for which in 0..ADDED {
        // Sizes from nothing to 20 KB, and now and then 500 KB, so that the log is moved meanwhile.
        let size =
            if number.is_multiple_of(10) { 500_000 } else { number * 7_919 % 20_000 / (which + 1) };
        let size = usize::try_from(size).expect("it is small");
        let custom_status = Some("x".repeat(size).into());
        let record = Record { custom_status, due: Some(Timestamp(1)), ..running(0) };
        turns.push(keep(&added(number, which), record));
        if let Some(old) = number.checked_sub(KEPT_BATCHES) {
            turns.push(purge(&added(old, which)));
        }
    }
    assert!(turns.iter().all(|turn| turn.change != Change::Nothing));
    turns
}

/// Checks that the hub holds what the first `count` batches leave, and nothing else.
pub(crate) fn check(hub: &Hub, count: u64) {
    if count == 0 {
        assert_eq!(hub.listed(&Filter { limit: 9, ..Filter::default() }), [""; 0]);
        return;
    }
    let length = u32::try_from((count - 1) % HISTORY_MAX + 1).expect("it is small");
    assert_eq!(hub.loaded("counter"), (0..length).collect::<Vec<_>>());

    let numbers = (count.saturating_sub(KEPT_BATCHES) + 1)..=count;
    let mut expected: BTreeSet<String> =
        numbers.flat_map(|number| (0..ADDED).map(move |which| added(number, which))).collect();
    expected.insert("counter".into());
    let listed = hub.listed(&Filter { limit: 50, ..Filter::default() });
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected);

    let waiting = (count.saturating_sub(WAITING_BATCHES) + 1)..=count;
    let waiting: Vec<_> = waiting.map(|number| envelope(0, number, "counter")).collect();
    assert_eq!(hub.inbox(waiting[0].partition.0), waiting);

    let wakes = |number| hub.store.wakes(PartitionId(number), None, usize::MAX);
    let wakes: usize = (0..PARTITIONS).map(|number| wakes(number).expect("reading").len()).sum();
    assert_eq!(wakes, expected.len() - 1);
    assert_eq!(hub.history("nobody", 0..1), [0; 0]);
    assert!(hub.store.load(&instance(&added(count, 0))).expect("loading works").is_some());
}

/// Checks what a process left that did not end by itself: its batches up to some number, with all
/// that it acknowledged and at most one more. How many there are; there were `before` it began.
pub(crate) fn left(folder: &Path, acknowledged: u64, before: u64) -> u64 {
    check_file(folder);
    let hub = open(folder);
    let count = committed(&hub);
    assert!(count >= acknowledged, "{acknowledged} batches were acknowledged, not {count}");
    assert!(count <= acknowledged.max(before) + 1, "{count} is beyond {acknowledged}");
    check(&hub, count);
    count
}

/// Lets SQLite look at every page of the hub.
pub(crate) fn check_file(folder: &Path) {
    let db = Connection::open(folder.join("hub.db")).expect("the file is there");
    let found: String =
        db.query_row("PRAGMA integrity_check", (), |row| row.get(0)).expect("it can be checked");
    assert_eq!(found, "ok");
}

/// Numbers that look random and follow from a seed.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// A seed from the outside world, told so that a failure can be repeated.
    pub(crate) fn new() -> Self {
        let now = taskhub_engine::store::system_clock()();
        println!("seed {}", now.0);
        Self(now.0.unsigned_abs())
    }

    /// A place in something with so many.
    pub(crate) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("it is below a usize")
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % bound
    }
}
