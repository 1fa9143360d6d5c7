//! How evenly work is spread over equal workers: turns, activities and operations of entities, with
//! instances that stay with a worker and without.
//!
//! Equal workers are those with the same room that take equally long. Of what comes at once, and of
//! what comes piece by piece, their shares differ by one item at most; of what comes faster than it
//! is done, by what one has room for. Instances that stay somewhere make a worker busier than
//! another by a quarter of its room at most.

use taskhub_core::Operations;

use super::*;

const WORKERS: usize = 4;
const ROOM: usize = 100;

/// An item of each kind.
fn item(kind: usize, number: u32) -> Task {
    let entity = || Task {
        ticket: ticket(number, Piece::Operations(1)),
        job: Job::Operations(Box::new(Operations { state: None, requested: Vec::new() })),
    };
    match kind {
        0 => activity(number, "a"),
        1 => turn(number, "o", None),
        _ => entity(),
    }
}

/// What comes of it, so that an instance goes on.
fn result(kind: usize) -> Done {
    let step = Step { progress: Progress::Waiting, actions: Vec::new(), custom_status: None };
    match kind {
        0 => Done::Activity(Ok(None)),
        1 => Done::Turn(Box::new(Taken { takes: None, step, mark: None })),
        _ => Done::Operations(Box::default()),
    }
}

/// Equal workers of a pool, and what each has in hand and had in all.
struct Crew {
    pool: Pool,
    kind: usize,
    hands: BTreeMap<WorkerId, (Vec<DeliveryId>, usize)>,
}

impl Crew {
    fn new(kind: usize, keeps_code: bool, room: usize) -> Self {
        Self::of(WORKERS, kind, keeps_code, room)
    }

    fn of(workers: usize, kind: usize, keeps_code: bool, room: usize) -> Self {
        let pool = pool();
        let mut crew = Self { pool, kind, hands: BTreeMap::new() };
        (0..workers).for_each(|_| crew.hire(keeps_code, room));
        crew
    }

    fn hire(&mut self, keeps_code: bool, room: usize) {
        let id = self.pool.connect(WorkerOptions { keeps_code, ..options(room) }, NOW);
        self.hands.insert(id, (Vec::new(), 0));
        self.hand_out();
    }

    fn offer(&mut self, numbers: impl IntoIterator<Item = u32>) {
        numbers.into_iter().for_each(|number| self.pool.offer(item(self.kind, number), NOW));
        self.hand_out();
    }

    fn hand_out(&mut self) {
        for (worker, delivery, _) in given(&mut self.pool) {
            let (hand, total) = self.hands.get_mut(&worker).expect("it is one of them");
            hand.push(delivery);
            *total += 1;
        }
    }

    /// Each worker ends so many of its items, the oldest first.
    fn work(&mut self, count: usize) {
        for worker in self.hands.keys().copied().collect::<Vec<_>>() {
            let hand = &mut self.hands.get_mut(&worker).expect("it is one of them").0;
            let ended: Vec<_> = hand.drain(..count.min(hand.len())).collect();
            for delivery in ended {
                self.pool.note(delivery, &result(self.kind));
                assert!(self.pool.finish(delivery, NOW).is_some());
            }
            self.hand_out();
        }
    }

    /// How much each had in all.
    fn totals(&self) -> Vec<usize> {
        self.hands.values().map(|(_, total)| *total).collect()
    }

    /// By how much the totals differ.
    fn spread(&self) -> usize {
        let totals = self.totals();
        totals.iter().max().unwrap_or(&0) - totals.iter().min().unwrap_or(&0)
    }
}

/// Every kind, with instances that stay and without.
fn each(of: impl Fn(usize, bool)) {
    for kind in 0..Piece::KINDS {
        of(kind, false);
        of(kind, true);
    }
}

#[test]
fn equal_workers_share_what_comes_at_once() {
    each(|kind, keeps_code| {
        let mut crew = Crew::new(kind, keeps_code, ROOM);
        crew.offer(0..200);
        assert_eq!(crew.totals(), [50; WORKERS]);
    });
}

#[test]
fn equal_workers_share_what_comes_piece_by_piece() {
    each(|kind, keeps_code| {
        let mut crew = Crew::new(kind, keeps_code, ROOM);
        for number in 0..201 {
            crew.offer([number]);
            crew.work(1);
        }
        assert!(crew.spread() <= 1, "{:?}", crew.totals());
    });
}

#[test]
fn equal_workers_share_bursts_that_are_more_than_they_have_room_for() {
    each(|kind, keeps_code| {
        let mut crew = Crew::new(kind, keeps_code, 5);
        let mut number = 0;
        for burst in [1, 40, 0, 7, 23, 64, 3, 0, 11, 30].into_iter().cycle().take(400) {
            crew.offer(number..number + burst);
            number += burst;
            for _ in 0..4 {
                crew.work(1);
            }
        }
        while crew.pool.load() != (0, 0) {
            crew.work(1);
        }
        assert_eq!(crew.totals().iter().sum::<usize>(), number as usize);
        assert!(crew.spread() <= 5, "{:?} of {number}", crew.totals());
    });
}

#[test]
fn instances_that_stay_where_they_are_were_spread_when_they_began() {
    let mut crew = Crew::new(1, true, ROOM);
    for _ in 0..10 {
        crew.offer(0..200);
        crew.work(ROOM);
    }
    assert_eq!(crew.totals(), [500; WORKERS]);
}

#[test]
fn a_worker_that_has_all_instances_shares_them_when_others_come() {
    let mut crew = Crew::of(1, 1, true, ROOM);
    crew.offer(0..100);
    crew.work(ROOM);
    (1..WORKERS).for_each(|_| crew.hire(true, ROOM));
    crew.hands.values_mut().for_each(|(_, total)| *total = 0);
    crew.offer(0..100);
    assert!(crew.spread() <= ROOM / 4 + 1, "{:?}", crew.totals());
}
