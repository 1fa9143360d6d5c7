//! Hints between nodes.

use std::time::Duration;

use taskhub_core::{
    PartitionId,
    store::{Shared as _, StoreError},
};

use crate::scene::{fresh, options, server};

/// Longer than any hint takes.
const SOON: Duration = Duration::from_secs(20);

/// Nodes hear each other, and not those of other hubs.
#[test]
fn a_hint_reaches_the_other_nodes_of_the_hub() {
    let (hub, other) = (fresh(), fresh());
    let open = |hub: &str| options(&server().url(), hub).open().expect("the server runs");
    let (here, there, elsewhere) = (open(&hub), open(&hub), open(&other));
    let mut ear = there.listen().expect("the server runs");
    elsewhere.hint(&[PartitionId(1)]).expect("the server runs");
    here.hint(&[PartitionId(2)]).expect("the server runs");
    assert_eq!(ear.next(SOON), Ok(vec![PartitionId(2)]));
}

/// Whoever listens over a connection that was lost must know that it heard not everything.
#[test]
fn a_listener_is_told_when_its_connection_is_lost() {
    let hub = fresh();
    let store = options(&server().url(), &hub).open().expect("the server runs");
    let mut ear = store.listen().expect("the server runs");
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN taskhub_' \
         || (SELECT key FROM taskhub.hub WHERE name = '{hub}')"
    );
    assert_eq!(server().psql(&cut).expect("psql works"), "t");
    let heard = ear.next(SOON);
    assert!(matches!(heard, Err(StoreError::Unavailable(_))), "{heard:?}");
    let mut ear = store.listen().expect("the server runs");
    store.hint(&[PartitionId(3)]).expect("the server runs");
    assert_eq!(ear.next(SOON), Ok(vec![PartitionId(3)]));
}
