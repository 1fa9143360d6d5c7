//! What a pool promises to workers, and to those who wait for their results.

mod again;
mod refused;
mod spread;
mod withdrawn;

use std::sync::Arc;

use taskhub_core::{
    CallId, Epoch, ExecutionId, InstanceId, Job, PartitionId, Taken, Text, Turn, Work,
    turn::{Progress, Step},
};

use super::*;

const NOW: Timestamp = Timestamp(1_000_000_000);

fn pool() -> Pool {
    Pool::new(Patience::default(), 1)
}

fn after(time: Duration) -> Timestamp {
    NOW.plus(time)
}

fn ticket(number: u32, piece: Piece) -> Ticket {
    Ticket {
        partition: PartitionId(0),
        epoch: Epoch(1),
        instance: InstanceId::trusted(format!("i{number}")),
        execution: ExecutionId(number.into()),
        piece,
    }
}

fn activity(number: u32, name: &str) -> Task {
    let ticket = ticket(number, Piece::Activity(CallId(0)));
    Task { ticket, job: Job::Activity(Work::new(name, None)) }
}

fn turn(number: u32, name: &str, version: Option<&str>) -> Task {
    let turn = Turn {
        name: name.into(),
        version: version.map(Text::from),
        history: vec![Arc::new([])],
        takes: 1,
        clock: NOW,
        after: None,
    };
    Task { ticket: ticket(number, Piece::Turn(1)), job: Job::Turn(Box::new(turn)) }
}

fn options(room: usize) -> WorkerOptions {
    WorkerOptions {
        name: "test".to_owned(),
        activities: room,
        turns: room,
        entities: room,
        serves: Serves::default(),
        keeps_code: false,
        is_node: false,
    }
}

fn only(names: &[(&str, &[&str])]) -> Names {
    let versions = |all: &[&str]| all.iter().map(|it| Text::from(*it)).collect();
    Names::Only(names.iter().map(|(name, all)| (Text::from(*name), versions(all))).collect())
}

/// The deliveries that were ordered: to whom, which, of which instance.
fn given(pool: &mut Pool) -> Vec<(WorkerId, DeliveryId, String)> {
    let orders = pool.take_orders().into_iter();
    let given = orders.filter_map(|order| match order {
        Order::Give(worker, delivery) => {
            Some((worker, delivery.id, delivery.task.ticket.instance.to_string()))
        }
        Order::Withdraw(..) | Order::Fail(..) | Order::Release(_) => None,
    });
    given.collect()
}

#[test]
fn work_waits_for_a_worker_and_goes_out_in_order() {
    let mut pool = pool();
    (1..=3).for_each(|number| pool.offer(activity(number, "a"), NOW));
    assert_eq!(given(&mut pool), []);
    pool.connect(options(2), NOW);
    let out: Vec<_> = given(&mut pool).into_iter().map(|it| it.2).collect();
    assert_eq!(out, ["i1", "i2"]);
}

#[test]
fn a_worker_gets_no_more_than_it_has_room_for() {
    let mut pool = pool();
    pool.connect(options(1), NOW);
    (1..=2).for_each(|number| pool.offer(activity(number, "a"), NOW));
    pool.offer(turn(3, "o", None), NOW);
    let out = given(&mut pool);
    assert_eq!(out.iter().map(|it| &*it.2).collect::<Vec<_>>(), ["i1", "i3"]);
    assert!(pool.finish(out[0].1, NOW).is_some());
    assert_eq!(given(&mut pool)[0].2, "i2");
}

#[test]
fn work_is_shared_among_workers_by_how_busy_they_are() {
    let mut pool = pool();
    let (one, other) = (pool.connect(options(10), NOW), pool.connect(options(10), NOW));
    (1..=6).for_each(|number| pool.offer(activity(number, "a"), NOW));
    let out = given(&mut pool);
    let of = |worker| out.iter().filter(|it| it.0 == worker).count();
    assert_eq!((of(one), of(other)), (3, 3));
}

