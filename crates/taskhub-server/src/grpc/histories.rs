//! Histories, in pieces that every client can receive.

use futures::Stream;
use prost::Message as _;
use taskhub_core::{Answer, Job, Refusal, Verb};
use taskhub_wire::{
    history_shown,
    proto::{HistoryChunk, HistoryEvent, StreamInstanceHistoryRequest, history_event::EventType},
    turn_history_out,
};
use tonic::Status;

use super::{
    instances::unexpected,
    refusal::{refused, unreadable},
    service::{Call, instance_id},
};

/// How many bytes a chunk has, if no event has more.
const CHUNK_BYTES: usize = 256 << 10;

/// The history of an instance; for a worker that runs its turn, exactly that which it ran on.
pub(super) async fn stream(
    call: &Call<'_>,
    request: StreamInstanceHistoryRequest,
) -> Result<impl Stream<Item = Result<HistoryChunk, Status>> + Send + use<>, Status> {
    let id = instance_id(&request.instance_id)?;
    let given = call.hub.delivered_turn(&id).filter(|_| request.for_work_item_processing);
    let events = if let Some(Job::Turn(turn)) = given.map(|task| task.job) {
        turn_history_out(&id, &turn).0
    } else {
        let _turn = call.read().await?;
        let record = match call.ask(id.clone(), Verb::Status).await {
            Answer::Status(record) => record,
            Answer::Refused(refusal) => return Err(refused(refusal)),
            other => return Err(unexpected(other)),
        };
        let events = call.hub.history(id.clone()).await.map_err(unreadable)?;
        let events = events.ok_or_else(|| refused(Refusal::NotFound(id.clone())))?;
        let mut shown = history_shown(&id, &record, &events);
        // To people a turn ends where the next one begins: the Durable Task Scheduler says no more.
        if !request.with_turn_ends && !request.for_work_item_processing {
            shown.retain(|it| !matches!(it.event_type, Some(EventType::OrchestratorCompleted(_))));
        }
        shown
    };
    Ok(futures::stream::iter(chunks(events).into_iter().map(Ok)))
}

fn chunks(events: Vec<HistoryEvent>) -> Vec<HistoryChunk> {
    let mut chunks = vec![HistoryChunk::default()];
    let mut bytes = 0;
    for event in events {
        let more = event.encoded_len();
        if bytes > 0 && bytes + more > CHUNK_BYTES {
            chunks.push(HistoryChunk::default());
            bytes = 0;
        }
        bytes += more;
        if let Some(chunk) = chunks.last_mut() {
            chunk.events.push(event);
        }
    }
    chunks
}
