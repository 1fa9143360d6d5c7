//! Counters: each operation that was accepted was performed once, no other one twice.

use std::collections::{BTreeMap, HashMap};

use taskhub_core::{InstanceId, Kind, codec};

use super::{Known, Verdict};
use crate::{
    app::{Count, Counter},
    ledger::Line,
};

/// How often an operation of a counter may have been performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    AtMostOnce,
}

type Operations = BTreeMap<String, Times>;
type Expected = HashMap<String, Operations>;

pub(super) fn check(known: &Known<'_>, verdict: &mut Verdict) {
    let expected = expected(known);
    let (mut counted, mut unknown) = (0, 0);
    for (counter, operations) in &expected {
        let performed = match performed(known, counter) {
            Ok(performed) => performed,
            Err(error) => {
                verdict.wrong.push(format!("counter {counter} cannot be read: {error}"));
                continue;
            }
        };
        counted += performed.values().sum::<u32>();
        unknown += operations.values().filter(|times| **times == Times::AtMostOnce).count();
        one(verdict, counter, operations, &performed);
    }
    let what = format!("{counted} operations of {} counters", expected.len());
    verdict.summary.push(format!("{what}; of {unknown} the outcome was not told"));
}

/// Of one counter: each operation was performed as often as it may have been.
pub(super) fn one(
    verdict: &mut Verdict,
    counter: &str,
    operations: &Operations,
    performed: &BTreeMap<String, u32>,
) {
    for (operation, times) in operations {
        let count = performed.get(operation).copied().unwrap_or_default();
        let is_right = count == 1 || (count == 0 && *times == Times::AtMostOnce);
        verdict.unless(is_right, || {
            format!("counter {counter} performed {operation} {count} times, not {times:?}")
        });
    }
    for operation in performed.keys().filter(|it| !operations.contains_key(*it)) {
        verdict.wrong.push(format!("nobody asked counter {counter} for {operation}"));
    }
}

fn expected(known: &Known<'_>) -> Expected {
    let mut expected = Expected::new();
    let mut want = |counter: &str, operation: String, times: Times| {
        expected.entry(counter.to_owned()).or_default().insert(operation, times);
    };
    for line in &known.ledger {
        match line {
            Line::Asks { orchestration, body, .. } if orchestration == "count" => {
                // It is asked until it is answered, so it was performed.
                if let Ok(count) = serde_json::from_str::<Count>(body) {
                    let Count { called, signalled, operation } = count;
                    want(&called, format!("{operation}-called"), Times::Once);
                    want(&signalled, format!("{operation}-signalled"), Times::Once);
                }
            }
            Line::Signals { counter, operation } => {
                want(counter, operation.clone(), Times::AtMostOnce);
            }
            Line::Signalled { counter, operation } => {
                want(counter, operation.clone(), Times::Once);
            }
            _ => {}
        }
    }
    expected
}

/// What a counter has performed, as stored.
fn performed(known: &Known<'_>, counter: &str) -> Result<BTreeMap<String, u32>, String> {
    let id = InstanceId::entity("Counter", counter).map_err(|error| error.to_string())?;
    let stored = known.store.load(&id).map_err(|error| error.to_string())?;
    let Some(stored) = stored else { return Ok(BTreeMap::new()) };
    let events = codec::decode_history(&stored.history).map_err(|error| error.to_string())?;
    let state = match events.first().map(|event| &event.kind) {
        Some(Kind::Entity(entity)) => entity.state.clone(),
        other => return Err(format!("its history begins with {other:?}")),
    };
    if events.len() > 1 {
        return Err(format!("it still has {} things to do", events.len() - 1));
    }
    let counter = state.map(|state| serde_json::from_str::<Counter>(&state)).transpose();
    let counter = counter.map_err(|error| error.to_string())?;
    Ok(counter.unwrap_or_default().performed)
}
