//! Lists, histories and entities, over the wire.

use taskhub_core::{EntityMetadata, Event, InstanceId, Record, store};
use taskhub_wire::{
    history_in, metadata_in,
    proto::{
        CleanEntityStorageRequest, EntityQuery, GetEntityRequest, HistoryEvent, InstanceQuery,
        QueryEntitiesRequest, QueryInstancesRequest, StreamInstanceHistoryRequest,
    },
    state_in, status_out, timestamp_out,
};
use tonic::{Code, Status};

use crate::{Link, LinkError, link::soon};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; `None` at the end.
    pub next: Option<String>,
}

/// What a clean-up found on one page of the entities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Empty entities that were forgotten.
    pub removed: u64,
    /// Locks that were given back, as their holders are gone.
    pub released: u64,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

type Page<T> = Result<Listed<T>, LinkError>;

impl Link {
    /// Lists instances; `from` is where the page begins.
    pub async fn list(
        &self,
        filter: &store::Filter,
        from: Option<String>,
    ) -> Page<(InstanceId, Record)> {
        let query = InstanceQuery {
            runtime_status: filter.statuses.iter().map(|it| status_out(*it).into()).collect(),
            created_time_from: filter.created_from.map(timestamp_out),
            created_time_to: filter.created_to.map(timestamp_out),
            max_instance_count: i32::try_from(filter.limit).unwrap_or(i32::MAX),
            continuation_token: from,
            instance_id_prefix: filter.prefix.as_ref().map(ToString::to_string),
            fetch_inputs_and_outputs: true,
            without_inputs: true,
            tags: filter.tags.iter().map(|(key, it)| (key.to_string(), it.to_string())).collect(),
            completed_time_from: filter.completed_from.map(timestamp_out),
            completed_time_to: filter.completed_to.map(timestamp_out),
            stuck: filter.stuck,
            ..InstanceQuery::default()
        };
        let request = soon(QueryInstancesRequest { query: Some(query) });
        let page = self.service().query_instances(request).await;
        let page = page.map_err(|status| LinkError::of(&status))?.into_inner();
        let instances = page.orchestration_state.into_iter().map(state_in);
        let mut instances: Vec<_> =
            instances.collect::<Result<_, _>>().map_err(LinkError::unreadable)?;
        // A server that is not ours does not know all that can be asked for.
        instances.retain(|(id, record)| filter.matches(id, record));
        Ok(Listed { items: instances, next: place(page.continuation_token) })
    }

    /// An entity, whether it has a state or not.
    pub async fn entity(&self, id: &InstanceId) -> Result<Option<EntityMetadata>, LinkError> {
        let instance_id = id.to_string();
        let request =
            GetEntityRequest { instance_id, include_state: true, include_transient: true };
        let found = self.service().get_entity(soon(request)).await;
        let found = found.map_err(|status| LinkError::of(&status))?.into_inner();
        let entity = found.entity.filter(|_| found.exists);
        entity.map(metadata_in).transpose().map_err(LinkError::unreadable)
    }

    /// Lists entities; `from` is where the page begins.
    pub async fn entities(
        &self,
        filter: &store::Filter,
        from: Option<String>,
    ) -> Page<EntityMetadata> {
        let query = EntityQuery {
            instance_id_starts_with: filter.prefix.as_ref().map(ToString::to_string),
            last_modified_from: filter.updated_from.map(timestamp_out),
            last_modified_to: filter.updated_to.map(timestamp_out),
            include_state: true,
            include_transient: true,
            page_size: Some(i32::try_from(filter.limit).unwrap_or(i32::MAX)),
            continuation_token: from,
        };
        let request = soon(QueryEntitiesRequest { query: Some(query) });
        let page = self.service().query_entities(request).await;
        let page = page.map_err(|status| LinkError::of(&status))?.into_inner();
        let entities = page.entities.into_iter().map(metadata_in);
        let items = entities.collect::<Result<_, _>>().map_err(LinkError::unreadable)?;
        Ok(Listed { items, next: place(page.continuation_token) })
    }

    /// Cleans up a page of entities.
    pub async fn clean_entities(&self, from: Option<String>) -> Result<Cleaned, LinkError> {
        let request = soon(CleanEntityStorageRequest {
            continuation_token: from,
            remove_empty_entities: true,
            release_orphaned_locks: true,
            ..CleanEntityStorageRequest::default()
        });
        let page = self.service().clean_entity_storage(request).await;
        let page = page.map_err(|status| LinkError::of(&status))?.into_inner();
        let count = |count| u64::try_from(count).unwrap_or_default();
        let removed = count(page.empty_entities_removed);
        let released = count(page.orphaned_locks_released);
        Ok(Cleaned { removed, released, next: place(page.continuation_token) })
    }

    /// The history of an instance; `None` when there is no such instance.
    pub async fn history(&self, id: &InstanceId) -> Result<Option<Vec<Event>>, LinkError> {
        let instance_id = id.to_string();
        let request = StreamInstanceHistoryRequest {
            instance_id,
            with_turn_ends: true,
            ..Default::default()
        };
        match self.events(request).await {
            Ok(events) => history_in(events).map(Some).map_err(LinkError::unreadable),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(LinkError::of(&status)),
        }
    }

    /// The history of an instance as the server tells it, fetched piece by piece.
    pub async fn events(
        &self,
        request: StreamInstanceHistoryRequest,
    ) -> Result<Vec<HistoryEvent>, Status> {
        let mut chunks = self.service().stream_instance_history(request).await?.into_inner();
        let mut events = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            events.extend(chunk.events);
        }
        Ok(events)
    }
}

fn place(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty())
}
