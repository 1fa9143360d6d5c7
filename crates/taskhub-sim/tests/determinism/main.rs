//! Any orchestration built from the standard combinators has one outcome: however often it is
//! replayed, in whatever order its branches are polled, however its events are cut into turns.

mod life;
mod program;
mod twins;

use life::{Arrival, Life, outcome_of};
use program::{Code, Program, programs};
use proptest::prelude::*;
use taskhub_core::Timestamp;

/// Replays of each program; with the number of programs, thousands in all.
const REPLAYS: u32 = 12;

/// A small generator of its own, so that a seed means the same for ever.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (bound.max(1) as u64)).unwrap_or(0)
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// The names under which a program may wait for events.
fn names(code: &Code, path: String, into: &mut Vec<String>) {
    match code {
        Code::Event => into.push(path),
        Code::Call | Code::Sleep(_) => {}
        Code::Sequence(list) | Code::Many(_, list) => {
            for (index, code) in list.iter().enumerate() {
                names(code, format!("{path}.{index}"), into);
            }
        }
        Code::Repeat(times, code) => {
            for round in 0..*times {
                names(code, format!("{path}*{round}"), into);
            }
        }
        Code::Pair(_, a, b) => {
            names(a, format!("{path}a"), into);
            names(b, format!("{path}b"), into);
        }
    }
}

/// Lives through a program: what arrives and how it is cut into turns follows from the seed.
fn live<'a>(program: &'a Program, chance: &mut Chance) -> (Life<'a>, Vec<(Timestamp, Arrival)>) {
    let mut waits = Vec::new();
    names(&program.0, "r".to_owned(), &mut waits);
    let mut life = Life::new(program);
    let mut arrivals = Vec::new();
    while !life.is_over() {
        let mut takes = 0;
        for _ in 0..=chance.below(3) {
            let mut possible = life.possible(outcome_of);
            possible.extend(waits.iter().map(|name| {
                Arrival::Raised(name.to_uppercase().into(), format!("event {name}").into())
            }));
            if possible.is_empty() {
                break;
            }
            let arrival = possible.swap_remove(chance.below(possible.len()));
            if let Arrival::Raised(name, _) = &arrival {
                waits.retain(|wait| wait.to_uppercase() != **name);
            }
            let at = match arrival {
                Arrival::Fired(due) => due.max(life.now()),
                _ => Timestamp(life.now().0 + 1),
            };
            assert!(life.arrive(at, &arrival));
            arrivals.push((at, arrival));
            takes += 1;
        }
        assert!(takes > 0 || life.is_over(), "nothing can happen: {:#?}", life.history);
        life.turn(takes);
    }
    (life, arrivals)
}

/// Lives through the same arrivals in other turns.
fn live_again<'a>(
    program: &'a Program,
    arrivals: &[(Timestamp, Arrival)],
    mut cut: impl FnMut() -> bool,
) -> Life<'a> {
    let mut life = Life::new(program);
    let mut takes = 0;
    for (at, arrival) in arrivals {
        let known = life.arrive(*at, arrival);
        if !known && takes > 0 && !life.is_over() {
            // What it is about is made by a turn that has not run, or was given up.
            life.turn(std::mem::take(&mut takes));
            takes += u32::from(!life.is_over() && life.arrive(*at, arrival));
        } else {
            takes += u32::from(known);
        }
        if takes > 0 && !life.is_over() && cut() {
            life.turn(std::mem::take(&mut takes));
        }
    }
    if takes > 0 && !life.is_over() {
        life.turn(takes);
    }
    life
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn one_history_has_one_outcome(code in programs(), seed in 1..u64::MAX) {
        let mut chance = Chance(seed);
        let program = Program(code);
        let (life, _) = live(&program, &mut chance);
        for _ in 0..REPLAYS {
            prop_assert_eq!(&life.replay(|| false), &life.outcome);
            prop_assert_eq!(&life.replay(|| true), &life.outcome);
            prop_assert_eq!(&life.replay(|| chance.coin()), &life.outcome);
        }
    }

    #[test]
    fn the_cut_into_turns_makes_no_difference(code in programs(), seed in 1..u64::MAX) {
        let mut chance = Chance(seed);
        let program = Program(code);
        let (life, arrivals) = live(&program, &mut chance);
        for _ in 0..REPLAYS {
            for again in [
                live_again(&program, &arrivals, || true),
                live_again(&program, &arrivals, || false),
                live_again(&program, &arrivals, || chance.coin()),
            ] {
                prop_assert_eq!(&again.outcome, &life.outcome);
            }
        }
    }
}
