//! What a worker says twice.

use std::collections::BTreeSet;

use taskhub_core::{CallId, Event, Kind};

/// Drops the actions that the history has already: calls without an answer yet, and what was sent.
///
/// A worker holds back what it hears of a suspended instance, so that at the end of such a one it
/// asks again for what it was not told it had asked for.
pub fn drop_repeated<'a>(actions: &mut Vec<Kind>, history: impl IntoIterator<Item = &'a Event>) {
    let mut known = BTreeSet::new();
    for event in history {
        if event.kind.is_action() {
            known.extend(key(&event.kind));
        } else if let Some(call) = event.kind.call() {
            // An id may be used again once its call has ended.
            known.remove(&(call, sort(&event.kind)));
        }
    }
    actions.retain(|kind| key(kind).is_none_or(|key| known.insert(key)));
}

/// `None` for what may be said again.
fn key(kind: &Kind) -> Option<(CallId, u8)> {
    match kind {
        Kind::CallCancelled { .. } => None,
        kind => Some((kind.call()?, sort(kind))),
    }
}

/// Which sort of call it makes or ends.
fn sort(kind: &Kind) -> u8 {
    match kind {
        Kind::ActivityScheduled { .. } | Kind::ActivityFinished { .. } => 0,
        Kind::ChildScheduled { .. } | Kind::ChildFinished { .. } => 1,
        Kind::TimerCreated { .. } | Kind::TimerFired { .. } => 2,
        Kind::OperationCalled { .. } | Kind::OperationFinished { .. } => 3,
        Kind::LocksRequested { .. } | Kind::LocksGranted { .. } => 4,
        Kind::EventSent { .. } => 5,
        Kind::InstanceStarted { .. } => 6,
        Kind::TerminateSent { .. } => 7,
        Kind::OperationSignaled { .. } => 8,
        Kind::Unlocked { .. } => 9,
        Kind::Noted { .. } => 10,
        _ => 11,
    }
}
