//! What a worker hears: one piece of work after the other, until the stream is lost.

use std::time::Duration;

use taskhub_wire::proto::{
    GetWorkItemsRequest, OrchestratorRequest, StreamInstanceHistoryRequest, WorkItem,
};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::Link;

/// A stream that was silent for so long is dead: servers ping more often.
const SILENCE_MAX: Duration = Duration::from_mins(2);

/// The work of one worker. Dropped, the server gives what it has in hand to others.
#[derive(Debug)]
pub struct WorkItems {
    stream: Streaming<WorkItem>,
}

impl Link {
    /// Offers a worker to the server.
    pub async fn work(&self, offer: GetWorkItemsRequest) -> Result<WorkItems, Status> {
        let stream = self.service().get_work_items(offer).await?.into_inner();
        Ok(WorkItems { stream })
    }

    /// Puts the history into a turn that was sent without it.
    pub async fn fill(&self, turn: &mut OrchestratorRequest) -> Result<(), Status> {
        if turn.requires_history_streaming {
            let history = StreamInstanceHistoryRequest {
                instance_id: turn.instance_id.clone(),
                execution_id: turn.execution_id.clone(),
                for_work_item_processing: true,
                with_turn_ends: true,
            };
            turn.past_events = self.events(history).await?;
            turn.requires_history_streaming = false;
        }
        Ok(())
    }
}

impl WorkItems {
    /// What to do next, pings included; an error when nothing will come any more. Nothing is lost
    /// when this is dropped while it waits.
    pub async fn next(&mut self) -> Result<WorkItem, Status> {
        match timeout(SILENCE_MAX, self.stream.message()).await {
            Ok(Ok(Some(item))) => Ok(item),
            Ok(Ok(None)) => Err(Status::unavailable("the stream ended")),
            Ok(Err(status)) => Err(status),
            Err(_) => Err(Status::unavailable("the stream was silent")),
        }
    }
}
