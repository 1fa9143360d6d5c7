//! One owner per partition and epoch; a stale owner can write nothing.

use std::time::Duration;

use taskhub_core::{
    Epoch, PartitionId,
    store::{CommitError, Ownership},
};

use super::{
    Fixture, PARTITIONS,
    hub::{Hub, TTL, keep, node, partition, running},
};

/// A moment before a lease runs out.
const ALMOST: Duration = TTL.saturating_sub(Duration::from_micros(1));

fn all(epoch: u64) -> Vec<Ownership> {
    let held = |id| Ownership { partition: PartitionId(id), epoch: Epoch(epoch) };
    (0..PARTITIONS).map(held).collect()
}

fn sorted(mut owned: Vec<Ownership>) -> Vec<Ownership> {
    owned.sort_by_key(|held| held.partition);
    owned
}

/// Claims give out each partition once, up to the limit, under epoch 1.
pub fn every_partition_is_claimed_once(fixture: &mut impl Fixture) {
    let store = fixture.open();
    assert_eq!(store.partitions(), PARTITIONS);
    let mut owned = store.claim(&node("a"), 3, TTL).expect("the store works");
    assert_eq!(owned.len(), 3);
    owned.extend(store.claim(&node("b"), 3, TTL).expect("the store works"));
    assert_eq!(sorted(owned), all(1));
    assert_eq!(store.claim(&node("a"), usize::MAX, TTL), Ok(vec![]));
}

/// After its time a lease is another's, under the next epoch.
pub fn a_lease_runs_out_and_its_owner_is_told(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let first = store.claim(&node("a"), usize::MAX, TTL).expect("the store works");
    fixture.clock().advance(ALMOST);
    assert_eq!(store.claim(&node("b"), usize::MAX, TTL), Ok(vec![]));
    fixture.clock().advance(Duration::from_micros(1));
    assert_eq!(store.claim(&node("b"), usize::MAX, TTL).map(sorted), Ok(all(2)));
    let mut lost = store.renew(&first, TTL).expect("the store works");
    lost.sort();
    assert_eq!(lost, all(1).iter().map(|held| held.partition).collect::<Vec<_>>());
}

/// A renewal counts from the moment it is made.
pub fn a_renewed_lease_lasts(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let held = store.claim(&node("a"), usize::MAX, TTL).expect("the store works");
    fixture.clock().advance(TTL / 3 * 2);
    assert_eq!(store.renew(&held, TTL), Ok(vec![]));
    fixture.clock().advance(TTL / 3 * 2);
    assert_eq!(store.claim(&node("b"), usize::MAX, TTL), Ok(vec![]));
    fixture.clock().advance(TTL);
    assert_eq!(store.claim(&node("b"), usize::MAX, TTL).map(sorted), Ok(all(2)));
}

/// Whoever was merely slow goes on.
pub fn a_late_renewal_counts_while_nobody_else_has_claimed(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let held = store.claim(&node("a"), usize::MAX, TTL).expect("the store works");
    fixture.clock().advance(TTL * 2);
    assert_eq!(store.renew(&held, TTL), Ok(vec![]));
    assert_eq!(store.claim(&node("b"), usize::MAX, TTL), Ok(vec![]));
}

/// A release needs no waiting.
pub fn a_released_partition_is_free_at_once(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let held = sorted(store.claim(&node("a"), usize::MAX, TTL).expect("the store works"));
    store.release(&held[1..2]).expect("the store works");
    assert_eq!(store.renew(&held, TTL), Ok(vec![PartitionId(1)]), "it is no longer held");
    let next = Ownership { partition: PartitionId(1), epoch: Epoch(2) };
    assert_eq!(store.claim(&node("b"), usize::MAX, TTL), Ok(vec![next]));
}

/// The words of a former owner do not touch the present one.
pub fn a_stale_owner_can_neither_renew_nor_release(fixture: &mut impl Fixture) {
    let store = fixture.open();
    let stale = store.claim(&node("a"), usize::MAX, TTL).expect("the store works");
    fixture.clock().advance(TTL);
    let held = store.claim(&node("b"), usize::MAX, TTL).expect("the store works");
    store.release(&stale).expect("the store works");
    fixture.clock().advance(ALMOST);
    assert_eq!(store.renew(&stale, TTL * 9).map(|lost| lost.len()), Ok(stale.len()));
    assert_eq!(store.claim(&node("c"), usize::MAX, TTL), Ok(vec![]));
    assert_eq!(store.renew(&held, TTL), Ok(vec![]));
}

/// One stale owner among many spoils the whole batch, and is named.
pub fn a_stale_owner_writes_nothing(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let (id, fenced) = ("order-1", partition("order-2"));
    let stale = Ownership { partition: fenced, epoch: hub.owned[0].epoch };
    hub.store.release(&[stale]).expect("the store works");
    let taken_over = hub.store.claim(&node("b"), usize::MAX, TTL).expect("the store works");
    assert_eq!(taken_over.len(), 1);

    let turns = [keep(id, running(0)), keep("order-2", running(0))];
    assert_eq!(hub.try_commit(turns.clone()), Err(CommitError::Fenced(fenced)));
    assert_eq!((hub.record(id), hub.record("order-2")), (None, None));

    // A batch that only names the stale owner is refused as well, and so is an epoch to come.
    assert_eq!(hub.try_commit([]), Err(CommitError::Fenced(fenced)));
    for epoch in [0, 1, 3] {
        let mut batch = hub.batch([]);
        batch.owners = vec![(fenced, Epoch(epoch))];
        assert_eq!(hub.store.commit(&batch), Err(CommitError::Fenced(fenced)), "{epoch}");
    }
    let mut batch = hub.batch(turns);
    batch.owners.retain(|(partition, _)| *partition != fenced);
    batch.owners.push((fenced, Epoch(2)));
    assert_eq!(hub.store.commit(&batch), Ok(()));
    assert_eq!(hub.record("order-2"), Some(running(0)));
}

/// Time alone takes nothing away: only the next claim does.
pub fn an_owner_of_the_latest_epoch_writes_though_its_lease_ran_out(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    fixture.clock().advance(TTL * 2);
    hub.commit([keep("a", running(0))]);
    assert_eq!(hub.record("a"), Some(running(0)));
}

/// Each turn needs an owner in its batch.
pub fn a_turn_of_a_partition_without_owner_is_refused(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let mut batch = hub.batch([keep("a", running(0))]);
    batch.owners.retain(|(owner, _)| *owner != partition("a"));
    assert_eq!(hub.store.commit(&batch), Err(CommitError::Fenced(partition("a"))));
    batch.owners.push((PartitionId(PARTITIONS), Epoch(1)));
    assert_eq!(hub.store.commit(&batch), Err(CommitError::Fenced(PartitionId(PARTITIONS))));
    assert_eq!(hub.record("a"), None);
}

/// No epoch is ever given twice.
pub fn epochs_go_on_after_reopening(fixture: &mut impl Fixture) {
    let mut hub = Hub::open(fixture);
    assert_eq!(sorted(hub.owned.clone()), all(1));
    let before = hub.batch([keep("a", running(0))]);
    hub.reopen(fixture);
    assert_eq!(sorted(hub.owned.clone()), all(2));
    assert!(matches!(hub.store.commit(&before), Err(CommitError::Fenced(_))));
    assert_eq!(hub.record("a"), None);
}
