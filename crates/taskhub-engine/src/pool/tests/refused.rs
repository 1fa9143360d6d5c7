//! Work that is given back while other workers are busy.

use super::*;

/// A worker that has a turn and room for no more, another one that has given two turns back, and
/// what that one was given since.
fn one_busy_and_one_unwilling(pool: &mut Pool) -> (DeliveryId, WorkerId) {
    pool.connect(options(1), NOW);
    pool.offer(turn(1, "o", None), NOW);
    let busy = given(pool)[0].1;
    let unwilling = pool.connect(options(1), NOW);
    (2..=3).for_each(|number| pool.offer(turn(number, "o", None), NOW));
    for _ in 2..=3 {
        let out = given(pool);
        assert_eq!(out[0].0, unwilling);
        pool.give_back(out[0].1, NOW);
    }
    (busy, unwilling)
}

#[test]
fn work_that_a_worker_gives_back_does_not_come_to_it_again_at_once() {
    let mut pool = pool();
    let (_, unwilling) = one_busy_and_one_unwilling(&mut pool);
    assert_eq!(given(&mut pool), []);
    let mut times = 0;
    for milliseconds in (0..10_000).step_by(50) {
        pool.tick(after(Duration::from_millis(milliseconds)));
        for (worker, delivery, _) in given(&mut pool) {
            assert_eq!(worker, unwilling, "the other one is busy");
            pool.give_back(delivery, after(Duration::from_millis(milliseconds)));
            times += 1;
        }
    }
    assert!((2..=14).contains(&times), "{times} times in 10 s, with ever longer pauses");
}

#[test]
fn work_that_one_worker_gives_back_goes_to_another_as_soon_as_that_has_room() {
    let mut pool = pool();
    let (busy, unwilling) = one_busy_and_one_unwilling(&mut pool);
    assert!(pool.finish(busy, NOW).is_some());
    let out = given(&mut pool);
    assert_eq!(out.len(), 1);
    assert_ne!(out[0].0, unwilling);
    assert_eq!(pool.load(), (1, 1));
}

#[test]
fn work_that_was_given_back_goes_to_a_new_worker_as_soon_as_that_comes() {
    let mut pool = pool();
    pool.connect(options(1), NOW);
    pool.offer(turn(1, "o", None), NOW);
    for minutes in 1..10 {
        let now = after(Duration::from_mins(minutes));
        pool.tick(now);
        for (_, delivery, _) in given(&mut pool) {
            pool.give_back(delivery, now);
        }
    }
    let new = pool.connect(options(1), after(Duration::from_mins(10)));
    let out = given(&mut pool);
    assert_eq!(out.iter().map(|it| it.0).collect::<Vec<_>>(), [new]);
}
