//! Histories, read piece by piece: the beginning alone, or a long one in bounded memory.

use taskhub_core::{
    Event, ExecutionId, InstanceId, Kind, codec,
    store::{Store, StoreError},
};

use super::Hub;

/// A piece of the history of one execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryPart {
    /// The execution; `None` when there is no such instance.
    pub execution: Option<ExecutionId>,
    /// Its events, in order.
    pub events: Vec<Event>,
    /// The number of the next event; `None` at the end.
    pub next: Option<u64>,
}

impl Hub {
    /// The events of an instance from number `from` on, as last committed: about `count` of them,
    /// since turns are not cut. Begin with 0 and go on with [`HistoryPart::next`]. When the
    /// execution has changed in between, the new one has another history, to be read from 0.
    pub async fn history_from(
        &self,
        instance: InstanceId,
        from: u64,
        count: u64,
    ) -> Result<HistoryPart, StoreError> {
        self.read(move |store| {
            let events = part(store, &instance, from, count)?;
            // Executions only follow each other: if this one is here still, all is of it.
            let first = if from == 0 { None } else { Some(part(store, &instance, 0, 1)?) };
            let execution = execution(first.as_ref().unwrap_or(&events));
            let next = from.saturating_add(events.len() as u64);
            let next = Some(next).filter(|_| events.len() as u64 >= count.max(1));
            Ok(HistoryPart { execution, events, next })
        })
        .await
    }
}

fn part(
    store: &dyn Store,
    instance: &InstanceId,
    from: u64,
    count: u64,
) -> Result<Vec<Event>, StoreError> {
    let pieces = store.history(instance, from..from.saturating_add(count.max(1)))?;
    codec::decode_history(&pieces).map_err(|why| StoreError::Damaged(why.to_string()))
}

fn execution(events: &[Event]) -> Option<ExecutionId> {
    events.iter().find_map(|event| match &event.kind {
        Kind::Started(started) => Some(started.execution),
        _ => None,
    })
}
