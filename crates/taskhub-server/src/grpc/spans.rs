//! The spans of orchestrations: what a worker says of the span of an execution, the next worker is
//! told. Kept in memory: after a restart of the server a span begins anew.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;
use taskhub_core::ExecutionId;
use taskhub_wire::proto::OrchestrationTraceContext;

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
