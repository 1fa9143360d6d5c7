//! Histories: each call has one end, results are of runs that were, timers did not fire early.

use std::collections::HashMap;

use taskhub_core::{CallId, Event, InstanceId, Kind, Outcome, Timestamp, codec};

use super::{Known, Verdict};

/// What a history waits for.
enum Open {
    Activity(String, String),
    Other,
    Timer(Timestamp),
}

pub(super) fn check(known: &Known<'_>, verdict: &mut Verdict) {
    let (mut events, mut taken) = (0, 0);
    let ids: Vec<_> = known.records.keys().filter(|id| !id.starts_with('@')).collect();
    for id in &ids {
        match read(known, id) {
            Ok(history) => {
                events += history.len();
                taken += one(known, verdict, id, &history);
            }
            Err(error) => verdict.wrong.push(format!("the history of {id}: {error}")),
        }
    }
    let what = format!("{} histories with {events} events", ids.len());
    let runs = known.runs.len();
    verdict.summary.push(format!("{what}; {taken} results taken of {runs} runs of activities"));
}

/// The whole history of an instance.
pub(super) fn read(known: &Known<'_>, id: &str) -> Result<Vec<Event>, String> {
    let instance = InstanceId::parse(id).map_err(|error| error.to_string())?;
    let pieces = known.store.history(&instance, 0..u64::MAX).map_err(|error| error.to_string())?;
    let events = codec::decode_history(&pieces).map_err(|error| error.to_string())?;
    let counted = known.records.get(id).map(|record| record.events);
    if u64::try_from(events.len()).is_ok_and(|length| Some(length) == counted) {
        return Ok(events);
    }
    Err(format!("it has {} events, its record says {counted:?}", events.len()))
}

/// How many results of activities it took.
pub(super) fn one(known: &Known<'_>, verdict: &mut Verdict, id: &str, history: &[Event]) -> usize {
    let mut open: HashMap<CallId, Open> = HashMap::new();
    let mut taken = 0;
    let mut before = None;
    for event in history {
        verdict.unless(before <= Some(event.at), || format!("{id}: {event:?} is out of order"));
        before = Some(event.at);
        match &event.kind {
            Kind::ActivityScheduled { call, work } => {
                let input = work.input.as_deref().unwrap_or("null");
                let step = serde_json::from_str(input).unwrap_or_default();
                open.insert(*call, Open::Activity(work.name.to_string(), step));
            }
            Kind::TimerCreated { call, fire_at } => {
                open.insert(*call, Open::Timer(*fire_at));
            }
            Kind::ChildScheduled { call, .. } | Kind::OperationCalled { call, .. } => {
                open.insert(*call, Open::Other);
            }
            Kind::ActivityFinished { call, outcome } => {
                taken += 1;
                let is_of_a_run = match open.remove(call) {
                    Some(Open::Activity(name, step)) => is_of(known, id, (&name, &step), outcome),
                    _ => false,
                };
                verdict.unless(is_of_a_run, || format!("{id}: {event:?} is of no run"));
            }
            Kind::TimerFired { call } => {
                let is_due = match open.remove(call) {
                    Some(Open::Timer(fire_at)) => fire_at <= event.at,
                    _ => false,
                };
                verdict.unless(is_due, || format!("{id}: {event:?} is early, or of no timer"));
            }
            Kind::ChildFinished { call, .. } | Kind::OperationFinished { call, .. } => {
                let is_open = open.remove(call).is_some();
                verdict.unless(is_open, || format!("{id}: {event:?} has no open call"));
            }
            _ => {}
        }
    }
    verdict.unless(open.is_empty(), || format!("{id}: {} calls have no end", open.len()));
    taken
}

/// Whether a result is the mark of a run for this call.
fn is_of(known: &Known<'_>, id: &str, call: (&str, &str), outcome: &Outcome) -> bool {
    let Ok(Some(output)) = outcome else { return false };
    let mark: String = serde_json::from_str(output).unwrap_or_default();
    known
        .runs
        .get(&mark)
        .is_some_and(|ran| ran.instance == id && (ran.activity.as_str(), ran.step.as_str()) == call)
}
