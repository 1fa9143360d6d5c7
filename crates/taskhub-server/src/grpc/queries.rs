//! Lists of instances.

use prost::Message as _;
use taskhub_core::{
    InstanceId, RuntimeStatus, Text, Timestamp,
    store::{Cursor, Filter, Order, Page},
};
use taskhub_wire::{
    proto::{
        InstanceQuery, ListInstanceIdsRequest, ListInstanceIdsResponse, QueryInstancesRequest,
        QueryInstancesResponse,
    },
    statuses_in, tags_in, timestamp_in,
};
use tonic::Status;

use super::{
    call::Call,
    instances::{Wanted, shown, started},
    refusal::{bad_message, unreadable},
};

/// How many instances a page has when the client does not say, and at most.
const PAGE_COUNT: usize = 100;
const PAGE_COUNT_MAX: usize = 1_000;

/// How many bytes a page has; clients receive 4 MB by default. One instance may have more.
const PAGE_BYTES_MAX: usize = 2 << 20;

/// How many inputs are read before the bytes are counted again.
const CHUNK_COUNT: usize = 32;

/// One page of instances, in the order of their creation.
pub(super) async fn query(
    call: &Call<'_>,
    request: QueryInstancesRequest,
) -> Result<QueryInstancesResponse, Status> {
    let query = request.query.unwrap_or_default();
    let names = &query.task_hub_names;
    if !names.is_empty() && !names.iter().any(|name| *name == call.name.as_str()) {
        return Ok(QueryInstancesResponse::default());
    }
    let page = page(call, filter(&query)?).await?;
    let mut response = QueryInstancesResponse::default();
    let wanted = Wanted::of(query.fetch_inputs_and_outputs, query.without_inputs);
    let (mut bytes, mut next) = (0, page.next);
    'page: for chunk in page.instances.chunks(CHUNK_COUNT) {
        let ids = chunk.iter().map(|(id, _)| id.clone()).collect();
        let started = started(call, ids, wanted).await?;
        for ((id, record), started) in chunk.iter().zip(started) {
            let state = shown(id, record, wanted, started.as_ref());
            bytes += state.encoded_len();
            response.orchestration_state.push(state);
            if bytes > PAGE_BYTES_MAX {
                next = Some(Cursor { at: record.created_at, instance: id.clone() });
                break 'page;
            }
        }
    }
    response.continuation_token = next.as_ref().map(token_out);
    Ok(response)
}

/// One page of the ids of instances that have ended, in the order of their end.
pub(super) async fn list_ids(
    call: &Call<'_>,
    request: ListInstanceIdsRequest,
) -> Result<ListInstanceIdsResponse, Status> {
    let statuses = ended("runtimeStatus", &request.runtime_status)?;
    if statuses.is_empty() {
        return Ok(ListInstanceIdsResponse::default());
    }
    let filter = Filter {
        statuses,
        completed_from: time("completedTimeFrom", request.completed_time_from.as_ref())?,
        completed_to: time("completedTimeTo", request.completed_time_to.as_ref())?,
        after: token_in("lastInstanceKey", request.last_instance_key.as_deref())?,
        order: Order::Completed,
        limit: page_count(request.page_size),
        ..Filter::default()
    };
    let page = page(call, filter).await?;
    Ok(ListInstanceIdsResponse {
        instance_ids: page.instances.iter().map(|(id, _)| id.to_string()).collect(),
        last_instance_key: page.next.as_ref().map(token_out),
    })
}

/// A page of what the hub has.
pub(super) async fn page(call: &Call<'_>, filter: Filter) -> Result<Page, Status> {
    let _turn = call.read().await?;
    call.hub.query(filter).await.map_err(unreadable)
}

fn filter(query: &InstanceQuery) -> Result<Filter, Status> {
    Ok(Filter {
        statuses: statuses_in("runtimeStatus", &query.runtime_status).map_err(bad_message)?,
        prefix: query.instance_id_prefix.as_deref().map(Text::from),
        created_from: time("createdTimeFrom", query.created_time_from.as_ref())?,
        created_to: time("createdTimeTo", query.created_time_to.as_ref())?,
        completed_from: time("completedTimeFrom", query.completed_time_from.as_ref())?,
        completed_to: time("completedTimeTo", query.completed_time_to.as_ref())?,
        tags: tags_in(query.tags.clone()).to_vec(),
        stuck: query.stuck,
        after: token_in("continuationToken", query.continuation_token.as_deref())?,
        limit: page_count(query.max_instance_count),
        ..Filter::default()
    })
}

/// Those of `numbers` that stand for an end; all ends when there are no numbers.
pub(super) fn ended(field: &'static str, numbers: &[i32]) -> Result<Vec<RuntimeStatus>, Status> {
    let asked = statuses_in(field, numbers).map_err(bad_message)?;
    let asked = if asked.is_empty() { RuntimeStatus::ALL.to_vec() } else { asked };
    Ok(asked.into_iter().filter(|status| status.is_terminal()).collect())
}

/// A point in time that need not be there.
pub(super) fn time(
    field: &'static str,
    at: Option<&prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Status> {
    at.map(|at| timestamp_in(field, at)).transpose().map_err(bad_message)
}

pub(super) fn page_count(asked: i32) -> usize {
    match usize::try_from(asked) {
        Ok(0) | Err(_) => PAGE_COUNT,
        Ok(count) => count.min(PAGE_COUNT_MAX),
    }
}

/// A token is a time and an id, so that it stays good whatever happens to the list meanwhile.
pub(super) fn token_out(cursor: &Cursor) -> String {
    format!("{}|{}", cursor.at.0, cursor.instance)
}

pub(super) fn token_in(field: &str, token: Option<&str>) -> Result<Option<Cursor>, Status> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let wrong = || Status::invalid_argument(format!("{field}: {token:?} is no token of ours"));
    let (at, id) = token.split_once('|').ok_or_else(wrong)?;
    let at = Timestamp(at.parse().map_err(|_| wrong())?);
    Ok(Some(Cursor { at, instance: InstanceId::trusted(id) }))
}
