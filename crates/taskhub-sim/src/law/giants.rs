//! Promises 8 and 11, for turns that the store does not take: whose they are is parked, and nobody
//! else, and not tried again and again.

use std::collections::BTreeMap;

use taskhub_core::{Batch, Change, InstanceId, TurnRecord};

use super::{Violation, ensure};
use crate::{chronicle::Applied, program::COMMIT_BYTES_MAX};

/// How often a turn may be tried in vain. Whoever is resumed tries again, and so does a new owner.
const REFUSALS_MAX: u32 = 25;

/// What stands in the reason why such an instance is parked.
pub(crate) const UNWRITABLE: &str = "cannot be written";

/// Whether this turn is more than some stores take at once.
pub(crate) fn is_giant(turn: &TurnRecord) -> bool {
    turn.bytes() > COMMIT_BYTES_MAX
}

/// Whose turns the store did not take, and how often.
#[derive(Debug, Default)]
pub(crate) struct Giants {
    refused: BTreeMap<InstanceId, u32>,
}

impl Giants {
    /// The store does not take these turns.
    pub(crate) fn on_refusal(&mut self, batch: &Batch) -> Result<(), Violation> {
        for turn in batch.turns.iter().filter(|turn| is_giant(turn)) {
            let count = self.refused.entry(turn.instance.clone()).or_default();
            *count += 1;
            ensure(*count <= REFUSALS_MAX, || {
                let happened = format!("a turn of {} is refused {count} times", turn.instance);
                Violation::new(11, "what cannot be written is not tried for ever", happened)
            })?;
        }
        Ok(())
    }

    /// A turn became durable.
    pub(crate) fn on_turn(&self, applied: &Applied<'_>) -> Result<(), Violation> {
        let id = &applied.turn.instance;
        let why = match &applied.turn.change {
            Change::Write { record, .. } => record.stuck.as_deref().unwrap_or_default(),
            _ => "",
        };
        ensure(!why.contains(UNWRITABLE) || self.refused.contains_key(id), || {
            let happened = format!("{id}: {why}");
            Violation::new(8, "who is parked has a turn that the store did not take", happened)
        })
    }
}
