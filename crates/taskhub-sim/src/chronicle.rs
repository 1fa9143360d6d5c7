//! What became durable, turn by turn, in the order in which it did: the truth that laws look at.

use std::collections::{BTreeMap, BTreeSet};

use taskhub_core::{
    CallId, Change, Envelope, Epoch, Event, ExecutionId, HistoryChange, InstanceId, Kind,
    MessageId, Record, Started, Timestamp, TurnRecord, Work, codec,
};

use crate::{
    law::Violation,
    program::{ANSWER, EVENTS, Notes},
};

/// Everything that was ever durable.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    /// How many turns became durable.
    pub index: u64,
    pub instances: BTreeMap<InstanceId, Known>,
    /// Messages that were sent and not taken.
    pub inbox: BTreeMap<MessageId, Envelope>,
    /// Messages that were taken.
    pub taken: BTreeSet<MessageId>,
    pub executions: BTreeSet<(InstanceId, ExecutionId)>,
    /// What clients started once more, durable or not.
    pub restarted: Vec<(InstanceId, Box<Started>)>,
    /// Instances whose stored history lost a part.
    pub damaged: BTreeSet<InstanceId>,
    lineage: Lineage,
    /// Every activity that was ever called.
    pub scheduled: BTreeMap<(InstanceId, ExecutionId, CallId), Work>,
}

/// Which executions went on as which.
#[derive(Debug, Default)]
struct Lineage {
    /// The first execution of each that went on as another.
    first: BTreeMap<ExecutionId, ExecutionId>,
    /// Those that went on from before the failure of another.
    rewound: BTreeSet<ExecutionId>,
}

impl Lineage {
    /// An execution takes the place of what was before.
    fn replace(&mut self, applied: &mut Applied<'_>, now: ExecutionId) {
        // Events that came before the start are there already.
        let early = |event: &Event| matches!(event.kind, Kind::Awaited { .. });
        let before = applied.before.as_ref().map(|before| before.execution);
        let rewound = before.is_some_and(|before| follows(before.derive(REWOUND), now));
        let next = before.filter(|before| rewound || follows(*before, now));
        applied.goes_on = applied.old.first().is_some_and(early) || next.is_some();
        let first = next.unwrap_or(now);
        let first = self.first.get(&first).copied().unwrap_or(first);
        self.first.insert(now, first);
        if rewound {
            self.rewound.insert(now);
            applied.cut();
        }
    }
}

/// What was ever durable of one instance.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Its records, each with the index from which it stood; `None` when it was purged.
    pub versions: Vec<(u64, Option<Record>)>,
    /// The history of its present execution.
    pub log: Vec<Event>,
    /// How often each payload arrived.
    pub arrived: BTreeMap<String, u32>,
}

/// One turn that became durable, beside what was before.
#[derive(Debug)]
pub(crate) struct Applied<'a> {
    pub turn: &'a TurnRecord,
    pub epoch: Epoch,
    pub before: Option<Record>,
    /// The history before.
    pub old: Vec<Event>,
    /// What the turn added, and whether it replaced what was before.
    pub fresh: Vec<Event>,
    pub replaced: bool,
    /// Of one that was rewound: what is left of the history before.
    pub kept: Option<Vec<Event>>,
    /// Whether it belongs to the run of the instance that was there before.
    pub goes_on: bool,
    /// The messages it took.
    pub messages: Vec<Envelope>,
    /// Payloads of events that arrived with it.
    pub arrivals: Vec<String>,
}

impl Chronicle {
    /// Takes note of one durable turn.
    pub(crate) fn apply<'a>(
        &mut self,
        turn: &'a TurnRecord,
        epoch: Epoch,
    ) -> Result<Applied<'a>, Violation> {
        self.index += 1;
        let messages = self.exchange(turn)?;
        let known = self.instances.entry(turn.instance.clone()).or_default();
        let before = known.record().cloned();
        let mut applied = Applied {
            turn,
            epoch,
            before,
            old: known.log.clone(),
            fresh: Vec::new(),
            replaced: false,
            kept: None,
            goes_on: true,
            messages,
            arrivals: Vec::new(),
        };
        match &turn.change {
            Change::Nothing => {}
            Change::Purge => {
                known.versions.push((self.index, None));
                known.log.clear();
            }
            Change::Write { record, history, .. } => {
                applied.read(history)?;
                if applied.replaced {
                    known.log.clear();
                    self.lineage.replace(&mut applied, record.execution);
                }
                let kept = applied.kept.iter().flatten();
                known.log.extend(kept.chain(&applied.fresh).cloned());
                // To everybody else, what nobody has started is not there.
                let is_there = !record.is_awaited(&turn.instance);
                known.versions.push((self.index, is_there.then(|| (**record).clone())));
                let restarted = self.restarted.iter().filter(|(id, _)| *id == turn.instance);
                let mut restarted = restarted.map(|(_, started)| started);
                let restarted = restarted.find(|it| follows(it.execution, record.execution));
                applied.arrivals = arrivals(&applied, &known.log, restarted.cloned())?;
                for payload in &applied.arrivals {
                    *known.arrived.entry(payload.clone()).or_default() += 1;
                }
                self.executions.insert((turn.instance.clone(), record.execution));
                for event in applied.kept.iter().flatten().chain(&applied.fresh) {
                    if let Kind::ActivityScheduled { call, work } = &event.kind {
                        let key = (turn.instance.clone(), record.execution, *call);
                        self.scheduled.insert(key, work.clone());
                    }
                }
            }
        }
        Ok(applied)
    }

    fn exchange(&mut self, turn: &TurnRecord) -> Result<Vec<Envelope>, Violation> {
        let mut messages = Vec::new();
        for id in &turn.taken {
            let Some(envelope) = self.inbox.remove(id) else {
                let again = self.taken.contains(id);
                let happened = format!("{} took {id:?} (taken before: {again})", turn.instance);
                return Err(Violation::new(
                    5,
                    "each message is taken once, after its sending",
                    happened,
                ));
            };
            self.taken.insert(*id);
            messages.push(envelope);
        }
        for envelope in &turn.sent {
            self.inbox.insert(envelope.id, envelope.clone());
        }
        Ok(messages)
    }

    /// Whether an execution is one that was started so, or one that it went on as.
    pub(crate) fn descends(&self, started: ExecutionId, now: ExecutionId) -> bool {
        let first = self.lineage.first.get(&now).copied().unwrap_or(now);
        follows(started, now) || follows(started, first)
    }

    /// Whether an execution went on from before the failure of another.
    pub(crate) fn is_rewound(&self, execution: ExecutionId) -> bool {
        self.lineage.rewound.contains(&execution)
    }

    pub(crate) fn record(&self, instance: &InstanceId) -> Option<&Record> {
        self.instances.get(instance)?.record()
    }
}

