//! The spans of orchestrations: what a worker says of the span of an execution, the next worker is
//! told. That is kept in memory, and need not be stored: who has said nothing yet is told the span
//! that follows from the execution, which is the same after a restart. A server that sends traces
//! names that one always.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;
use taskhub_core::{ExecutionId, Kind, Turn};
use taskhub_wire::{proto::OrchestrationTraceContext, timestamp_out};

/// How many executions are remembered.
const COUNT_MAX: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

/// The spans of executions, of all hubs: no two executions share an id.
#[derive(Debug)]
pub(super) struct Spans(Mutex<LruCache<ExecutionId, OrchestrationTraceContext>>);

impl Default for Spans {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(COUNT_MAX)))
    }
}

impl Spans {
    pub(super) fn note(&self, execution: ExecutionId, span: OrchestrationTraceContext) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(execution, span);
    }

    pub(super) fn of(&self, execution: ExecutionId) -> Option<OrchestrationTraceContext> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&execution).cloned()
    }
}

/// The span that follows from an execution, if it is in a trace.
pub(super) fn own(turn: &Turn, execution: ExecutionId) -> Option<OrchestrationTraceContext> {
    let first = turn.history.iter().find_map(|piece| piece.first())?;
    let Kind::Started(started) = &first.kind else { return None };
    started.trace.as_ref().map(|_| OrchestrationTraceContext {
        span_id: Some(format!("{:016x}", execution.span())),
        span_start_time: Some(timestamp_out(first.at)),
    })
}
