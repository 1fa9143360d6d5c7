//! Measures how many turns per second a store commits, by size of the batch.
//!
//! `cargo run --release -p taskhub-sim --example store_bench [-- <folder> [<seconds> [<batch>]]]`
//!
//! For `<folder>` say `postgres` to measure the store in PostgreSQL, on a private server that
//! syncs.

use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use taskhub_core::{
    Batch, Change, CommitSeq, ExecutionId, HistoryChange, InstanceId, PartitionId, Record,
    RuntimeStatus, Tags, Timestamp, TurnRecord,
    store::{Node, Ownership, Store},
};
use taskhub_engine::store::Embedded;
use taskhub_postgres::{PostgresOptions, testing::ServerOptions};

/// Bytes of one piece of history: a start with a small input, or a call and its result.
const PIECE_BYTES: usize = 200;

fn main() {
    let mut args = env::args().skip(1);
    let folder = args.next().map_or_else(|| env::temp_dir().join("store-bench"), PathBuf::from);
    let seconds = args.next().and_then(|text| text.parse().ok()).unwrap_or(2);
    let only: Option<usize> = args.next().and_then(|text| text.parse().ok());
    let server = (folder.as_os_str() == "postgres")
        .then(|| ServerOptions::default().durable().start().expect("PostgreSQL is installed"));
    println!("batch      ids  turns/s   p50 us   p99 us    MB");
    for size in
        [1, 16, 64, 256, 512].into_iter().filter(|size| only.is_none_or(|only| only == *size))
    {
        for ids in [Ids::Ordered, Ids::Random] {
            let time = Duration::from_secs(seconds);
            if let Some(server) = &server {
                let hub = format!("{size} {ids:?}");
                let store = PostgresOptions::new(server.url()).open(&hub).expect("it runs");
                println!("{}", measure(&store, size, ids, time));
                continue;
            }
            drop(fs::remove_dir_all(&folder));
            let store = Embedded::open(&folder).expect("the folder is new");
            let line = measure(&store, size, ids, time);
            drop(store);
            let bytes = fs::metadata(folder.join("hub.db")).expect("it is there").len();
            println!("{line} {:>5}", bytes >> 20);
        }
    }
    if server.is_none() {
        drop(fs::remove_dir_all(&folder));
    }
}

/// How instance ids look.
#[derive(Debug, Clone, Copy)]
enum Ids {
    /// As UUIDs of version 7: each sorts behind the one before.
    Ordered,
    /// As UUIDs of version 4.
    Random,
}

impl Ids {
    fn make(self, number: i64) -> InstanceId {
        let execution = ExecutionId(7).derive(number.unsigned_abs());
        InstanceId::trusted(match self {
            Self::Ordered => format!("{number:016x}{}", &execution.to_string()[..16]),
            Self::Random => execution.to_string(),
        })
    }
}

/// Half of each batch starts instances, the other half ends those of the batch before.
fn measure(store: &dyn Store, size: usize, ids: Ids, time: Duration) -> String {
    let node = Node { id: "bench".into(), address: "".into(), circle: "".into() };
    let owned = store.claim(&node, usize::MAX, Duration::from_hours(1)).expect("it is free");
    let mut number = 0_i64;
    let mut open: Vec<(InstanceId, i64)> = Vec::new();
    let mut took = Vec::new();
    let began = Instant::now();
    let mut turns: u64 = 0;
    while began.elapsed() < time {
        // The first turns of one half of the clients, the last turns of the other.
        let ending: Vec<(InstanceId, i64)> =
            open.drain(..open.len().min(size.div_ceil(2))).collect();
        let mut batch = Batch { owners: owners(&owned), turns: Vec::with_capacity(size) };
        batch.turns.extend(ending.iter().map(|(id, number)| last_turn(id, *number, store)));
        while batch.turns.len() < size {
            let id = ids.make(number);
            number += 1;
            batch.turns.push(first_turn(&id, number, store));
            open.push((id, number));
        }
        let start = Instant::now();
        store.commit(&batch).expect("the disk works");
        took.push(start.elapsed());
        turns += batch.turns.len() as u64;
    }
    let sum: Duration = took.iter().sum();
    let rate = u128::from(turns) * 1_000_000 / sum.as_micros();
    took.sort();
    let micros = |percent: usize| took[(took.len() - 1) * percent / 100].as_micros();
    let (half, most, ids) = (micros(50), micros(99), format!("{ids:?}"));
    format!("{size:>5} {ids:>8} {rate:>8} {half:>8} {most:>8}")
}

fn owners(owned: &[Ownership]) -> Vec<(PartitionId, taskhub_core::Epoch)> {
    owned.iter().map(|held| (held.partition, held.epoch)).collect()
}

fn first_turn(id: &InstanceId, number: i64, store: &dyn Store) -> TurnRecord {
    let events = Bytes::from(vec![b'a'; PIECE_BYTES]);
    turn(id, number, store, HistoryChange::Append { at: 0, events }, RuntimeStatus::Running)
}

fn last_turn(id: &InstanceId, number: i64, store: &dyn Store) -> TurnRecord {
    let events = Bytes::from(vec![b'b'; PIECE_BYTES]);
    turn(id, number, store, HistoryChange::Append { at: 4, events }, RuntimeStatus::Completed)
}

fn turn(
    id: &InstanceId,
    number: i64,
    store: &dyn Store,
    history: HistoryChange,
    status: RuntimeStatus,
) -> TurnRecord {
    let ended = status.is_terminal();
    let record = Record {
        execution: ExecutionId(7),
        name: "weather".into(),
        version: None,
        status,
        created_at: Timestamp(1_700_000_000_000_000 + number),
        updated_at: Timestamp(1_700_000_000_100_000 + number),
        completed_at: ended.then_some(Timestamp(1_700_000_000_100_000 + number)),
        due: None,
        busy: !ended,
        custom_status: None,
        tags: Tags::default(),
        parent: None,
        stuck: None,
        outcome: ended.then(|| Ok(Some("12 degrees and rain, wind from the west".into()))),
        events: if ended { 8 } else { 4 },
    };
    TurnRecord {
        partition: PartitionId::of(id, store.partitions()),
        seq: CommitSeq(1),
        instance: id.clone(),
        change: Change::Write { record: Box::new(record), shows: true, history },
        sent: Vec::new(),
        taken: Vec::new(),
    }
}
