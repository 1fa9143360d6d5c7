//! The spans of what a hub commits: each thing that happened is committed once, so it gets one
//! span, and replays get none.

use std::{collections::BTreeMap, num::NonZeroUsize, time::SystemTime};

use bytes::Bytes;
use lru::LruCache;
use opentelemetry::{
    KeyValue,
    trace::{Link, SpanBuilder, SpanContext, SpanKind, Status},
};
use taskhub_core::{
    CallId, Change, Event, ExecutionId, HistoryChange, InstanceId, Kind, Operation, RuntimeStatus,
    Started, Text, TurnRecord, codec,
};
use taskhub_engine::Hub;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{Traces, context, lock, request::status, time};

/// How many changes wait for their spans; further ones get none.
const WAITING_COUNT_MAX: usize = 16_384;

/// How many instances are remembered; others are read from the store.
const KNOWN_COUNT_MAX: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

/// What the watch is told.
pub(super) enum Told {
    /// Events were committed, behind the first `at` ones of the history.
    Committed {
        instance: InstanceId,
        execution: ExecutionId,
        at: u64,
        events: Bytes,
        seen: SystemTime,
    },
    /// Somebody waits until all before is seen.
    Flush(oneshot::Sender<()>),
}

/// The watch over one hub.
pub(super) struct Watching {
    /// As long as the hub runs.
    tells: mpsc::WeakSender<Told>,
    task: JoinHandle<()>,
}

impl Watching {
    /// Waits until all that was committed is seen. `None` when the hub has stopped.
    pub(super) async fn flush(self) -> Option<Self> {
        let Some(tells) = self.tells.upgrade() else {
            let _ = self.task.await;
            return None;
        };
        let (seen, is_seen) = oneshot::channel();
        if tells.send(Told::Flush(seen)).await.is_ok() {
            let _ = is_seen.await;
        }
        Some(self)
    }
}

/// An execution that is under way.
struct Known {
    instance: InstanceId,
    execution: ExecutionId,
    name: Text,
    begun: SystemTime,
    /// The span of whoever started it; not valid if it is not traced.
    parent: SpanContext,
    /// Its own span.
    own: SpanContext,
    /// How many events were seen.
    events: u64,
    open: BTreeMap<CallId, Open>,
}

/// A call whose span is sent when it ends.
struct Open {
    what: &'static str,
    name: Text,
    begun: SystemTime,
}

struct Watch {
    traces: Traces,
    hub: Hub,
    known: LruCache<InstanceId, Known>,
}

impl Traces {
    /// Sends the spans of all that this hub commits from now on. Call it within tokio.
    pub fn watch(&self, hub: &Hub) {
        let (told, mut tells) = mpsc::channel(WAITING_COUNT_MAX);
        let weak = told.downgrade();
        hub.watch(move |turn| {
            if let Some(committed) = committed(turn) {
                let _ = told.try_send(committed);
            }
        });
        let known = LruCache::new(KNOWN_COUNT_MAX);
        let mut watch = Watch { traces: self.clone(), hub: hub.clone(), known };
        let task = tokio::spawn(async move {
            while let Some(told) = tells.recv().await {
                watch.take(told).await;
            }
        });
        lock(&self.inner.watching).push(Watching { tells: weak, task });
    }
}

fn committed(turn: &TurnRecord) -> Option<Told> {
    let Change::Write { record, history, .. } = &turn.change else { return None };
    let (at, events) = match history {
        HistoryChange::Append { at, events } => (*at, events.clone()),
        HistoryChange::Replace { events } => (0, events.clone()),
        HistoryChange::Keep => return None,
    };
    if turn.instance.as_entity().is_some() {
        return None;
    }
    let (instance, execution) = (turn.instance.clone(), record.execution);
    Some(Told::Committed { instance, execution, at, events, seen: SystemTime::now() })
}

