//! The planner knows nothing of a young hub, and the hub grows: no commit may read all of it.

use std::time::Duration;

use taskhub_core::{TurnRecord, store::Store as _};
use taskhub_sim::conformance::hub::{append, envelope, purge, turn};

use crate::scene::{Scene, database, fresh, options, server};

/// How many rows commits have read, by whichever index.
const READ: &str =
    "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = 'taskhub'";

const INSTANCES: u32 = 4_000;
const COMMITS: u32 = 400;

/// A table that grows has the plan of a young one for a while. That plan may read each row of the
/// hub in each commit: here almost a million in all.
#[test]
fn what_a_commit_reads_does_not_grow_with_the_hub() {
    let url = database("plans", "");
    let scene = Scene::open(options(&url, &fresh()));
    let commit = |turns: Vec<_>| scene.store.commit(&scene.batch(turns)).expect("it is written");
    commit((0..COMMITS).map(|at| sending(at.into())).collect());
    let each = INSTANCES / COMMITS;
    for at in 0..COMMITS {
        let new = at * each..(at + 1) * each;
        let mut turns: Vec<_> = new.map(|number| append(&format!("i{number}"), 0..1)).collect();
        let mut taking = turn("receiver");
        taking.taken = vec![envelope(0, at.into(), "receiver").id];
        turns.push(taking);
        if at > 0 {
            turns.push(append(&format!("i{}", (at - 1) * each), 1..2));
            turns.push(purge(&format!("i{}", at * each - 1)));
        }
        commit(turns);
    }
    // The server counts what a connection has read when that ends, at the latest.
    drop(scene);
    let read = || server().psql_in("plans", READ).expect("psql works").parse().unwrap_or(0_u64);
    let mut before = 0;
    while before < COMMITS.into() || before != read() {
        before = read();
        std::thread::sleep(Duration::from_millis(300));
    }
    let by = "SELECT string_agg(indexrelname || ' ' || idx_tup_read, ', ' ORDER BY indexrelname) \
        FROM pg_stat_user_indexes WHERE schemaname = 'taskhub' AND idx_tup_read > 0";
    let by = server().psql_in("plans", by).expect("psql works");
    assert!(before < 20_000, "{before} rows were read: {by}");
}

fn sending(number: u64) -> TurnRecord {
    let mut sends = turn("sender");
    sends.sent = vec![envelope(0, number, "receiver")];
    sends
}
