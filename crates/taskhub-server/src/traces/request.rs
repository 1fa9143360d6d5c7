//! The spans around a hub: of requests that start an instance or tell it something, and of what
//! runs in this process.

use axum::http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    trace::{FutureExt as _, Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _},
};
use opentelemetry_sdk::trace::Span;
use taskhub_core::{Done, InstanceId, Outcome, Text, Trace};

use super::{Traces, context, lock, trace};

/// The longest header of a trace, in bytes.
const BYTES_MAX: usize = 1_024;

/// A request that starts an instance, until it is answered: then this is dropped.
#[derive(Debug)]
pub struct Request {
    span: Span,
}

impl Traces {
    /// A request comes that starts an orchestration.
    #[must_use]
    pub fn start(&self, name: &str, instance: &InstanceId, caller: Option<&Trace>) -> Request {
        let span = SpanBuilder::from_name(format!("create_orchestration:{name}"));
        let span = span.with_kind(SpanKind::Server).with_attributes([
            KeyValue::new("durabletask.type", "orchestration"),
            KeyValue::new("durabletask.task.name", name.to_owned()),
            KeyValue::new("durabletask.task.instance_id", instance.to_string()),
        ]);
        Request { span: self.begin(None, &parent(caller), span) }
    }

    /// A request comes that raises an event.
    pub fn raise(&self, name: &str, instance: &InstanceId, caller: Option<&Trace>) {
        let span = SpanBuilder::from_name(format!("orchestration_event:{name}"));
        let span = span.with_kind(SpanKind::Producer).with_attributes([
            KeyValue::new("durabletask.type", "event"),
            KeyValue::new("durabletask.event.name", name.to_owned()),
            KeyValue::new("durabletask.event.target_instance_id", instance.to_string()),
        ]);
        let span = self.begin(None, &parent(caller), span);
        let event = self.raised_event(instance, name);
        lock(&self.inner.raised).put(event, span.span_context().clone());
    }

    /// A request comes that asks an entity for an operation; returns the trace for that.
    #[must_use]
    pub fn signal(&self, operation: &str, entity: &InstanceId, caller: Option<&Trace>) -> Trace {
        let span = of_entity(entity, operation).with_kind(SpanKind::Producer).with_attributes([
            KeyValue::new("durabletask.type", "entity"),
            KeyValue::new("durabletask.task.operation", "signal_entity"),
            KeyValue::new("durabletask.event.target_instance_id", entity.to_string()),
        ]);
        trace(self.begin(None, &parent(caller), span).span_context())
    }

    /// Performs an operation of an entity within a span of its own, below that of who asked for
    /// it. Spans that it makes by OpenTelemetry are below that one.
    pub async fn operation(
        &self,
        operation: &str,
        entity: &InstanceId,
        asked: Option<&Trace>,
        run: impl Future<Output = Outcome>,
    ) -> Outcome {
        let span = of_entity(entity, operation).with_kind(SpanKind::Server).with_attributes([
            KeyValue::new("durabletask.type", "entity"),
            KeyValue::new("durabletask.task.name", operation.to_owned()),
            KeyValue::new("durabletask.task.instance_id", entity.to_string()),
        ]);
        let around = Context::new().with_span(self.begin(None, &context(asked), span));
        let outcome = run.with_context(around.clone()).await;
        around.span().set_status(status(&outcome));
        around.span().end();
        outcome
    }

    /// Runs an activity within a span of its own, below that of its call. Spans that it makes by
    /// OpenTelemetry are below that one.
    pub async fn activity(
        &self,
        name: &str,
        instance: &InstanceId,
        call: Option<&Trace>,
        run: impl Future<Output = Done>,
    ) -> Done {
        let span = SpanBuilder::from_name(format!("activity:{name}"));
        let span = span.with_kind(SpanKind::Server).with_attributes([
            KeyValue::new("durabletask.type", "activity"),
            KeyValue::new("durabletask.task.name", name.to_owned()),
            KeyValue::new("durabletask.task.instance_id", instance.to_string()),
        ]);
        let around = Context::new().with_span(self.begin(None, &context(call), span));
        let done = run.with_context(around.clone()).await;
        if let Done::Activity(outcome) = &done {
            around.span().set_status(status(outcome));
        }
        around.span().end();
        done
    }
}

impl Request {
    /// The trace for what it starts.
    #[must_use]
    pub fn trace(&self) -> Trace {
        trace(self.span.span_context())
    }

    /// It could not be done.
    pub fn fail(&mut self, why: &str) {
        self.span.set_status(Status::error(why.to_owned()));
    }
}

/// The trace that a client is in, as it says by the headers of a request.
pub(crate) fn caller(headers: &HeaderMap) -> Option<Trace> {
    let text = |name| {
        let text = headers.get(name)?.to_str().ok()?;
        (!text.is_empty() && text.len() <= BYTES_MAX).then(|| Text::from(text))
    };
    Some(Trace { parent: text("traceparent")?, state: text("tracestate") })
}

fn of_entity(entity: &InstanceId, operation: &str) -> SpanBuilder {
    let name = entity.as_entity().map_or("", |(name, _)| name);
    SpanBuilder::from_name(format!("entity:{name}:{operation}"))
}

/// What the caller says, or else the span that this code runs in.
fn parent(caller: Option<&Trace>) -> opentelemetry::trace::SpanContext {
    match caller {
        Some(caller) => context(Some(caller)),
        None => Context::current().span().span_context().clone(),
    }
}

pub(super) fn status(outcome: &Outcome) -> Status {
    match outcome {
        Ok(_) => Status::Ok,
        Err(failure) => Status::error(failure.to_string()),
    }
}
