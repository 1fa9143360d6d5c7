//! Warnings of histories that grow long.

use taskhub_core::{Batch, Change, HistoryChange, Record};

/// Warns of the instances whose histories have grown beyond a multiple of so many events.
pub(super) fn warn(batch: &Batch, events_warn: u64) {
    let long = batch.turns.iter().filter(|turn| turn.instance.as_entity().is_none());
    for turn in long {
        if let Some(record) = grown(&turn.change, events_warn) {
            tracing::warn!(
                instance = %turn.instance,
                name = &*record.name,
                events = record.events,
                "a history has grown long, which makes each replay slow: use continue_as_new"
            );
        }
    }
}

/// The record of an instance of which people are to be warned.
fn grown(change: &Change, events_warn: u64) -> Option<&Record> {
    let Change::Write { record, history, .. } = change else { return None };
    let before = match history {
        HistoryChange::Append { at, .. } => *at,
        HistoryChange::Keep | HistoryChange::Replace { .. } => return None,
    };
    let passed = |events: u64| events.checked_div(events_warn).unwrap_or_default();
    (passed(before) < passed(record.events)).then_some(record)
}

#[cfg(test)]
mod tests {
    use taskhub_core::{ExecutionId, RuntimeStatus, Timestamp};

    use super::*;

    fn grows(at: u64, events: u64, events_warn: u64) -> bool {
        let record = Record {
            execution: ExecutionId(1),
            name: "loop".into(),
            version: None,
            status: RuntimeStatus::Running,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            completed_at: None,
            due: None,
            busy: false,
            custom_status: None,
            tags: [].into(),
            parent: None,
            stuck: None,
            outcome: None,
            events,
        };
        let history = HistoryChange::Append { at, events: [].as_slice().into() };
        grown(&Change::Write { record: Box::new(record), shows: true, history }, events_warn)
            .is_some()
    }

    #[test]
    fn people_are_warned_once_for_each_multiple() {
        assert!(!grows(0, 99, 100));
        assert!(grows(99, 100, 100));
        assert!(!grows(100, 199, 100));
        assert!(grows(150, 320, 100));
        assert!(!grows(150, 320, 0), "nobody wants to be warned");
    }
}
