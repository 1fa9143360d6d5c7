//! The verdict: what clients were told, what activities did and what is stored must fit together.
//!
//! 1. What was asked is answered, by what its instance gave, and each time by the same.
//! 2. A held request got one of the replies that were raised for it; each that was accepted came
//!    once.
//! 3. Each result in a history is of a run of that activity, for that call, and taken once.
//! 4. A counter performed what was accepted once, and what was not accepted at most once.
//! 5. Timers did not fire early; what a history once was, it still begins with.
//! 6. Everything has ended: nothing waits, is parked, or is on its way.

mod counters;
mod histories;
mod replies;
#[cfg(test)]
mod tests;
mod told;

use std::{collections::HashMap, io, path::Path};

use taskhub_core::{
    InstanceId, Record, RuntimeStatus,
    store::{Filter, Store, StoreError, Which},
};

use crate::{
    journal::{self, Ran},
    ledger::{self, Line},
};

/// What is known at the end.
pub(crate) struct Known<'a> {
    pub store: &'a dyn Store,
    pub ledger: Vec<Line>,
    /// Runs of activities, by their marks.
    pub runs: HashMap<String, Ran>,
    pub records: HashMap<String, Record>,
}

/// What was wrong, in words, and what was looked at.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub wrong: Vec<String>,
    pub summary: Vec<String>,
}

impl Verdict {
    fn unless(&mut self, is_right: bool, wrong: impl FnOnce() -> String) {
        if !is_right {
            self.wrong.push(wrong());
        }
    }
}

impl<'a> Known<'a> {
    /// Reads the ledger and the journals of a folder, and the list of instances.
    pub(crate) fn read(store: &'a dyn Store, folder: &Path) -> io::Result<Self> {
        let records = list(store).map_err(|error| io::Error::other(error.to_string()))?;
        let runs = journal::read(folder).into_iter().map(|ran| (ran.mark.clone(), ran)).collect();
        Ok(Self { store, ledger: ledger::read(folder)?, runs, records })
    }

    /// Checks all of it.
    pub(crate) fn check(&self) -> Verdict {
        let mut verdict = Verdict::default();
        told::check(self, &mut verdict);
        replies::check(self, &mut verdict);
        counters::check(self, &mut verdict);
        histories::check(self, &mut verdict);
        self.ended(&mut verdict);
        verdict
    }

    fn ended(&self, verdict: &mut Verdict) {
        for (id, record) in &self.records {
            if id.starts_with('@') {
                continue;
            }
            let state = (record.status, &record.stuck, record.busy, record.due);
            let is_over = state == (RuntimeStatus::Completed, &None, false, None);
            verdict.unless(is_over, || format!("{id} ({}) has not ended: {state:?}", record.name));
        }
    }
}

/// All instances, entities too.
fn list(store: &dyn Store) -> Result<HashMap<String, Record>, StoreError> {
    let mut filter = Filter { kind: Which::All, limit: 1_000, ..Filter::default() };
    let mut records = HashMap::new();
    loop {
        let page = store.query(&filter)?;
        let own = |(id, record): (InstanceId, Record)| (id.to_string(), record);
        records.extend(page.instances.into_iter().map(own));
        let Some(next) = page.next else { return Ok(records) };
        filter.after = Some(next);
    }
}
