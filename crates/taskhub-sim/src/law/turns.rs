//! Promise 3: "A turn is all or nothing: consumed messages, appended events, status, new messages,
//! tasks and timers are one commit."

use taskhub_core::{
    CallId, Caller, Change, Envelope, Event, ExecutionId, Failure, InstanceId, Kind, Message,
    Outcome, Parent, Record, Requested, RuntimeStatus, Text,
};

use super::{Violation, ensure};
use crate::chronicle::{Applied, follows};

/// A turn became durable: what it took shows in what it wrote, and what it wrote in what it sent.
pub(crate) fn on_turn(applied: &Applied<'_>) -> Result<(), Violation> {
    for envelope in &applied.messages {
        ensure(shows(applied, envelope), || {
            let happened =
                format!("{} took {envelope:?}: {:?}", applied.turn.instance, applied.fresh);
            Violation::new(3, "what a message does is written with its taking", happened)
        })?;
    }
    ensure(is_shown(applied), || {
        let happened = format!("{} became {:?}", applied.turn.instance, record(applied));
        Violation::new(3, "what a turn shows is written with the turn", happened)
    })?;
    if applied.replaced {
        return Ok(()); // The turns of the execution before are gone, their messages are not.
    }
    ensure(!is_parked(applied) || is_undone(applied), || {
        let happened = format!("{}: {:?}", applied.turn.instance, applied.turn);
        Violation::new(3, "nothing of a turn that parks its instance happens", happened)
    })?;
    let due: Vec<_> = applied.fresh.iter().map(|event| sends(applied, &event.kind)).collect();
    for (event, due) in applied.fresh.iter().zip(due) {
        let sent = |message: &Due| applied.turn.sent.iter().any(|it| message.is(it));
        ensure(due.as_ref().is_none_or(sent), || {
            let happened = format!("{}: nothing is sent for {event:?}", applied.turn.instance);
            Violation::new(3, "what a turn sends is written with the turn", happened)
        })?;
    }
    Ok(())
}

/// Whether a store that only writes what it is told to write shows what the turn shows.
fn is_shown(applied: &Applied<'_>) -> bool {
    let Change::Write { record, shows: false, .. } = &applied.turn.change else { return true };
    match &applied.before {
        Some(it) => it.custom_status == record.custom_status && it.outcome == record.outcome,
        None => record.shown_bytes() == 0,
    }
}

fn is_parked(applied: &Applied<'_>) -> bool {
    record(applied).is_some_and(|record| record.stuck.is_some())
}

/// Whether things only came, and no turn took them.
fn is_undone(applied: &Applied<'_>) -> bool {
    let shown = |record: &Record| record.custom_status.clone();
    let same =
        applied.before.as_ref().is_none_or(|it| Some(shown(it)) == record(applied).map(shown));
    let comes =
        |event: &Event| event.kind.is_arrival() || matches!(event.kind, Kind::ChildGone { .. });
    same && applied.fresh.iter().all(comes)
}

fn record<'a>(applied: &'a Applied<'_>) -> Option<&'a Record> {
    match &applied.turn.change {
        Change::Write { record, .. } => Some(record),
        _ => None,
    }
}

/// Whether a message that was taken left its mark.
fn shows(applied: &Applied<'_>, envelope: &Envelope) -> bool {
    let ended = applied.before.as_ref().is_none_or(|before| before.status.is_terminal());
    let running = applied.before.as_ref().is_some_and(|before| !before.status.is_terminal());
    let nothing = matches!(applied.turn.change, Change::Nothing);
    match &envelope.message {
        Message::Raise { input, .. } => {
            let payload = input.as_deref().unwrap_or_default();
            (nothing && ended) || applied.arrivals.iter().any(|it| it == payload)
        }
        Message::Terminate { child_of, .. } => {
            let parent = applied.before.as_ref().and_then(|before| before.parent.as_ref());
            let ours = child_of.is_none_or(|(execution, call)| {
                parent.is_some_and(|it| it.call == call && it.execution.goes_on_as(execution))
            });
            let ends = record(applied).is_some_and(|record| record.status.is_terminal());
            let terminated = |kind: &Kind| matches!(kind, Kind::Terminated { .. });
            if ours {
                nothing && ended || ends
            } else {
                !applied.fresh.iter().any(|event| terminated(&event.kind))
            }
        }
        Message::Start(started) if nothing => {
            running
                && started.parent.as_ref().is_none_or(|parent| {
                    let refused = |it: &Envelope| {
                        it.to == parent.instance
                            && matches!(&it.message, Message::ChildFinished { outcome: Err(_), .. })
                    };
                    applied.turn.sent.iter().any(refused)
                })
        }
        Message::Start(started) => {
            ended
                && record(applied)
                    .is_some_and(|record| follows(started.execution, record.execution))
        }
        // A child goes on under its parent's new execution, or its parent hears why not.
        Message::Rewind { started, .. } => goes_on(applied, started.parent.as_ref()),
        Message::ChildFinished { execution, call, outcome } => {
            let (call, outcome) = (*call, outcome.clone());
            ends(applied, *execution, &Kind::ChildFinished { call, outcome })
        }
        Message::OperationFinished { execution, call, outcome } => {
            let (call, outcome) = (*call, outcome.clone());
            ends(applied, *execution, &Kind::OperationFinished { call, outcome })
        }
        Message::LocksGranted { execution, call, section, entities } => {
            let kind = Kind::LocksGranted { call: *call, section: section.clone() };
            let given_back = entities.is_empty() || unlocks(applied, section);
            given_back || ends(applied, *execution, &kind)
        }
        Message::Operation(requested) => asks(applied, requested),
        _ => true,
    }
}