impl Watch {
    async fn take(&mut self, told: Told) {
        match told {
            Told::Flush(seen) => drop(seen.send(())),
            Told::Committed { instance, execution, at, events, seen } => {
                let Ok(events) = codec::decode_history(&[events]) else { return };
                let Some(mut known) = self.known(&instance, execution, at, &events).await else {
                    return;
                };
                let first = usize::try_from(known.events - at).unwrap_or(usize::MAX);
                // What stands before a rewind happened before.
                let rewound = events.iter().rposition(|it| matches!(it.kind, Kind::Rewound { .. }));
                for (place, event) in events.iter().enumerate().skip(first) {
                    if rewound.is_some_and(|rewound| place <= rewound) {
                        known.note(event);
                    } else {
                        known.emit(&self.traces, &events[place..], seen);
                    }
                }
                let ended = events.iter().any(|it| matches!(it.kind, Kind::Completed { .. }));
                if !ended {
                    self.known.put(instance, known);
                }
            }
        }
    }

    /// What is known of the execution before the events behind the first `at` ones.
    async fn known(
        &mut self,
        instance: &InstanceId,
        execution: ExecutionId,
        at: u64,
        events: &[Event],
    ) -> Option<Known> {
        let known = self.known.pop(instance);
        if at == 0 {
            if let Some(before) = known {
                before.end(&self.traces, events.first()?, RuntimeStatus::ContinuedAsNew);
            }
            return Known::new(instance, execution, events);
        }
        if let Some(known) = known
            && known.execution == execution
            && known.events == at
        {
            return Some(known);
        }
        let history = self.hub.history(instance.clone()).await.ok()??;
        let mut known = Known::new(instance, execution, &history)?;
        for event in history.iter().take(usize::try_from(at).ok()?).skip(1) {
            known.note(event);
        }
        (known.events == at).then_some(known)
    }
}

impl Known {
    /// An execution whose first event was seen.
    fn new(instance: &InstanceId, execution: ExecutionId, events: &[Event]) -> Option<Self> {
        let first = events.first()?;
        let Kind::Started(started) = &first.kind else { return None };
        let Started { name, trace, .. } = &**started;
        let parent = context(trace.as_ref());
        let own = context(trace.as_ref().map(|trace| trace.within(execution.span())).as_ref());
        Some(Self {
            instance: instance.clone(),
            execution,
            name: name.clone(),
            begun: time(first.at),
            parent,
            own,
            events: 1,
            open: BTreeMap::new(),
        })
    }

    /// Takes note of the next event, without a span.
    fn note(&mut self, event: &Event) -> Option<(CallId, Open)> {
        self.events += 1;
        let begun = time(event.at);
        let (call, what, name) = match &event.kind {
            Kind::ActivityScheduled { call, work } => {
                // Whoever names a span of its own sends that by itself.
                let ours = context(work.trace.as_ref()).span_id();
                if ours != self.execution.span_of_call(*call).into() {
                    return None;
                }
                (call, "activity", work.name.clone())
            }
            Kind::ChildScheduled { call, work, .. } => {
                let ours = context(work.trace.as_ref()).span_id();
                if ours != self.execution.span_of_call(*call).into() {
                    return None;
                }
                (call, "orchestration", work.name.clone())
            }
            Kind::OperationCalled { call, entity, operation } => {
                let ours = context(operation.trace.as_ref()).span_id();
                if ours != self.execution.span_of_call(*call).into() {
                    return None;
                }
                (call, "entity", asked(entity, operation))
            }
            Kind::TimerCreated { call, .. } => (call, "timer", self.name.clone()),
            Kind::ActivityFinished { call, .. }
            | Kind::ChildFinished { call, .. }
            | Kind::OperationFinished { call, .. }
            | Kind::TimerFired { call }
            | Kind::CallCancelled { call } => return Some((*call, self.open.remove(call)?)),
            _ => return None,
        };
        self.open.insert(*call, Open { what, name, begun });
        None
    }

