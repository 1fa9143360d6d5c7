//! Traces: spans for OpenTelemetry, pushed to a collector over OTLP.
//!
//! ```text
//!   create_orchestration:order        the request that starts it, until it is answered
//!   └─ orchestration:order            from its start to its end
//!      ├─ turn:order                  each once, when it is durable: replays are silent
//!      ├─ orchestration_event:paid    what was raised, linked to who raised it
//!      ├─ timer:order                 from its creation until it fired
//!      └─ activity:charge             from the call to its result
//!         └─ activity:charge          one run of it in this process
//! ```
//!
//! Spans of instances come from what is committed (`watch.rs`), so there is one for each thing that
//! happened. Their ids follow from the execution: whoever runs an activity knows its parent, though
//! that span is sent only when it has ended.

mod request;
mod watch;

use std::{
    cell::Cell,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use lru::LruCache;
use opentelemetry::{
    Context, InstrumentationScope, SpanId, TraceId,
    trace::{
        Span as _, SpanBuilder, SpanContext, Status, TraceContextExt as _, TraceFlags, TraceState,
        Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{IdGenerator, RandomIdGenerator, Sampler, SdkTracer, SdkTracerProvider, Span},
};
use taskhub_core::{ExecutionId, InstanceId, Timestamp, Trace};

use crate::{HubName, TracesConfig};
pub use request::Request;
pub(crate) use request::caller;
use watch::Watching;

/// How many raised events are remembered until they are in a history.
const RAISED_COUNT_MAX: std::num::NonZeroUsize = std::num::NonZeroUsize::new(10_000).unwrap();

/// How many executions are remembered whose workers send their span.
const LEFT_COUNT_MAX: std::num::NonZeroUsize = std::num::NonZeroUsize::new(20_000).unwrap();

/// How long a shutdown waits for the collector.
const GOODBYE: Duration = Duration::from_secs(5);

thread_local! {
    /// The id of the span that is made next on this thread, if it is given.
    static NEXT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The way to a collector. Clones are the same.
#[derive(Clone)]
pub struct Traces {
    inner: Arc<Inner>,
    /// Where the instances are that it is told of.
    hub: HubName,
}

/// An event that was raised: in which hub, for which instance, and its name.
type RaisedEvent = (HubName, InstanceId, String);

struct Inner {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    /// Who raised an event that is not in a history yet.
    raised: Mutex<LruCache<RaisedEvent, SpanContext>>,
    /// Executions whose span a worker sends by itself.
    left: Mutex<LruCache<ExecutionId, ()>>,
    watching: Mutex<Vec<Watching>>,
}

/// Why there is no way to a collector.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to {endpoint:?}: {why}; it must be like `http://127.0.0.1:4317`")]
pub struct TracesError {
    endpoint: String,
    why: String,
}

impl Traces {
    /// To the collector that the settings name, if they do; for the default hub. Call it within
    /// tokio.
    pub fn open(config: &TracesConfig) -> Result<Option<Self>, TracesError> {
        let Some(endpoint) = &config.endpoint else { return Ok(None) };
        let failed = |why: &dyn fmt::Display| TracesError {
            endpoint: endpoint.clone(),
            why: why.to_string(),
        };
        if !endpoint.starts_with("http://") {
            return Err(failed(&"it does not begin with `http://`"));
        }
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
        let exporter = exporter.map_err(|error| failed(&error))?;
        let ratio = Sampler::TraceIdRatioBased(f64::from(config.percent) / 100.0);
        let provider = SdkTracerProvider::builder()
            .with_id_generator(Ids(RandomIdGenerator::default()))
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_resource(Resource::builder().with_service_name(config.service.clone()).build())
            .with_batch_exporter(exporter)
            .build();
        let scope =
            InstrumentationScope::builder("taskhub").with_version(env!("CARGO_PKG_VERSION"));
        let tracer = provider.tracer_with_scope(scope.build());
        let inner = Inner {
            provider,
            tracer,
            raised: Mutex::new(LruCache::new(RAISED_COUNT_MAX)),
            left: Mutex::new(LruCache::new(LEFT_COUNT_MAX)),
            watching: Mutex::default(),
        };
        Ok(Some(Self { inner: Arc::new(inner), hub: HubName::default() }))
    }

    /// The same way, for instances of this hub.
    #[must_use]
    pub(crate) fn of(&self, hub: &HubName) -> Self {
        Self { inner: self.inner.clone(), hub: hub.clone() }
    }

    /// What names an event until it is in a history.
    fn raised_event(&self, instance: &InstanceId, name: &str) -> RaisedEvent {
        (self.hub.clone(), instance.clone(), name.to_lowercase())
    }

    /// Where spans are made; for spans of an application, in its activities for instance.
    #[must_use]
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.inner.provider
    }

    /// A worker sends the span of this execution by itself.
    pub(crate) fn leave(&self, execution: ExecutionId) {
        lock(&self.inner.left).put(execution, ());
    }

    fn is_left(&self, execution: ExecutionId) -> bool {
        lock(&self.inner.left).contains(&execution)
    }

    /// Sends all spans of what has happened so far.
    pub async fn flush(&self) {
        let watching = std::mem::take(&mut *lock(&self.inner.watching));
        for watching in watching {
            if let Some(watching) = watching.flush().await {
                lock(&self.inner.watching).push(watching);
            }
        }
        let provider = self.inner.provider.clone();
        let flushing = tokio::task::spawn_blocking(move || provider.force_flush());
        match tokio::time::timeout(GOODBYE, flushing).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "spans did not reach the collector"),
            _ => tracing::warn!("the collector takes too long; spans are lost"),
        }
    }

    /// A span whose id is known, from its beginning to its end.
    fn emit(
        &self,
        id: u64,
        parent: &SpanContext,
        span: SpanBuilder,
        end: SystemTime,
        status: Status,
    ) {
        let mut span = self.begin(Some(id), parent, span);
        span.set_status(status);
        span.end_with_timestamp(end);
    }

    fn begin(&self, id: Option<u64>, parent: &SpanContext, span: SpanBuilder) -> Span {
        let mut around = Context::new();
        if parent.is_valid() {
            around = around.with_remote_span_context(parent.clone());
        }
        NEXT.set(id);
        let span = self.inner.tracer.build_with_context(span, &around);
        NEXT.set(None);
        span
    }
}

