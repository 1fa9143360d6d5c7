//! What clients read of the store: so much at a time that the engine's own reads never wait for it.

use std::sync::Arc;

use bytes::Bytes;
use taskhub_core::{
    Event, InstanceId, Kind, Limits, Started, codec,
    store::{Filter, Page, Store, StoreError},
};
use tokio::sync::Semaphore;

use super::Hub;

/// Who may look just now; the others wait in the order in which they came.
pub(super) struct Looks(Arc<Semaphore>);

impl Looks {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Semaphore::new(limits.looks_count_max.max(1))))
    }
}

impl Hub {
    /// Lists instances, as last committed.
    pub async fn query(&self, filter: Filter) -> Result<Page, StoreError> {
        self.read(move |store| store.query(&filter)).await
    }

    /// The history of an instance, as last committed; `None` when there is no such instance.
    pub async fn history(&self, instance: InstanceId) -> Result<Option<Vec<Event>>, StoreError> {
        self.read(move |store| {
            if store.load(&instance)?.is_none() {
                return Ok(None);
            }
            let pieces = store.history(&instance, 0..u64::MAX)?;
            let events = codec::decode_history(&pieces);
            events.map(Some).map_err(|why| StoreError::Damaged(why.to_string()))
        })
        .await
    }

    /// How the present execution of an instance began; `None` when there is no such instance, or it
    /// is an entity.
    pub async fn started(&self, instance: InstanceId) -> Result<Option<Started>, StoreError> {
        Ok(self.all_started(vec![instance]).await?.pop().flatten())
    }

    /// The same for each of these instances.
    pub async fn all_started(
        &self,
        instances: Vec<InstanceId>,
    ) -> Result<Vec<Option<Started>>, StoreError> {
        self.read(move |store| {
            let started = |first: Option<Bytes>| {
                let events = codec::decode_history(first.as_slice());
                let events = events.map_err(|why| StoreError::Damaged(why.to_string()))?;
                Ok(events.into_iter().find_map(|event| match event.kind {
                    Kind::Started(started) => Some(*started),
                    _ => None,
                }))
            };
            store.beginnings(&instances)?.into_iter().map(started).collect()
        })
        .await
    }

    /// Reads what a client asks for, when it is its turn.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.inner.store.clone();
        // Kept until it has been read, though the client may be gone by then.
        let turn = self.inner.looks.0.clone().acquire_owned().await;
        let read = move || {
            let _turn = turn;
            read(&*store)
        };
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }
}