    /// Sends the span of the next event, the first of those that are left.
    fn emit(&mut self, traces: &Traces, events: &[Event], seen: SystemTime) {
        let Some((event, rest)) = events.split_first() else { return };
        let (place, at) = (self.events, time(event.at));
        let ended = self.note(event);
        if !self.own.is_valid() {
            return;
        }
        match &event.kind {
            Kind::TurnStarted { takes, .. } => {
                let mine =
                    rest.iter().take_while(|it| !matches!(it.kind, Kind::TurnStarted { .. }));
                let calls = mine.filter(|it| it.kind.is_action()).count();
                let span = self.span(
                    format!("turn:{}", self.name),
                    SpanKind::Internal,
                    at,
                    [
                        KeyValue::new("durabletask.type", "turn"),
                        KeyValue::new("durabletask.turn.takes", i64::from(*takes)),
                        KeyValue::new("durabletask.turn.calls", i64::try_from(calls).unwrap_or(0)),
                    ],
                );
                let id = self.execution.span_of_event(place);
                traces.emit(id, &self.own, span, seen.max(at), Status::Unset);
            }
            Kind::EventRaised { name, .. } => self.event(traces, name, place, at),
            Kind::ActivityFinished { outcome, .. }
            | Kind::ChildFinished { outcome, .. }
            | Kind::OperationFinished { outcome, .. } => {
                self.call(traces, ended, at, status(outcome));
            }
            Kind::OperationSignaled { call, entity, operation, .. } => {
                let name = format!("entity:{}", asked(entity, operation));
                let span = self.span(
                    name,
                    SpanKind::Producer,
                    at,
                    [
                        KeyValue::new("durabletask.type", "entity"),
                        KeyValue::new("durabletask.event.target_instance_id", entity.to_string()),
                    ],
                );
                let id = self.execution.span_of_call(*call);
                traces.emit(id, &self.own, span, at, Status::Unset);
            }
            Kind::TimerFired { .. } => self.call(traces, ended, at, Status::Unset),
            Kind::Completed { status } => self.end(traces, event, *status),
            _ => {}
        }
    }

    fn event(&self, traces: &Traces, name: &Text, place: u64, at: SystemTime) {
        let event = traces.raised_event(&self.instance, name);
        let raiser = lock(&traces.inner.raised).pop(&event);
        let span = self.span(
            format!("orchestration_event:{name}"),
            SpanKind::Consumer,
            at,
            [
                KeyValue::new("durabletask.type", "event"),
                KeyValue::new("durabletask.event.name", name.to_string()),
            ],
        );
        let span =
            span.with_links(raiser.map(|it| Link::new(it, Vec::new(), 0)).into_iter().collect());
        traces.emit(self.execution.span_of_event(place), &self.own, span, at, Status::Unset);
    }

    fn call(&self, traces: &Traces, ended: Option<(CallId, Open)>, at: SystemTime, status: Status) {
        let Some((call, Open { what, name, begun })) = ended else { return };
        let kind = if what == "timer" { SpanKind::Internal } else { SpanKind::Client };
        let span = self.span(
            format!("{what}:{name}"),
            kind,
            begun,
            [
                KeyValue::new("durabletask.type", what),
                KeyValue::new("durabletask.task.name", name.to_string()),
                KeyValue::new("durabletask.task.task_id", i64::from(call.0)),
            ],
        );
        traces.emit(self.execution.span_of_call(call), &self.own, span, at, status);
    }

    /// Sends the span of the execution, which has ended.
    fn end(&self, traces: &Traces, last: &Event, came_to: RuntimeStatus) {
        if !self.parent.is_valid() || traces.is_left(self.execution) {
            return;
        }
        let status = match came_to {
            RuntimeStatus::Failed => Status::error("the orchestration failed"),
            RuntimeStatus::Terminated => Status::error("the orchestration was terminated"),
            _ => Status::Ok,
        };
        let name = format!("orchestration:{}", self.name);
        let span = self.span(
            name,
            SpanKind::Server,
            self.begun,
            [
                KeyValue::new("durabletask.type", "orchestration"),
                KeyValue::new("durabletask.task.name", self.name.to_string()),
                KeyValue::new("durabletask.task.status", format!("{came_to:?}")),
            ],
        );
        traces.emit(self.execution.span(), &self.parent, span, time(last.at), status);
    }

    fn span(
        &self,
        name: String,
        kind: SpanKind,
        begun: SystemTime,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) -> SpanBuilder {
        let instance = KeyValue::new("durabletask.task.instance_id", self.instance.to_string());
        let span = SpanBuilder::from_name(name).with_kind(kind).with_start_time(begun);
        span.with_attributes(attributes.into_iter().chain([instance]))
    }
}

/// What an entity is asked for.
fn asked(entity: &InstanceId, operation: &Operation) -> Text {
    let name = entity.as_entity().map_or("", |(name, _)| name);
    format!("{name}:{}", operation.name).into()
}
