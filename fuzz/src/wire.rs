//! No message of a worker makes the reader panic, and the calls it reads it says again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use taskhub_core::{
    CallId, Epoch, ExecutionId, InstanceId, PartitionId, Piece, Taken, Ticket, turn::Progress,
};
use taskhub_wire::{
    Chunks, history_in, history_out, outcome_in, performed_in,
    proto::{ActivityResponse, EntityBatchResult, HistoryChunk, OrchestratorResponse, WorkItem},
    taken_in, taken_out, work_item_in,
};

fn ticket() -> Ticket {
    let piece = Piece::Activity(CallId(1));
    let (partition, epoch, execution) = (PartitionId(0), Epoch(1), ExecutionId(10));
    Ticket { partition, epoch, instance: InstanceId::trusted("a"), execution, piece }
}

fn say_again(ticket: &Ticket, mut taken: Taken) {
    taken.step.progress = Progress::Waiting;
    let wire = taken_out(&ticket.instance, ticket.execution, String::new(), &taken);
    assert_eq!(wire.map(|wire| taken_in(ticket, wire)), Some(Ok(taken)));
}

fuzz_target!(|bytes: &[u8]| {
    let ticket = ticket();
    if let Ok(response) = OrchestratorResponse::decode(bytes) {
        let _ = Chunks::default().add(response.clone());
        if let Ok(taken) = taken_in(&ticket, response) {
            say_again(&ticket, taken);
        }
    }
    if let Ok(result) = EntityBatchResult::decode(bytes) {
        let _ = performed_in(&ticket, result);
    }
    let _ = ActivityResponse::decode(bytes).map(outcome_in);
    let _ = WorkItem::decode(bytes).map(work_item_in);
    if let Ok(chunk) = HistoryChunk::decode(bytes)
        && let Ok(history) = history_in(chunk.events)
    {
        let _ = history_out(&ticket.instance, &history);
    }
});
