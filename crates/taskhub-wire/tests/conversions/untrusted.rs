//! No bytes bring the readers down, whatever they say.

use proptest::{collection::vec, prelude::*};
use prost::Message as _;
use taskhub_core::Piece;
use taskhub_wire::{
    Chunks, drop_repeated, history_in, history_out, outcome_in, performed_in,
    proto::{ActivityResponse, EntityBatchResult, HistoryChunk, OrchestratorResponse, WorkItem},
    taken_in, taken_out, work_item_in,
};

use crate::{entity, generate, instance, responses::any_taken, ticket};

fn read_all(bytes: &[u8]) {
    if let Ok(response) = OrchestratorResponse::decode(bytes) {
        let _ = Chunks::default().add(response.clone());
        if let Ok(mut taken) = taken_in(&ticket(instance(), Piece::Turn(1)), response) {
            drop_repeated(&mut taken.step.actions, []);
        }
    }
    if let Ok(result) = EntityBatchResult::decode(bytes) {
        let _ = performed_in(&ticket(entity(), Piece::Operations(1)), result);
    }
    if let Ok(response) = ActivityResponse::decode(bytes) {
        let _ = outcome_in(response);
    }
    if let Ok(item) = WorkItem::decode(bytes) {
        let _ = work_item_in(item);
    }
    if let Ok(chunk) = HistoryChunk::decode(bytes)
        && let Ok(history) = history_in(chunk.events)
    {
        let _ = history_out(&instance(), &history);
    }
}

fn flip(mut bytes: Vec<u8>, flips: &[(usize, u8)]) -> Vec<u8> {
    for (place, bits) in flips {
        let place = place % bytes.len().max(1);
        bytes.get_mut(place).into_iter().for_each(|byte| *byte ^= bits);
    }
    bytes
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn bytes_that_were_good_once_are_read_or_refused(
        taken in any_taken(),
        history in generate::history(),
        flips in vec((any::<usize>(), any::<u8>()), 0..4),
    ) {
        let ticket = ticket(instance(), Piece::Turn(1));
        let response = taken_out(&ticket.instance, ticket.execution, String::new(), &taken);
        read_all(&flip(response.unwrap_or_default().encode_to_vec(), &flips));
        let events = history_out(&instance(), &history).past;
        read_all(&flip(HistoryChunk { events }.encode_to_vec(), &flips));
    }
}
