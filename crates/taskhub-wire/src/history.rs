//! Histories: a log inside, a list of whole turns outside.
//!
//! In the log stands what arrived when it was accepted, and later the turn that took it. Outside,
//! each turn is its beginning, what it took, what its code asked for, and its end.

use std::collections::VecDeque;

use taskhub_core::{Event, ExecutionId, InstanceId, Kind, Record, Timestamp};

use crate::{
    InvalidMessage,
    arrival::{Calls, arrival_in, arrival_out},
    call::{Speaker, call_event_in, call_event_out},
    failure_out,
    ids::{call_in, call_out},
    proto::{
        ExecutionCompletedEvent, ExecutionRewoundEvent, HistoryEvent, OrchestratorCompletedEvent,
        OrchestratorStartedEvent, history_event::EventType,
    },
    status_in, status_out,
    text::{text_in, text_out},
    timestamp_in, timestamp_out,
};

/// A history in the words of the protocol.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// All turns that were, in order.
    pub past: Vec<HistoryEvent>,
    /// What arrived and no turn took, oldest first.
    pub waiting: Vec<HistoryEvent>,
}

/// Tells the history of an instance; the result of an execution that ended is not in it.
///
/// The time of an `orchestratorStarted` is what its code took for the time, the time of the
/// `orchestratorCompleted` is that of the commit.
#[must_use]
pub fn history_out<'a>(
    instance: &InstanceId,
    events: impl IntoIterator<Item = &'a Event>,
) -> History {
    let mut teller = Teller {
        instance,
        execution: None,
        calls: Calls::default(),
        past: Vec::new(),
        waiting: VecDeque::new(),
        turn: None,
    };
    for event in events {
        teller.tell(event);
    }
    teller.end_turn();
    History { past: teller.past, waiting: teller.waiting.into() }
}

/// Tells the whole history of an instance to a person: what waits stands at its end, and the
/// result, if there is one, in its last event.
#[must_use]
pub fn history_shown<'a>(
    instance: &InstanceId,
    record: &Record,
    events: impl IntoIterator<Item = &'a Event>,
) -> Vec<HistoryEvent> {
    let History { mut past, waiting } = history_out(instance, events);
    if let (Some(outcome), Some(HistoryEvent { event_type: Some(last), .. })) =
        (&record.outcome, past.last_mut())
        && let EventType::ExecutionCompleted(ended) = last
    {
        match outcome {
            Ok(output) => ended.result = text_out(output.as_ref()),
            Err(failure) => ended.failure_details = Some(failure_out(failure)),
        }
    }
    past.extend(waiting);
    past
}

struct Teller<'a> {
    instance: &'a InstanceId,
    execution: Option<ExecutionId>,
    calls: Calls,
    past: Vec<HistoryEvent>,
    waiting: VecDeque<HistoryEvent>,
    /// The turn that has begun, and when it was committed.
    turn: Option<Timestamp>,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event) {
        match &event.kind {
            Kind::TurnStarted { takes, clock } => {
                self.end_turn();
                self.past.push(turn_started_out(clock.unwrap_or(event.at)));
                let takes = (*takes as usize).min(self.waiting.len());
                self.past.extend(self.waiting.drain(..takes));
                self.turn = Some(event.at);
            }
            Kind::Completed { status } => {
                self.end_turn();
                self.past.extend(self.waiting.drain(..));
                let ended = ExecutionCompletedEvent {
                    orchestration_status: status_out(*status).into(),
                    ..ExecutionCompletedEvent::default()
                };
                self.past.push(event_out(-1, event.at, EventType::ExecutionCompleted(ended)));
            }
            // It stands where the turns before it end: workers have nothing to do about it.
            Kind::Rewound { reason } => {
                self.end_turn();
                let rewound = ExecutionRewoundEvent {
                    reason: text_out(reason.as_ref()),
                    ..ExecutionRewoundEvent::default()
                };
                self.past.push(event_out(-1, event.at, EventType::ExecutionRewound(rewound)));
            }
            kind => self.tell_kind(kind, event.at),
        }
    }

    fn tell_kind(&mut self, kind: &Kind, at: Timestamp) {
        if let Kind::Started(started) = kind {
            self.execution = Some(started.execution);
        }
        if let Some(wire) = arrival_out(kind, at, self.instance, &self.calls) {
            return self.waiting.push_back(event_out(-1, at, wire));
        }
        self.calls.note(kind);
        let speaker = Speaker { instance: self.instance, execution: self.execution };
        if let (Some(call), Some(wire)) = (kind.call(), call_event_out(kind, speaker)) {
            self.past.push(event_out(call_out(call), at, wire));
        }
    }

    fn end_turn(&mut self) {
        if let Some(at) = self.turn.take() {
            let ended = EventType::OrchestratorCompleted(OrchestratorCompletedEvent {});
            self.past.push(event_out(-1, at, ended));
        }
    }
}

/// The event with which a turn begins; its code takes `clock` for the time.
pub(crate) fn turn_started_out(clock: Timestamp) -> HistoryEvent {
    event_out(-1, clock, EventType::OrchestratorStarted(OrchestratorStartedEvent {}))
}

