//! Makes a failing scenario shorter: whatever can be left out while the promise stays broken is.

use taskhub_core::Limits;

use crate::{Rates, Scenario, Trace, run};

/// The shortest scenario found, within so many runs, that breaks the same promise.
#[must_use]
pub fn shrink(scenario: &Scenario, law: u8, runs: usize) -> Scenario {
    let mut search = Search { best: scenario.clone(), law, left: runs };
    loop {
        let before = search.size();
        search.simplify();
        search.cut(|it| &mut it.troubles);
        search.cut(|it| &mut it.operations);
        search.cut(|it| &mut it.blobs);
        search.cut(|it| &mut it.workers);
        for program in 0..scenario.programs.len() {
            search.cut(|it| &mut it.programs[program].steps);
        }
        if search.left == 0 || search.size() == before {
            return search.best;
        }
    }
}

struct Search {
    best: Scenario,
    law: u8,
    left: usize,
}

impl Search {
    /// How much there is to read.
    fn size(&self) -> usize {
        let steps: usize = self.best.programs.iter().map(|program| program.steps.len()).sum();
        let Scenario { operations, troubles, blobs, workers, .. } = &self.best;
        steps + operations.len() + troubles.len() + blobs.len() + workers.len()
    }

    /// Takes a candidate if it breaks the promise as well.
    fn accept(&mut self, candidate: Scenario) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let report = run(candidate.clone(), Trace::default());
        let fails = report.violation.is_some_and(|it| it.law == self.law);
        if fails {
            self.best = candidate;
        }
        fails
    }

    /// Leaves out pieces of a list: all of it first, then ever smaller ones.
    fn cut<T>(&mut self, list: impl Fn(&mut Scenario) -> &mut Vec<T>) {
        let mut size = list(&mut self.best).len();
        while size > 0 && self.left > 0 {
            let mut at = 0;
            while at < list(&mut self.best).len() {
                let mut candidate = self.best.clone();
                let items = list(&mut candidate);
                items.drain(at..(at + size).min(items.len()));
                if !self.accept(candidate) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    /// Tries what makes the cluster and its day plainer.
    fn simplify(&mut self) {
        let plainer: [fn(&mut Scenario); 6] = [
            |it| it.rates = Rates::default(),
            |it| it.limits = Limits::default(),
            |it| it.schedule = false,
            |it| {
                it.nodes = 1;
                it.troubles.retain(|trouble| trouble.node == 0);
            },
            |it| (it.shards, it.lanes) = (1, 1),
            |it| it.partitions = 1,
        ];
        for change in plainer {
            let mut candidate = self.best.clone();
            change(&mut candidate);
            self.accept(candidate);
        }
    }
}
