//! Lists and histories, over the wire.

use taskhub_core::{Event, InstanceId, Record, store};
use taskhub_wire::{
    InvalidMessage, history_in,
    proto::{
        HistoryEvent, InstanceQuery, QueryInstancesRequest, StreamInstanceHistoryRequest,
    },
    state_in, status_out, timestamp_out,
};
use tonic::{Code, Status};

use super::{Link, asking::soon, refusal::hub_error};
use crate::HubError;

/// One page of a list.
pub(crate) struct Listed {
    /// The instances that match.
    pub instances: Vec<(InstanceId, Record)>,
    /// Where the next page begins, in the words of the server; `None` at the end.
    pub next: Option<String>,
}

impl Link {
    /// Lists instances; `from` is where the page begins.
    pub(crate) async fn list(
        &self,
        filter: &store::Filter,
        from: Option<String>,
    ) -> Result<Listed, HubError> {
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
        let page = self.service.clone().query_instances(request).await;
        let page = page.map_err(|status| hub_error(&status))?.into_inner();
        let instances = page.orchestration_state.into_iter().map(state_in);
        let mut instances: Vec<_> = instances.collect::<Result<_, _>>().map_err(unreadable)?;
        // A server that is not ours does not know all that can be asked for.
        instances.retain(|(id, record)| filter.matches(id, record));
        let next = page.continuation_token.filter(|token| !token.is_empty());
        Ok(Listed { instances, next })
    }

    /// The history of an instance; `None` when there is no such instance.
    pub(crate) async fn history(&self, id: &InstanceId) -> Result<Option<Vec<Event>>, HubError> {
        match self.events(id, None).await {
            Ok(events) => history_in(events).map(Some).map_err(unreadable),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(hub_error(&status)),
        }
    }

    /// The history of an instance as the server tells it. With an execution, that before the turn
    /// which this worker has.
    pub(super) async fn events(
        &self,
        id: &InstanceId,
        turn_of: Option<Option<String>>,
    ) -> Result<Vec<HistoryEvent>, Status> {
        let request = StreamInstanceHistoryRequest {
            instance_id: id.to_string(),
            for_work_item_processing: turn_of.is_some(),
            execution_id: turn_of.flatten(),
        };
        let mut chunks = self.service.clone().stream_instance_history(request).await?.into_inner();
        let mut events = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            events.extend(chunk.events);
        }
        Ok(events)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
fn unreadable(error: InvalidMessage) -> HubError {
    HubError::Unexpected(error.to_string())
}
