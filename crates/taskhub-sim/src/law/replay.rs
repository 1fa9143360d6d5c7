//! Promise 8: "Replaying a stored history gives the state that the running instance has. A mismatch
//! is reported with both sides, never guessed around."

use std::collections::BTreeSet;

use taskhub_core::{
    CallId, Event, InstanceId, Kind, Outcome, Record, RuntimeStatus,
    turn::{Execution, Functions as _, Progress, seen},
};

use super::{Violation, elsewhere::is_too_large, ensure, giants::UNWRITABLE};
use crate::{
    chronicle::{Applied, Chronicle},
    code::{Deployed, WANTED},
    crew::TOOK_DOWN,
    model::{self, End, Told, is_to_go_on},
    program::{Program, may_be_unknown},
};

/// A turn became durable: the model tells the same story, and so does a replay from nothing.
pub(crate) fn on_turn(
    applied: &Applied<'_>,
    chronicle: &Chronicle,
    programs: &[Program],
    sound: &Deployed,
    broken_code: bool,
    given_up: bool,
) -> Result<(), Violation> {
    let id = &applied.turn.instance;
    let Some(record) = chronicle.record(id) else { return Ok(()) };
    let log = &chronicle.instances[id].log;
    if applied.fresh.is_empty() && record.stuck.is_none() {
        return Ok(());
    }
    if let Some(why) = &record.stuck {
        let known = applied.before.as_ref().and_then(|before| before.stuck.as_ref());
        // What failed is guessed by the turns when it is rewound where its code is not.
        let guessed = may_be_unknown(&record.name, record.version.as_deref()) && is_to_go_on(log);
        let differs = (broken_code || guessed) && why.contains("history has");
        let lost = chronicle.damaged.contains(id) && why.contains("cannot be read");
        let large = why.contains(UNWRITABLE); // Another law knows whose turn it was.
        let may_be =
            differs || lost || large || why.contains(WANTED) || given_up && why.contains(TOOK_DOWN);
        return ensure(known == Some(why) || may_be, || {
            broken(id, "an instance is parked only when its code changed, or panicked", why)
        });
    }
    if id.as_entity().is_none()
        && let Some((law, expected)) = model::contradiction(record, log)
    {
        let happened = format!("{id} is {record:?} after {log:?}");
        return Err(Violation::new(law, expected, happened));
    }
    let Some(told) = model::tell(programs, id, log) else { return Ok(()) };
    // What was guessed may have been coped with: then later calls were made for other reasons.
    if !(is_rewound(log) && may_be_unknown(&record.name, record.version.as_deref())) {
        against_model(id, record, log, &told)?;
    }
    replayed(id, record, log, sound)
}

fn is_rewound(log: &[Event]) -> bool {
    log.iter().any(|event| matches!(event.kind, Kind::Rewound { .. }))
}

fn broken(id: &InstanceId, expected: &str, happened: &str) -> Violation {
    Violation::new(8, expected, format!("{id}: {happened}"))
}

fn against_model(
    id: &InstanceId,
    record: &Record,
    log: &[Event],
    told: &Told,
) -> Result<(), Violation> {
    if model::taken(log) == 0 || is_to_go_on(log) {
        return Ok(());
    }
    let actions = || log.iter().map(|event| &event.kind).filter(|kind| kind.is_action());
    let cancelled = |kind: &&Kind| matches!(kind, Kind::CallCancelled { .. });
    let rewound = is_rewound(log);
    let counts = |kind: &&Kind| !(rewound && matches!(kind, Kind::Noted { .. }));
    let calls: Vec<_> = actions().filter(|kind| !cancelled(kind) && counts(kind)).collect();
    let id_of = |kind: &&Kind| kind.call();
    let mut expected: Vec<_> = told.calls.iter().collect();
    expected.sort_by_key(id_of);
    ensure(calls == expected, || {
        broken(id, &format!("the calls {:?}", told.calls), &format!("{calls:?}"))
    })?;
    // Of one that was rewound, what it gave up may have ended before its last turn ran again.
    let ends = |call: CallId| {
        rewound && log.iter().any(|it| it.kind.is_arrival() && it.kind.call() == Some(call))
    };
    let open = |call: &CallId| !ends(*call);
    let dropped = actions().filter(cancelled).filter_map(Kind::call).filter(open);
    let dropped: BTreeSet<_> = dropped.collect();
    ensure(dropped == told.dropped.iter().copied().filter(open).collect(), || {
        broken(id, &format!("given up are {:?}", told.dropped), &format!("{dropped:?} of {log:?}"))
    })?;
    ensure(told.status.is_none() || record.custom_status == told.status, || {
        broken(id, &format!("shows {:?}", told.status), &format!("{:?}", record.custom_status))
    })?;
    let end = match (record.status, &record.outcome) {
        (RuntimeStatus::Terminated, _) => return Ok(()),
        (RuntimeStatus::Completed, Some(Ok(Some(output)))) => End::Returned(output.clone()),
        (RuntimeStatus::Failed, Some(Err(why))) => End::Failed(why.kind.to_string()),
        (RuntimeStatus::Running | RuntimeStatus::Suspended, None) => End::Waits,
        other => return Err(broken(id, &format!("{:?}", told.end), &format!("{other:?}"))),
    };
    ensure(end == told.end, || {
        broken(id, &format!("{:?} after {log:?}", told.end), &format!("{end:?}"))
    })
}

fn replayed(
    id: &InstanceId,
    record: &Record,
    log: &[Event],
    sound: &Deployed,
) -> Result<(), Violation> {
    let Some(Event { at, kind: Kind::Started(started) }) = log.first() else { return Ok(()) };
    let Some(code) = sound.orchestration(&started.name, started.version.as_deref()) else {
        return Ok(());
    };
    let taken = model::taken(log);
    if taken == 0 || is_to_go_on(log) || is_too_large(record) {
        return Ok(());
    }
    let mut execution = Execution::begin(code, id.clone(), started, *at);
    execution.replay_until(seen(log));
    let mut arrivals = 0;
    for (position, event) in log.iter().enumerate() {
        arrivals += usize::from(event.kind.is_arrival());
        if !event.kind.is_arrival() || arrivals <= taken {
            execution.absorb(position as u64, event);
        }
    }
    let step = execution.step();
    let same = match (&step.progress, record.status) {
        (_, RuntimeStatus::Terminated) => return Ok(()),
        (Progress::Waiting, status) => !status.is_terminal(),
        (Progress::Finished(outcome), _) => same_end(record.outcome.as_ref(), outcome),
        _ => false,
    };
    ensure(same && step.actions.is_empty(), || {
        let happened = format!("{step:?} of {:?} after {log:?}", record.status);
        broken(id, "a replay comes to where the instance stands, and calls nothing", &happened)
    })
}

fn same_end(stored: Option<&Outcome>, replayed: &Outcome) -> bool {
    match (stored, replayed) {
        (Some(Err(stored)), Err(replayed)) => stored.kind == replayed.kind,
        (stored, replayed) => stored == Some(replayed),
    }
}