#[test]
fn a_worker_gets_only_the_names_and_versions_that_it_serves() {
    let mut pool = pool();
    pool.offer(turn(1, "Other", None), NOW);
    pool.offer(turn(2, "ORDER", Some("2.0")), NOW);
    pool.offer(turn(3, "order", Some("1.0")), NOW);
    pool.offer(activity(4, "a"), NOW);
    let serves = Serves {
        activities: only(&[]),
        orchestrations: only(&[("order", &["1.0"])]),
        entities: Names::All,
    };
    pool.connect(WorkerOptions { serves, ..options(9) }, NOW);
    assert_eq!(given(&mut pool).into_iter().map(|it| it.2).collect::<Vec<_>>(), ["i3"]);
    pool.connect(options(9), NOW);
    assert_eq!(given(&mut pool).len(), 3);
}

#[test]
fn an_activity_called_without_a_version_is_for_all_who_have_its_name() {
    let mut pool = pool();
    pool.offer(activity(1, "pay"), NOW);
    pool.offer(turn(2, "pay", None), NOW);
    let serves = Serves {
        activities: only(&[("pay", &["3.0"])]),
        orchestrations: only(&[("pay", &["3.0"])]),
        entities: Names::All,
    };
    pool.connect(WorkerOptions { serves, ..options(9) }, NOW);
    assert_eq!(given(&mut pool).into_iter().map(|it| it.2).collect::<Vec<_>>(), ["i1"]);
}

#[test]
fn what_a_lost_worker_had_goes_to_another_first_of_all() {
    let mut pool = pool();
    let lost = pool.connect(options(1), NOW);
    (1..=3).for_each(|number| pool.offer(activity(number, "a"), NOW));
    let old = given(&mut pool)[0].1;
    pool.disconnect(lost, NOW);
    pool.connect(options(1), NOW);
    let again = given(&mut pool);
    assert_eq!(again[0].2, "i1");
    assert!(pool.finish(old, NOW).is_none(), "the lost worker's result changes nothing");
    assert!(pool.finish(again[0].1, NOW).is_some());
    assert!(pool.finish(again[0].1, NOW).is_none(), "a result counts once");
}

#[test]
fn a_worker_that_leaves_may_finish_what_it_has() {
    let mut pool = pool();
    let worker = pool.connect(options(5), NOW);
    pool.offer(activity(1, "a"), NOW);
    let first = given(&mut pool)[0].1;
    pool.leave(worker, NOW);
    pool.offer(activity(2, "a"), NOW);
    assert_eq!(given(&mut pool), []);
    assert!(pool.finish(first, NOW).is_some());
    assert_eq!(pool.take_orders(), [Order::Release(worker)]);
}

#[test]
fn what_takes_too_long_goes_to_a_second_worker_and_the_first_result_counts() {
    let mut pool = pool();
    pool.connect(options(1), NOW);
    pool.offer(turn(1, "o", None), NOW);
    let slow = given(&mut pool)[0].1;
    pool.connect(options(1), NOW);
    assert_eq!(pool.next_tick(), Some(after(Duration::from_mins(5))));
    pool.tick(after(Duration::from_mins(4)));
    assert_eq!(given(&mut pool), []);
    pool.tick(after(Duration::from_mins(5)));
    let second = given(&mut pool)[0].1;
    assert!(pool.finish(slow, NOW).is_some());
    assert!(pool.finish(second, NOW).is_none());
}

#[test]
fn work_that_is_given_back_comes_again_after_a_pause() {
    let mut pool = pool();
    pool.connect(options(1), NOW);
    pool.offer(turn(1, "o", None), NOW);
    let first = given(&mut pool)[0].1;
    pool.give_back(first, NOW);
    assert_eq!(given(&mut pool), []);
    assert!(pool.finish(first, NOW).is_none());
    let soon = pool.next_tick().expect("it comes again");
    assert!(soon > NOW);
    pool.tick(soon);
    assert_eq!(given(&mut pool).len(), 1);
}

#[test]
fn what_one_worker_gives_back_another_gets_at_once() {
    let mut pool = pool();
    let (one, other) = (pool.connect(options(1), NOW), pool.connect(options(1), NOW));
    pool.offer(turn(1, "o", None), NOW);
    let first = given(&mut pool);
    assert_eq!(first[0].0, one);
    pool.give_back(first[0].1, NOW);
    let second = given(&mut pool);
    assert_eq!(second[0].0, other);
    pool.give_back(second[0].1, NOW);
    assert_eq!(given(&mut pool), [], "all have refused it: it pauses");
}

