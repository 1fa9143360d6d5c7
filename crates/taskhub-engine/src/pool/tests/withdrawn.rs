//! What workers hear of activities that nobody wants any more.

use super::*;

/// An activity in the hands of a worker with room for one: the pool, the worker, the delivery.
fn in_hand() -> (Pool, WorkerId, DeliveryId) {
    let mut pool = pool();
    let worker = pool.connect(options(1), NOW);
    pool.offer(activity(1, "a"), NOW);
    let delivery = given(&mut pool)[0].1;
    (pool, worker, delivery)
}

fn cancel(pool: &mut Pool) {
    assert!(pool.cancel(&activity(1, "a").ticket));
}

#[test]
fn a_worker_hears_that_nobody_waits_for_an_activity() {
    let (mut pool, worker, delivery) = in_hand();
    cancel(&mut pool);
    assert_eq!(pool.take_orders(), [Order::Withdraw(worker, delivery)]);
}

#[test]
fn a_worker_has_room_again_when_it_gives_back_what_nobody_wants() {
    let (mut pool, _, delivery) = in_hand();
    cancel(&mut pool);
    pool.offer(activity(2, "a"), NOW);
    assert_eq!(given(&mut pool), [], "it is still at work");
    pool.give_back(delivery, NOW);
    assert_eq!(given(&mut pool)[0].2, "i2");
}

#[test]
fn a_slower_worker_hears_that_another_was_first() {
    let (mut pool, slow, first) = in_hand();
    pool.connect(options(1), NOW);
    pool.tick(after(Duration::from_mins(30)));
    let second = given(&mut pool)[0].1;
    assert!(pool.finish(second, NOW).is_some());
    assert_eq!(pool.take_orders(), [Order::Withdraw(slow, first)]);
}

#[test]
fn a_turn_is_not_withdrawn() {
    let mut pool = pool();
    pool.connect(options(1), NOW);
    pool.offer(turn(1, "o", None), NOW);
    assert_eq!(given(&mut pool).len(), 1);
    assert!(pool.cancel(&turn(1, "o", None).ticket));
    assert_eq!(pool.take_orders(), []);
}

#[test]
fn what_a_worker_has_in_hand_when_it_comes_back_stays_with_it() {
    let (mut pool, old, delivery) = in_hand();
    pool.leave(old, NOW);
    let (new, unwanted) = pool.reconnect(options(1), vec![delivery], NOW);
    assert_eq!(unwanted, []);
    pool.disconnect(old, NOW);
    pool.tick(after(Duration::from_secs(6)));
    assert_eq!(given(&mut pool), [], "nobody else gets it");
    cancel(&mut pool);
    assert_eq!(pool.take_orders(), [Order::Withdraw(new, delivery)]);
}

#[test]
fn what_nobody_wants_is_not_taken_from_a_worker_that_comes_back() {
    let (mut pool, old, delivery) = in_hand();
    pool.disconnect(old, NOW);
    pool.connect(options(1), NOW);
    let (_, unwanted) = pool.reconnect(options(2), vec![delivery, 7], NOW);
    assert_eq!(unwanted, [delivery, 7], "somebody else has it since; there is no such delivery");
}

#[test]
fn a_worker_that_comes_back_has_no_room_for_more_than_before() {
    let (mut pool, _, delivery) = in_hand();
    pool.offer(activity(2, "a"), NOW);
    let (new, _) = pool.reconnect(options(1), vec![delivery], NOW);
    assert_eq!(given(&mut pool), [], "it has one in hand");
    assert!(pool.finish(delivery, NOW).is_some());
    assert_eq!(given(&mut pool)[0].0, new);
}

#[test]
fn what_waits_for_a_second_worker_does_so_no_longer_when_the_first_comes_back() {
    let mut pool = pool();
    let old = pool.connect(options(1), NOW);
    pool.offer(turn(1, "o", None), NOW);
    let delivery = given(&mut pool)[0].1;
    pool.leave(old, NOW);
    pool.reconnect(options(2), vec![delivery], NOW);
    pool.connect(options(9), NOW);
    assert_eq!(given(&mut pool), []);
}
