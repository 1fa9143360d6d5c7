//! Entities: asked from outside, looked at, listed.

use taskhub_core::{
    Answer, EntityMetadata, InstanceId, Operation, Requested, Text, Verb, store::Filter,
};
use taskhub_wire::{
    metadata_out, named,
    proto::{
        CleanEntityStorageRequest, CleanEntityStorageResponse, GetEntityRequest, GetEntityResponse,
        QueryEntitiesRequest, QueryEntitiesResponse, SignalEntityRequest, SignalEntityResponse,
    },
    short, trace_in,
};
use tonic::Status;
use uuid::Uuid;

use super::{
    call::Call,
    queries::{page_count, time, token_in, token_out},
    refusal::{bad_id, bad_message, refused, unexpected, unreadable},
};

/// How many entities one call cleans up.
const CLEANED_COUNT: usize = 100;

/// Asks an entity for an operation.
pub(super) async fn signal(
    call: &Call<'_>,
    request: SignalEntityRequest,
) -> Result<SignalEntityResponse, Status> {
    let id = entity_id(&request.instance_id)?;
    named("name", &request.name).map_err(bad_message)?;
    short("requestId", &request.request_id).map_err(bad_message)?;
    // Some SDKs can only read requests that are named by a GUID.
    let named = Some(request.request_id).filter(|name| !name.is_empty());
    let named = named.unwrap_or_else(|| Uuid::now_v7().to_string());
    let mut operation = Operation::new(named, request.name, request.input.map(Text::from));
    let within = request.parent_trace_context.and_then(trace_in);
    if let Some(trace) = &within {
        short("parentTraceContext.traceParent", &trace.parent).map_err(bad_message)?;
        let state = trace.state.as_deref().unwrap_or_default();
        short("parentTraceContext.traceState", state).map_err(bad_message)?;
    }
    operation.trace = within.or_else(|| call.trace.clone());
    if let Some(traces) = call.hubs.traces()
        && !call.from_node
    {
        let span = traces.signal(&operation.name, &id, operation.trace.as_ref());
        operation.trace = Some(span);
    }
    let due = time("scheduledTime", request.scheduled_time.as_ref())?;
    let requested = Requested { operation, caller: None, due };
    match call.ask(id, Verb::Signal(Box::new(requested))).await {
        Answer::Done => Ok(SignalEntityResponse {}),
        Answer::Refused(refusal) => Err(refused(refusal)),
        other => Err(unexpected(other)),
    }
}

/// Looks at one entity.
pub(super) async fn get(
    call: &Call<'_>,
    request: GetEntityRequest,
) -> Result<GetEntityResponse, Status> {
    let id = entity_id(&request.instance_id)?;
    let entity = call.hub.entity(id).await.map_err(unreadable)?;
    // One that only waits for operations has no state, and is not there for its readers.
    let shown = |entity: &EntityMetadata| entity.state.is_some() || request.include_transient;
    let entity = entity.filter(shown);
    Ok(GetEntityResponse {
        exists: entity.is_some(),
        entity: entity.map(|entity| metadata_out(&entity, request.include_state)),
    })
}

/// One page of entities, in the order of their creation.
pub(super) async fn query(
    call: &Call<'_>,
    request: QueryEntitiesRequest,
) -> Result<QueryEntitiesResponse, Status> {
    let query = request.query.unwrap_or_default();
    let filter = Filter {
        prefix: query.instance_id_starts_with.as_deref().map(prefix),
        updated_from: time("lastModifiedFrom", query.last_modified_from.as_ref())?,
        updated_to: time("lastModifiedTo", query.last_modified_to.as_ref())?,
        after: token_in("continuationToken", query.continuation_token.as_deref())?,
        limit: page_count(query.page_size.unwrap_or_default()),
        ..Filter::default()
    };
    let _turn = call.read().await?;
    let page = call.hub.entities(filter).await.map_err(unreadable)?;
    let shown = |entity: &EntityMetadata| entity.state.is_some() || query.include_transient;
    let entities = page.entities.iter().filter(|entity| shown(entity));
    Ok(QueryEntitiesResponse {
        entities: entities.map(|entity| metadata_out(entity, query.include_state)).collect(),
        continuation_token: page.next.as_ref().map(token_out),
    })
}

/// Cleans a page of the entities up: forgets empty ones, and gives those back whose holders are
/// gone. Both happen by themselves, so there is hardly ever anything to do.
pub(super) async fn clean(
    call: &Call<'_>,
    request: CleanEntityStorageRequest,
) -> Result<CleanEntityStorageResponse, Status> {
    if call.from_node && !request.instance_id.is_empty() {
        let section = request.critical_section_id.into();
        return match call.ask(entity_id(&request.instance_id)?, Verb::Unlock { section }).await {
            Answer::Done => Ok(CleanEntityStorageResponse::default()),
            other => Err(unexpected(other)),
        };
    }
    if !request.remove_empty_entities && !request.release_orphaned_locks {
        return Ok(CleanEntityStorageResponse::default());
    }
    let after = token_in("continuationToken", request.continuation_token.as_deref())?;
    let _turn = call.read().await?;
    let cleaned = call.hub.clean_entities(after, CLEANED_COUNT).await.map_err(unreadable)?;
    let count = |count| i32::try_from(count).unwrap_or(i32::MAX);
    Ok(CleanEntityStorageResponse {
        continuation_token: cleaned.next.as_ref().map(token_out),
        empty_entities_removed: count(cleaned.removed),
        orphaned_locks_released: count(cleaned.released),
    })
}

fn entity_id(text: &str) -> Result<InstanceId, Status> {
    InstanceId::parse_entity(text).map_err(bad_id)
}

/// Names of entities are kept in lower case, keys as they are.
fn prefix(text: &str) -> Text {
    let text = if text.starts_with('@') { text.to_owned() } else { format!("@{text}") };
    match text[1..].split_once('@') {
        Some((name, key)) => format!("@{}@{key}", name.to_lowercase()).into(),
        None => text.to_lowercase().into(),
    }
}
