//! Responses that come in chunks, until the last one is there.

use std::sync::{Mutex, PoisonError};

use foldhash::HashMap;
use taskhub_engine::DeliveryId;
use taskhub_wire::{Chunks, InvalidMessage, proto::OrchestratorResponse};

/// How many bytes of unfinished responses are kept. Beyond it all are forgotten: their turns are
/// given out again when their workers have had their time.
const BYTES_MAX: usize = 256 << 20;

/// The unfinished responses, by delivery.
#[derive(Debug, Default)]
pub(super) struct Partial {
    by_delivery: Mutex<HashMap<DeliveryId, Chunks>>,
}

impl Partial {
    /// Takes a response, or a part of one; the whole response once it is there.
    pub(super) fn add(
        &self,
        delivery: DeliveryId,
        response: OrchestratorResponse,
    ) -> Result<Option<OrchestratorResponse>, InvalidMessage> {
        let mut all = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunks = all.remove(&delivery).unwrap_or_default();
        let whole = chunks.add(response)?;
        if whole.is_none() {
            all.insert(delivery, chunks);
            if all.values().map(Chunks::bytes).sum::<usize>() > BYTES_MAX {
                tracing::warn!("too many unfinished responses; their turns are given out again");
                all.clear();
            }
        }
        Ok(whole)
    }
}