/// Ids for spans: the one that was asked for, or any.
#[derive(Debug)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        self.0.new_trace_id()
    }

    fn new_span_id(&self) -> SpanId {
        NEXT.take().map_or_else(|| self.0.new_span_id(), SpanId::from)
    }
}

/// A trace from outside; what is none is not valid.
fn context(trace: Option<&Trace>) -> SpanContext {
    let read = |trace: &Trace| {
        let mut parts = trace.parent.split('-').skip(1);
        let trace_id = TraceId::from_hex(parts.next()?).ok()?;
        let span_id = SpanId::from_hex(parts.next()?).ok()?;
        let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()? & 1);
        let state = trace.state.as_deref().unwrap_or_default().parse::<TraceState>();
        let state = state.unwrap_or_default();
        Some(SpanContext::new(trace_id, span_id, flags, true, state))
    };
    trace.and_then(read).unwrap_or(SpanContext::NONE)
}

/// A span as others join it.
fn trace(context: &SpanContext) -> Trace {
    let (trace, span) = (context.trace_id(), context.span_id());
    let parent = format!("00-{trace}-{span}-{:02x}", context.trace_flags().to_u8());
    let state = Some(context.trace_state().header()).filter(|state| !state.is_empty());
    Trace { parent: parent.into(), state: state.map(Into::into) }
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(at.0).unwrap_or_default())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}