/// An operation is written as it came, or without its time, if that had come before it.
fn asks(applied: &Applied<'_>, requested: &Requested) -> bool {
    let woken = Requested { due: None, ..requested.clone() };
    applied.fresh.iter().any(|event| match &event.kind {
        Kind::OperationRequested(written) => **written == *requested || **written == woken,
        _ => false,
    })
}

/// Whether an instance has this parent now, or told it how it had ended.
fn goes_on(applied: &Applied<'_>, parent: Option<&Parent>) -> bool {
    let told = |sent: &Envelope| match (&sent.message, parent) {
        (Message::ChildFinished { execution, call, .. }, Some(parent)) => {
            (*execution, *call) == (parent.execution, parent.call)
        }
        _ => false,
    };
    record(applied).is_some_and(|record| record.parent.as_ref() == parent)
        || applied.turn.sent.iter().any(told)
}

fn unlocks(applied: &Applied<'_>, section: &Text) -> bool {
    applied.turn.sent.iter().any(|sent| match &sent.message {
        Message::Unlock { section: it, .. } => it == section,
        _ => false,
    })
}

/// Whether the end of a call is written, or the call does not wait for it.
fn ends(applied: &Applied<'_>, execution: ExecutionId, written: &Kind) -> bool {
    let Some(before) = &applied.before else { return true };
    let ours = |event: &&Event| event.kind.call() == written.call();
    let open =
        |event: &Event| event.kind.is_action() && !matches!(event.kind, Kind::CallCancelled { .. });
    let old: Vec<_> = applied.old.iter().filter(ours).collect();
    let waits = before.execution == execution
        && !before.status.is_terminal()
        && !old.is_empty()
        && old.iter().all(|event| open(event));
    let closed = |event: &Event| event.kind == *written || ours(&event) && !open(event);
    !waits || applied.replaced || applied.fresh.iter().any(closed)
}

/// A message that has to be sent.
struct Due {
    to: InstanceId,
    message: Option<Message>,
    call: Option<CallId>,
}

impl Due {
    fn is(&self, envelope: &Envelope) -> bool {
        let same = match (&self.message, &envelope.message) {
            (Some(due), sent) => due == sent,
            (None, Message::Start(started)) => {
                started.parent.as_ref().map(|parent| parent.call) == self.call
            }
            _ => false,
        };
        same && envelope.to == self.to
    }
}

/// The message that an event of a turn means.
fn sends(applied: &Applied<'_>, kind: &Kind) -> Option<Due> {
    match kind {
        Kind::ChildScheduled { call, instance, .. } => {
            Some(Due { to: instance.clone(), message: None, call: Some(*call) })
        }
        Kind::InstanceStarted { instance, .. } => {
            Some(Due { to: instance.clone(), message: None, call: None })
        }
        Kind::TerminateSent { to, reason, recursive, .. } => {
            let (reason, recursive) = (reason.clone(), *recursive);
            let message = Message::Terminate { child_of: None, reason, recursive };
            Some(Due { to: to.clone(), message: Some(message), call: None })
        }
        Kind::OperationCalled { call, entity, operation } => {
            let (instance, operation) = (applied.turn.instance.clone(), operation.clone());
            let execution = record(applied)?.execution;
            let caller = Some(Caller { instance, execution, call: *call });
            let message = Message::Operation(Box::new(Requested { operation, caller, due: None }));
            Some(Due { to: entity.clone(), message: Some(message), call: None })
        }
        Kind::OperationSignaled { entity, operation, at, .. } => {
            let requested = Requested { operation: operation.clone(), caller: None, due: *at };
            let message = Some(Message::Operation(Box::new(requested)));
            Some(Due { to: entity.clone(), message, call: None })
        }
        Kind::EventSent { to, name, input, .. } => {
            let message = Message::Raise { name: name.clone(), input: input.clone() };
            Some(Due { to: to.clone(), message: Some(message), call: None })
        }
        Kind::Completed { .. } => {
            let record = record(applied)?;
            let parent = record.parent.as_ref()?;
            let message = Message::ChildFinished {
                execution: parent.execution,
                call: parent.call,
                outcome: told(record)?,
            };
            Some(Due { to: parent.instance.clone(), message: Some(message), call: None })
        }
        _ => None,
    }
}

/// What a parent is told of how its child ended.
fn told(record: &Record) -> Option<Outcome> {
    let outcome = record.outcome.clone()?;
    if record.status != RuntimeStatus::Terminated {
        return Some(outcome);
    }
    let reason = outcome.ok()?.map_or_else(String::new, |reason| format!(": {reason}"));
    let message = format!("the orchestration was terminated{reason}");
    Some(Err(Failure::new("Terminated", message)))
}
