//! Work that is given out again: bugs that the simulator found, by hand.

use super::*;

#[test]
fn what_takes_too_long_goes_to_others_again_when_the_second_worker_gives_it_back() {
    let mut pool = pool();
    pool.connect(options(1), NOW);
    pool.offer(turn(1, "o", None), NOW);
    pool.take_orders();
    pool.connect(options(1), NOW);
    for minutes in [5, 10, 15] {
        pool.tick(after(Duration::from_mins(minutes)));
        let second = given(&mut pool)[0].1;
        pool.give_back(second, after(Duration::from_mins(minutes)));
        assert_eq!(given(&mut pool), []);
    }
}

#[test]
fn what_never_reached_a_leaving_worker_is_not_given_to_two_others() {
    let mut pool = pool();
    let leaving = pool.connect(options(1), NOW);
    pool.offer(turn(1, "o", None), NOW);
    let first = given(&mut pool)[0].1;
    pool.connect(options(9), NOW);
    pool.leave(leaving, NOW);
    assert_eq!(given(&mut pool).len(), 1);
    pool.unsend(first, NOW);
    assert_eq!(given(&mut pool), []);
}

#[test]
fn an_activity_that_takes_long_stays_with_the_only_worker() {
    let mut pool = pool();
    pool.connect(options(20), NOW);
    pool.offer(activity(1, "a"), NOW);
    assert_eq!(given(&mut pool).len(), 1);
    for hours in 1..=10 {
        pool.tick(after(Duration::from_hours(hours)));
        assert_eq!(given(&mut pool), [], "after {hours} hours");
    }
    assert_eq!(pool.load(), (0, 1));
}

#[test]
fn an_activity_that_takes_long_is_with_two_workers_at_most() {
    let mut pool = pool();
    let first = pool.connect(options(20), NOW);
    pool.offer(activity(1, "a"), NOW);
    let mut out = given(&mut pool);
    pool.tick(after(Duration::from_mins(30)));
    assert_eq!(given(&mut pool), []);
    let second = pool.connect(options(20), NOW);
    pool.connect(options(20), NOW);
    for minutes in (31..600).step_by(7) {
        pool.tick(after(Duration::from_mins(minutes)));
        out.extend(given(&mut pool));
    }
    assert_eq!(out.iter().map(|it| it.0).collect::<Vec<_>>(), [first, second]);
    pool.disconnect(second, after(Duration::from_hours(10)));
    pool.tick(after(Duration::from_hours(11)));
    assert_eq!(given(&mut pool).len(), 1, "the first may be slow for ever");
    assert!(pool.finish(out[0].1, NOW).is_some());
}

#[test]
fn a_turn_that_takes_too_long_goes_to_whoever_does_not_have_it_first() {
    let mut pool = pool();
    let first = pool.connect(options(20), NOW);
    pool.offer(turn(1, "o", None), NOW);
    let second = pool.connect(options(2), NOW);
    (2..=3).for_each(|number| pool.offer(turn(number, "o", None), NOW));
    let busier = given(&mut pool).into_iter().filter(|it| it.2 == "i1").map(|it| it.0);
    assert_eq!(busier.collect::<Vec<_>>(), [first]);
    pool.tick(after(Duration::from_mins(5)));
    let again = given(&mut pool).into_iter().find(|it| it.2 == "i1").map(|it| it.0);
    assert_eq!(again, Some(second));
}