pub(crate) fn event_out(event_id: i32, at: Timestamp, wire: EventType) -> HistoryEvent {
    HistoryEvent { event_id, timestamp: Some(timestamp_out(at)), event_type: Some(wire) }
}

/// Reads a history of whole turns as a log. Notes without effect are left out, and so is what a
/// history does not say: the deadline of the start, and the result.
///
/// Each arrival stands as late as its time allows, and before the turn that takes it.
pub fn history_in(events: Vec<HistoryEvent>) -> Result<Vec<Event>, InvalidMessage> {
    let mut reader = Reader::default();
    for event in events {
        reader.read(event)?;
    }
    reader.begin_turn(None);
    Ok(reader.log())
}

/// Reads arrivals of a history that stands before them, as [`history_in`] read it.
pub(crate) fn arrivals_in(
    history: &[Event],
    events: Vec<HistoryEvent>,
) -> Result<Vec<Event>, InvalidMessage> {
    let last = history.last().map(|event| event.at).unwrap_or_default();
    let mut reader = Reader { last, ..Reader::default() };
    for event in history {
        reader.calls.note(&event.kind);
    }
    for event in events {
        reader.read(event)?;
    }
    Ok(reader.arrivals)
}

#[derive(Default)]
struct Reader {
    calls: Calls,
    last: Timestamp,
    /// What the code took for the time in the turn of which only arrivals were read so far.
    clock: Option<Timestamp>,
    arrivals: Vec<Event>,
    /// The other events, each with how many arrivals stand before it at least.
    own: Vec<(Event, usize)>,
    taken: usize,
}

impl Reader {
    fn read(&mut self, event: HistoryEvent) -> Result<(), InvalidMessage> {
        let HistoryEvent { event_id, timestamp, event_type } = event;
        let at = timestamp.map(|at| timestamp_in("timestamp", &at)).transpose()?;
        let at = at.unwrap_or(self.last);
        self.last = at;
        match event_type.ok_or(InvalidMessage::Missing { field: "eventType" })? {
            EventType::OrchestratorStarted(_) => {
                self.begin_turn(None);
                self.clock = Some(at);
            }
            EventType::OrchestratorCompleted(_) => self.begin_turn(Some(at)),
            EventType::ExecutionCompleted(wire) => {
                self.begin_turn(Some(at));
                let status = status_in("orchestrationStatus", wire.orchestration_status)?;
                self.own.push((Event { at, kind: Kind::Completed { status } }, self.taken));
            }
            EventType::ExecutionRewound(wire) => {
                self.begin_turn(Some(at));
                let kind = Kind::Rewound { reason: text_in(wire.reason) };
                self.own.push((Event { at, kind }, self.taken));
            }
            wire => self.read_kind(event_id, at, wire)?,
        }
        Ok(())
    }

    fn read_kind(&mut self, id: i32, at: Timestamp, wire: EventType) -> Result<(), InvalidMessage> {
        if is_call(&wire) {
            if let Some(kind) = call_event_in(call_in("eventId", id)?, wire)? {
                self.begin_turn(Some(at));
                self.calls.note(&kind);
                self.own.push((Event { at, kind }, self.taken));
            }
        } else if let Some(kind) = arrival_in(wire, &self.calls)? {
            self.arrivals.push(Event { at, kind });
        }
        Ok(())
    }

    /// All that the turn took has been read; it was committed at `at`, if that is known.
    fn begin_turn(&mut self, at: Option<Timestamp>) {
        let Some(clock) = self.clock.take() else { return };
        let at = at.unwrap_or(clock);
        let takes = u32::try_from(self.arrivals.len() - self.taken).unwrap_or(u32::MAX);
        self.taken = self.arrivals.len();
        let kind = Kind::TurnStarted { takes, clock: (clock != at).then_some(clock) };
        self.own.push((Event { at, kind }, self.taken));
    }

    fn log(self) -> Vec<Event> {
        let mut log: Vec<Event> = Vec::with_capacity(self.arrivals.len() + self.own.len());
        let mut push = |mut event: Event| {
            event.at = log.last().map_or(event.at, |last| last.at.max(event.at));
            log.push(event);
        };
        let mut arrivals = self.arrivals.into_iter().peekable();
        let mut count = 0;
        for (event, before) in self.own {
            while let Some(arrival) = arrivals.next_if(|it| count < before || it.at < event.at) {
                count += 1;
                push(arrival);
            }
            push(event);
        }
        arrivals.for_each(push);
        log
    }
}

/// Whether the code did it.
pub(crate) fn is_call(wire: &EventType) -> bool {
    matches!(
        wire,
        EventType::TaskScheduled(_)
            | EventType::SubOrchestrationInstanceCreated(_)
            | EventType::TimerCreated(_)
            | EventType::EventSent(_)
            | EventType::EntityOperationCalled(_)
            | EventType::EntityOperationSignaled(_)
            | EventType::EntityLockRequested(_)
            | EventType::EntityUnlockSent(_)
    )
}