#[test]
fn what_nobody_could_do_goes_at_once_to_a_worker_that_comes() {
    let mut pool = pool();
    let old = pool.connect(options(1), NOW);
    pool.offer(turn(1, "order", Some("3")), NOW);
    let (_, first, _) = given(&mut pool).remove(0);
    pool.give_back(first, NOW);
    assert_eq!(given(&mut pool), []);
    let new = pool.connect(options(1), NOW);
    let came = given(&mut pool);
    assert_eq!((came.len(), came[0].0), (1, new), "and not {old:?}");
    pool.tick(after(Duration::from_mins(1)));
    assert_eq!(given(&mut pool), [], "it is in hand");
}

#[test]
fn what_a_leaving_worker_has_goes_to_others_and_the_first_result_counts() {
    let mut pool = pool();
    let leaving = pool.connect(options(5), NOW);
    pool.offer(turn(1, "o", None), NOW);
    pool.offer(activity(2, "a"), NOW);
    let old = given(&mut pool);
    pool.connect(options(5), NOW);
    pool.leave(leaving, NOW);
    assert_eq!(given(&mut pool).into_iter().map(|it| it.2).collect::<Vec<_>>(), ["i1"]);
    pool.tick(after(Duration::from_secs(6)));
    assert_eq!(given(&mut pool).into_iter().map(|it| it.2).collect::<Vec<_>>(), ["i2"]);
    assert!(old.iter().all(|(_, delivery, _)| pool.finish(*delivery, NOW).is_some()));
}

#[test]
fn work_that_takes_every_worker_down_is_not_given_out_for_ever() {
    let mut pool = Pool::new(Patience { losses_max: 5, ..Patience::default() }, 1);
    pool.offer(activity(1, "a"), NOW);
    let mut now = NOW;
    for _ in 0..6 {
        let worker = pool.connect(options(1), now);
        pool.tick(now);
        assert_eq!(given(&mut pool).len(), 1);
        pool.disconnect(worker, now);
        now = now.plus(Duration::from_mins(1));
    }
    let orders = pool.take_orders();
    let [Order::Fail(ticket, Done::Activity(Err(failure)))] = &orders[..] else {
        panic!("{orders:?}");
    };
    assert_eq!((&*failure.kind, ticket.instance.as_str()), ("PoisonWorkItem", "i1"));
    assert!(failure.non_retriable && failure.message.contains("6 workers"), "{failure:?}");
}

#[test]
fn what_nobody_waits_for_is_neither_given_out_nor_counted() {
    let mut pool = pool();
    let (queued, out) = (activity(1, "a"), activity(2, "a"));
    pool.offer(queued.clone(), NOW);
    assert!(pool.cancel(&queued.ticket));
    pool.connect(options(1), NOW);
    assert_eq!(given(&mut pool), []);
    pool.offer(out.clone(), NOW);
    let delivery = given(&mut pool)[0].1;
    pool.forget(|ticket| ticket.partition == PartitionId(0));
    assert!(pool.finish(delivery, NOW).is_none());
    assert_eq!(pool.load(), (0, 0));
}

#[test]
fn what_stands_for_another_node_gets_what_the_own_workers_have_no_room_for() {
    let mut pool = pool();
    let node = pool.connect(WorkerOptions { is_node: true, ..options(2) }, NOW);
    let own = pool.connect(options(1), NOW);
    (1..=2).for_each(|number| pool.offer(activity(number, "a"), NOW));
    let to: Vec<_> = given(&mut pool).into_iter().map(|it| it.0).collect();
    assert_eq!(to, [own, node]);
    assert_eq!(pool.lends(), [(own, std::sync::Arc::new(options(1)))]);
}

