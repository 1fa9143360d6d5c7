//! Histories, in pieces that every client can receive.
//!
//! Over HTTP/2 a client says how much it takes, and one that takes nothing would keep a whole
//! history in memory for as long as it likes. So all that are being sent share a bound, the next
//! ones wait for their turn, and one of which nothing is taken for a while is let go.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::Stream;
use prost::Message as _;
use taskhub_core::{Answer, Job, Refusal, Verb};
use taskhub_wire::{
    history_shown,
    proto::{HistoryChunk, HistoryEvent, StreamInstanceHistoryRequest, history_event::EventType},
    turn_history_out,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::{
    call::{Call, instance_id},
    refusal::{refused, unexpected, unreadable},
};
use crate::serve::{Kept, STALL_TIME_MAX};

/// How many bytes a chunk has, if no event has more.
const CHUNK_BYTES: usize = 256 << 10;

/// How many KiB of histories are kept until they are sent; one may have more.
const SENT_KIB_MAX: u32 = 256 << 10;

/// How many histories are made ready to be sent at the same time.
const READY_COUNT_MAX: usize = 4;

/// The room for histories that are being sent.
#[derive(Debug)]
pub(super) struct Sent {
    kib: Arc<Semaphore>,
    ready: Semaphore,
}

impl Default for Sent {
    fn default() -> Self {
        let kib = Arc::new(Semaphore::new(SENT_KIB_MAX as usize));
        Self { kib, ready: Semaphore::new(READY_COUNT_MAX) }
    }
}

/// The history of an instance; for a worker that runs its turn, exactly that which it ran on.
pub(super) async fn stream(
    call: &Call<'_>,
    request: StreamInstanceHistoryRequest,
) -> Result<impl Stream<Item = Result<HistoryChunk, Status>> + Send + use<>, Status> {
    let closed = |_| Status::unavailable("this server is shutting down");
    let _ready = call.histories.ready.acquire().await.map_err(closed)?;
    let (chunks, bytes) = chunks(events(call, &request).await?);
    let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).min(SENT_KIB_MAX);
    let room = call.histories.kib.clone().acquire_many_owned(kib).await.map_err(closed)?;
    Ok(Sending::new(chunks.into(), room))
}

async fn events(
    call: &Call<'_>,
    request: &StreamInstanceHistoryRequest,
) -> Result<Vec<HistoryEvent>, Status> {
    let id = instance_id(&request.instance_id)?;
    if request.for_work_item_processing
        && let Some(task) = call.hub.delivered_turn(&id)
        && let Job::Turn(turn) = task.job
    {
        return Ok(turn_history_out(&id, &turn).0);
    }
    let _turn = call.read().await?;
    let record = match call.ask(id.clone(), Verb::Status).await {
        Answer::Status(record) => record,
        Answer::Refused(refusal) => return Err(refused(refusal)),
        other => return Err(unexpected(other)),
    };
    // Only the latest execution has a history.
    if let Some(asked) = request.execution_id.as_deref().filter(|asked| !asked.is_empty())
        && asked != record.execution.to_string()
        && !request.for_work_item_processing
    {
        let is = record.execution;
        let why = format!("instance {id} has no execution {asked:?} any more; its latest is {is}");
        return Err(Status::not_found(why));
    }
    let events = call.hub.history(id.clone()).await.map_err(unreadable)?;
    let events = events.ok_or_else(|| refused(Refusal::NotFound(id.clone())))?;
    let mut shown = history_shown(&id, &record, &events);
    // To people a turn ends where the next one begins: the Durable Task Scheduler says no more.
    if !request.with_turn_ends && !request.for_work_item_processing {
        shown.retain(|it| !matches!(it.event_type, Some(EventType::OrchestratorCompleted(_))));
    }
    Ok(shown)
}

/// The events in chunks, and how many bytes they have together.
fn chunks(events: Vec<HistoryEvent>) -> (Vec<HistoryChunk>, usize) {
    let mut chunks = vec![HistoryChunk::default()];
    let (mut bytes, mut all) = (0, 0);
    for event in events {
        let more = event.encoded_len();
        if bytes > 0 && bytes + more > CHUNK_BYTES {
            chunks.push(HistoryChunk::default());
            bytes = 0;
        }
        bytes += more;
        all += more;
        if let Some(chunk) = chunks.last_mut() {
            chunk.events.push(event);
        }
    }
    (chunks, all)
}

/// A history on its way to a client; without anything kept, all is sent.
struct Sending(Option<Kept<Chunks>>);

/// What of it is not sent yet.
struct Chunks {
    chunks: VecDeque<HistoryChunk>,
    _room: OwnedSemaphorePermit,
}

impl Sending {
    fn new(chunks: VecDeque<HistoryChunk>, room: OwnedSemaphorePermit) -> Self {
        Self(Some(Kept::new(Chunks { chunks, _room: room })))
    }
}

impl Stream for Sending {
    type Item = Result<HistoryChunk, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(kept) = &self.0 else { return Poll::Ready(None) };
        let next = kept.take(|Chunks { chunks, .. }| (chunks.pop_front(), chunks.is_empty()));
        let (chunk, is_last) = if let Some((chunk, is_last)) = next {
            (chunk.map(Ok), is_last)
        } else {
            let why = format!("nothing of the history was taken for {STALL_TIME_MAX:?}");
            (Some(Err(Status::aborted(format!("{why}; ask again, and read it as it comes")))), true)
        };
        if is_last {
            self.0 = None;
        }
        Poll::Ready(chunk)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    async fn sending(room: &Sent) -> Sending {
        let kept = room.kib.clone().acquire_many_owned(SENT_KIB_MAX).await.expect("it is open");
        Sending::new(vec![HistoryChunk::default(); 3].into(), kept)
    }

    #[tokio::test(start_paused = true)]
    async fn a_history_of_which_nothing_is_taken_is_let_go_and_makes_room() {
        let room = Sent::default();
        let mut stalled = sending(&room).await;
        assert!(matches!(stalled.next().await, Some(Ok(_))));
        let mut next = sending(&room).await;
        let refused = stalled.next().await.and_then(Result::err).map(|status| status.code());
        assert_eq!(refused, Some(tonic::Code::Aborted));
        assert!(stalled.next().await.is_none());
        assert!(matches!(next.next().await, Some(Ok(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_history_that_is_read_slowly_comes_to_its_end() {
        let room = Sent::default();
        let mut slow = sending(&room).await;
        for _ in 0..3 {
            tokio::time::sleep(STALL_TIME_MAX / 2).await;
            assert!(matches!(slow.next().await, Some(Ok(_))));
        }
        assert!(slow.next().await.is_none());
        assert_eq!(room.kib.available_permits(), SENT_KIB_MAX as usize);
    }
}
