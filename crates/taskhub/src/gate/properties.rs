//! Crowds at the gate: never more than so many are inside, and whoever waits gets its turn.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use proptest::{collection::vec, option, prelude::*};
use taskhub_engine::Admission;

use super::Gate;

/// What happens at the gate.
#[derive(Debug, Clone)]
enum Happening {
    /// A run comes, perhaps with one of three keys.
    Comes(Option<u8>),
    /// One of those that wait gives up.
    GivesUp(usize),
    /// One of those that wait is looked after, before others.
    Stirs(usize),
    /// One of those inside is through.
    Ends(usize),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => option::of(0..3_u8).prop_map(Happening::Comes),
        1 => (0..9_usize).prop_map(Happening::GivesUp),
        2 => (0..9_usize).prop_map(Happening::Stirs),
        3 => (0..9_usize).prop_map(Happening::Ends),
    ];
    vec(one, 0..60)
}

type Waiting = (Option<u8>, Admission);
type Inside = (Option<u8>, Box<dyn Send>);

/// Runs of one activity, and where they are.
struct Crowd {
    gate: Gate,
    limits: (Option<usize>, Option<usize>),
    waiting: Vec<Waiting>,
    inside: Vec<Inside>,
}

impl Crowd {
    fn happen(&mut self, what: &Happening) {
        match *what {
            Happening::Comes(key) => {
                let text = key.map(|key| key.to_string().into());
                // Where nothing limits it, it does not stand in line.
                let admission = self.gate.admit(text.as_ref());
                self.waiting.extend(admission.map(|admission| (key, admission)));
            }
            Happening::GivesUp(at) if at < self.waiting.len() => drop(self.waiting.remove(at)),
            Happening::Ends(at) if at < self.inside.len() => drop(self.inside.remove(at)),
            Happening::Stirs(at) if at < self.waiting.len() => self.stir(at),
            _ => {}
        }
    }

    /// Looks whether one of those that wait may enter.
    fn stir(&mut self, at: usize) {
        let Some(permit) = self.waiting[at].1.as_mut().now_or_never() else { return };
        let (key, _) = self.waiting.remove(at);
        self.inside.push((key, permit));
    }

    /// Looks after all that wait until nobody else can enter. A first look may only take a key.
    fn settle(&mut self) {
        let mut before = usize::MAX;
        while before != self.waiting.len() {
            before = self.waiting.len();
            for at in (0..self.waiting.len()).rev() {
                self.stir(at);
            }
        }
    }

    fn inside_with(&self, key: Option<u8>) -> usize {
        self.inside.iter().filter(|(it, _)| *it == key).count()
    }

    /// Nobody is there who may not, and nobody waits who need not.
    fn check(&self) {
        let (all, per_key) = self.limits;
        let is_full = all.is_some_and(|limit| self.inside.len() >= limit);
        assert!(all.is_none_or(|limit| self.inside.len() <= limit), "{} inside", self.inside.len());
        let mut keys: BTreeMap<u8, usize> = BTreeMap::new();
        for key in self.inside.iter().filter_map(|(key, _)| *key) {
            *keys.entry(key).or_default() += 1;
        }
        let most = keys.values().max().copied().unwrap_or(0);
        assert!(per_key.is_none_or(|limit| most <= limit), "{most} inside of one key");
        for (key, _) in &self.waiting {
            let is_shut = |limit| key.is_some() && self.inside_with(*key) >= limit;
            assert!(is_full || per_key.is_some_and(is_shut), "{key:?} waits for nobody");
        }
    }
}

proptest! {
    #[test]
    fn no_more_than_so_many_are_inside_and_whoever_waits_gets_its_turn(
        limits in (option::of(1..4_usize), option::of(1..3_usize)),
        happenings in happenings(),
    ) {
        let gate = Gate::new(limits.0, limits.1);
        let (waiting, inside) = (Vec::new(), Vec::new());
        let mut crowd = Crowd { gate, limits, waiting, inside };
        for happening in &happenings {
            crowd.happen(happening);
            // Who stirs does so before others, and the others at their leisure.
            if !matches!(happening, Happening::Stirs(_)) {
                crowd.settle();
                crowd.check();
            }
        }
        crowd.settle();
        while !crowd.waiting.is_empty() {
            crowd.inside.remove(0);
            crowd.settle();
            crowd.check();
        }
        crowd.inside.clear();
        prop_assert_eq!(format!("{:?}", crowd.gate), "Gate(0 keys)");
    }
}