impl Known {
    pub(crate) fn record(&self) -> Option<&Record> {
        self.versions.last().and_then(|(_, record)| record.as_ref())
    }

    /// The records that stood at some time from `from` until now; `None` where there was none.
    pub(crate) fn since(&self, from: u64) -> impl Iterator<Item = Option<&Record>> {
        let first = self.versions.iter().rposition(|(index, _)| *index <= from);
        let never = first.is_none().then_some(None);
        let versions = self.versions[first.unwrap_or(0)..].iter();
        never.into_iter().chain(versions.map(|(_, record)| record.as_ref()))
    }
}

/// What makes the id of the execution that goes on from the one that failed.
const REWOUND: u64 = 1 << 33;

impl Applied<'_> {
    /// Of one that was rewound, only what stands behind that is new.
    fn cut(&mut self) {
        let rewound = |event: &Event| matches!(event.kind, Kind::Rewound { .. });
        let known = self.old.iter().filter(|event| rewound(event)).count();
        let mut places = (0..self.fresh.len()).filter(|at| rewound(&self.fresh[*at]));
        if let Some(at) = places.nth(known) {
            let fresh = self.fresh.split_off(at);
            self.kept = Some(std::mem::replace(&mut self.fresh, fresh));
        }
    }

    fn read(&mut self, history: &HistoryChange) -> Result<(), Violation> {
        let events = match history {
            HistoryChange::Keep => return Ok(()),
            HistoryChange::Append { at, events } => {
                if *at != self.old.len() as u64 {
                    let expected =
                        format!("events are added behind the {} there are", self.old.len());
                    let happened = format!("{} adds at {at}", self.turn.instance);
                    return Err(Violation::new(2, expected, happened));
                }
                events
            }
            HistoryChange::Replace { events } => {
                self.replaced = true;
                events
            }
        };
        self.fresh = codec::decode_events(events)
            .map_err(|why| Violation::new(2, "histories can be read", why.to_string()))?;
        Ok(())
    }
}

/// Whether an execution is the one before, or one it went on as.
pub(crate) fn follows(before: ExecutionId, after: ExecutionId) -> bool {
    let mut execution = before;
    for _ in 0..64 {
        if execution == after {
            return true;
        }
        execution = execution.derive(u64::MAX);
    }
    false
}

/// Per event name, every payload that ever arrived in this run of the instance, in order: those
/// that earlier executions noted, then those of the history.
fn received(log: &[Event]) -> BTreeMap<String, Vec<String>> {
    let mut received: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if let Some(Kind::Started(started)) = log.first().map(|event| &event.kind) {
        let notes = Notes::read(started.input.as_ref());
        for name in EVENTS.into_iter().chain([ANSWER]) {
            received.insert(name.to_owned(), notes.events(name).map(str::to_owned).collect());
        }
    }
    for event in log {
        if let Kind::EventRaised { name, input } = &event.kind {
            let payload = input.as_deref().unwrap_or_default().to_owned();
            received.entry(name.to_lowercase()).or_default().push(payload);
        }
    }
    received
}

/// What arrived with a turn. Nothing that had arrived before may be missing or out of order.
fn arrivals(
    applied: &Applied<'_>,
    log: &[Event],
    restarted: Option<Box<Started>>,
) -> Result<Vec<String>, Violation> {
    let old = match restarted {
        _ if applied.goes_on && !applied.old.is_empty() => received(&applied.old),
        // It begins with notes of what an earlier run of it received.
        Some(started) => received(&[Event { at: Timestamp(0), kind: Kind::Started(started) }]),
        None => BTreeMap::new(),
    };
    let mut fresh = Vec::new();
    let new = received(log);
    for (name, before) in &old {
        let after = new.get(name).map(Vec::as_slice).unwrap_or_default();
        if !after.starts_with(before) {
            let expected = format!("events `{name}` of {} stay {before:?}", applied.turn.instance);
            return Err(Violation::new(5, expected, format!("they are {after:?}")));
        }
    }
    for (name, after) in new {
        let before = old.get(&name).map_or(0, Vec::len);
        fresh.extend(after.into_iter().skip(before));
    }
    Ok(fresh)
}