#[test]
fn what_was_lent_is_done_by_own_workers_last_and_never_lent_on() {
    let mut pool = pool();
    pool.connect(WorkerOptions { is_node: true, ..options(9) }, NOW);
    let task = activity(1, "a");
    let ticket = pool.lent_ticket(task.ticket.clone());
    pool.offer(Task { ticket: ticket.clone(), ..task }, NOW);
    assert_eq!(given(&mut pool), []);
    // A commit that failed makes partitions of this node offer their work again, but no others.
    pool.forget(|_| true);
    let own = pool.connect(options(1), NOW);
    let out = given(&mut pool);
    assert_eq!((out[0].0, &*out[0].2), (own, "i1"));
    assert_eq!(pool.finish(out[0].1, NOW).map(|task| task.ticket), Some(ticket));
}

#[test]
fn own_work_goes_before_what_was_lent() {
    let mut pool = pool();
    let task = activity(1, "a");
    let ticket = pool.lent_ticket(task.ticket.clone());
    pool.offer(Task { ticket, ..task }, NOW);
    pool.offer(activity(2, "a"), NOW);
    pool.connect(options(2), NOW);
    let out: Vec<_> = given(&mut pool).into_iter().map(|it| it.2).collect();
    assert_eq!(out, ["i2", "i1"]);
}

fn keeper(pool: &mut Pool, room: usize) -> WorkerId {
    pool.connect(WorkerOptions { keeps_code: true, ..options(room) }, NOW)
}

/// A worker runs a turn of `i1`, which then waits: the worker.
fn run_turn(pool: &mut Pool) -> WorkerId {
    pool.offer(turn(1, "o", None), NOW);
    let (worker, delivery, _) = given(pool).remove(0);
    let step = Step { progress: Progress::Waiting, actions: Vec::new(), custom_status: None };
    pool.note(delivery, &Done::Turn(Box::new(Taken { takes: None, step, mark: None })));
    assert!(pool.finish(delivery, NOW).is_some());
    worker
}

#[test]
fn an_instance_stays_with_the_worker_that_keeps_its_code() {
    let mut pool = pool();
    let workers = [keeper(&mut pool, 9), keeper(&mut pool, 9)];
    let home = run_turn(&mut pool);
    let other = workers.into_iter().find(|it| *it != home).expect("there are two");
    (2..=3).for_each(|number| pool.offer(turn(number, "o", None), NOW));
    let out = given(&mut pool);
    assert_eq!([out[0].0, out[1].0], [other, home]);
    assert!(pool.finish(out[0].1, NOW).is_some(), "so its home has more to do");
    assert_eq!([run_turn(&mut pool), run_turn(&mut pool)], [home, home]);
    pool.disconnect(home, NOW);
    pool.take_orders();
    assert_eq!(run_turn(&mut pool), other);
    let back = keeper(&mut pool, 9);
    assert_eq!(run_turn(&mut pool), other, "{back:?} has less to do, but not by much");
}

#[test]
fn an_instance_leaves_a_worker_that_is_much_busier_than_another() {
    let mut pool = pool();
    keeper(&mut pool, 4);
    let home = run_turn(&mut pool);
    (2..=3).for_each(|number| pool.offer(turn(number, "o", None), NOW));
    pool.take_orders();
    let idle = keeper(&mut pool, 4);
    assert_ne!(home, idle);
    assert_eq!(run_turn(&mut pool), idle);
}

#[test]
fn only_a_worker_that_ran_the_last_turn_is_said_to_keep_the_code() {
    let mut pool = pool();
    let is_kept = |pool: &mut Pool| {
        pool.offer(turn(1, "o", None), NOW);
        let Some(Order::Give(_, Delivery { id, is_kept, .. })) = pool.take_orders().pop() else {
            panic!("a worker has room")
        };
        pool.unsend(id, NOW);
        let Some(Order::Give(_, Delivery { id, .. })) = pool.take_orders().pop() else {
            panic!("a worker has room")
        };
        assert!(pool.finish(id, NOW).is_some());
        is_kept
    };
    let first = keeper(&mut pool, 9);
    assert!(!is_kept(&mut pool));
    run_turn(&mut pool);
    assert!(is_kept(&mut pool));
    pool.disconnect(first, NOW);
    pool.connect(options(9), NOW);
    assert!(!is_kept(&mut pool));
    run_turn(&mut pool);
    assert!(!is_kept(&mut pool), "it does not keep any");
}
