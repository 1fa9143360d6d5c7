//! Promises 5 and 7, for triggers: each version of a blob is handled by one instance that begins
//! once, however many nodes see it how often; a schedule runs for each of its times once.

use std::collections::{BTreeMap, BTreeSet};

use taskhub_core::{ExecutionId, InstanceId, Kind};

use super::{Violation, ensure};
use crate::{
    chronicle::{Applied, Chronicle},
    program::{BLOB, Notes, SCHEDULE},
    trigger::receipt_id,
};

/// What triggers began.
#[derive(Debug, Default)]
pub(crate) struct Triggered {
    /// The instances that handle blobs.
    receipts: BTreeSet<InstanceId>,
    /// The last time that each schedule ran for.
    ran: BTreeMap<InstanceId, (ExecutionId, u32)>,
}

impl Triggered {
    /// A turn became durable. Returns how many checks it was worth.
    pub(crate) fn on_turn(&mut self, applied: &Applied<'_>) -> Result<u64, Violation> {
        let id = &applied.turn.instance;
        let Some(started) = applied.fresh.iter().find_map(|event| match &event.kind {
            Kind::Started(started) => Some(started),
            _ => None,
        }) else {
            return Ok(0);
        };
        if *started.name == *BLOB && id.as_str().starts_with("blobs:") {
            ensure(self.receipts.insert(id.clone()), || {
                let happened = format!("{id} begins again: {started:?}");
                Violation::new(5, "a version of a blob is handled by one instance", happened)
            })?;
            return Ok(1);
        }
        if *started.name != *SCHEDULE {
            return Ok(0);
        }
        let round = Notes::read(started.input.as_ref()).round;
        let before = self.ran.insert(id.clone(), (started.execution, round));
        let before = before.filter(|_| applied.goes_on && applied.before.is_some());
        // A schedule that was changed waits for the same time again, before it came.
        let ticks = |kind: &Kind| match kind {
            Kind::ActivityScheduled { work, .. } => *work.name == *"tick",
            _ => false,
        };
        let ran = applied.old.iter().any(|event| ticks(&event.kind));
        ensure(before.is_none_or(|(_, last)| round > last || round == last && !ran), || {
            let happened = format!("{id} waits for {round} after {before:?}");
            Violation::new(7, "a schedule runs for each of its times once", happened)
        })?;
        Ok(1)
    }

    /// Everything rests: whatever was there to be seen is handled, or was given up.
    pub(crate) fn at_rest(blobs: usize, chronicle: &Chronicle) -> Result<(), Violation> {
        for id in (0..blobs).map(receipt_id) {
            let record = chronicle.record(&id);
            ensure(record.is_some_and(|record| record.status.is_terminal()), || {
                Violation::new(11, "each blob is handled", format!("{id}: {record:?}"))
            })?;
        }
        Ok(())
    }
}
