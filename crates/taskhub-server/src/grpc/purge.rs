//! Instances, forgotten: one, some, or all that match.

use std::time::Duration;

use taskhub_core::{Answer, InstanceId, Refusal, Verb, store::Filter};
use taskhub_wire::{
    duration_in,
    proto::{
        PurgeInstanceFilter, PurgeInstancesRequest, PurgeInstancesResponse,
        purge_instances_request::Request,
    },
    refusal_out,
};
use tokio::time::Instant;
use tonic::Status;

use super::{
    call::{Call, any_id, instance_id},
    queries::{ended, page, time},
    refusal::{bad_message, unexpected},
};

/// How many instances one list may name.
const BATCH_COUNT_MAX: usize = 10_000;

/// Purges what is asked for and has ended, and says how many that were.
pub(super) async fn purge(
    call: &Call<'_>,
    request: PurgeInstancesRequest,
) -> Result<PurgeInstancesResponse, Status> {
    let recursive = request.recursive;
    let (count, is_complete) = match request.request {
        Some(Request::InstanceId(id)) => return only(call, any_id(&id)?, recursive).await,
        Some(Request::InstanceBatch(batch)) if batch.instance_ids.len() > BATCH_COUNT_MAX => {
            return Err(Status::invalid_argument(format!(
                "instanceBatch: {} ids are too many, {BATCH_COUNT_MAX} are allowed",
                batch.instance_ids.len()
            )));
        }
        Some(Request::InstanceBatch(batch)) => {
            let ids: Result<_, _> = batch.instance_ids.iter().map(|id| instance_id(id)).collect();
            (all(call, ids?, recursive).await?, true)
        }
        Some(Request::PurgeInstanceFilter(filter)) => matching(call, filter, recursive).await?,
        None => {
            return Err(Status::invalid_argument(
                "say what to purge: instanceId, purgeInstanceFilter or instanceBatch",
            ));
        }
    };
    Ok(PurgeInstancesResponse {
        deleted_instance_count: i32::try_from(count).unwrap_or(i32::MAX),
        is_complete: Some(is_complete),
        refusal: None,
    })
}

/// Purges one instance, with its children or without, and says why it did not.
async fn only(
    call: &Call<'_>,
    id: InstanceId,
    recursive: bool,
) -> Result<PurgeInstancesResponse, Status> {
    let purged = if recursive {
        let _turn = call.read().await?;
        call.hub.purge_with_children(id).await
    } else {
        match call.ask(id, Verb::Purge).await {
            Answer::Done => Ok(1),
            other => Err(other),
        }
    };
    let (count, refusal) = match purged {
        Ok(count) => (count, None),
        Err(Answer::Refused(why @ (Refusal::NotFound(_) | Refusal::NotEnded(..)))) => {
            (0, Some(refusal_out(&why)))
        }
        Err(other) => return Err(unexpected(other)),
    };
    Ok(PurgeInstancesResponse {
        deleted_instance_count: i32::try_from(count).unwrap_or(i32::MAX),
        is_complete: Some(true),
        refusal,
    })
}

/// Purges what matches until the time is up: how many, and whether that were all.
async fn matching(
    call: &Call<'_>,
    asked: PurgeInstanceFilter,
    recursive: bool,
) -> Result<(usize, bool), Status> {
    let timeout = asked.timeout.as_ref().map(|timeout| duration_in("timeout", timeout));
    let timeout = timeout.transpose().map_err(bad_message)?;
    let begun = Instant::now();
    let is_over = |time: Duration| begun.elapsed() >= time;
    let mut filter = Filter {
        statuses: ended("runtimeStatus", &asked.runtime_status)?,
        created_from: time("createdTimeFrom", asked.created_time_from.as_ref())?,
        created_to: time("createdTimeTo", asked.created_time_to.as_ref())?,
        limit: 1_000,
        ..Filter::default()
    };
    if filter.statuses.is_empty() {
        return Ok((0, true));
    }
    let mut count = 0;
    loop {
        let page = page(call, filter.clone()).await?;
        let ids = page.instances.into_iter().map(|(id, _)| id).collect();
        count += all(call, ids, recursive).await?;
        match page.next {
            None => return Ok((count, true)),
            Some(_) if timeout.is_some_and(is_over) => return Ok((count, false)),
            next => filter.after = next,
        }
    }
}

/// Purges those of `ids` that are there and have ended, and what they called.
async fn all(call: &Call<'_>, ids: Vec<InstanceId>, recursive: bool) -> Result<usize, Status> {
    let _turn = call.read().await?;
    call.hub.purge_ended(ids, recursive).await.map_err(unexpected)
}
