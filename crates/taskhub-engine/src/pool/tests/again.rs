//! Work that is given out again: bugs that the simulator found, by hand.

use super::*;

#[test]
fn what_takes_too_long_goes_to_others_again_when_the_second_worker_gives_it_back() {
    let mut pool = Pool::new(Patience::default(), 1);
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
    let mut pool = Pool::new(Patience::default(), 1);
    let leaving = pool.connect(options(1), NOW);
    pool.offer(turn(1, "o", None), NOW);
    let first = given(&mut pool)[0].1;
    pool.connect(options(9), NOW);
    pool.leave(leaving, NOW);
    assert_eq!(given(&mut pool).len(), 1);
    pool.unsend(first, NOW);
    assert_eq!(given(&mut pool), []);
}
